"""The pages on a folder of images that nobody has labelled, through Streamlit's own test runner."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from app.widgets.page import VIEWS
from ssrnet.data.protocols import Protocol
from tests.app.conftest import components, html, rows_of_pictures, specs, whole, workbench
from tests.data import layouts

NAMES = ("a.jpg", "b.jpg", "c.jpg", "night/d.jpg", "night/gate/e.jpg", "night/gate/copy of a.jpg")
NEEDS = re.compile(r"(.*) needs to know which images show the same vehicle, and nobody has said so of this data set\.")
SILENT_ON = {
    "start": ["A score"],
    "learning": ["A batch"],
    "regions": ["A curve of rank-1 and mAP over λ"],
    "retrieval": ["A score", "A figure with right and wrong ranks"],
    "failures": ["A failure"],
    "scoreboard": ["A score"],
    "quiz": ["The quiz"],
}
"""What needs labels on each page; the other pages need none."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for name in NAMES[:-1]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (40, 48, 3), dtype=np.uint8)).save(root / name)
    shutil.copy(root / "a.jpg", root / NAMES[-1])
    return root


@pytest.fixture
def open_photos(open_page, photos, checkpoints):
    """``open_photos(view, **url)`` runs a page on the photographs with both networks, and sees that it shows no error."""

    def run(view: str, **url: str):
        return whole(open_page(view, **{"data": str(photos), **checkpoints, **url}))

    return run


def needs(test) -> list[str]:
    return [match[1] for each in test.info if (match := NEEDS.fullmatch(each.value))]


@pytest.mark.parametrize("view", [view for view in VIEWS if view != "label"])
def test_each_page_draws_what_it_can_and_says_what_needs_labels(open_photos, view):
    test = open_photos(view)
    assert needs(test) == SILENT_ON.get(view, [])
    words = html(test) + "".join(each.value for each in (*test.markdown, *test.caption))
    words = re.sub("base64,[^\"')]*", "", words)
    assert not re.search(r"(vehicle|labelled|·) None|None and|\bnan\b", words), (
        "what nobody has said is not shown as a value"
    )
    assert "Align cameras" not in [each.label for each in test.toggle]
    assert any("No labels: every image is a query" in each.value for each in test.caption)


def test_retrieval_ranks_all_others_without_right_and_wrong(open_photos, photos, checkpoints):
    test = open_photos("retrieval", query="a.jpg")
    bench = workbench(photos, checkpoints, Protocol("unlabelled"))
    for row, model in zip(rows_of_pictures(test), bench.networks.values(), strict=True):
        query, *listed = row["pictures"]
        assert (row["heading"], row["note"], query["kind"]) == (model.title, "", "query")
        assert {each["kind"] for each in listed} == {"plain"} and len(listed) == len(NAMES) - 1
        assert listed[0]["opens"] == NAMES[-1] and listed[0]["caption"].startswith("1 · 0.000")
        features = model.features().features
        at = model.features().names.index("a.jpg")
        cosine = (features @ features[at] / (features.norm(dim=1) * features[at].norm())).numpy()
        expected = [name for _, name in sorted(zip(-cosine, model.features().names)) if name != "a.jpg"]
        assert [each["opens"] for each in listed] == expected
    assert not test.json and "metrics" not in html(test)


def test_why_this_match_gives_no_verdict(open_photos):
    test = open_photos("retrieval", query="a.jpg", match="b.jpg")
    (described,) = [each.value for each in test.markdown if each.value.startswith("Query `a.jpg`")]
    assert described == "Query `a.jpg`, gallery image `b.jpg`. Nobody has said whether they show one vehicle."


def test_retrieval_re_ranks_and_expands(open_photos):
    plain = rows_of_pictures(open_photos("retrieval", query="a.jpg"))
    expanded = open_photos("retrieval", query="a.jpg", expansion="Average (AQE)")
    assert any("with query expansion" in each.value for each in expanded.caption)
    captions = [[each["caption"] for each in row["pictures"]] for row in rows_of_pictures(expanded)]
    assert captions != [[each["caption"] for each in row["pictures"]] for row in plain]


def test_the_maps_colours_are_folders_and_a_point_lists_its_nearest(open_photos):
    test = open_photos("map", selected="a.jpg")
    assert (
        test.selectbox(key="map_colour").options[0] == "folder"
        and "vehicle_id" not in test.selectbox(key="map_colour").options
    )
    (shown,) = components(test, "scatter")
    assert "a.jpg" in str(shown) and not any(panel.get("listed") for panel in shown.get("panels", []))


