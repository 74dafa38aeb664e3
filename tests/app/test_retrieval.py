"""The Retrieval page: its gallery of queries, its switches, *Why this match?*, and the sheets."""

import base64
import csv
import io
import re
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.widgets.alignment_note import alignment_note
from app.widgets.components.image_picker import MORE, PAGE
from app.widgets.match import pulled
from app.widgets.rank_list import standing
from app.workbench import OpenedModel, RankingOptions
from app.workbench.cache import forget_pictures, session_values
from app.workbench.matches import pair_shares
from app.workbench.queries import query_ranking
from ssrnet.data.images import read_image
from ssrnet.explain.relations import cell_cosines
from ssrnet.retrieval.expansion import ExpansionSettings
from ssrnet.retrieval.extraction import FeatureSet
from tests.app import many
from tests.app.conftest import (
    as_upload,
    components,
    html,
    matrices,
    models_listed,
    models_table,
    ranked_rows,
    records,
    rows_of_pictures,
    shared_keys,
    specs,
    whole,
    with_uploads,
    workbench,
)
from tests.data import layouts

QUERY = "0008_c001_00000000_0.jpg"
SAME, OTHER = "0008_c002_00000001_0.jpg", "0007_c002_00000001_0.jpg"


def gallery(**url: str) -> AppTest:
    test = AppTest.from_function(many.page, default_timeout=60)
    for key, value in url.items():
        test.query_params[key] = value
    many.ASKED.clear()
    return whole(test.run())


def test_of_thousands_of_images_a_page_of_thumbnails_is_asked_for_and_quickly():
    test = gallery()
    assert many.ASKED == [f"{i:05d}.jpg" for i in range(PAGE)]
    shown = components(test, "image_picker")[0]
    assert len(shown["items"]) == PAGE and (shown["from"], shown["to"], shown["total"]) == (1, PAGE, 5000)
    many.ASKED.clear()
    began = time.process_time()
    whole(test.run())
    assert len(many.ASKED) == PAGE
    assert time.process_time() - began < 0.5

    whole(test.toggle(key="query_large").set_value(True).run())
    assert len(components(test, "image_picker")[0]["items"]) == MORE


def test_search_and_filters_narrow_the_gallery_and_stand_in_the_url():
    test = gallery(query_search="v0007")
    assert [item["key"] for item in components(test, "image_picker")[0]["items"]] == [
        f"{i:05d}.jpg" for i in range(35, 40)
    ]
    test = gallery(query_is_type="bus", query_is_camera="c04")
    shown = components(test, "image_picker")[0]
    expected = [image.name for image in many.IMAGES if image.attributes["type"] == "bus" and image.camera_id == "c04"]
    assert shown["total"] == len(expected) and [each["key"] for each in shown["items"]] == expected[:PAGE]
    # neither an attribute of one value nor one that tells every image from every other
    assert [each.label for each in test.multiselect] == ["Type", "Colour", "Camera"]
    test = gallery(query_search="no such vehicle")
    assert "Nothing matches" in test.caption[0].value and many.ASKED == []


def test_the_gallery_opens_where_the_chosen_image_is():
    shown = components(gallery(query="03000.jpg"), "image_picker")[0]
    assert shown["chosen"] == "03000.jpg" and "03000.jpg" in [item["key"] for item in shown["items"]]
    assert shown["from"] == 3000 // PAGE * PAGE + 1


def test_the_first_hit_is_on_the_page_however_far_it_stands(open_city, city, checkpoints):
    bench = workbench(city, checkpoints)
    rankings = [model.evaluation().ranking for model in bench.networks.values()]
    query = int(np.argmax(np.maximum(*(ranking.first_hit for ranking in rankings))))
    test = open_city("retrieval", first_hit="true", query=bench.split.query[query].name)
    for row, ranking in zip(rows_of_pictures(test), rankings, strict=True):
        (first,) = [picture for picture in row["pictures"] if "(first hit)" in picture["alt"]]
        assert first["opens"] == bench.split.gallery[ranking.first(query).index].name
        assert first["caption"].startswith(f"{ranking.first_hit[query]} ✓")
        assert "(first hit)" not in html(open_city("retrieval", query=bench.split.query[query].name))


