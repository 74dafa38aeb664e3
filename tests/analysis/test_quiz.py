from dataclasses import replace

import numpy as np
import pytest
import torch

from ssrnet.analysis.quiz import CHOICES, ROUNDS, Round, differences, draw_rounds, score, vehicle_attributes
from ssrnet.data.protocols import Split
from ssrnet.errors import DataError, SettingsError
from ssrnet.retrieval.extraction import FeatureSet
from tests.analysis import toys

VEHICLES = 9


def split(siblings: bool = True, cameras: bool = True) -> Split:
    """Nine vehicles, the first six in two sibling groups, each with a query by c0 and c1 and an image by each of c0 to c3."""

    def images(kind: str, seen_by: int) -> tuple:
        return tuple(
            toys.image(
                f"{kind}{vehicle}{camera}",
                f"v{vehicle}",
                f"c{camera}" if cameras else None,
                **({"sibling_group": str(vehicle // 3)} if siblings and vehicle < 6 else {}),
            )
            for vehicle in range(VEHICLES)
            for camera in range(seen_by)
        )

    return Split(images("q", 2), images("g", 4), same_camera_is_junk=cameras)


def features(of: Split, seed: int) -> FeatureSet:
    names = tuple(image.name for image in (*of.query, *of.gallery))
    return FeatureSet(torch.randn(len(names), 8, generator=torch.Generator().manual_seed(seed)), names, {"G": 8})


@pytest.mark.parametrize("siblings", [True, False])
@pytest.mark.parametrize("cameras", [True, False])
@pytest.mark.parametrize("seed", [0, 7])
def test_one_right_four_wrong_and_none_by_the_querys_camera(siblings, cameras, seed):
    of = split(siblings, cameras)
    rounds = draw_rounds(of, [features(of, 1), features(of, 2)], seed)
    assert len(rounds) == ROUNDS and len({one.query for one in rounds}) == ROUNDS
    for one in rounds:
        query, shown = of.query[one.query], [of.gallery[g] for g in one.choices]
        assert [image.vehicle_id == query.vehicle_id for image in shown].index(True) == one.right
        assert len({image.vehicle_id for image in shown}) == CHOICES
        if cameras:
            assert query.camera_id not in [image.camera_id for image in shown]
    assert len({one.right for one in rounds}) > 1, "the right image changes its place"


def test_answers_are_the_most_similar_images_by_the_features():
    of = split()
    models = [features(of, 1), features(of, 2)]
    for one in draw_rounds(of, models, 3):
        for model, (each, answer) in enumerate(zip(models, one.answers)):
            query, shown = each.rows([of.query[one.query]]), each.rows([of.gallery[g] for g in one.choices])
            cosines = torch.cosine_similarity(query, shown)
            assert one.cosines[model] == pytest.approx(cosines.numpy(), abs=1e-6)
            assert answer == int(cosines.argmax())


def test_a_seed_gives_the_same_rounds_and_another_seed_others():
    of = split()
    models = [features(of, 1), features(of, 2)]

    def drawn(seed: int) -> list[tuple]:
        return [(one.query, one.choices, one.right) for one in draw_rounds(of, models, seed)]

    assert drawn(4) == drawn(4) != drawn(5)
    with pytest.raises(SettingsError, match="the seed is -1"):
        drawn(-1)


def test_siblings_come_first_each_group_before_one_a_second_time():
    of = split()
    models = [features(of, 1), features(of, 2)]
    rounds = draw_rounds(of, models, 0)
    groups = [of.query[one.query].attributes["sibling_group"] for one in rounds]
    assert all(len(set(groups[i : i + 2])) == 2 for i in range(0, ROUNDS, 2))
    for one, group in zip(rounds, groups):
        siblings = [of.gallery[g].attributes.get("sibling_group") == group for g in one.choices]
        assert sum(siblings) == 3, "the right image and both siblings"


def test_the_wrong_images_are_the_nearest_by_either_model():
    of = split(siblings=False)
    a, b = features(of, 1), features(of, 2)
    for one in draw_rounds(of, [a, b], 0):
        query = of.query[one.query]
        usable = [g for g, image in enumerate(of.gallery) if image.camera_id != query.camera_id]
        for model in (a, b):
            rows = model.rows([of.gallery[g] for g in usable])
            near = torch.cosine_similarity(model.rows([query]), rows).argsort(descending=True)
            wrong = [usable[i] for i in near if of.gallery[usable[i]].vehicle_id != query.vehicle_id]
            vehicles = [of.gallery[g].vehicle_id for g in one.choices]
            assert of.gallery[wrong[0]].vehicle_id in vehicles


def test_without_siblings_the_queries_are_those_that_a_model_errs_on(monkeypatch):
    """Every query is right but two."""
    monkeypatch.setattr("ssrnet.analysis.quiz.HARD_QUERIES", 0)
    of = split(siblings=False)
    own = torch.eye(VEHICLES)
    rows = [own[int(image.vehicle_id[1])] for image in (*of.query, *of.gallery)]
    rows[3], rows[8] = own[0] + own[1] / 2, own[5] + own[4] / 2  # queries 3 and 8 look like vehicles 0 and 5
    names = tuple(image.name for image in (*of.query, *of.gallery))
    good, bad = FeatureSet(torch.stack(rows), names, {"G": VEHICLES}), features(of, 0)
    assert {one.query for one in draw_rounds(of, [good], 0)} == {3, 8}
    assert len(draw_rounds(of, [good, bad], 0)) == ROUNDS


def test_too_few_vehicles_or_cameras_is_one_sentence():
    of = split()
    models = [features(of, 1)]
    few = [f"v{vehicle}" for vehicle in range(5)]
    with pytest.raises(DataError, match="a round shows 5 vehicles and this gallery has 4; choose a larger data set"):
        draw_rounds(of, models, 0, distractors=few)
    one_camera = replace(of, query=tuple(replace(image, camera_id="c0") for image in of.query))
    one_camera = replace(one_camera, gallery=tuple(replace(image, camera_id="c0") for image in of.gallery))
    with pytest.raises(DataError, match="no query has a match and 4 other vehicles by other cameras than its own"):
        draw_rounds(one_camera, models, 0)


def test_distractors_are_never_shown():
    of = split()
    rounds = draw_rounds(of, [features(of, 1)], 0, distractors=["v8", "v7"])
    assert not {"v7", "v8"} & {of.gallery[g].vehicle_id for one in rounds for g in one.choices}


def test_the_score_counted_by_hand():
    def one(right: int, *answers: int) -> Round:
        return Round(0, (0, 1, 2, 3, 4), right, np.eye(5, dtype=np.float32)[list(answers)])

    rounds = [one(1, 1, 2), one(0, 3, 3), one(4, 4, 4), one(2, 0, 2)]
    scored = score(rounds, [1, 0, 2])
    assert scored.right.tolist() == [[True, True, False], [True, False, True], [False, False, True]]
    assert scored.counts == [2, 2, 1]
    assert (scored.person_alone, scored.models_alone) == ([2], [3])
    assert score(rounds, []).right.shape == (3, 0) and score(rounds, []).counts == [0, 0, 0]


def test_differences_between_vehicles():
    images = [
        toys.image("a1", "A", "c1", sibling_group="1", colour="red", marks="dent-rear-1 decal-left-1", light="led"),
        toys.image("a2", "A", "c2", sibling_group="1", colour="red", marks="dent-rear-1 decal-left-1", light="none"),
        toys.image("b1", "B", "c1", sibling_group="1", colour="red", marks="dent-rear-1 patch-left-1", light="led"),
        toys.image("c1", "C", "c1", marks="dent-rear-1", light="led"),
    ]
    names = vehicle_attributes(images)
    assert names == ("colour", "marks"), "light changes within a vehicle"
    assert differences(images[0], images[1], names) == {}
    assert differences(images[0], images[2], names) == {"marks": ("decal-left-1", "patch-left-1")}
    assert differences(images[0], images[3], names) == {"colour": ("red", None), "marks": ("decal-left-1", None)}
    assert vehicle_attributes([images[0], *images[2:]]) == (), "one image a vehicle"
