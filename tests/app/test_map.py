"""The Gallery map: both models' points, colours, selections by kind, tags, views, and the file that keeps them."""

import csv
import io
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
import torch

from app.widgets import map_details
from app.widgets.components.scatter import Motion, Panel, Things, figure
from app.widgets.selection import Selection
from app.workbench import OpenedModel, background, cache, maps
from app.workbench.background import Abandoned, Job
from app.workbench.selections import as_text
from ssrnet.analysis.attributes import CAMERA
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.explain.gallery_notes import GalleryNotes
from ssrnet.explain.projection import PCAAxes, Projection, project, turned_onto
from tests.app.conftest import as_upload, components, rows_of_pictures, shared_keys, whole, with_uploads, workbench

QUERY = "0007_c001_00000000_0.jpg"


@pytest.fixture
def opened(open_city):
    return open_city("map", query=QUERY)


def drawn(test) -> dict:
    return components(test, "scatter")[0]


def notes(test) -> GalleryNotes:
    return test.session_state["map_notes"]


def test_both_models_are_drawn_and_the_query_is_marked(opened, city):
    assert not opened.exception and not opened.error
    data = drawn(opened)
    assert [panel["title"] for panel in data["panels"]] == ["Baseline (GB)", "SSR-Net (GB+AB+RB)"]
    assert all(len(panel["x"]) == len(panel["y"]) == 12 for panel in data["panels"])
    assert "% of the variance" in data["panels"][0]["note"]
    assert data["panels"][0]["x"] != data["panels"][1]["x"]
    assert [data["labels"][i] for i in data["marked"]] == [f"vehicle 0007 · c001 · {QUERY}"]
    assert [kind["label"] for kind in data["kinds"]] == [f"vehicle 000{i}" for i in (6, 7, 8, 9)]
    assert len({(kind["colour"], kind["shape"]) for kind in data["kinds"]}) == 4
    assert len(open_dataset(city).test) == 12


def test_controls_come_from_the_url(open_city):
    url = {"map_colour": "camera", "map_branch": "attn"}
    test = open_city("map", query=QUERY, **url)
    data = drawn(test)
    assert [kind["label"] for kind in data["kinds"]] == ["c001", "c002"]
    titles = [panel["title"] for panel in data["panels"]]
    assert titles == ["Baseline (GB)", "SSR-Net (GB+AB+RB), attn alone"], "the baseline has no such branch"
    whole = drawn(open_city("map", query=QUERY))
    assert data["panels"][0] == whole["panels"][0] and data["panels"][1] != whole["panels"][1]


def test_a_selection_shows_its_pictures_and_gets_a_tag(opened):
    opened.multiselect(key="map_kinds_vehicle").select("vehicle 0008").run()
    assert not opened.exception
    row = rows_of_pictures(opened)[0]
    assert len(row["pictures"]) == 3 and all(each["opens"].startswith("0008") for each in row["pictures"])
    assert [drawn(opened)["labels"][i].split(" · ")[0] for i in drawn(opened)["selected"]] == ["vehicle 0008"] * 3

    opened.text_input(key="map_tag").input("odd label")
    opened.button[_button(opened, "Tag")].click().run()
    assert list(notes(opened).tags) == ["odd label"] and len(notes(opened).tags["odd label"]) == 3
    opened.selectbox(key="map_colour").select("tag").run()
    assert [kind["label"] for kind in drawn(opened)["kinds"]] == ["no tag", "odd label"]


def _button(test, label: str) -> int:
    return [button.label for button in test.button].index(label)


def test_a_kept_view_opens_again(opened):
    opened.multiselect(key="map_kinds_vehicle").select("vehicle 0009").run()
    opened.text_input(key="map_view").input("nine")
    opened.button[_button(opened, "Keep")].click().run()
    opened.selectbox(key="map_colour").select("camera_id").run()
    opened.multiselect(key="map_kinds_camera_id").select("c002").run()
    opened.multiselect(key="map_kinds_camera_id").unselect("c002").run()
    assert not drawn(opened)["selected"]
    opened.button(key="map_view_open").click().run()
    assert not opened.exception
    assert opened.selectbox(key="map_colour").value == "vehicle" and len(drawn(opened)["selected"]) == 3