def test_junk_says_why(open_city):
    page = html(open_city("retrieval", query=QUERY))
    (first, *_) = re.findall(r'<figure class="junk".*?</figure>', page)
    assert QUERY in first and "<i>the query itself</i>" in first


@pytest.mark.parametrize(
    ("url", "field", "expected"),
    [
        ({"re_rank": "true"}, "re_ranking", "k-reciprocal {'k1': 20, 'k2': 6, 'weight': 0.3}"),
        ({"expansion": "Average (AQE)", "expansion_n": "3"}, "query_expansion", "average, 3 neighbours"),
        ({"expansion": "Weighted (αQE, α = 3)"}, "query_expansion", "alpha = 3, 5 neighbours"),
    ],
)
def test_each_option_is_in_the_url_and_in_the_record(open_city, url, field, expected):
    plain = records(open_city("retrieval"))
    test = open_city("retrieval", **url)
    changed = records(test)
    assert [record[field] for record in changed] == [expected] * 2
    assert [record | {field: "none"} for record in changed] == plain
    assert any("Ranked with" in caption.value for caption in test.caption)


def test_the_flip_test_embeds_mirror_images_and_keeps_them(open_city, project):
    test = open_city("retrieval", flip="true")
    assert [record["features"]["flip_test"] for record in records(test)] == [True, True]
    made = list((project / "runs/features").glob("*.safetensors"))
    records_kept = [FeatureSet.load(path)[1] for path in made]
    assert len(records_kept) == 2 and all(record["flip_test"] for record in records_kept)


def test_a_branch_subset_needs_no_network_and_equals_ranking_with_those_columns(
    open_city, city, checkpoints, monkeypatch
):
    open_city("retrieval")
    monkeypatch.setattr(OpenedModel, "predictor", property(lambda _: pytest.fail("no network is needed")))
    test = open_city("retrieval", branches="Relation", query=QUERY)
    baseline, ssrnet = records(test)
    assert baseline["features"]["branches"] == [] and ssrnet["features"]["branches"] == ["token"]
    assert any("only relation branch" in caption.value for caption in test.caption)

    model = workbench(city, checkpoints).ssrnet
    features, split = model.features().only(["token"]), model.split
    query = [image.name for image in split.query].index(QUERY)
    d = 1 - torch.cosine_similarity(features.rows(split.query)[query][None], features.rows(split.gallery))
    nearest = [split.gallery[i].name for i in d.argsort()][:3]
    row = html(test).split('class="title"')[2]
    assert re.findall(r'<figure class="\w+" title="([^"]+)"', row)[1:4] == nearest


def test_why_this_match_explains_with_both_models(open_city):
    test = open_city("retrieval", query=QUERY, match=OTHER)
    assert "Why this match?" in [each.value for each in test.subheader]
    assert components(test, "image_rows")[0]["chosen"] == OTHER
    page = html(test)
    assert page.count('<div class="maps">') == 2 and page.count("Grad-CAM of the similarity by") == 4
    text = " ".join(each.value for each in test.markdown)
    assert "another vehicle" in text and "Its global branch alone makes the whole cosine." in text
    assert len(re.findall(r"The (?:global|attention|relation) branch (?:pulled|does not)", text)) == 3

    shares, tokens = specs(test)
    cosines = [float(found) for found in re.findall(r"cosine (-?[\d.]+)", text)]
    parts = [[float(re.search(r"-?[\d.]+$", text)[0]) for text in bar["text"] if text] for bar in shares["data"]]
    assert [bar["name"] for bar in shares["data"]] == ["Global", "Attention", "Relation"]
    assert sum(part[-2] for part in parts) == pytest.approx(cosines[1], abs=0.002)
    assert parts[0][0] == pytest.approx(cosines[0], abs=0.001)
    nodes = matrices(test)[0]["Nodes of the two images, H(0)"]
    assert nodes.shape == (7, 7) and 0 <= nodes[:6, :6].min() < nodes[:6, :6].max() <= 1 == nodes[6, 6]
    low, high = re.search(r"at H\(0\) of .*?, from (\S+) to ([\d.]+);", page).groups()  # what a screen reader says
    assert (float(low), float(high)) == (nodes.min(), nodes.max()) and ">middle<" in page
    relation = parts[2][0]
    assert tokens["layout"]["title"]["text"].startswith(f"Relation branch's {relation:.3f}")


