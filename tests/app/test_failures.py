"""The Failures page through Streamlit's own test runner."""

import io
import json
import re
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from app.views import failures
from app.widgets.export import COLOURS
from app.widgets.failure_causes import PAIRS_ACROSS, finding, printed_pairs
from app.workbench.failures import failures as failures_of
from app.workbench.failures import model_causes
from ssrnet.analysis.causes import Cause, Causes
from ssrnet.analysis.comparison import largest_loss
from ssrnet.analysis.confusions import Confusions
from ssrnet.analysis.paper_figures import BLUE, RED
from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Split
from tests.app.conftest import html, models_listed, rows_of_pictures, specs, whole, workbench
from tests.data import layouts

NETWORKS = ["Baseline (GB)", "SSR-Net (GB+AB+RB)"]
ALIGNED = [f"{title}, aligned" for title in NETWORKS]
SECTIONS = ("Causes", "AP against AP", "Queries", "Slices", "Who took the first place", "Labels and copies")


@pytest.fixture
def open_failures(open_page, city, checkpoints):
    def run(**url: str):
        return whole(open_page("failures", **{"data": str(city), **checkpoints, **url}))

    return run


def points(figure: dict) -> list[list[str]]:
    return [point for trace in figure["data"] for point in trace.get("customdata", [])]


def links(test) -> list[str]:
    return [link.proto.label for link in test.get("page_link")]


def test_every_query_is_a_point_and_the_chosen_one_stands_beside_the_chart(open_failures, city):
    name = "0008_c001_00000000_0.jpg"
    test = open_failures(query=name, failures_show="AP against AP")
    scatter, histogram = specs(test)
    assert sorted(point[0] for point in points(scatter)) == sorted(image.name for image in open_dataset(city).query)
    marked = [trace["customdata"][i][0] for trace in scatter["data"] for i in trace.get("selectedpoints", [])]
    assert marked == [name]
    assert [axis["title"]["text"] for axis in (scatter["layout"]["xaxis"], scatter["layout"]["yaxis"])] == [
        "AP, Baseline (GB)",
        "AP, SSR-Net (GB+AB+RB)",
    ]
    assert len(histogram["data"]) == 3
    panel = html(test)
    assert panel.count('<figure class="hit"') + panel.count('<figure class="error"') == 6
    assert f"query {name}" in panel and "first match at rank" in panel
    assert any("interval" in each.value for each in test.markdown)
    assert test.session_state["query_kept"] == name
    assert "Open this query in Retrieval" in links(test)


def test_the_url_opens_each_section_and_no_other_is_computed(open_failures, monkeypatch):
    asked = []
    monkeypatch.setattr(failures, "slicing", lambda pair, name: asked.append(name) or pytest.fail("not asked for"))
    for section in (each for each in SECTIONS if each != "Slices"):
        test = open_failures(failures_show=section)
        assert test.segmented_control(key="failures_show").value == section
    assert not asked


def test_the_table_lists_the_group_that_the_url_names(open_failures):
    test = open_failures(failures_show="Queries", failures_group="All")
    frame = test.dataframe[0].value
    assert len(frame) == 4 and {"query", "delta_ap", "ap_a", "ap_b", "confused_with_b", "vehicle_type"} <= set(
        frame.columns
    )
    change = frame["delta_ap"].abs().tolist()
    assert change == sorted(change, reverse=True)


def test_sheets_are_drawn_when_asked_for_and_say_how_many(open_failures):
    test = open_failures(failures_show="Queries", failures_group="All")
    button = next(each for each in test.button if each.label.startswith("Draw sheets"))
    assert button.label == "Draw sheets of 4 queries (PDF)"
    test = button.click().run()
    assert not test.exception and not test.error
    assert any("4 queries; the last page has the protocol records" in each.value for each in test.caption)
    assert not [each for each in test.button if each.label.startswith("Draw sheets")]


@pytest.fixture
def many_images(monkeypatch):
    """Too many images to look through them unasked."""
    monkeypatch.setattr("app.workbench.failures.FEW_IMAGES", 0)