def test_a_file_is_loaded_or_refused_with_one_sentence(opened, city):
    dataset = open_dataset(city)
    good = GalleryNotes(dataset.name, dataset.content_hash()).with_tag("night", [QUERY])
    upload = opened.file_uploader(key="map_upload")
    upload.upload("notes.json", good.json().encode(), "application/json").run()
    assert not opened.exception and "Tags: 1, views: 0" in opened.success[0].value
    assert notes(opened).tags == {"night": (QUERY,)}

    other = json.loads(good.json()) | {"dataset_hash": "ffff", "dataset": "VeRi"}
    for content, message in ((json.dumps(other), "belongs to the data set VeRi"), ("{", "is not JSON")):
        upload = opened.file_uploader(key="map_upload")
        upload.upload("notes.json", content.encode(), "application/json").run()
        assert not opened.exception and message in opened.error[0].value
    assert notes(opened).tags == {"night": (QUERY,)}, "a refused file changes nothing"


@pytest.fixture
def aligned(open_city):
    return open_city("map", query=QUERY, align="true")


def as_points(places: dict) -> np.ndarray:
    return np.array([places["x"], places["y"]]).T


def test_before_and_after_alignment_stand_side_by_side(aligned, city, checkpoints):
    data = drawn(aligned)
    raw, after = data["panels"]
    assert [raw["title"], after["title"]] == ["SSR-Net (GB+AB+RB), raw", "SSR-Net (GB+AB+RB), aligned"]
    assert "start" not in raw and after["ends"] == ["raw", "aligned"]
    assert after["start"] == {"x": raw["x"], "y": raw["y"]} and raw["x"] != after["x"]
    assert [kind["label"] for kind in data["kinds"]] == ["c001", "c002"], "coloured by camera"
    model = workbench(city, checkpoints).ssrnet
    for panel, shown in ((raw, model), (after, model.aligned)):
        vectors = shown.compared_features().rows(shown.data.dataset.test).numpy()
        expected = project(vectors, "PCA").points
        between = [np.linalg.norm(points[:, None] - points, axis=2) for points in (as_points(panel), expected)]
        np.testing.assert_allclose(*between, atol=1e-3)
        share = maps.nearest_by_own_camera(shown).share
        assert panel["foot"] == f"Nearest image of another vehicle by the same camera: {share:.1%}"
    [sentence] = [each.value for each in aligned.caption if "12 images raw" in each.value]
    assert raw["foot"].split()[-1] in sentence and after["foot"].split()[-1] in sentence
    assert "shifted, turned and mirrored" in sentence


def test_a_pair_of_another_model_and_of_one_branch(open_city, city, checkpoints):
    test = open_city("map", query=QUERY, align="true", map_model="Baseline (GB)")
    assert [panel["title"] for panel in drawn(test)["panels"]] == ["Baseline (GB), raw", "Baseline (GB), aligned"]
    test = open_city("map", query=QUERY, align="true", map_branch="attn")
    raw, after = drawn(test)["panels"]
    assert [raw["title"], after["title"]] == [f"SSR-Net (GB+AB+RB), {end}, attn alone" for end in ("raw", "aligned")]
    model = workbench(city, checkpoints).ssrnet.aligned
    images = model.data.dataset.test
    columns = model.compared_features().only(("attn",)).rows(images).numpy()
    expected = turned_onto(project(columns, "PCA").points, as_points(raw))
    np.testing.assert_allclose(as_points(after), expected, atol=1e-3)


def test_models_stand_side_by_side_aligned(open_city):
    test = open_city("map", query=QUERY, align="true", map_shown="Models side by side")
    data = drawn(test)
    assert [panel["title"] for panel in data["panels"]] == ["Baseline (GB), aligned", "SSR-Net (GB+AB+RB), aligned"]
    assert not any("start" in panel or panel["foot"] for panel in data["panels"])
    assert data["kinds"][0]["label"].startswith("vehicle")


def test_the_switch_changes_the_colour_only_where_none_was_chosen(opened):
    assert opened.selectbox(key="map_colour").value == "vehicle"
    opened.toggle(key="align").set_value(True).run()
    assert opened.selectbox(key="map_colour").value == CAMERA
    opened.selectbox(key="map_colour").select("tag").run()
    opened.toggle(key="align").set_value(False).run()
    assert opened.selectbox(key="map_colour").value == "tag"