def test_the_cells_are_those_of_the_chosen_map(open_city, city, checkpoints):
    bench = workbench(city, checkpoints)
    for model, feature_map in ((bench.ssrnet, "F_attn"), (bench.baseline, "F_G")):
        test = open_city("retrieval", query=QUERY, match=OTHER, match_cells=f"{model.title} · {feature_map}")
        shown = components(test, "microscope")[0]
        titles = [picture["title"] for picture in shown["pictures"]]
        assert titles == ["Query", "This image", "First true match"]
        query, other = (
            next(image for image in images if image.name == name)
            for images, name in ((model.split.query, QUERY), (model.split.gallery, OTHER))
        )
        cosines = cell_cosines(model.view(query).trace, model.view(other).trace, feature_map).flatten().numpy()
        levels = np.frombuffer(base64.b64decode(shown["cosines"][0]), np.uint8)
        drawn = shown["low"] + (shown["high"] - shown["low"]) * levels / 255
        np.testing.assert_allclose(drawn, cosines, atol=(shown["high"] - shown["low"]) / 400)


def test_ranks_in_the_panel_are_those_of_the_rows(open_page, city, checkpoints):
    url = {"data": str(city), "query": QUERY, "top_k": "20", **checkpoints}
    test = whole(open_page("retrieval", match=SAME, **url))
    listed = re.findall(rf'<figure class="hit" title="{SAME}".*?<b>(\d+) ✓</b>', html(test))
    said = re.findall(r"rank (\d+), cosine", " ".join(each.value for each in test.markdown))
    assert len(said) == 2 and said == listed


@pytest.mark.parametrize(
    ("match", "said"),
    [(QUERY, "junk, so without a rank"), ("not_in_the_gallery.jpg", None), (SAME, "the same vehicle")],
)
def test_any_image_may_be_named(open_city, match, said):
    test = open_city("retrieval", query=QUERY, match=match)
    text = " ".join(each.value for each in test.markdown)
    assert (said in text) if said else "Why this match?" not in [each.value for each in test.subheader]


def test_one_branch_of_a_model_that_lacks_it(open_city, open_page, city, checkpoints):
    """The baseline twice: no graph, no attention branch, and no word of them."""
    twice = {"baseline": checkpoints["baseline"], "ssrnet": checkpoints["baseline"]}
    test = whole(open_page("retrieval", data=str(city), query=QUERY, match=OTHER, **twice))
    assert len(test.get("plotly_chart")) == 1 and html(test).count('<div class="maps">') == 2
    test = open_city("retrieval", query=QUERY, match=OTHER, match_branch="Relation", match_method="HiResCAM")
    assert any("Baseline (GB) has no relation branch" in caption.value for caption in test.caption)
    assert "HiResCAM of the similarity" in html(test)


@pytest.mark.parametrize("title", ["Layer-CAM", "LayerCAM"])
def test_links_of_earlier_versions_still_name_their_map(open_page, city, checkpoints, title):
    url = {"data": str(city), "query": QUERY, "match": OTHER, **checkpoints}
    test = whole(open_page("retrieval", match_method=title, **url))
    assert html(test).count("Layer-CAM of the similarity by") == 4


