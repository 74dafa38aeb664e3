from collections import Counter

import pytest

from ssrnet.data.sampler import PKSampler
from ssrnet.errors import SettingsError

# Seven vehicles with 1 to 7 images, interleaved.
COUNTS = {f"v{n}": n for n in range(1, 8)}
IDS = [vehicle for i in range(7) for vehicle, n in COUNTS.items() if i < n]


def epoch(sampler: PKSampler, number: int) -> list[list[int]]:
    sampler.set_epoch(number)
    return list(sampler)


def test_a_batch_is_p_vehicles_with_k_images_each():
    batches = list(PKSampler(IDS, P=3, K=4, seed=0))
    assert len(batches) == 2
    for batch in batches:
        own = [IDS[position] for position in batch]
        assert all(len(set(own[i : i + 4])) == 1 for i in range(0, 12, 4))
        assert Counter(own).most_common() == [(vehicle, 4) for vehicle, _ in Counter(own).most_common()]
        assert len(set(own)) == 3


def test_an_epoch_visits_each_vehicle_once_and_drops_the_rest():
    sampler = PKSampler(IDS, P=3, K=2, seed=0)
    visited = [IDS[position] for batch in sampler for position in batch[::2]]
    assert len(sampler) == 2 and len(visited) == len(set(visited)) == 6
    everyone = {IDS[position] for number in range(20) for batch in epoch(sampler, number) for position in batch}
    assert everyone == set(COUNTS)
    assert len(PKSampler(IDS, P=7, K=2)) == 1


def test_no_repeats_with_enough_images_and_every_image_first_with_too_few():
    for number in range(5):
        for batch in epoch(PKSampler(IDS, P=7, K=4, seed=3), number):
            for start in range(0, 28, 4):
                drawn = batch[start : start + 4]
                assert len(set(drawn)) == min(4, COUNTS[IDS[drawn[0]]])


def test_the_draw_depends_on_seed_and_epoch_alone():
    running, resumed = PKSampler(IDS, 2, 3, seed=5), PKSampler(IDS, 2, 3, seed=5)
    first, second, third = (epoch(running, number) for number in range(3))
    assert epoch(resumed, 2) == third
    assert list(resumed) == third
    assert first != second != third
    assert epoch(PKSampler(IDS, 2, 3, seed=6), 0) != first


def test_rounds_go_over_the_vehicles_again_in_another_order():
    batches = list(PKSampler(IDS, P=3, K=2, seed=0, rounds=4))
    assert len(batches) == len(PKSampler(IDS, P=3, K=2, rounds=4)) == 8
    rounds = [[IDS[position] for batch in batches[i : i + 2] for position in batch[::2]] for i in range(0, 8, 2)]
    assert all(len(set(vehicles)) == 6 for vehicles in rounds) and len({tuple(vehicles) for vehicles in rounds}) == 4
    assert batches[:2] == list(PKSampler(IDS, P=3, K=2, seed=0))


def test_it_feeds_a_data_loader():
    from torch.utils.data import DataLoader

    sampler = PKSampler(IDS, P=2, K=3, seed=0)
    batches = [batch.tolist() for batch in DataLoader(list(range(len(IDS))), batch_sampler=sampler)]
    assert batches == list(sampler)


@pytest.mark.parametrize(
    ("P", "K", "seed", "message"),
    [
        (8, 2, 0, "P is 8 but the training split has 7 vehicles; choose a P that is no larger"),
        (0, 2, 0, "P is 0 and K is 2; a batch needs at least one"),
        (2, 0, 0, "P is 2 and K is 0; a batch needs at least one"),
        (2, 2, -1, "seed is -1; use 0 or a positive"),
    ],
)
def test_settings_that_cannot_work(P, K, seed, message):
    with pytest.raises(SettingsError, match=message):
        PKSampler(IDS, P, K, seed)