def test_few_images_are_looked_through_unasked(open_failures):
    test = open_failures(failures_show="Labels and copies")
    assert [each.value for each in test.subheader][-1] == "Duplicate photographs"


def test_slices_by_type_with_intervals_and_the_metric_of_the_url(open_failures):
    test = open_failures(failures_show="Slices", failures_by="vehicle type", failures_metric="Rank-1")
    assert test.selectbox(key="failures_by").value == "vehicle_type"
    figure = specs(test)[0]
    assert figure["layout"]["yaxis"]["ticktext"] == ["car (2)", "motorcycle (1)", "truck (1)"]
    assert figure["layout"]["annotations"][0]["text"] == "Rank-1"
    assert all(symbol.endswith("-open") for symbol in figure["data"][0]["marker"]["symbol"]), "few vehicles: hollow"
    frame = test.dataframe[0].value
    assert {"rank-1_a_low", "rank-1_delta_high", "mINP_b"} <= set(frame.columns) and frame["queries"].tolist() == [
        2,
        1,
        1,
    ]
    test = test.selectbox(key="failures_by").select("camera_id.pair").run()
    assert not test.exception and specs(test)[0]["layout"]["yaxis"]["ticktext"] == ["c001 → c002 (4)"]


def test_who_took_the_first_place_or_a_sentence(open_failures):
    test = open_failures(failures_show="Who took the first place")
    said = " ".join(each.value for each in (*test.markdown, *test.success))
    assert re.search(r"takes the first place of \d|lists? a right vehicle first", said)


def test_labels_wait_for_a_click_and_find_a_copy_under_another_label(
    open_page, city, checkpoints, tmp_path, many_images
):
    root = tmp_path / "copied"
    shutil.copytree(city, root)
    source = root / "image_test/0007_c002_00000001_0.jpg"
    shutil.copy(source, root / "image_test/0009_c002_00000009_0.jpg")
    test = open_page("failures", data=str(root), failures_show="Labels and copies", **checkpoints)
    assert not test.subheader
    test = next(each for each in test.button if each.label == "Look for them").click().run()
    assert not test.exception and not test.error
    assert [each.value for each in test.subheader][-1] == "Duplicate photographs"
    copies = next(frame.value for frame in test.dataframe if "different_bits" in frame.value.columns)
    pairs = set(zip(copies["image_a"], copies["image_b"]))
    assert ("0007_c002_00000001_0.jpg", "0009_c002_00000009_0.jpg") in {tuple(sorted(pair)) for pair in pairs}


def test_without_cameras_and_attributes_there_are_no_slices(open_page, checkpoints, tmp_path):
    root = tmp_path / "plain"
    lines = ["image,vehicle_id,split"]
    for vehicle in range(3):
        for number, split in enumerate(("query", "gallery")):
            layouts.jpeg(root / f"{vehicle}-{number}.jpg")
            lines.append(f"{vehicle}-{number}.jpg,{vehicle},{split}")
    layouts.write(root / "manifest.csv", lines)
    for section in SECTIONS:
        test = open_page("failures", data=str(root), failures_show=section, **checkpoints)
        assert not test.exception and not test.error, section
        if section == "Slices":
            assert "nothing to slice the queries by" in test.info[0].value


def test_the_archive_has_every_table_and_both_records(open_failures, offered):
    open_failures()
    archive = zipfile.ZipFile(io.BytesIO(offered["failures_zip"]()))
    tables = ("queries", "confusions-a", "confused-vehicles-b", "causes-a", "causes-b")
    assert {"protocol-a.json", "protocol-b.json", *(f"{name}.csv" for name in tables)} <= set(archive.namelist())
    assert archive.read("causes-a.csv").decode().startswith("name,words,queries,count,expected,low,high,probability")
    assert len(archive.read("queries.csv").decode().splitlines()) == 1 + 4
    assert json.loads(archive.read("protocol-b.json"))["features"]["model"] == "SSR-Net (GB+AB+RB)"


def axes(test) -> list[str]:
    layout = specs(test)[0]["layout"]
    return [layout[axis]["title"]["text"].removeprefix("AP, ") for axis in ("xaxis", "yaxis")]


