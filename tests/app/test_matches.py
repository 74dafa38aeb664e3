"""What *Why this match?* computes: shares, maps and nodes of one pair, raw and aligned."""

import re
from pathlib import Path

import pytest
import torch

from app.widgets.map_colours import MapColours
from app.widgets.match import pair_scales
from app.widgets.match_lead import say_lead
from app.workbench import RankingOptions, matches
from app.workbench.images import size_of
from app.workbench.matches import PairLead, PairShares, Rival
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage
from ssrnet.explain.lead import NodeLead
from ssrnet.model import EmbeddingSettings
from tests.app.conftest import aligned, specs, workbench
from tests.tiny import edges_shown, shapes

OPTIONS = [
    RankingOptions(),
    RankingOptions(branches=("attn",)),
    RankingOptions(branches=("G", "token"), unit_length=True),
]
ROUNDING = 2e-3
"""Of stored features, float16."""


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("align", [False, True])
def test_maps_shares_and_nodes_explain_one_cosine(project, city, checkpoints, options, align):
    model = workbench(city, checkpoints).ssrnet
    model = aligned(model) if align else model
    for query, gallery in ((0, 1), (2, 5)):
        images = model.split.query[query], model.split.gallery[gallery]
        shares = matches.pair_shares(model, options, query, gallery)
        pictures = matches.pair_pictures(model, *images, "grad-cam", options)
        assert pictures.similarity == pytest.approx(shares.cosine, abs=ROUNDING)
        graph = matches.pair_graph(model, *images, options)
        if "token" in shares.shares:
            assert graph.tokens.sum(0) == pytest.approx([shares.shares["token"]] * 2, abs=ROUNDING)
        else:
            assert not graph.parts and graph.tokens.shape == (0, 2)


def test_both_maps_of_a_pair_are_on_one_scale_from_zero(project, city, checkpoints):
    bench = workbench(city, checkpoints)
    images = bench.split.query[0], bench.split.gallery[1]
    pairs = [
        matches.pair_pictures(model, *images, "grad-cam", RankingOptions()) for model in (bench.baseline, bench.ssrnet)
    ]
    highest = [max(one.cells.max() for one in pair.maps) for pair in pairs]
    apart, together = (pair_scales(pairs, MapColours("cividis", same)) for same in (False, True))
    assert apart == [(0.0, pytest.approx(high)) for high in highest]
    assert together == [(0.0, pytest.approx(max(highest)))] * 2
    assert pairs[0].painted(apart[0], "cividis") != pairs[0].painted(apart[0], "inferno")


def test_the_maps_of_a_pair_lie_on_whole_photographs_at_their_own_ratios(project, checkpoints, tmp_path):
    model = workbench(shapes(tmp_path / "shapes"), checkpoints).ssrnet
    portrait, panorama = model.split.query[0], model.split.gallery[2]
    pictures = matches.pair_pictures(model, portrait, panorama, "grad-cam", RankingOptions())
    assert [pixels.shape[:2] for pixels in pictures.photographs] == [(90, 40), (40, 120)]
    assert [edges_shown(pixels) for pixels in pictures.photographs] == [4, 4]
    assert [size_of(uri) for uri in pictures.painted(pictures.scale, "inferno")] == [(40, 90), (120, 40)]


def test_a_branch_that_does_not_rank_is_explained_by_its_own_statistics(project, city, checkpoints):
    model = aligned(workbench(city, checkpoints).ssrnet)
    query, gallery = model.split.query[0], model.split.gallery[1]
    rows = torch.cat(
        [model.view(image).trace.embedding(EmbeddingSettings(branches=("token",))) for image in (query, gallery)]
    )
    statistics = model.statistics().only(slice(1024, 1536))
    cosine = torch.cosine_similarity(*statistics.align(rows, [query.camera_id, gallery.camera_id]), dim=0)
    pictures = matches.pair_pictures(model, query, gallery, "grad-cam", RankingOptions(branches=("token",)))
    assert pictures.similarity == pytest.approx(cosine.item(), abs=1e-6)


def test_uploads_are_compared_by_the_whole_sets_statistics(project, city, checkpoints):
    raw = workbench(city, checkpoints).ssrnet
    model = aligned(raw)
    pictures = [read_image(image.path) for image in model.data.dataset.test[:2]]
    uploads = [UploadedImage.of(f"{at}.jpg", picture, str(at)) for at, picture in enumerate(pictures)]
    statistics, embeddings = model.statistics(), model.embed(pictures)
    cosine = torch.cosine_similarity(*((embeddings - statistics.mean[-1]) / statistics.deviation[-1]), dim=0)
    pairs = [matches.pair_pictures(each, *uploads, "grad-cam", RankingOptions()) for each in (model, raw)]
    similar = [pair.similarity for pair in pairs]
    assert similar == pytest.approx([cosine.item(), torch.cosine_similarity(*embeddings, dim=0).item()], abs=1e-5)


