"""The Label page: what it shows, what it keeps and where, and that it writes over nothing."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.widgets.selection import SELECTED
from app.workbench import OpenedDataset, roots
from app.workbench.labels import SESSION, Labelling
from app.workbench.selections import as_text
from ssrnet.analysis.disagreements import disagreements
from ssrnet.data.datasets import open_dataset
from ssrnet.data.label_files import read_labels
from ssrnet.data.labels import Labels
from ssrnet.retrieval.feedback import rank_again
from tests import tiny
from tests.app.conftest import components, html, rows_of_pictures, whole, workbench
from tests.data import layouts


@pytest.fixture
def images(tmp_path) -> Path:
    """A folder of twelve images of four colours; c0_0.jpg is the first."""
    generator, folder = np.random.default_rng(0), tmp_path / "fleet"
    folder.mkdir()
    for colour in range(4):
        for number in range(3):
            pixels = np.clip(np.array(tiny.COLOURS[colour]) + generator.normal(0, 30, (40, 48, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"c{colour}_{number}.jpg")
    return folder


@pytest.fixture
def at_home(project, images, checkpoints, monkeypatch):
    """The viewer sits at the computer that serves the page, and has opened the folder of the images."""
    monkeypatch.delenv(roots.NAMED)
    monkeypatch.setattr(roots, "listens_on", lambda: "localhost")
    roots._opened().clear()
    for path in (images, Path(checkpoints["ssrnet"]).parent):
        roots.open_root(path)
    yield
    roots._opened().clear()


@pytest.fixture
def open_label(open_page, images, checkpoints):
    def run(data: Path = images, **url: str) -> AppTest:
        return whole(open_page("label", data=str(data), **checkpoints, **url))

    return run


def labelling(test: AppTest) -> Labelling:
    return test.session_state[SESSION]


def answer(test: AppTest, a: str, b: str, same: bool) -> AppTest:
    labelling(test).relate(f"{a}.jpg", f"{b}.jpg", same)
    return test.run()


def progress(test: AppTest) -> str:
    return next(each.value for each in test.markdown if "images labelled" in each.value)


def test_both_rows_follow_the_model_and_the_answers(open_label, at_home, images, checkpoints):
    test = open_label()
    answered = answer(answer(test, "c0_0", "c0_1", True), "c0_0", "c3_1", False)
    model = workbench(images, checkpoints).ssrnet
    names = [image.name for image in model.data.dataset.test]
    features = model.features().rows(model.data.dataset.test)
    confirmed, refused = [names.index("c0_1.jpg")], [names.index("c3_1.jpg")]
    for row, expected in zip(
        rows_of_pictures(answered),
        (rank_again(features, 0, [], []), rank_again(features, 0, confirmed, refused)),
        strict=True,
    ):
        query, *shown = row["pictures"]
        assert query["kind"] == "query" and query["alt"] == "query: c0_0.jpg"
        assert [each["opens"] for each in shown] == [names[each.index] for each in expected][:10]
        assert [f" {each.cosine:.3f}" in shown[i]["caption"] for i, each in enumerate(expected[:10])] == [True] * len(
            shown
        )
    kinds = {each["opens"]: each["kind"] for row in rows_of_pictures(answered) for each in row["pictures"][1:]}
    assert kinds["c0_1.jpg"] == "hit" and kinds["c3_1.jpg"] == "error" and list(kinds.values()).count("plain") == 9
    assert progress(answered) == "**2 of 12 images labelled** · 1 vehicle · 1 refused pair"
    (given,) = components(answered, "image_rows")
    assert given["answers"] == "so" and html(answered).count('data-answer="s"') == 9 + sum(
        each["kind"] == "plain" for each in rows_of_pictures(answered)[0]["pictures"]
    )


def test_each_answer_is_kept_beside_the_folder_and_taken_up_again(open_label, at_home, images):
    before = tiny.files(images)
    test = open_label()
    assert not images.with_suffix(".csv").exists(), "nothing is written before the first answer"
    answer(answer(test, "c0_0", "c0_1", True), "c0_0", "c3_1", False)
    kept = read_labels(images.with_suffix(".csv")).labels
    assert kept == Labels().confirm("c0_0.jpg", "c0_1.jpg").refuse("c0_0.jpg", "c3_1.jpg")
    assert f"Saved after every answer in `{images.with_suffix('.csv')}`" in "".join(each.value for each in test.caption)
    again = open_label()
    assert labelling(again).labels == kept and "2 of 12" in progress(again)
    undone = again.button(key="label_undo")
    assert undone.disabled and undone.proto.shortcut == "u"
    again = answer(again, "c0_1", "c0_2", True)
    assert "3 of 12" in progress(again)
    assert "2 of 12" in progress(whole(again.button(key="label_undo").click().run()))
    assert read_labels(images.with_suffix(".csv")).labels == kept
    assert tiny.files(images) == before, "the images are not touched"


def test_the_kept_labels_open_as_a_data_set_and_are_labelled_further(open_label, at_home, images):
    answer(open_label(), "c0_0", "c0_1", True)
    manifest = images.with_suffix(".csv")
    roots.open_root(manifest)
    assert [image.name for image in open_dataset(manifest).gallery] == ["c0_0.jpg", "c0_1.jpg"]
    test = open_label(manifest)
    assert "2 of 12" in progress(test) and labelling(test).path == manifest
    answer(test, "c1_0", "c1_1", True)
    assert len(open_dataset(manifest).gallery) == 4


def test_where_others_reach_the_page_nothing_is_written_and_the_labels_are_a_download(open_label, images, offered):
    test = answer(open_label(), "c0_0", "c0_1", True)
    assert "2 of 12" in progress(test) and not images.with_suffix(".csv").exists()
    assert any("nothing is written on the server" in each.value for each in test.caption)
    assert not [each for each in test.text_input if each.label == "Save in"]
    path = images.with_name("downloaded.csv")
    path.write_text(offered["label_download"]())
    assert read_labels(path).labels == labelling(test).labels
    assert len(open_dataset(path).gallery) == 2 and str(images.parent) not in path.read_text()


def test_downloaded_labels_are_uploaded_to_go_on_and_undo_brings_back_what_was_there(open_label, images, offered):
    answer(open_label(), "c0_0", "c0_1", True)
    content = offered["label_download"]().encode()
    test = answer(open_label(), "c3_0", "c3_1", True)
    upload = next(each for each in test.get("file_uploader") if "downloaded before" in each.label)
    whole(upload.set_value(("fleet.csv", content, "text/csv")).run())
    assert labelling(test).labels == Labels().confirm("c0_0.jpg", "c0_1.jpg") and "2 of 12" in progress(test)
    whole(test.button(key="label_undo").click().run())
    assert labelling(test).labels == Labels().confirm("c3_0.jpg", "c3_1.jpg")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "image,camera\na.jpg,c1\n",
            "lacks the columns vehicle_id, split (found: image, camera); name them in the first line, separated by commas.",
        ),
        (
            "image,vehicle_id,split\nc0_0.jpg,v1,gallery\n",
            "is no file of labels: it lacks the columns same_as and not_same_as; choose another file.",
        ),
        (
            'image,vehicle_id,split,same_as,not_same_as\nx.jpg,v1,gallery,"[""y.jpg""]",\n',
            "has no label of an image in this folder; choose the labels that were downloaded for these images.",
        ),
        ("\udcff", "line 1: the text is not UTF-8; save the file as UTF-8."),
        (17 * 2**20 * " ", "has more than 16 MB; choose the labels that were downloaded here."),
    ],
)
def test_a_foreign_upload_is_one_sentence_and_no_answer(images, content, sentence):
    now = Labelling(OpenedDataset.of(open_dataset(images)))
    now.take_upload("mine.csv", content.encode(errors="surrogateescape"))
    assert now.problem.startswith("mine.csv") and now.problem.endswith(sentence), now.problem
    assert len(now.history) == 1


def test_two_viewers_do_not_write_over_each_other(open_label, at_home, images):
    first, second = open_label(), open_label()
    answer(first, "c0_0", "c0_1", True)
    answer(second, "c1_0", "c1_1", True)
    assert (
        "Not saved: " in second.error[0].value
        and "was written by someone else since it was read" in second.error[0].value
    )
    assert read_labels(images.with_suffix(".csv")).labels == labelling(first).labels
    whole(second.button(key="label_take").click().run())
    assert labelling(second).labels == labelling(first).labels
    answer(second, "c1_0", "c1_1", True)
    assert len(read_labels(images.with_suffix(".csv")).labels.vehicles) == 2


def test_a_file_that_is_not_ours_stays_and_another_place_can_be_chosen(open_page, at_home, images, checkpoints):
    foreign = layouts.write(images.with_suffix(".csv"), ["image,vehicle_id,split", "c0_0.jpg,v1,train"])
    content = foreign.read_bytes()
    test = open_page("label", data=str(images), **checkpoints)
    assert "fleet.csv is no file of labels" in test.error[0].value
    answer(test, "c0_0", "c0_1", True)
    (field,) = [each for each in test.text_input if each.label == "Save in"]
    assert "ends in .csv" in field.set_value(str(images.with_suffix(".txt"))).run().error[0].value
    elsewhere = images.parent / "elsewhere/labels.csv"
    (field,) = [each for each in test.text_input if each.label == "Save in"]
    whole(field.set_value(str(elsewhere)).run())
    assert read_labels(elsewhere).labels == labelling(test).labels and len(open_dataset(elsewhere).gallery) == 2
    assert foreign.read_bytes() == content


def test_a_contradiction_is_one_sentence_and_no_answer(open_label, at_home):
    test = answer(answer(open_label(), "c0_0", "c0_1", True), "c0_1", "c0_2", True)
    test = answer(test, "c0_2", "c0_0", False)
    assert "confirmed as one by c0_0.jpg = c0_1.jpg = c0_2.jpg" in test.error[0].value
    assert "3 of 12" in progress(test) and "0 refused pairs" in progress(test)
    assert not answer(test, "c0_0", "c1_0", False).error


def test_pairs_that_the_models_disagree_on_come_one_after_the_other(open_label, at_home, images, checkpoints):
    bench = workbench(images, checkpoints)
    test_images = bench.dataset.test
    pairs = disagreements(*(model.features().rows(test_images) for model in bench.networks.values()))
    names = [(test_images[pair.a].name, test_images[pair.b].name) for pair in pairs]

    def shown(test: AppTest) -> tuple[str, str]:
        a, b = re.findall(r'<figure class="plain"[^>]*><img src="[^"]*" alt="(.*?)">', html(test))
        return a, b

    test = open_label(label_task="Pairs the models disagree on")
    assert shown(test) == names[0]
    assert f"cosine {pairs[0].cosines[0]:.3f}, rank {pairs[0].ranks[0]}" in "".join(
        each.value for each in test.markdown
    )
    test = whole(test.button(key="label_next").click().run())
    assert shown(test) == names[1]
    labelling(test).relate(*names[1], False)
    left = [pair for pair in names[2:] if labelling(test).labels.relation(*pair) is None]
    assert shown(test.run()) == left[0]


def test_a_selection_of_the_map_is_named_as_one_vehicle(open_page, open_label, at_home, images, checkpoints):
    data = workbench(images, checkpoints).data
    url = {SELECTED: as_text([0, 1, 5], 12, data.hash)}
    links = whole(open_page("map", data=str(images), **checkpoints, **url)).get("page_link")
    assert any(each.proto.page == "label" and "label_task=Selected" in each.proto.query_string for each in links)
    test = open_label(**url, label_task="Selected on the map")
    test.text_input(key="label_name").set_value("bus 12")
    test = whole(next(each for each in test.button if "These 3 images show" in each.label).click().run())
    assert labelling(test).labels.vehicles == {"bus 12": ("c0_0.jpg", "c0_1.jpg", "c1_2.jpg")}
    assert "3 of 12 images labelled** · 1 vehicle" in progress(test)
    listed = open_label(label_task="Vehicles")
    (row,) = rows_of_pictures(listed)
    assert (row["heading"], row["note"]) == ("bus 12", "3 images")
    assert [each["opens"] for each in row["pictures"]] == ["c0_0.jpg", "c0_1.jpg", "c1_2.jpg"]


def test_the_next_query_is_the_next_image_without_a_vehicle(open_label, at_home):
    test = answer(open_label(query="c0_0.jpg"), "c0_0", "c0_1", True)
    test = whole(test.button(key="label_next").click().run())
    assert test.query_params["query"] in ("c0_2.jpg", ["c0_2.jpg"])


def test_data_with_labels_says_that_there_is_nothing_to_label(open_city):
    test = open_city("label")
    assert "says which images show the same vehicle" in test.info[0].value and not components(test, "image_rows")


def test_labels_of_a_zip_file_are_kept_beside_it(open_label, at_home, images):
    packed = images.with_name("packed.zip")
    with zipfile.ZipFile(packed, "w") as archive:
        for image in sorted(images.iterdir()):
            archive.write(image, f"below/{image.name}")
        archive.writestr("__MACOSX/below/._c0_0.jpg", b"no image")
    roots.open_root(packed)
    answer(open_label(packed), "c0_0", "c0_1", True)
    kept = images.with_name("packed.csv")
    assert [image.vehicle_id for image in open_dataset(kept).gallery] == ["v1", "v1"]
    assert "2 of 12" in progress(open_label(packed))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.write(images / "c0_0.jpg", "below/one more.jpg")
    again = open_label(packed)
    assert "2 of 13" in progress(again), "labels of the zip file as it was are gone on with"
    answer(again, "c0_1", "one more", True)
    assert len(open_dataset(kept).gallery) == 3
