"""Which images show one vehicle, by answers to pairs."""

import itertools

import numpy as np
import pytest

from ssrnet.data.labels import ContradictionError, Labels
from ssrnet.errors import DataError


def by_hand(same, other, images):
    """The relation of every pair of images, by joining groups until nothing changes."""
    group = {image: {image} for image in images}
    for a, b in same:
        joined = group[a] | group[b]
        group |= dict.fromkeys(joined, joined)
    return {
        (a, b): "same"
        if b in group[a]
        else "other"
        if any((x in group[a] and y in group[b]) or (x in group[b] and y in group[a]) for x, y in other)
        else None
        for a, b in itertools.permutations(images, 2)
    }


@pytest.mark.parametrize("seed", range(5))
def test_relations_follow_from_the_answers(seed):
    generator, images = np.random.default_rng(seed), [f"{i}.jpg" for i in range(9)]
    truth = {image: int(generator.integers(3)) for image in images}
    labels, same, other = Labels(), [], []
    for _ in range(12):
        a, b = generator.choice(images, 2, replace=False).tolist()
        if truth[a] == truth[b]:
            labels, same = labels.confirm(a, b), [*same, (a, b)]
        else:
            labels, other = labels.refuse(b, a), [*other, (a, b)]
        expected = by_hand(same, other, images)
        assert {pair: labels.relation(*pair) for pair in expected} == expected
    for vehicle in labels.vehicles.values():
        assert len(vehicle) > 1 and len({truth[image] for image in vehicle}) == 1
    assert labels.vehicle_of == {image: name for name, of in labels.vehicles.items() for image in of}


def test_a_contradiction_names_the_chain_and_changes_nothing():
    labels = Labels().confirm("a", "b").confirm("c", "b").confirm("c", "d").confirm("x", "a")
    with pytest.raises(ContradictionError) as caught:
        labels.refuse("d", "a")
    assert str(caught.value) == (
        "a and d are refused as one vehicle, and confirmed as one by a = b = c = d; take one of these answers back."
    )
    apart = Labels().confirm("a", "b").confirm("c", "d").refuse("a", "d")
    with pytest.raises(ContradictionError, match="a and d are refused .* by a = b = c = d;"):
        apart.confirm("c", "b")
    assert apart.vehicles == {"v1": ("a", "b"), "v2": ("c", "d")}


def test_what_is_known_is_not_said_twice():
    labels = Labels().confirm("a", "b").confirm("b", "c").refuse("a", "z")
    assert labels.confirm("c", "a") is labels and labels.refuse("z", "c") is labels


def test_an_image_is_forgotten_with_what_it_joined():
    labels = Labels().confirm("a", "b").confirm("b", "c").refuse("b", "z").refuse("c", "y").name(["a"], "bus")
    assert labels.forget("b") == Labels().refuse("c", "y").name(["a"], "bus")
    assert labels.forget("a") == Labels().confirm("b", "c").refuse("b", "z").refuse("c", "y").name(["b"], "bus")


def test_a_name_joins_what_bears_it():
    labels = Labels().name(["a", "b"], " bus 12 ").name(["c"], "bus 12").confirm("d", "e").name(["f"], "bus 14")
    assert labels.vehicles == {"bus 12": ("a", "b", "c"), "v1": ("d", "e"), "bus 14": ("f",)}
    with pytest.raises(ContradictionError, match="a shows bus 12 and f shows bus 14.* by a = c = f; take one"):
        labels.confirm("c", "f")
    with pytest.raises(ContradictionError, match="shows bus 12"):
        labels.name(["b"], "truck")


@pytest.mark.parametrize("name", ["", "  ", "v12", "a\nb", "x" * 61])
def test_a_name_that_is_none_is_one_sentence(name):
    with pytest.raises(DataError, match="is no name for a vehicle: use 1 to 60 characters"):
        Labels().name(["a"], name)