def test_aligned_networks_are_compared_beside_their_raw_numbers(open_failures):
    test = open_failures(align="true", failures_show="AP against AP")
    assert models_listed(test) == [NETWORKS[0], ALIGNED[0], NETWORKS[1], ALIGNED[1]]
    assert test.selectbox(key="failures_compare").options == [
        "Baseline against SSR-Net",
        "Baseline, raw against aligned",
        "SSR-Net, raw against aligned",
    ]
    assert axes(test) == ALIGNED
    bars = specs(test)[1]["data"]
    assert [bars[0]["marker"]["color"], bars[2]["marker"]["color"]] == list(COLOURS[:2])


def test_raw_against_aligned_has_one_colour_in_two_shades(open_failures):
    test = open_failures(align="true", failures_compare="SSR-Net, raw against aligned", failures_show="AP against AP")
    pair = [NETWORKS[1], ALIGNED[1]]
    assert models_listed(test) == axes(test) == pair
    bars = specs(test)[1]["data"]
    assert [bars[0]["name"], bars[2]["name"]] == [f"{title} better" for title in pair]
    assert [bars[0]["marker"]["color"], bars[2]["marker"]["color"]] == ["#fcb98a", COLOURS[1]]


@pytest.mark.parametrize("compare", ["Baseline against SSR-Net", "Baseline, raw against aligned"])
@pytest.mark.parametrize("section", [each for each in SECTIONS if each != "AP against AP"])
def test_every_section_takes_aligned_models(open_failures, section, compare):
    test = open_failures(align="true", failures_show=section, failures_group="All", failures_compare=compare)
    if section == "Labels and copies":
        assert "Duplicate photographs" in [each.value for each in test.subheader]
    if section == "Queries":
        assert test.dataframe[0].value["ap_a"].notna().all()


@pytest.fixture
def confused(tmp_path):
    """The query's copy under another label is by its own camera, the other image of that vehicle is not."""
    root = tmp_path / "confused"
    images = (
        ("red", "q", "1", "query", "a"),
        ("blue", "g", "1", "gallery", "b"),
        ("red", "w", "2", "gallery", "a"),
        ("green", "v", "2", "gallery", "b"),
    )
    lines = ["image,vehicle_id,split,camera_id"]
    for colour, name, *labels in images:
        layouts.jpeg(root / f"{name}.jpg", colour)
        lines.append(",".join([f"{name}.jpg", *labels]))
    layouts.write(root / "manifest.csv", lines)
    return str(root)


def findings(test) -> list[str]:
    return [each.value for each in test.markdown if each.value.startswith("**") and "wrong first image" in each.value]


def test_the_strongest_finding_stands_on_top_with_chance_and_how_many_were_looked_at(open_failures, confused):
    """The copy is the query's photograph by its own camera; of the two wrong images the other is neither."""
    sentence = (
        "of 3 causes looked at, none is beyond chance among 1 wrong first image. Least likely by chance: of 1 wrong first "
        "image 1 shows the query's own camera; by chance it would be 0.5 (0 to 1)."
    )
    for align, titles in (("false", NETWORKS), ("true", ALIGNED)):
        test = open_failures(data=confused, align=align)
        assert findings(test) == ["  \n".join(f"**{title}**: {sentence}" for title in titles)]


def test_a_finding_beyond_chance_is_said_as_one():
    """Twelve of thirteen by the query's own camera, where half would be; a second cause is as chance has it."""
    split = Split((), (), same_camera_is_junk=False)
    confused = Confusions(split, *np.zeros((3, 13), dtype=np.int64), np.zeros(13), None)
    camera, night = (np.array([1] * count + [0] * (13 - count), dtype=float) for count in (12, 6))
    made = [
        Cause("same camera", "the query's own camera", camera, np.full(13, 0.5)),
        Cause("night", "the vehicle at night", night, np.full(13, 0.5)),
    ]
    assert finding(Causes(confused, tuple(made))) == (
        "of 13 wrong first images 12 show the query's own camera; by chance it would be 6.5 (3 to 10), the strongest of 2 "
        "causes looked at."
    )
    assert finding(Causes(confused, tuple(replace(one, unknown="no column") for one in made))) == (
        "13 wrong first images; the data shows none of the causes that are looked for."
    )


