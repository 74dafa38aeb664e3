"""Attention health on traces made by hand, and the sentences that its limits decide."""

from dataclasses import replace

import pytest
import torch

from ssrnet.model import Trace
from ssrnet.model.health import BORDER, M_C_SAME, M_S_POSITION, SATURATED, AttentionHealth, HealthSums, attention_health
from tests import tiny

HEALTHY = AttentionHealth(24, 0.05, 0.12, 0.1, 0.9, (0.24, 0.89, 0.9847))


def trace(F_G=None, M_c=None, M_s=None, H=()) -> Trace:
    """Of the maps that a test is about; F_G is flat where it is about others, with eight channels and 4x4 cells.

    M_c: (B, C). M_s: (B, H, W).
    """
    batch = 2 if M_c is None and M_s is None else len(M_c if M_c is not None else M_s)
    F_G = torch.ones(batch, 8, 4, 4) if F_G is None else F_G
    return Trace(
        F_G, F_G, {}, {}, None if M_c is None else M_c[:, :, None, None], None if M_s is None else M_s[:, None], H=H
    )


def health(**maps) -> AttentionHealth:
    return attention_health([trace(**maps)])


def sentence(health: AttentionHealth, of: str) -> tuple[bool | None, str]:
    return next((one.passes, one.sentence) for one in health.verdicts() if one.of == of)


def test_m_c_that_is_the_same_in_all_images_deviates_by_0():
    found = health(M_c=torch.tensor([[0.2, 0.7, 0.5]]).repeat(3, 1))
    assert found.M_c_deviation == 0 and found.M_c_saturated == 0 and found.images == 3


def test_the_deviation_of_m_c_is_between_images_and_not_between_channels():
    # channels deviate by 0.1, 0.3 and 0
    found = health(M_c=torch.tensor([[0.4, 0.2, 0.9], [0.6, 0.8, 0.9]]))
    assert found.M_c_deviation == pytest.approx(0.4 / 3)


def test_entries_of_m_c_within_a_hundredth_of_0_or_1_are_saturated():
    assert health(M_c=torch.tensor([[0.005, 0.015, 0.5, 0.985], [0.995, 1.0, 0.0, 0.5]])).M_c_saturated == 0.5
    assert SATURATED == 0.01


def test_m_s_that_is_the_same_in_all_images_is_all_position():
    assert health(M_s=torch.rand(4, 4).repeat(3, 1, 1)).M_s_position == pytest.approx(1)
    assert health(M_s=torch.full((3, 4, 4), 0.5)).M_s_position == 1, "one number everywhere"


def test_m_s_whose_means_are_the_same_at_all_places_is_no_position():
    chequers = (torch.arange(4)[:, None] + torch.arange(4)) % 2
    assert health(M_s=torch.stack([chequers, 1 - chequers]).float()).M_s_position == 0


def test_position_is_a_share_of_the_variance():
    """Places differ by -1 and 1, and images by -2 and 2 in opposite places: 1 of the 1 + 4."""
    place, image = torch.tensor([[1.0, -1.0]]), torch.tensor([[2.0, -2.0]])
    assert health(M_s=torch.stack([place + image, place - image])).M_s_position == pytest.approx(1 / 5)


def test_a_corner_cell_stands_out_against_the_central_quarter():
    F_G = torch.ones(2, 4, 8, 8)  # each cell is 2 long
    assert health(F_G=F_G).border == pytest.approx(1)
    F_G[:, :, 0, -1] = 4  # 8 long
    assert health(F_G=F_G).border == pytest.approx(4)
    F_G[:, :, 1, 1] = 9
    assert health(F_G=F_G).border == pytest.approx(4), "one cell further in belongs to neither"
    F_G[:, :, 2:6, 2:6] = 2
    assert health(F_G=F_G).border == pytest.approx(2)


