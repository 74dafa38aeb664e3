"""An imported model as the third one, through Streamlit's own test runner."""

import json
import re

import numpy as np
import pytest

from app.widgets.export import COLOURS
from app.workbench.opening import checkpoint_files
from ssrnet.commands.import_features import ImportSettings, import_features
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from tests import tiny
from tests.app.conftest import (
    components,
    html,
    models_listed,
    models_table,
    ranked_rows,
    records,
    specs,
    whole,
    with_uploads,
)

QUERY, OTHER = "0008_c001_00000000_0.jpg", "0007_c002_00000001_0.jpg"
NETWORKS = ["Baseline (GB)", "SSR-Net (GB+AB+RB)"]
TITLE = "agw (imported)"
TITLES = [*NETWORKS, TITLE]


def vectors(count: int = 12) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)


@pytest.fixture
def make_import(project, tmp_path):
    """``make_import(root, name)`` runs the command on features drawn at random, in the data set's order."""

    def make(root, name="agw") -> None:
        images = open_dataset(root).test
        paths = np.array([image.name for image in images])
        np.savez(tmp_path / f"{name}.npz", features=vectors(len(images)), paths=paths)
        import_features(ImportSettings(tmp_path / f"{name}.npz", root, name, project / "runs/imported"))

    return make


@pytest.fixture
def open_three(open_page, make_import, city, checkpoints):
    """``open_three(view, **url)`` opens a page with the third model chosen."""
    make_import(city)

    def run(view: str, **url: str):
        test = whole(open_page(view, **{"data": str(city), "third": "agw", **checkpoints, **url}))
        assert all(each.value.startswith("Camera alignment: ") for each in test.warning)
        return test

    return run


def text(test) -> str:
    return " ".join(each.value for each in (*test.markdown, *test.caption))


def test_retrieval_has_a_third_row_ranked_by_the_imported_features(open_three, city):
    test = open_three("retrieval", query=QUERY)
    _, *rows = html(test).split('class="title"')
    assert [row[1:].split("<")[0] for row in rows] == TITLES
    assert models_listed(test) == TITLES
    images = open_dataset(city).test
    features = vectors() / np.linalg.norm(vectors(), axis=1, keepdims=True)
    cosines = features @ features[[image.name for image in images].index(QUERY)]
    nearest = [images[i].name for i in np.argsort(-cosines)]
    assert re.findall(r'<figure class="\w+" title="([^"]+)"', rows[2])[1:6] == nearest[:5]
    *networks, third = (record["features"] for record in records(test))
    assert third["model"] == TITLE and third["imported_from"] == "agw.npz" and len(third["imported_hash"]) == 16
    assert all("checkpoint_hash" in record for record in networks) and "flip_test" not in third
    test = open_three("retrieval", query=QUERY, sheet="page", sheet_rows=[TITLES[1], TITLE])
    (image,) = test.main.get("image")
    words = image.proto.imgs[0].alt
    assert f"Rows, from the top: {TITLES[1]}; {TITLE}." in words and f", {third['imported_hash']}; data" in words


def test_ssrnet_is_compared_with_each_of_the_others(open_three):
    labels = [f"SSR-Net − {other}" for other in ("Baseline", "agw")]
    assert [*models_table(open_three("scoreboard"))][3:] == labels
    aligned = [f"SSR-Net, aligned − {other}, aligned" for other in ("Baseline", "agw")]
    assert [*models_table(open_three("scoreboard", align="true"))][6:] == labels + aligned


def test_the_third_model_is_aligned_too(open_three):
    test = open_three("retrieval", query=QUERY, match=OTHER, align="true", branches="Relation")
    _, *rows = html(test).split('class="title"')
    listed = [f"{title}{end}" for title in TITLES for end in ("", ", aligned")]
    assert "The numbers, in 10 rows" in [each.label for each in test.expander]
    assert [row[1:].split("<")[0] for row in rows] == models_listed(test) == listed
    assert re.search(rf"{re.escape(TITLE)} mAP [\d.]+ → [\d.]+, rank-1", text(test))
    assert re.search(rf"\*\*{re.escape(TITLE)}, aligned\*\*: rank \d+, cosine", text(test))
    assert f"{TITLE} has no network and no branches" in text(test)