def test_copies_are_found_without_labels(open_photos):
    test = open_photos("failures")
    assert [row["heading"] for row in rows_of_pictures(test)] == ["a.jpg and night/gate/copy of a.jpg"]
    assert "label" not in rows_of_pictures(test)[0]["note"]


def test_tours_leave_out_what_needs_labels(open_photos):
    text = "".join(each.value for each in open_photos("start").markdown)
    assert "a batch, a score and the quiz need labels" in text and "so nothing is known to go wrong" in text


def test_the_parts_of_pages_that_need_no_labels_are_there(open_photos):
    assert needs(open_photos("learning", learning_part="A recorded run")) == []
    assert specs(open_photos("graph", graph_images="nearest"))


def test_a_folder_around_a_data_set_offers_the_ways_to_read_it(open_page, tmp_path, checkpoints):
    inner = layouts.veri(tmp_path / "around/VeRi")
    test = open_page("quiz", data=str(inner.parent), **checkpoints)
    assert f"{inner} in it is one: found 10 .jpg files in 3 folders" in test.error[0].value
    assert [test.button(key=key).label for key in ("open_inner", "read_as_unlabelled")] == [
        "Open VeRi",
        "Read as images without labels",
    ]
    assert test.selectbox(key="layout").value is None
    test.button(key="read_as_unlabelled").click().run()
    assert not test.error and needs(test) == ["The quiz"] and test.selectbox(key="layout").value == "unlabelled"


def test_the_inner_data_set_opens_by_its_button(open_page, tmp_path, checkpoints):
    inner = layouts.veri(tmp_path / "around/VeRi")
    test = open_page("quiz", data=str(inner.parent), **checkpoints)
    test.button(key="open_inner").click().run()
    assert test.text_input(key="data").value == str(inner) and not test.error and not needs(test)


def test_what_a_tree_was_taken_for_is_said_on_the_page_with_both_ways(open_page, tmp_path, checkpoints):
    root = layouts.unlabelled(tmp_path / "fleet", ("day/a.jpg", "day/b.jpg", "night/a.jpg", "night/b.jpg"))
    test = whole(open_page("quiz", data=str(root), **checkpoints))
    said = "Read as images without labels, in 2 folders (day, night). If each of these folders is a vehicle, read it as such."
    assert test.main.info[0].value == said
    test.button(key="read_as_Folders").click().run()
    assert needs(test) == [] and test.selectbox(key="layout").value == "Folders"
    assert not [each for each in test.main.info if "Read as" in each.value], "what was chosen needs no word"


def test_a_tree_that_was_read_rightly_is_confirmed_by_a_button(open_page, tmp_path, checkpoints):
    root = layouts.unlabelled(tmp_path / "fleet", ("7/a.jpg", "7/b.jpg", "8/a.jpg", "8/b.jpg"))
    test = whole(open_page("quiz", data=str(root), **checkpoints))
    assert test.main.info[0].value.startswith(
        "Read as one folder a vehicle: 2 vehicles (7, 8). If these folders are not"
    )
    assert test.button(key="read_as_unlabelled").label == "Read as images without labels"
    whole(test.button(key="read_as_Folders").click().run())
    assert needs(test) == [] and not [each for each in test.main.info if "Read as" in each.value]


def test_a_link_says_what_the_folder_is_read_as(open_page, tmp_path, checkpoints):
    root = layouts.unlabelled(tmp_path / "fleet", ("7/a.jpg", "7/b.jpg", "8/a.jpg", "8/b.jpg"))
    assert needs(whole(open_page("quiz", data=str(root), **checkpoints))) == []
    test = whole(open_page("quiz", data=str(root), layout="unlabelled", **checkpoints))
    assert needs(test) == ["The quiz"]
    test.text_input(key="data").set_value(str(root.parent)).run()
    assert test.selectbox(key="layout").value is None, "another folder is read as it is recognised"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.mkdir(), "holds no image: found no file; open a folder of JPEG"),
        (
            lambda path: layouts.write(path / "a.pdf", ["x"]),
            "holds no image: found 1 .pdf file in 1 folder; open a folder",
        ),
        (lambda path: layouts.write(path, ["no zip"]), "cannot be unpacked (File is not a zip file)"),
    ],
)
def test_what_holds_no_image_is_one_sentence(open_page, tmp_path, checkpoints, make, sentence):
    make(path := tmp_path / "mine.zip")
    (error,) = open_page("retrieval", data=str(path), **checkpoints).error
    assert sentence in error.value
