"""What *Why this match?* computes: shares, maps and nodes of one pair, raw and aligned."""

import re

import pytest
import torch

from app.widgets.map_colours import MapColours
from app.widgets.match import pair_scales
from app.workbench import RankingOptions, matches
from ssrnet.data.images import read_image
from ssrnet.model import EmbeddingSettings
from tests.app.conftest import aligned, specs, workbench

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
    statistics, embeddings = model.statistics(), model.embed(pictures)
    cosine = torch.cosine_similarity(*((embeddings - statistics.mean[-1]) / statistics.deviation[-1]), dim=0)
    similar = [matches.uploaded_pair(each, *pictures, "grad-cam").similarity for each in (model, raw)]
    assert similar == pytest.approx([cosine.item(), torch.cosine_similarity(*embeddings, dim=0).item()], abs=1e-5)


def test_the_panel_explains_the_aligned_cosine_and_says_so(open_city):
    test = open_city("retrieval", query="0008_c001_00000000_0.jpg", match="0007_c002_00000001_0.jpg", align="true")
    assert any("shares are of features aligned by camera" in each.value for each in test.caption)
    standing = r"\*\*SSR-Net \(GB\+AB\+RB\), aligned\*\*: .*?, cosine (-?[\d.]+)"
    cosine = float(re.search(standing, " ".join(each.value for each in test.markdown))[1])
    shares, tokens = specs(test)
    parts = [float(re.search(r"-?[\d.]+$", bar["text"][-1])[0]) for bar in shares["data"]]
    assert sum(parts) == pytest.approx(cosine, abs=0.002)
    assert tokens["layout"]["title"]["text"].startswith(f"Relation branch's {parts[2]:.3f}")


def test_a_graph_that_does_not_count_has_no_share(open_city):
    url = {"query": "0008_c001_00000000_0.jpg", "match": "0007_c002_00000001_0.jpg", "branches": "Global"}
    test = open_city("retrieval", **url)
    assert any("does not count here, so the token has no share" in each.value for each in test.info)
