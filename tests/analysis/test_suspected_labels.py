import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ssrnet.analysis.neighbours import Neighbours, neighbours
from ssrnet.analysis.suspected_labels import CUT, outlying, suspected_labels, suspected_pairs
from ssrnet.data.records import VehicleImage
from tests.analysis import toys

VEHICLES, IMAGES_EACH = 60, 8


def vehicles(seed: int, noise: float = 0.4, passes: float = 0.0) -> tuple[list[VehicleImage], torch.Tensor]:
    """Clusters in 16 dimensions; four cameras take two images each, which ``passes`` makes resemble each other.

    Vehicles 0 and 1 are siblings: half as far apart as others are from their nearest.
    """
    generator = np.random.default_rng(seed)
    centre = np.random.default_rng(0).normal(size=(VEHICLES, 16))  # the vehicles; the seed is the model's
    centre[1] = centre[0] + 0.5 * (centre[1] - centre[0])
    images, x = [], []
    for v in range(VEHICLES):
        for camera in range(4):
            seen = passes * generator.normal(size=16)
            for frame in range(IMAGES_EACH // 4):
                group = {"sibling_group": "s"} if v < 2 else {}
                images.append(toys.image(f"{v}-{camera}-{frame}", str(v), f"c{camera}", **group))
                x.append(centre[v] + seen + noise * generator.normal(size=16))
    return images, torch.tensor(np.array(x)).float()


def relabelled(images: list[VehicleImage], labels: dict[str, str]) -> list[VehicleImage]:
    return [replace(image, vehicle_id=labels.get(image.name, image.vehicle_id)) for image in images]


SWAPS = {"5-0-0": "9", "9-2-1": "5", "20-1-0": "41", "41-3-0": "20"}


def near(images, x, **options) -> Neighbours:
    return neighbours(images, x, "euclidean", **options)


def test_swapped_labels_stand_on_top():
    images, x = vehicles(1)
    images = relabelled(images, SWAPS)
    suspects = suspected_labels(images, [near(images, x)])
    assert {one.image.name for one in suspects[:4]} == set(SWAPS)
    for one in suspects[:4]:
        true = one.image.name.partition("-")[0]
        assert (
            one.like.vehicle_id == true and one.nearest_same.vehicle_id == one.image.vehicle_id == SWAPS[one.image.name]
        )
        assert one.same_distances[0] > one.other_distances[0] and one.score > CUT and one.agreed
        assert one.row()["like_vehicle"] == true and one.row()["sibling"] is False
    assert [one.score for one in suspects] == sorted((one.score for one in suspects), reverse=True)


def test_a_clean_set_gives_few_and_two_models_fewer():
    images, x = vehicles(1)
    one = [near(images, x)]
    assert len(suspected_labels(images, one)) <= 2 and len(suspected_pairs(images, one)) <= 2  # of 480 images
    two = [*one, near(*vehicles(2))]
    assert not suspected_labels(images, two) and len(suspected_pairs(images, two)) <= 1


def test_what_one_model_suspects_alone_is_not_said_of_both():
    images, x = vehicles(1)
    x[7] = x[100]  # one model sees vehicle 0's last image as vehicle 12's; the labels are right
    right, other = near(images, x), near(*vehicles(2))
    assert images[7].name in {one.image.name for one in suspected_labels(images, [right])}
    assert not suspected_labels(images, [right, other])
    swapped = relabelled(images, SWAPS)
    both = suspected_labels(swapped, [near(swapped, vehicles(1)[1]), near(swapped, vehicles(2)[1])])
    assert {one.image.name for one in both} == set(SWAPS)
    assert all(one.agreed and len(one.same_distances) == 2 for one in both)


def test_a_pass_under_a_wrong_label_is_found_across_cameras():
    images, x = vehicles(1, noise=0.1, passes=0.4)
    labels = {"5-0-0": "9", "5-0-1": "9"}  # the whole pass, whose frames vouch for each other
    images = relabelled(images, labels)
    assert not suspected_labels(images, [near(images, x)])
    suspects = suspected_labels(images, [near(images, x, other_cameras=True)])
    assert {one.image.name for one in suspects[:2]} == set(labels)
    assert {one.like.vehicle_id for one in suspects[:2]} == {"5"}


def test_one_vehicle_under_two_labels_is_found_by_its_pairs():
    images, x = vehicles(1)
    images = relabelled(images, {f"30-{camera}-0": "new" for camera in range(4)})
    suspects = suspected_pairs(images, [near(images, x)])
    assert suspects and {frozenset((one.a.vehicle_id, one.b.vehicle_id)) for one in suspects} == {
        frozenset(("30", "new"))
    }
    assert suspects[0].row()["distance"] == suspects[0].distances[0]
    assert [one.score for one in suspects] == sorted((one.score for one in suspects), reverse=True)


def test_a_copy_under_another_label_is_the_first_pair():
    images, x = vehicles(1)
    x[100] = x[300] + 1e-4
    (suspects, *_) = suspected_pairs(images, [near(images, x)])
    assert {suspects.a.name, suspects.b.name} == {images[100].name, images[300].name}
    x[100] = x[300]
    assert math.isfinite(suspected_pairs(images, [near(images, x)])[0].score)
    siblings = replace(suspects, a=images[0], b=images[IMAGES_EACH])
    assert siblings.row()["sibling"] is True


def test_counted_by_hand():
    """Margins ln(own / other): three images at ln(1/2), one at ln 1/3, one at ln 1/4, one at ln 8."""
    images = [toys.image(f"i{i}", str(i // 2), "c1") for i in range(8)]
    near = Neighbours(
        np.array([1, 0, 3, 2, 5, 4, -1, -1]),
        np.array([1, 1, 1, 1, 1, 8, np.inf, np.inf], np.float32),
        np.array([2, 2, 0, 0, 0, 0, 0, 0]),
        np.array([2, 2, 2, 3, 4, 1, 1, 1], np.float32),
        np.array([1, 1, 1, 1, 1, 8], np.float32),
    )
    # The median is ln 1/2 = -0.693; deviations 0, 0, 0, 0.405, 0.693, 2.773: their median 0.203.
    (suspects,) = suspected_labels(images, [near])
    assert suspects.image.name == "i5" and suspects.score == pytest.approx(math.log(16) / (1.4826 * math.log(1.5) / 2))
    assert suspected_labels(images, [near], cut=10) == ()


def test_where_the_spread_is_unknown_nothing_stands_out():
    assert outlying(np.array([1.0, 1, 1, 9])).tolist() == [0, 0, 0, 0]
    assert outlying(np.array([np.inf, np.nan])).tolist() == [0, 0]
    assert outlying(np.array([1.0, 2, 3, np.inf])) == pytest.approx([-1 / 1.4826, 0, 1 / 1.4826, np.nan], nan_ok=True)
    alone = [toys.image(str(i), str(i), "c1") for i in range(5)]  # no vehicle has two images
    x = torch.arange(5.0)[:, None]
    assert suspected_labels(alone, [near(alone, x)]) == () == suspected_pairs(alone, [near(alone, x)])