def test_a_chosen_colour_stays_when_the_switch_is_on(open_city):
    test = open_city("map", query=QUERY, align="true", map_colour="vehicle")
    assert test.selectbox(key="map_colour").value == "vehicle"


def test_record_and_csv_say_how_features_were_aligned(offered, open_city, city, checkpoints):
    test = open_city("map", query=QUERY, align="true")
    said = str(workbench(city, checkpoints).ssrnet.aligned.statistics())
    [record] = [json.loads(each.value) for each in test.json if "projection" in each.value]
    assert record["placed"] == "the aligned map by orthogonal Procrustes onto the raw one"
    alignments = {title: model["camera_alignment"] for title, model in record["models"].items()}
    assert alignments == {"SSR-Net (GB+AB+RB)": "none", "SSR-Net (GB+AB+RB), aligned": said}
    rows = list(csv.DictReader(io.StringIO(offered["gallery_map_csv"]())))
    assert len(rows) == 12 and {row["camera alignment"] for row in rows} == {said}
    assert float(rows[0]["x SSR-Net (GB+AB+RB), raw"]) == pytest.approx(drawn(test)["panels"][0]["x"][0], rel=1e-4)

    raw = open_city("map", query=QUERY)
    [record] = [json.loads(each.value) for each in raw.json if "projection" in each.value]
    assert "placed" not in record and {model["camera_alignment"] for model in record["models"].values()} == {"none"}
    assert "camera alignment" not in offered["gallery_map_csv"]()


def test_the_print_of_a_pair_has_one_scale():
    points = np.array([[0.0, 0.0], [1.0, 2.0]])
    things = Things(["a", "b"], ["c001", "c002"])
    plain = [Panel("raw", points), Panel("aligned", 3 * points)]
    pair = [plain[0], replace(plain[1], motion=Motion(points, ("raw", "aligned")))]
    assert figure(plain, things).layout.xaxis2.matches is None
    sheet = figure(pair, things)
    assert sheet.layout.xaxis2.matches == "x" and sheet.layout.yaxis2.matches == "y"
    assert [trace.x[0] for trace in sheet.data if trace.name == "c002"] == [1, 3]


def test_a_printed_legend_has_room_for_all_it_names():
    kinds = [f"c{i:03}" for i in range(20)]
    sheets = [figure([Panel("map", np.zeros((20, 2)))], Things(kinds, each)) for each in (kinds, ["c001"] * 20)]
    assert [sum(bool(trace.showlegend) for trace in sheet.data) for sheet in sheets] == [20, 1]
    assert all(sheet.layout.legend.orientation == "h" for sheet in sheets)
    assert sheets[0].layout.height - sheets[1].layout.height == 3 * 32


def image(name, **attributes):
    return VehicleImage(None, name, "1", None, attributes)


def test_many_numbers_are_put_into_bins():
    images = [image(f"{i}", angle=str(i), kind="car") for i in range(60)] + [image("x")]
    found = maps.kinds(images, "angle")
    assert found[0] == found[9] == "1: 0 to 9.833" and found[59].startswith("6: ") and found[60] == "none"
    assert [found.count(name) for name in sorted(set(found) - {"none"})] == [10] * 6
    assert maps.kinds(images, "kind") == ["car"] * 60 + ["none"]
    assert maps.colourings(images) == ["vehicle", "angle", "kind"]


def test_work_goes_on_while_a_page_leaves_and_comes_back(monkeypatch, project):
    calls, go = [], threading.Event()

    def slow(vectors, method, report):
        calls.append(method)
        while not go.wait(0.01):
            report(1, 4)
        return Projection(np.zeros((1, 2)), method)

    monkeypatch.setattr(maps, "project", slow)
    monkeypatch.setattr(background, "TICK", 0.02)

    class Left(BaseException):
        pass

    def leave(done, total):
        raise Left

    with pytest.raises(Left):
        maps.projected(("test", "leave"), lambda: None, "PCA", leave)
    steps = []

    def stay(done, total):
        steps.append(done)
        if len(steps) > 3:
            go.set()

    assert maps.projected(("test", "leave"), lambda: None, "PCA", stay).method == "PCA"
    assert calls == ["PCA"] and steps[-1] == 300 + 700 // 4