def test_a_contact_sheet_of_one_cause_and_the_unknown_ones(open_failures, confused):
    test = open_failures(data=confused)
    [unknown] = [each.value for each in test.caption if each.value.startswith("Unknown here")]
    assert "sibling (the data has no column sibling_group)" in unknown and "few pixels" in unknown
    assert "near-duplicate" not in unknown, "looked for, since there are few images"
    sheet = test.segmented_control(key="failures_cause")
    assert sheet.options == ["same camera (1)", "near-duplicate (1)"]
    [row] = [row for row in rows_of_pictures(test) if "before the first match; " in row["note"]]
    assert row["note"].endswith("same camera, near-duplicate")
    assert [(each["kind"], each["opens"]) for each in row["pictures"]] == [("query", "q.jpg"), ("error", "")]
    chart = specs(test)[0]
    assert chart["layout"]["yaxis"]["ticktext"] == ["same camera", "suspected label", "near-duplicate"]


def test_a_contact_sheet_on_paper_has_each_pair_in_its_frames(project, confused, checkpoints):
    bench = workbench(confused, checkpoints)
    causes = model_causes(bench.ssrnet, None)
    [row] = printed_pairs(causes, [0], "SSR-Net, same camera")
    assert row.title == "SSR-Net, same camera" and [cell.colour for cell in row.cells] == [BLUE, RED]
    query, wrong = (cell.words.split("\n") for cell in row.cells)
    assert query[0] == "Query" and wrong[0].startswith("1 ✗ ") and wrong[1] == ", ".join(causes.of(0))
    many = printed_pairs(causes, [0] * (PAIRS_ACROSS + 1), "heading")
    assert [(row.title, len(row.cells)) for row in many] == [("heading", 2 * PAIRS_ACROSS), ("", 2)]


def test_with_many_images_labels_and_copies_are_not_looked_for_yet(open_failures, confused, many_images):
    test = open_failures(data=confused)
    [unknown] = [each.value for each in test.caption if each.value.startswith("Unknown here")]
    assert "suspected label, near-duplicate (not looked for yet" in unknown


def test_the_page_opens_on_the_largest_loss_and_not_on_the_current_query(open_failures, city, checkpoints):
    bench = workbench(city, checkpoints)
    pair = failures_of(bench.baseline, bench.ssrnet)
    loss = largest_loss(pair.comparison).name
    other = next(image.name for image in bench.split.query if image.name != loss)
    assert open_failures().session_state["query_kept"] == loss
    assert open_failures(query=other).session_state["query_kept"] == other
    test = open_failures(query=other)
    test.query_params.pop("query")
    test.session_state["source_view"] = "retrieval"  # as if the menu led here from there
    test = whole(test.run())
    assert test.session_state["query_kept"] == loss and loss in html(test)


def test_links_to_aligned_models_open_with_the_switch_on_and_off(open_failures, confused):
    url = {"failures_show": "Who took the first place", "failures_compare": "SSR-Net, raw against aligned"}
    test = open_failures(data=confused, failures_model=ALIGNED[0], **url)
    assert models_listed(test) == NETWORKS
    assert "failures_compare" not in [each.key for each in test.selectbox]
    test = whole(test.sidebar.toggle(key="align").set_value(True).run())
    assert models_listed(test) == [NETWORKS[1], ALIGNED[1]]
    assert test.segmented_control(key="failures_model").value in (NETWORKS[1], ALIGNED[1])
    test = whole(test.selectbox(key="failures_compare").select("Baseline, raw against aligned").run())
    assert test.segmented_control(key="failures_model").value in (NETWORKS[0], ALIGNED[0])
    test = whole(test.sidebar.toggle(key="align").set_value(False).run())
    assert models_listed(test) == NETWORKS
    assert test.segmented_control(key="failures_model").value in NETWORKS