def test_branches_at_unit_length_are_ranked_recorded_and_explained(open_city, city, checkpoints):
    test = open_city("retrieval", unit_length="true", query=QUERY)
    assert [record["features"]["normalise_branches"] for record in records(test)] == [True, True]
    assert any("each branch at unit length" in caption.value for caption in test.caption)

    model = workbench(city, checkpoints).ssrnet
    split, features = model.split, model.features()
    shares = pair_shares(model, RankingOptions(unit_length=True), 0, 1)
    cosines = []
    for branch in features.branch_dims:
        one = features.only([branch])
        cosines.append(torch.cosine_similarity(one.rows(split.query)[0], one.rows(split.gallery)[1], dim=0).item())
    assert list(shares.shares.values()) == pytest.approx([cosine / 3 for cosine in cosines], abs=1e-5)
    assert shares.cosine == pytest.approx(sum(cosines) / 3, abs=1e-5)


def test_what_a_branch_did_in_words():
    assert pulled("token", 7) == "The relation branch pulled this image **up by 7 ranks**."
    assert pulled("attn", -1) == "The attention branch pulled this image **down by 1 rank**."
    assert pulled("G", 0) == "The global branch does not change its rank."


def test_options_that_a_model_has_none_of_leave_it_as_it_is():
    features = FeatureSet(torch.zeros(1, 3), ("a",), {"G": 1, "attn": 1, "token": 1})
    assert RankingOptions(branches=("token", "G")).chosen_branches(features) == ("G", "token")
    assert RankingOptions(branches=("token",)).chosen_branches(features.only(["G"])) == ()
    assert RankingOptions(branches=("G",)).chosen_branches(features.only(["G"])) == (), "all it has"


def test_fig_5_is_drawn_and_fig_6_says_why_not(open_city, offered):
    test = open_city("retrieval", sheet="fig5")
    buttons = {each.label: each for each in test.button}
    assert not buttons["Fig. 5"].disabled and buttons["Fig. 6"].disabled
    assert any("Fig. 6" in each.value and "no test vehicle" in each.value for each in test.caption)
    (image,) = test.main.get("image")
    assert image.proto.imgs[0].alt.startswith("As the paper's Fig. 5")
    assert {each.label for each in test.get("download_button")} >= {"PNG", "SVG", "PDF"}
    assert {f"export_sheet_{format}" for format in ("png", "svg", "pdf")} <= offered.keys()
    whole(buttons["Fig. 5"].click().run())
    assert not test.main.get("image") and "sheet" not in test.query_params


def test_a_rule_without_queries_is_one_sentence(open_page, city, checkpoints):
    twice = {"baseline": checkpoints["baseline"], "ssrnet": checkpoints["baseline"]}
    url = {"sheet": "fig5", "sheet_rule": "Where the models differ most"}
    test = whole(open_page("retrieval", data=str(city), **url, **twice))
    assert any("no query fits the rule" in each.value for each in test.info)


def figure_caption(test) -> str:
    (image,) = test.main.get("image")
    return image.proto.imgs[0].alt


def test_a_figure_of_the_pages_own_ranking_with_queries_chosen_by_hand(open_city, offered):
    url = {"sheet": "page", "sheet_rule": "Chosen by hand", "query": QUERY}
    test = open_city("retrieval", **url)
    words = figure_caption(test)
    assert (
        "top-5 of 1 query, cross-camera, junk left out" in words and "chosen by hand" in words and "paper" not in words
    )
    other = "0006_c001_00000000_0.jpg"
    whole(test.multiselect(key="sheet_queries").set_value([other]).run())
    whole(next(each for each in test.button if each.key == "sheet_add").click().run())
    assert test.multiselect(key="sheet_queries").value == [other, QUERY]
    assert "top-5 of 2 queries" in figure_caption(test)
    assert next(each for each in test.button if each.key == "sheet_add").disabled
    archive = zipfile.ZipFile(io.BytesIO(offered["export_sheet_latex"]()))
    (tex,) = (name for name in archive.namelist() if name not in ("document.tex",) and name.endswith(".tex"))
    assert "top-5 of 2 queries, cross-camera" in archive.read(tex).decode()
    assert "(GB+AB+RB)" in archive.read(tex.replace(".tex", ".json")).decode()