def test_work_that_nobody_waits_for_ends():
    job = Job(patience=0.05)
    time.sleep(0.1)
    with pytest.raises(Abandoned):
        job.listen(1, 4)


@pytest.mark.parametrize("method", ["PCA", "UMAP"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_embeddings_are_a_point_or_one_sentence(open_city, monkeypatch, method, value):
    plain = OpenedModel.features

    def equal(*arguments, **named):
        features = plain(*arguments, **named)
        return replace(features, features=torch.full_like(features.features, value))

    monkeypatch.setattr(OpenedModel, "features", equal)
    cache._stores.clear()
    test = open_city("map", map_method=method)
    if method == "UMAP":
        [message] = [info.value for info in test.info]
        assert message.startswith("The map of Baseline (GB): UMAP needs different vectors") and "choose PCA" in message
    else:
        assert not test.info and not any(any(panel["x"] + panel["y"]) for panel in drawn(test)["panels"])
    cache._stores.clear()


def test_lines_lead_from_the_query_to_its_matches_and_not_to_junk(opened, city):
    images = [image.name for image in open_dataset(city).test]
    matches = {i for i, name in enumerate(images) if name.startswith("0007_c002")}
    assert len(matches) == 2
    for panel in drawn(opened)["panels"]:
        assert set(panel["listed"]) == matches and panel["unlisted"] == [], "all eight of the gallery are listed"
    assert any(each.value.startswith("Lines lead from the query") for each in opened.caption)
    opened.query_params["query"] = next(name for name in images if name.startswith("0007_c002"))  # is no query
    opened.run()
    assert not any(panel["listed"] or panel["unlisted"] for panel in drawn(opened)["panels"])


def test_printed_lines_are_those_of_the_panel():
    points = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]])
    sheet = figure([Panel("map", points, listed=[1], unlisted=[2])], Things(list("abc"), ["k"] * 3, marked=[0]))
    listed, unlisted = (trace for trace in sheet.data if trace.mode == "lines")
    assert (listed.x, listed.y) == ((0, 1, None), (0, 2, None)) and unlisted.x == (0, 3, None)
    assert listed.line.dash is None and unlisted.line.dash == "dot"


def test_one_selected_point_lists_its_nearest_by_each_model(opened, city, checkpoints):
    bench = workbench(city, checkpoints)
    images = bench.dataset.test
    row = next(i for i, image in enumerate(images) if image.name == QUERY)
    select_rows(opened, city, [row])
    lists = {each["heading"]: each["pictures"] for each in rows_of_pictures(opened) if "(" in each["heading"]}
    assert list(lists) == list(bench.models)
    for model in bench.models.values():
        features = model.features().rows(images).numpy()
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        nearest = [i for i in np.argsort(-(unit @ unit[row]), kind="stable") if i != row][:8]
        own, *others = lists[model.title]
        assert own["opens"] == QUERY and [each["opens"] for each in others] == [images[i].name for i in nearest]
        same = [images[i].vehicle_id == images[row].vehicle_id for i in nearest]
        assert [each["kind"] for each in others] == ["hit" if each else "error" for each in same]


def select_rows(test, city, rows) -> None:
    dataset = open_dataset(city)
    names = tuple(dataset.test[row].name for row in rows)
    test.session_state["selected"] = Selection(dataset.content_hash(), names, as_text(rows, 12, dataset.content_hash()))
    whole(test.run())


def test_points_that_moved_are_coloured_and_listed(open_city, city, checkpoints):
    bench = workbench(city, checkpoints)
    change = maps.moved(bench.baseline, bench.ssrnet, maps.WHOLE)
    assert len(change) == 12 and not change.any(), "with twelve images all others are among the fifteen nearest"
    test = open_city("map", query=QUERY, map_colour="change of neighbours")
    assert [kind["label"] for kind in drawn(test)["kinds"]] == list(maps.CHANGES)
    assert set(drawn(test)["kind"]) == {0} and drawn(test)["kinds"][4]["colour"] == maps.CHANGE_COLOURS[4]
    said = "Mean 0%; 12 images keep all, 0 none"
    assert not any(said in each.value for each in test.caption), "what nobody has opened is not drawn"
    test.session_state["map_moved_open"] = True
    assert any(said in each.value for each in whole(test.run()).caption)
    assert maps.change_kinds(np.array([0, 0.19, 0.2, 0.99, 1])) == [maps.CHANGES[i] for i in (0, 0, 1, 4, 4)]