def test_the_panel_explains_the_aligned_cosine_and_says_so(open_city):
    test = open_city("retrieval", query="0008_c001_00000000_0.jpg", match="0007_c002_00000001_0.jpg", align="true")
    assert any("shares are of features aligned by camera" in each.value for each in test.caption)
    standing = r"\*\*SSR-Net \(GB\+AB\+RB\), aligned\*\*: .*?, cosine (-?[\d.]+)"
    cosine = float(re.search(standing, " ".join(each.value for each in test.markdown))[1])
    shares, tokens = specs(test)
    row = shares["data"][0]["y"].index("SSR-Net (GB+AB+RB)")
    parts = [float(re.search(r"-?[\d.]+$", bar["text"][row])[0]) for bar in shares["data"]]
    assert sum(parts) == pytest.approx(cosine, abs=0.002)
    assert tokens["layout"]["title"]["text"].startswith(f"Relation branch's {parts[2]:.3f}")


def test_a_graph_that_does_not_count_has_no_share(open_city):
    url = {"query": "0008_c001_00000000_0.jpg", "match": "0007_c002_00000001_0.jpg", "branches": "Global"}
    test = open_city("retrieval", **url)
    assert any("does not count here, so the token has no share" in each.value for each in test.info)


@pytest.mark.parametrize("options", OPTIONS[::2], ids=str)
@pytest.mark.parametrize("align", [False, True])
def test_a_lead_is_the_difference_of_two_cosines(project, city, checkpoints, options, align):
    model = workbench(city, checkpoints).ssrnet
    model = aligned(model) if align else model
    seen = set()
    for gallery in range(len(model.split.gallery)):
        rival, own = (find(model, options, 0, gallery) for find in (matches.find_rival, matches.pair_shares))
        ranks = [matches.pair_shares(model, options, 0, each).rank for each in range(len(model.split.gallery))]
        vehicle = model.split.query[0].vehicle_id
        same = [image.vehicle_id == vehicle for image in model.split.gallery]
        others = [i for i, rank in enumerate(ranks) if rank and own.rank and same[i] != same[gallery]]
        if not others:
            assert rival is None
            continue
        first = min(others, key=ranks.__getitem__)
        assert rival == Rival(first, ranks[first], same[first])
        lead = matches.pair_lead(model, options, 0, gallery, rival)
        cosines = own.cosine, matches.pair_shares(model, options, 0, first).cosine
        assert lead.total == pytest.approx(cosines[0] - cosines[1], abs=1e-6)
        assert (lead.total > 0) == (own.rank < rival.rank)
        assert sum(lead.nodes.nodes.values()) == pytest.approx(lead.branches["token"], abs=2 * ROUNDING)
        seen.add(same[gallery])
    assert seen == {False, True}


def test_cells_are_those_of_the_three_images(project, city, checkpoints):
    model = workbench(city, checkpoints).ssrnet
    images = model.split.query[0], *model.split.gallery[:2]
    cells = matches.cells(model, images, "F_attn")
    height, width = cells.size
    assert cells.cosines.shape == (2, height * width, height * width) and len(cells.pictures) == len(cells.ratios) == 3
    query, _, second = (model.view(image).trace.F_attn[0] for image in images)
    cell = torch.cosine_similarity(query[:, 1, 2], second[:, 0, 3], dim=0)
    assert cells.cosines[1, width + 2, 3] == pytest.approx(cell.item(), abs=1e-5)


IMAGE = VehicleImage(Path("b.jpg"), "b.jpg", "7", "c1")
LEAD_WORDS = [
    (
        PairShares(2, 0.6, {}, {}),
        Rival(0, 3, True),
        PairLead(
            PairShares(3, 0.5, {}, {}), {"G": 0.03, "token": 0.07}, NodeLead({"ul": 0.01, "neck": 0.06}, {"ul": -0.01})
        ),
        "**M** puts this image (rank 2) before the first true match (`b.jpg`, rank 3) by 0.100 of cosine: relation +0.070, "
        "global +0.030. Within the relation branch the upper left node counts most (+0.010). Without the upper left node in all "
        "three graphs the order would turn (by ablation, each alone).",
    ),
    (
        PairShares(5, 0.4, {}, {}),
        Rival(0, 1, False),
        PairLead(PairShares(1, 0.5, {}, {}), {"G": -0.1}, None),
        "**M** puts this image (rank 5) behind the first other vehicle (`b.jpg`, rank 1) by 0.100 of cosine.",
    ),
    (
        PairShares(1, 0.6, {}, {}),
        Rival(0, 2, False),
        PairLead(
            PairShares(2, 0.5, {}, {}), {"token": 0.1}, NodeLead({"mid": -0.2, "dr": 0.3}, {"mid": 0.1, "dr": 0.2})
        ),
        "**M** puts this image (rank 1) before the first other vehicle (`b.jpg`, rank 2) by 0.100 of cosine. Within the relation "
        "branch the lower right node counts most (+0.300). No node alone, taken out of all three graphs, turns the order (by "
        "ablation).",
    ),
]


@pytest.mark.parametrize(("shares", "rival", "lead", "words"), LEAD_WORDS, ids=["before", "behind", "no node turns it"])
def test_a_lead_in_words(shares, rival, lead, words):
    assert say_lead("M", shares, rival, IMAGE, lead) == words


def test_junk_is_weighed_against_nothing(open_city):
    test = open_city("retrieval", query="0008_c001_00000000_0.jpg", match="0008_c001_00000000_0.jpg")
    assert not any("puts this image" in each.value for each in test.markdown)
    assert any("Point at a picture" in each.value for each in test.caption)