def test_width_font_labels_and_images_of_a_figure_stand_in_the_url(open_city, offered):
    url = {"sheet": "fig5", "sheet_width": "85 mm", "sheet_k_fig5": "3", "sheet_words": ["Rank", "Camera"]}
    test = open_city("retrieval", **url, sheet_font="8.0", sheet_n="2", sheet_caption="false")
    assert "top-3 of 2 queries" in figure_caption(test) and "below: rank, camera" in figure_caption(test)
    (note,) = (each.value for each in test.caption if each.value.startswith("Printed size 85 × "))
    assert figure_caption(test) in note, "the caption stands below where it is not in the figure"
    image = Image.open(io.BytesIO(offered["export_sheet_png"]()))
    assert image.width / 300 * 25.4 == pytest.approx(85, abs=0.1)


def test_a_figure_that_does_not_fit_is_one_sentence(open_city):
    test = open_city("retrieval", sheet="page", sheet_font="12.0", sheet_width="85 mm", sheet_columns_narrow="3")
    assert any("do not fit on a page" in each.value for each in test.info) and not test.main.get("image")


def test_rows_of_a_figure_are_chosen_where_there_are_more_than_two(open_city):
    test = open_city("retrieval", sheet="page", align="true", sheet_rows=[RAW_AND_ALIGNED[2], RAW_AND_ALIGNED[3]])
    assert f"Rows, from the top: {RAW_AND_ALIGNED[2]}; {RAW_AND_ALIGNED[3]}." in figure_caption(test)
    assert not [each for each in open_city("retrieval", sheet="page").button_group if each.key == "sheet_rows"]


TITLES = ["Baseline (GB)", "SSR-Net (GB+AB+RB)"]
RAW_AND_ALIGNED = [f"{title}{end}" for title in TITLES for end in ("", ", aligned")]


def test_aligned_every_model_stands_raw_over_aligned(open_city, offered):
    raw, test = open_city("retrieval", query=QUERY), open_city("retrieval", align="true", query=QUERY)
    assert models_listed(test) == RAW_AND_ALIGNED
    rows, raw_rows = models_table(test), models_table(raw)
    assert [rows[title] for title in TITLES] == [raw_rows[title] for title in TITLES]
    assert [*raw_rows][2:] == ["SSR-Net − Baseline"]
    assert [*rows][4:] == ["SSR-Net − Baseline", "SSR-Net, aligned − Baseline, aligned"]
    lines = offered["metrics_csv"]().splitlines()[1:]
    differences = [f"{TITLES[1]}{end} − {TITLES[0]}{end}" for end in ("", ", aligned")]
    assert [title for title, *_ in csv.reader(lines)] == [*RAW_AND_ALIGNED, *differences]
    assert [record["camera_alignment"] == "none" for record in records(test)] == [True, False] * 2
    rows = rows_of_pictures(test)
    assert [row["heading"] for row in rows] == RAW_AND_ALIGNED and rows[::2] == rows_of_pictures(raw)
    assert html(test).count('<div class="block joined">') == 2 and "joined" not in html(raw)
    assert all(re.search(r"AP [\d.]+ \([+-][\d.]+\)$", row["note"]) for row in rows[1::2])
    assert all("(" not in row["note"] for row in rows[::2])
    assert any("on different scales" in each.value for each in test.caption)


def test_queries_by_what_alignment_does_to_ssrnet(open_city):
    choice = open_city("retrieval", align="true").segmented_control(key="outcome")
    assert [re.sub(r" \(\d+\)$", "", option) for option in choice.options] == [
        *("All", "SSR-Net fixes", "SSR-Net breaks", "Both wrong", "Alignment fixes SSR-Net", "Alignment breaks SSR-Net")
    ]
    test = open_city("retrieval", align="true", outcome=choice.options[-1])
    assert test.segmented_control(key="outcome").value == "Alignment breaks SSR-Net"
    test = whole(test.toggle(key="align").set_value(False).run())
    assert test.segmented_control(key="outcome").value == "All" and html(test).count('class="title"') == 2
    test = open_city("retrieval", outcome=choice.options[-1])
    assert test.segmented_control(key="outcome").value == "All"