def test_the_usual_colour_is_one_that_a_legend_can_name():
    def images(vehicles: int, **attributes) -> list[VehicleImage]:
        return [VehicleImage(Path(f"{i}.jpg"), f"{i}.jpg", str(i), "c1", attributes) for i in range(vehicles)]

    assert maps.usual_colouring(images(24, type="car")) == "vehicle"
    assert maps.usual_colouring(images(25, type="car")) == "type"
    assert maps.usual_colouring(images(25, vehicle_type="car")) == "vehicle_type"
    assert maps.usual_colouring(images(25)) == CAMERA
    assert maps.usual_colouring([replace(image, camera_id=None) for image in images(25)]) == "vehicle"


def test_the_url_holds_the_selection_and_other_pages_can_show_it_alone(open_city, city):
    dataset = open_dataset(city)
    rows = [i for i, image in enumerate(dataset.test) if image.vehicle_id in ("6", "8", "0006", "0008")]
    text = as_text(rows, 12, dataset.content_hash())
    test = open_city("map", query=QUERY, selected=text)
    assert drawn(test)["selected"] == rows and test.query_params["selected"] in (text, [text])
    test.multiselect(key="map_kinds_vehicle").select("vehicle 0009").run()
    assert test.query_params["selected"] not in (text, [text]) and len(drawn(test)["selected"]) == 3

    test = open_city("retrieval", selected=text, query_in_selection="true")
    assert test.toggle(key="query_in_selection").label == "Selected on the map (2)"
    [grid] = components(test, "image_picker")
    assert [item["key"][:4] for item in grid["items"]] == ["0006", "0008"]
    test = open_city("failures", selected=text, failures_show="Queries", failures_group="Selected on the map (2)")
    [table] = [each.value for each in test.dataframe if "delta_ap" in each.value.columns]
    assert sorted(name[:4] for name in table["query"]) == ["0006", "0008"]
    foreign = open_city("map", query=QUERY, selected="ffffff" + text[6:])
    assert drawn(foreign)["selected"] == [] and "selected" not in foreign.query_params


def test_pictures_travel_for_the_points_that_the_browser_asks_for(opened, city):
    assert drawn(opened)["asked"] == {} and drawn(opened)["most_pictures"] == 60
    opened.session_state["map_scatter_asked"] = [3, 99]
    whole(opened.run())
    [(row, uri)] = drawn(opened)["asked"].items()
    assert row == "3" and uri.startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize("align", ["false", "true"])
def test_uploads_stand_in_the_map_where_the_same_test_images_do(open_city, city, checkpoints, align):
    bench = workbench(city, checkpoints)
    images = bench.dataset.test
    test = open_city("map", query=QUERY, align=align)
    before = drawn(test)
    with_uploads(test, {"mine.jpg": read_image(images[1].path), images[7].name: read_image(images[7].path)})
    data, model = drawn(test), bench.ssrnet
    assert [kind["label"] for kind in data["kinds"]] == [*(kind["label"] for kind in before["kinds"]), "your images"]
    assert data["kinds"][-1]["shape"] == "star" and data["kinds"][-1]["named"]
    assert data["labels"][12:] == ["your image · mine.jpg", f"your image · {images[7].name}"] and data["marked"] == [12]
    if align == "false":
        shown = list(zip(data["panels"], before["panels"], (bench.baseline, model)))
        for panel, alone, _ in shown:
            assert panel["x"][:12] == alone["x"] and panel["y"][:12] == alone["y"]
            np.testing.assert_allclose(as_points(panel)[12:], as_points(panel)[[1, 7]], atol=2e-3)  # stored as float16
    else:  # as by the whole set's statistics, then with the aligned map onto the raw one
        raw, after = data["panels"]
        shown = [(raw, None, model), (after, None, model.aligned)]
        vectors = model.aligned.compared_features().rows(images).numpy()
        uploads = [as_upload(image) for image in (images[1], images[7])]
        axes = PCAAxes.of(vectors, project(vectors, "PCA").points)
        mine = model.aligned.statistics().align(model.embed([each.picture for each in uploads]), [None, None])
        expected = turned_onto(np.vstack([axes.place(vectors), axes.place(mine.numpy())]), as_points(raw)[:12])
        np.testing.assert_allclose(as_points(after), expected, atol=1e-3)
        assert after["start"] == {"x": raw["x"], "y": raw["y"]}
        assert any("aligned by the whole set's statistics" in each.value for each in test.caption)
    for panel, _, of in shown:
        mine = maps._compared_uploads(of, maps.WHOLE, [as_upload(images[1])])
        gallery = of.compared_features().rows(of.split.gallery)
        first = torch.cosine_similarity(mine, gallery).argsort(descending=True)[:5]
        assert [images[i].name for i in panel["ranked"]] == [of.split.gallery[i].name for i in first]
        assert panel["listed"] == panel["unlisted"] == []
    assert any("nothing says whether one of them shows its vehicle" in each.value for each in test.caption)
    assert as_upload(images[1]).digest not in shared_keys() and "mine.jpg" not in str(test.query_params)


