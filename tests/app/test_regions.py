"""The Regions page: lambda, the regions' boxes and cosines, and what the gallery lists at another lambda."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from app.widgets.components.region_boxes import crop_ratios
from app.workbench import regions
from app.workbench.cache import forget_pictures, session_values
from app.workbench.opening import checkpoint_files
from ssrnet.data.images import read_image
from ssrnet.explain.graph import GraphEdit
from ssrnet.model.regions import region_boxes
from ssrnet.retrieval.ranking import rank
from ssrnet.training.checkpoint import save_checkpoint
from tests import tiny
from tests.app.conftest import (
    align_by_hand,
    aligned,
    as_upload,
    components,
    html,
    ranked_rows,
    shared_keys,
    whole,
    with_uploads,
    workbench,
)

RANK = "regions_rank"


@pytest.fixture(autouse=True)
def no_gallery_in_memory():
    st.cache_resource.clear()  # which earlier tests may have filled for the same data and checkpoints


def titles(test) -> list[str]:
    return re.findall(r'class="title">([^<]*)<', html(test))


def test_the_slider_starts_where_a_region_has_a_cell_and_has_the_networks_own_lambda():
    on_sixteen = crop_ratios(16, 16, 2 / 3)
    assert on_sixteen[0] == 1 / 8 and on_sixteen[-1] == 1 and 2 / 3 in on_sixteen and len(on_sixteen) == 43
    assert crop_ratios(4, 4, 2 / 3)[0] == 1 / 4
    assert 0.7 in crop_ratios(16, 16, 0.7)


def test_boxes_follow_lambda_from_the_url_and_are_those_of_the_model(open_city):
    test = open_city("regions", regions_lambda="0.75")
    (data,) = components(test, "region_boxes")
    step = data["steps"][data["chosen"]]
    assert step["ratio"] == 0.75 and step["note"] == "changed at test time"
    assert data["sets"][step["set"]]["boxes"] == [list(box) for box in region_boxes(4, 4, 0.75)]
    assert np.array(data["sets"][step["set"]]["counts"]).tolist() == [
        [2, 3, 3, 1],
        [3, 5, 5, 2],
        [3, 5, 5, 2],
        [1, 2, 2, 1],
    ]
    assert [each["note"] for each in data["steps"] if each["trained"]] == ["2/3, as trained"]
    assert any("4 × 4 cells, so λ starts" in caption.value for caption in test.caption)


def test_a_lambda_that_is_none_is_the_networks_own_and_stands_in_the_url(open_city):
    test = open_city("regions", regions_lambda="wide")
    assert test.query_params["regions_lambda"] == "0.667"
    assert "Top-5 at λ = 0.667" in [each.value for each in test.subheader]


def test_cosines_need_no_gallery_and_ranks_say_what_is_missing(open_city):
    test = open_city("regions")
    assert titles(test) == [], "no features yet, so nothing is ranked"
    assert any("Different regions of this image are alike to " in each.value for each in test.markdown)
    assert any(each.value.startswith("Mean cosine between the regions of this image: ") for each in test.caption)
    assert any("once the gallery is ranked" in each.value for each in test.info)
    assert any("No `crop-ratio` study" in each.value for each in test.caption)
    assert not list(Path("runs").rglob("*.graphs"))


def test_the_gallery_is_ranked_at_lambda_once_it_is_asked_for_and_kept(open_city):
    test = open_city("regions", regions_lambda="0.75")
    test.button(key=RANK).click().run()
    assert not test.exception and not test.error
    assert titles(test) == ["λ = 0.667, as trained", "λ = 0.75 at test time, query and gallery"]
    sentence = next(each.value for each in test.caption if "Test-time λ" in each.value)
    assert "trained at 0.667" in sentence and "Fig. 4" in sentence and "Asymmetric" not in sentence
    [graphs_file] = Path("runs").rglob("*.graphs")
    assert graphs_file.name not in "".join(checkpoint_files())

    st.cache_resource.clear()
    again = open_city("regions", regions_lambda="0.75")
    assert titles(again) == titles(test) and RANK not in [each.key for each in again.button]


def test_before_the_click_the_page_says_how_long_it_takes(open_city, monkeypatch):
    monkeypatch.setattr(regions, "seconds_an_image", lambda *_: 0.5)
    words = next(each.value for each in open_city("regions").caption if "goes through the network once" in each.value)
    assert "each of its 12 images" in words and "about 6 seconds, estimated from a blank one" in words
    st.cache_resource.clear()
    monkeypatch.setattr(regions, "seconds_an_image", lambda *_: 20.0)
    assert any("about 4 minutes" in each.value for each in open_city("regions").caption)


def test_shipped_graphs_rank_at_their_ratios_without_a_click(open_city, project, city, checkpoints):
    model = workbench(city, checkpoints).ssrnet
    whole_graphs = regions.gallery_graphs(model, lambda done, total: None)
    (path,) = project.rglob("*.graphs")
    shipped = project / "assets/features" / path.name
    path.unlink()
    whole_graphs.at_ratios((2 / 3, 0.75)).save(shipped, {})
    st.cache_resource.clear()
    open_city("retrieval")  # embeds the test images
    test = open_city("regions", regions_lambda="0.75")
    assert titles(test)[1] == "λ = 0.75 at test time, query and gallery" and test.button(key=RANK)
    assert any("stored at the λ of Fig. 4, here with the boxes of 0.5, 0.75" in each.value for each in test.caption)
    other = open_city("regions", regions_lambda="1")
    assert titles(other)[1] == "λ = 1 at test time, query alone"


def test_before_that_the_query_alone_is_changed_and_the_page_says_so(open_city):
    open_city("retrieval")  # embeds the test images
    test = open_city("regions", regions_lambda="1")
    assert titles(test)[1] == "λ = 1 at test time, query alone"
    assert any(each.value.startswith("Asymmetric: the query's graph is edited") for each in test.caption)
    assert titles(open_city("regions")) == ["λ = 0.667, as trained"]


def test_ranks_and_metrics_at_a_lambda_are_those_of_a_network_asked_at_it(project, city, checkpoints):
    model = workbench(city, checkpoints).ssrnet
    parts = []
    graphs = regions.gallery_graphs(model, lambda done, total: parts.append((done, total)))
    assert parts == [(4, 12), (8, 12), (12, 12)]
    assert graphs.names == tuple(image.name for image in model.data.dataset.test)
    network = tiny.network(crop_ratio=0.75)
    path = project / "runs/wider.safetensors"
    save_checkpoint(path, network, tiny.info(network))  # the same weights with lambda = 3/4 for their own
    wider = workbench(city, checkpoints | {"ssrnet": str(path)}).ssrnet
    for query in range(4):
        expected = regions.rank_as_trained(wider, query, 5)
        got = regions.rank_at(model, query, 0.75, 5, graphs)
        assert [hit.index for hit in got.hits] == [hit.index for hit in expected.hits]
        assert got.ranking.average_precision == pytest.approx(expected.ranking.average_precision)
        assert got.label.test_time_ratio and not got.label.asymmetric
    measured = regions.metrics_at(model, graphs, 0.75)
    assert measured.metrics.mAP == pytest.approx(wider.evaluation().metrics.mAP)
    assert measured.record.features["graph_edit"] == "λ = 0.75 at test time"


def test_aligned_ranks_and_metrics_at_a_lambda_go_by_the_statistics_as_trained(project, city, checkpoints):
    model = aligned(workbench(city, checkpoints).ssrnet)
    graphs, split = regions.gallery_graphs(model, lambda done, total: None), model.split
    assert len(model.statistics().cameras) > 1
    features = graphs.edit_all(model.features(), GraphEdit(crop_ratio=0.75)).features
    stored = align_by_hand(model, model.features(), split.gallery)
    by_hand = (align_by_hand(model, features, images) for images in (split.query, split.gallery))
    expected = rank(*by_hand, split, top_k=5)
    for query in range(4):
        ranking = regions.rank_at(model, query, 0.75, 5, graphs).ranking
        assert ranking.order[0, :5].tolist() == expected.order[query, :5].tolist()
        np.testing.assert_allclose(ranking.distance[0, :5], expected.distance[query, :5], atol=1e-5)
        alone, image = regions.rank_at(model, query, 0.75, 5, None).ranking, split.query[query]
        embedding = replace(features, features=model.view(image).at(0.75).embedding(), names=(image.name,))
        one = replace(split, query=(image,))
        expected_alone = rank(align_by_hand(model, embedding, [image]), stored, one, top_k=5)
        assert alone.order[0, :5].tolist() == expected_alone.order[0, :5].tolist()
        as_trained = regions.rank_as_trained(model, query, 5)
        for given in (graphs, None):
            at_trained = regions.rank_at(model, query, model.settings.crop_ratio, 5, given)
            distances = [one.ranking.distance[0][one.ranking.order[0].argsort()] for one in (at_trained, as_trained)]
            np.testing.assert_allclose(*distances, atol=2e-2)  # stored features are float16, and deviations small here
    measured = regions.metrics_at(model, graphs, 0.75)
    assert measured.metrics.mAP == pytest.approx(expected.average_precision.mean())
    assert measured.record.camera_alignment == model.evaluation().record.camera_alignment == str(model.statistics())


def test_the_page_says_what_is_aligned(open_city):
    open_city("retrieval")
    test = open_city("regions", align="true", regions_lambda="1")
    legend = next(each.value for each in test.caption if "another vehicle" in each.value)
    assert "aligned by camera, with statistics that no edit and no other λ changes" in legend
    assert titles(test) == ["λ = 0.667, as trained, aligned", "λ = 1 at test time, query alone, aligned"]
    as_trained = next(
        each.value for each in open_city("regions", align="true").caption if "These are the boxes" in each.value
    )
    assert "boxes that SSR-Net (GB+AB+RB) was trained with" in as_trained
    assert not any("aligned" in each.value for each in open_city("regions").caption)


def test_a_pass_that_was_broken_off_goes_on(project, city, checkpoints, monkeypatch):
    monkeypatch.setattr(regions, "PART", 4)
    model = workbench(city, checkpoints).ssrnet

    def stop(done: int, total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        regions.gallery_graphs(model, stop)
    done_before = []
    regions.gallery_graphs(model, lambda done, total: done_before.append(done))
    assert done_before[-1] == 12 and 4 not in done_before


def test_a_model_without_regions_is_one_sentence(open_page, city, checkpoints):
    test = whole(open_page("regions", data=str(city), baseline=checkpoints["baseline"], ssrnet=checkpoints["baseline"]))
    assert "no relation branch" in test.info[0].value


def test_an_upload_of_a_test_image_has_its_cosines_and_its_ranks(project, city, checkpoints):
    raw = workbench(city, checkpoints).ssrnet
    graphs, images = regions.gallery_graphs(raw, lambda done, total: None), raw.split.query
    upload = as_upload(images[1], images[1].name)
    for first, second in ((upload, images[1]), (upload, upload), (images[0], upload)):
        other = images[1] if second is upload else second
        expected = regions.region_cosines_at(raw, images[1] if first is upload else first, other, 0.75)
        np.testing.assert_allclose(
            regions.region_cosines_at(raw, first, second, 0.75).cosine, expected.cosine, atol=1e-5
        )
    (listed, means), (own, expected) = (regions.smoothness_over_ratios(raw, each) for each in (upload, images[1]))
    assert listed == own and means == pytest.approx(expected, abs=1e-4)
    split = raw.split
    for model in (
        raw,
        replace(raw.aligned, alignment=replace(raw.aligned.alignment, min_images=99)),
    ):  # by the whole set
        for ratio in (None, 0.75, 1.0):
            for given in (graphs, None):
                ranked = [
                    regions.rank_as_trained(model, query, 5)
                    if ratio is None
                    else regions.rank_at(model, query, ratio, 5, given)
                    for query in (upload, 1)
                ]
                mine, member = (each.ranking for each in ranked)
                assert mine.order[0].tolist() == member.order[0].tolist()
                np.testing.assert_allclose(mine.distance, member.distance, atol=2e-3)  # stored features are float16
                assert ranked[0].label == ranked[1].label
                assert not mine.is_labelled and [hit.rank for hit in mine.hits(0)] == list(
                    range(1, len(split.gallery) + 1)
                )
    assert upload.digest not in shared_keys() and upload.digest in repr(session_values().keys())
    forget_pictures()
    assert upload.digest not in repr(session_values().keys()), "no uploader holds it"


def test_the_page_ranks_an_upload_at_a_lambda(open_city, city, checkpoints):
    query, other = workbench(city, checkpoints).split.query[:2]
    open_city("retrieval")
    test = open_city("regions", regions_lambda="1")
    expected, cosines = ranked_rows(test), html(test).partition('class="matrices"')[2]
    names = [query.name, "mine.jpg"]
    with_uploads(test, {name: read_image(image.path) for name, image in zip(names, (query, other))})
    assert titles(test) == ["λ = 0.667, as trained", "λ = 1 at test time, query alone"]
    rows = ranked_rows(test)
    assert [each["kind"] for each in rows[0]["pictures"]] == ["query", *["plain"] * 5]
    for row, before in zip(rows, expected, strict=True):
        listed = [each["alt"].rpartition(", ")[2] for each in row["pictures"][1:]]
        assert listed == [each["alt"].rpartition(", ")[2].split(" (")[0] for each in before["pictures"][1:]][:5]
    assert html(test).partition('class="matrices"')[2].partition("</table>")[0] == cosines.partition("</table>")[0]
    assert any("Nothing says which vehicle it shows" in each.value for each in test.caption)
    assert any(each.value.startswith("Asymmetric") for each in test.caption)
    test.selectbox(key="regions_with_upload").select("mine.jpg").run()
    assert not test.exception and "mine.jpg" not in str(test.query_params), "what is uploaded stands in no link"