def aligned_with(bench, *percent):
    """The bench's evaluations, raw and aligned, with these mAP and rank-1."""
    evaluation = bench.baseline.evaluation()
    return {
        title: evaluation._replace(metrics=replace(evaluation.metrics, mAP=mAP / 100, cmc=(rank_1 / 100,)))
        for title, (mAP, rank_1) in zip(bench.with_raw, percent, strict=True)
    }


def test_the_note_says_what_alignment_did_and_which_network_is_ahead(project, city, checkpoints):
    bench = workbench(city, checkpoints).aligned
    statistics = replace(bench.ssrnet.statistics(), cameras=("c1", "c2"), images=1234, by_whole_set=0)
    scored = aligned_with(bench, (55.38, 67.26), (60.36, 74.42), (62.94, 75.31), (65.07, 77.82))
    assert alignment_note(bench, scored, statistics) == (
        "**Aligned by camera**, raw → aligned: Baseline (GB) mAP 55.4 → 60.4, rank-1 67.3 → 74.4; "
        "SSR-Net (GB+AB+RB) mAP 62.9 → 65.1, rank-1 75.3 → 77.8. "
        "2 cameras; 0 of 1,234 images by the whole set's statistics."
    )
    scored = aligned_with(bench, (96, 92.6), (99.1, 98.5), (96.8, 94.6), (98.5, 98.5))
    statistics = replace(statistics, cameras=("c1",), by_whole_set=7)
    assert alignment_note(bench, scored, statistics).endswith(
        ". Aligned, Baseline (GB) is ahead of SSR-Net (GB+AB+RB) in mAP (99.1 against 98.5). 1 camera; 7 of 1,234 images "
        "by the whole set's statistics, whose camera is unknown or has fewer than 4 images."
    )


@pytest.mark.parametrize(
    ("camera_ids", "said"),
    [(("1", "2"), "No camera has 4 images, so the whole set counts as one"), (("", ""), "The data names no cameras")],
)
def test_where_no_camera_counts_the_note_says_so(open_page, checkpoints, tmp_path, camera_ids, said):
    lines = ["image,vehicle_id,camera_id,split"]
    for name, camera, split in zip(("a.jpg", "b.jpg"), camera_ids, ("query", "gallery"), strict=True):
        layouts.jpeg(tmp_path / "few" / name)
        lines.append(f"{name},1,{camera},{split}")
    layouts.write(tmp_path / "few/manifest.csv", lines)
    test = whole(open_page("retrieval", data=str(tmp_path / "few"), align="true", **checkpoints))
    assert any(said in each.value for each in test.caption)


@pytest.mark.parametrize("view", ["retrieval", "failures", "scoreboard", "start"])
def test_cameras_with_few_images_are_a_reason_for_caution_where_features_are_aligned(open_city, view):
    (warning,) = open_city(view, align="true").warning
    assert warning.value.startswith("Camera alignment: Half of the cameras have ")
    assert not open_city(view).warning


def test_a_first_hit_and_how_much_better_it_is(project, city, checkpoints):
    ranking = workbench(city, checkpoints).ssrnet.evaluation().ranking
    better = replace(ranking, average_precision=ranking.average_precision + 0.25)
    plain = standing(ranking, 0)
    assert re.fullmatch(r"first hit at rank \d+, AP [\d.]+", plain)
    assert standing(ranking, 0, better) == f"{plain} (-0.250)"


def test_why_this_match_says_which_cosine_it_explains(open_city):
    test = open_city("retrieval", align="true", query=QUERY, match=OTHER)
    text = " ".join(each.value for each in (*test.markdown, *test.caption))
    assert len(re.findall(r", aligned\*\*: rank \d+, cosine", text)) == 2
    assert "shares are of features aligned by camera" in text
    shares, tokens = specs(test)
    axes = [chart["layout"]["xaxis"]["title"]["text"] for chart in (shares, tokens)]
    assert axes == ["Share of the aligned cosine"] * 2
    assert shares["data"][0]["y"][::2] == TITLES