def test_a_selected_upload_lists_its_nearest_and_the_chosen_one_is_the_query(open_city, city, checkpoints):
    bench = workbench(city, checkpoints)
    images = bench.dataset.test
    test = open_city("map", query=QUERY)
    with_uploads(test, {"mine.jpg": read_image(images[1].path), "other.jpg": read_image(images[2].path)})
    digest = as_upload(images[2]).digest
    test.session_state["map_selected_uploads"] = [digest]
    whole(test.run())
    assert drawn(test)["selected"] == [13] and "Selected: 1" in [each.value for each in test.subheader]
    lists = {each["heading"]: each["pictures"] for each in rows_of_pictures(test) if "(" in each["heading"]}
    for model in bench.models.values():
        own, *others = lists[model.title]
        mine = model.embed([read_image(images[2].path)])
        cosines = torch.cosine_similarity(mine, model.features().rows(images))
        nearest = [images[i].name for i in cosines.argsort(descending=True, stable=True)[:8]]
        assert own["opens"] == digest and [each["opens"] for each in others] == nearest
        assert {each["kind"] for each in others} == {"plain"}
    assert drawn(test)["marked"] == [12]
    test.session_state["query_upload"] = "other.jpg"
    assert drawn(whole(test.run()))["marked"] == [13]
    test.toggle(key="query_mine").set_value(False).run()
    assert [drawn(test)["labels"][i] for i in drawn(test)["marked"]] == [f"vehicle 0007 · c001 · {QUERY}"]


def test_a_click_on_a_picture_makes_it_the_query_in_place_of_an_upload_or_the_upload(city, monkeypatch):
    image, state, url = as_upload(open_dataset(city).test[1], "a.jpg"), {}, {}
    monkeypatch.setattr(st, "session_state", state)
    monkeypatch.setattr(st, "query_params", url)
    monkeypatch.setattr(map_details, "uploads_beside", lambda: [image])
    map_details._make_query(image.digest)
    assert state == {"query_upload": "a.jpg", "query_mine": True} and not url
    map_details._make_query("a.jpg")  # one of the data set's that has the upload's name
    assert state["query_mine"] is False and url == {"query": "a.jpg"}


def test_without_uploads_nothing_is_added_and_umap_has_none(open_city, city, opened):
    assert not [each for each in opened.toggle if "your images" in each.label] and "star" not in str(drawn(opened))
    picture = read_image(open_dataset(city).test[1].path)
    with_uploads(opened, {"mine.jpg": picture})
    whole(opened.segmented_control(key="map_method").set_value("UMAP").run())
    assert "Your image is shown with PCA only." in [each.value for each in opened.caption]
    assert len(drawn(opened)["panels"][0]["x"]) == 12 and "star" not in str(drawn(opened)["kinds"])


def test_stars_are_printed_and_a_panel_may_lack_a_place():
    points = np.array([[0.0, 0.0], [1.0, 2.0], [np.nan, np.nan]])
    things = Things(list("abc"), ["k", "k", "your images"], marked=[2], starred="your images")
    sheet = figure([Panel("map", points, ranked=[0])], things)
    stars = next(trace for trace in sheet.data if trace.name == "your images")
    assert stars.marker.symbol == "star" and stars.showlegend and stars.marker.size > 5
    line = [trace for trace in sheet.data if trace.mode == "lines"][2]
    assert line.line.color == "#3b82f6" and len(line.x) == 3