def test_why_this_match_says_that_an_import_has_no_network(open_three):
    test = open_three("retrieval", query=QUERY, match=OTHER)
    assert html(test).count('<div class="maps">') == 2
    assert re.search(rf"\*\*{re.escape(TITLE)}\*\*: rank \d+, cosine -?0\.\d+", text(test))
    assert text(test).count("An imported model has no network to look into") == 1
    shares = specs(test)[0]
    assert [bar["name"] for bar in shares["data"]] == ["Global", "Attention", "Relation"]
    assert all(bar["y"][::2] == NETWORKS for bar in shares["data"])
    assert text(test).count("puts this image (rank") == 3


def test_options_that_need_a_network_leave_the_third_model_as_it_is(open_three):
    plain = open_three("retrieval", query=QUERY)
    test = open_three("retrieval", query=QUERY, branches="Relation", re_rank="true")
    assert f"{TITLE} has no network and no branches" in text(test)
    assert [record["re_ranking"][:12] for record in records(test)] == ["k-reciprocal"] * 3
    assert records(test)[2]["features"] == records(plain)[2]["features"]


def test_failures_compares_any_two_of_the_three(open_three):
    test = open_three("failures", failures_show="AP against AP")
    choice = test.selectbox(key="failures_compare")
    assert choice.options == ["Baseline against SSR-Net", f"Baseline against {TITLE}", f"SSR-Net against {TITLE}"]
    assert models_listed(test) == NETWORKS
    test = whole(choice.select_index(2).run())
    assert models_listed(test) == [NETWORKS[1], TITLE]
    assert all("third=agw" in link.proto.query_string for link in test.get("page_link")), "links keep the third model"
    scatter, histogram = specs(test)
    axes = [scatter["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
    assert axes == [f"AP, {NETWORKS[1]}", f"AP, {TITLE}"]
    bars = histogram["data"]
    assert [bars[0]["marker"]["color"], bars[2]["marker"]["color"]] == [COLOURS[1], COLOURS[2]], "a colour a model"


def test_failures_compares_an_aligned_import_too(open_three):
    test = open_three("failures", align="true", failures_compare=f"Baseline against {TITLE}")
    rows = [title for raw in (NETWORKS[0], TITLE) for title in (raw, f"{raw}, aligned")]
    assert models_listed(test) == rows
    assert len(test.selectbox(key="failures_compare").options) == 6
    test = whole(test.selectbox(key="failures_compare").select(f"{TITLE}, raw against aligned").run())
    assert models_listed(test) == rows[2:]


@pytest.mark.parametrize("section", ["Causes", "Queries", "Slices", "Who took the first place", "Labels and copies"])
def test_every_section_of_failures_takes_the_pair(open_three, section):
    url = {"failures_compare": f"Baseline against {TITLE}", "failures_show": section, "failures_group": "All"}
    test = open_three("failures", **url)
    assert models_listed(test) == [NETWORKS[0], TITLE]
    if section == "Labels and copies":
        assert "Duplicate photographs" in [each.value for each in test.subheader]


def test_the_gallery_map_has_a_third_panel(open_three):
    test = open_three("map", query=QUERY)
    panels = components(test, "scatter")[0]["panels"]
    assert [panel["title"] for panel in panels] == TITLES and all(len(panel["x"]) == 12 for panel in panels)
    assert "imported" not in test.segmented_control(key="map_branch").options
    (record,) = (json.loads(each.value) for each in test.json)
    assert list(record["models"]) == TITLES and record["models"][TITLE]["imported_from"] == "agw.npz"
    one = components(open_three("map", query=QUERY, map_branch="token"), "scatter")[0]["panels"]
    assert [panel["title"] for panel in one] == [NETWORKS[0], f"{NETWORKS[1]}, token alone", TITLE]
    assert one[2] == panels[2]


def test_an_upload_is_ranked_and_placed_by_the_two_networks(open_three, city):
    images = open_dataset(city).test
    mine = {"mine.jpg": read_image(images[1].path)}
    test = with_uploads(open_three("map", query=QUERY, align="true", map_shown="Models side by side"), mine)
    panels = components(test, "scatter")[0]["panels"]
    assert (
        [panel["x"][12] is None for panel in panels]
        == [len(panel["ranked"]) == 0 for panel in panels]
        == [False, False, True]
    )
    assert f"{TITLE} has no network, so its map lacks your images." in text(test)
    test = with_uploads(open_three("retrieval", query=QUERY), mine)
    assert [row["heading"] for row in ranked_rows(test)] == NETWORKS
    assert f"{TITLE} has no network, so it cannot rank for your image." in text(test)
    test.query_params["match"] = OTHER
    assert "Why this match?" in [each.value for each in whole(test.run()).subheader]


def test_the_scoreboard_has_a_third_curve(open_three):
    test = open_three("scoreboard")
    assert models_listed(test) == TITLES
    differences, cmc, roc, cosines = specs(test)
    assert [trace["name"] for trace in differences["data"]] == ["SSR-Net − Baseline", "SSR-Net − agw"]
    assert [trace["marker"]["color"] for trace in differences["data"]] == [COLOURS[0], COLOURS[2]]
    assert [trace["name"] for trace in cmc["data"]] == TITLES
    assert [trace["line"]["color"] for trace in cmc["data"]] == list(COLOURS[:3])
    assert [trace["name"] for trace in cosines["data"]][4:] == [f"{TITLE}, one vehicle", f"{TITLE}, two vehicles"]
    assert roc["data"][2]["name"].startswith(f"{TITLE}, equal error")


def test_the_scoreboard_draws_raw_and_aligned_curves_apart(open_three):
    test = open_three("scoreboard", align="true")
    rows = [title for raw in TITLES for title in (raw, f"{raw}, aligned")]
    assert models_listed(test) == rows
    _, cmc, roc, cosines = (figure["data"] for figure in specs(test))
    for curves in (cmc, roc):
        assert [trace["name"].split(", equal")[0] for trace in curves] == rows
        assert [trace["line"]["color"] for trace in curves] == [colour for colour in COLOURS[:3] for _ in "ra"]
        assert [trace["line"]["dash"] for trace in curves] == ["solid", "dash"] * 3
    drawn = [(trace["name"], trace["yaxis"], trace["showlegend"]) for trace in cosines]
    kinds = ("one vehicle", "two vehicles")
    places = (("", "y", True), (", aligned", "y2", False))
    assert drawn == [(f"{raw}{end}, {kind}", *row) for raw in TITLES for end, *row in places for kind in kinds]


def test_pages_that_open_the_network_keep_to_the_two(open_three):
    assert TITLE not in html(open_three("attention", query=QUERY))
    start = open_three("start")
    assert models_listed(start) == NETWORKS
    assert start.sidebar.selectbox(key="third").value == "agw"


def test_nothing_is_offered_where_there_is_nothing_to_offer(open_page, make_import, city, checkpoints, tmp_path):
    def offered(**url) -> list[str]:
        test = whole(open_page("retrieval", data=str(city), **checkpoints, **url))
        assert html(test).count('class="title"') == 2
        return [name for each in test.sidebar.selectbox if each.key == "third" for name in each.options]

    assert offered() == []
    other = tmp_path / "other"
    tiny.city(other)
    (other / "image_test/0007_c002_00000001_0.jpg").unlink()
    make_import(other, "of other data")
    assert offered() == []
    make_import(city, "agw")
    assert offered() == ["agw"], "offered, and not chosen by itself"
    files = checkpoint_files()
    assert not any("imported" in name for name in files), "features are no checkpoints"


def test_a_third_model_that_is_not_there_is_one_sentence(open_city, make_import, city):
    for made in (False, True):
        if made:
            make_import(city)
        test = open_city("retrieval", third="gone")
        (said,) = (each.value for each in test.warning)
        assert "`gone` is no imported model of this data set" in said and f"ssrnet import --data {city}" in said
        assert html(test).count('class="title"') == 2
    test = whole(test.sidebar.selectbox(key="third").select("agw").run())
    assert not test.warning
    assert html(test).count('class="title"') == 3


def test_a_damaged_import_is_one_sentence_or_not_offered(open_city, make_import, project, city):
    make_import(city)
    (path,) = (project / "runs/imported").iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    test = open_city("retrieval", third="agw")
    assert not test.exception and len(test.error) + len(test.warning) == 1


def test_two_imports_of_one_file_keep_their_own_names(open_city, make_import, city):
    for name in ("one", "two"):
        make_import(city, name)
        test = open_city("scoreboard", third=name)
        assert records(test)[2]["features"]["model"] == f"{name} (imported)"