def test_sheets_of_aligned_models_say_so(open_city):
    test = open_city("retrieval", align="true", sheet="fig5")
    (image,) = test.main.get("image")
    assert "Rows, from the top: Baseline (GB), aligned; SSR-Net (GB+AB+RB), aligned." in image.proto.imgs[0].alt
    assert "Distance: cosine; features aligned by camera." in image.proto.imgs[0].alt


def test_an_upload_of_a_test_image_is_ranked_as_it_is(project, city, checkpoints):
    raw = workbench(city, checkpoints).ssrnet
    split, upload = raw.split, as_upload(raw.split.query[1], raw.split.query[1].name)
    by_whole_set = replace(raw.aligned, alignment=replace(raw.aligned.alignment, min_images=99))
    expansion = ExpansionSettings(3)
    for model, options in (
        (raw, RankingOptions()),
        (by_whole_set, RankingOptions()),
        (raw, RankingOptions(branches=("token",), flip_test=True)),
        (raw, RankingOptions(unit_length=True, expansion=expansion)),
        (by_whole_set, RankingOptions(expansion=expansion)),
    ):
        found, known = query_ranking(model, upload, options), query_ranking(model, 1, options)
        assert known.junk.any() and not found.junk.any() and not found.is_labelled
        listed = [hit.index for hit in known.hits(0)]
        assert [hit.index for hit in found.hits(0)][: len(listed)] == listed
        np.testing.assert_allclose(found.distance[0, : len(listed)], known.distance[0, : len(listed)], atol=5e-3)
        mine, member = (pair_shares(model, options, query, listed[0]) for query in (upload, 1))
        assert mine.shares == pytest.approx(member.shares, abs=5e-3)
    # Re-ranking weighs a query against all others, here itself and the upload alone.
    again = query_ranking(raw, upload, RankingOptions(re_rank=True))
    assert sorted(hit.index for hit in again.hits(0)) == list(range(len(split.gallery)))
    assert upload.digest not in shared_keys() and upload.digest in repr(session_values().keys())
    forget_pictures()
    assert upload.digest not in repr(session_values().keys()), "no uploader holds it"


def test_the_page_ranks_an_upload_without_right_and_wrong_and_explains_a_match(open_city, city, checkpoints):
    test = open_city("retrieval", query=QUERY)
    before = ranked_rows(test)
    image = next(each for each in workbench(city, checkpoints).split.query if each.name == QUERY)
    with_uploads(test, {"mine.jpg": read_image(image.path)})
    rows = ranked_rows(test)
    for row, known in zip(rows, before, strict=True):
        assert [each["kind"] for each in row["pictures"]][:2] == ["query", "plain"] and "AP" not in row["note"]
        names = [[each["opens"] for each in one["pictures"][1:]] for one in (row, known)]
        assert names[0] == names[1][: len(names[0])]
    assert any("Nothing says which vehicle it shows" in each.value for each in test.caption)
    assert not [each for each in test.toggle if each.key == "first_hit"]
    assert f"Query of the data set: {QUERY}" in html(test), "the sidebar's"
    assert any("A figure marks right and wrong" in each.value for each in test.caption)
    test.query_params["match"] = OTHER
    whole(test.run())
    assert "Why this match?" in [each.value for each in test.subheader]
    assert any("Nobody has said whether they show one vehicle" in each.value for each in test.markdown)
    assert "mine.jpg" not in str(test.query_params)


def test_a_link_that_names_a_query_takes_the_place_of_an_upload(open_city, city, checkpoints):
    image = workbench(city, checkpoints).split.query[0]
    test = with_uploads(open_city("retrieval", query=QUERY), {"mine.jpg": read_image(image.path)})
    assert test.query_params["query_mine"] in ("true", ["true"])
    test.session_state["source_view"] = "failures"
    del test.query_params["query_mine"]
    test.query_params["query"] = QUERY
    whole(test.run())
    assert not test.toggle(key="query_mine").value and "mine.jpg" not in str(ranked_rows(test))