def test_the_border_is_that_of_the_mean_over_images():
    F_G = torch.ones(4, 1, 4, 4)
    for image, (row, column) in enumerate([(0, 0), (0, 3), (3, 0), (3, 3)]):
        F_G[image, 0, row, column] = 5  # another corner in each image: (5 + 1 + 1 + 1) / 4
    assert health(F_G=F_G).border == pytest.approx(2)


def test_the_mean_cosine_is_over_pairs_of_different_nodes():
    at_right_angles = torch.tensor([[[1.0, 0], [0, 2], [3, 0]]])  # cosines 0, 1, 0
    alike = torch.tensor([[[1.0, 1], [2, 2], [3, 3]]])
    found = health(F_G=torch.ones(1, 1, 4, 4), H=(at_right_angles, alike))
    assert found.node_cosine == pytest.approx((1 / 3, 1))


def test_batches_put_together_are_the_images_of_one():
    model, x = tiny.network(), tiny.images(5)
    whole = attention_health([model.trace(x)])
    sums, second = HealthSums(), HealthSums()
    with torch.no_grad():
        sums.add(model.trace(x[:3]))
        second.add(model.trace(x[3:]))
    sums.extend(second)
    assert sums.result().images == 5
    for name in ("M_c_saturated", "M_c_deviation", "M_s_position", "border", "node_cosine"):
        assert getattr(sums.result(), name) == pytest.approx(getattr(whole, name), rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "of"),
    [
        ({}, ["M_c", "M_s", "F_G", "H"]),
        (tiny.BASELINE, ["F_G"]),
        ({"relation_branch": False}, ["M_c", "M_s", "F_G"]),
        ({"attention": "se"}, ["M_c", "F_G", "H"]),
        ({"attention": "none"}, ["F_G", "H"]),
        ({"parts": "pcb"}, ["M_c", "M_s", "F_G"]),
    ],
)
def test_nothing_is_claimed_of_maps_that_a_model_lacks(changes, of):
    found = attention_health([tiny.network(**changes).trace(tiny.images())])
    assert (found.M_c_deviation is None) == (found.M_c_saturated is None) == ("M_c" not in of)
    assert (found.M_s_position is None) == ("M_s" not in of) and len(found.node_cosine) == (3 if "H" in of else 0)
    assert [verdict.of for verdict in found.verdicts()] == of


def test_a_healthy_network_gets_plain_sentences():
    assert [verdict.passes for verdict in HEALTHY.verdicts()] == [True, True, True, None]
    assert sentence(HEALTHY, "M_c")[1].startswith("M_c differs between images: its entries move by 0.1200")
    assert sentence(HEALTHY, "M_s")[1].startswith("M_s differs between images: 10 % of its variance is position")
    assert sentence(HEALTHY, "F_G")[1].startswith(
        "F_G does not mark its border: the strongest border cell is 0.9 times"
    )
    assert "0.24 at H(0), 0.89 at H(1), 0.985 at H(2)" in sentence(HEALTHY, "H")[1]


@pytest.mark.parametrize(
    ("of", "figure", "limit", "words"),
    [
        ("M_c", "M_c_deviation", M_C_SAME, "M_c is the same for every image"),
        ("M_s", "M_s_position", M_S_POSITION, "M_s is largely position"),
        ("F_G", "border", BORDER, "F_G marks its border"),
    ],
)
def test_each_limit_decides_its_sentence(of, figure, limit, words):
    step = -1e-4 if of == "M_c" else 1e-4
    passes, said = sentence(replace(HEALTHY, **{figure: limit + step}), of)
    assert not passes and said.startswith(words)
    for fine in (limit, limit - step):
        passes, said = sentence(replace(HEALTHY, **{figure: fine}), of)
        assert passes and not said.startswith(words)


def test_the_limits_are_those_that_the_docstrings_justify():
    assert (M_C_SAME, M_S_POSITION, BORDER) == (0.01, 1 / 3, 2.0)
