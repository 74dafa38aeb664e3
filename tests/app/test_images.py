import csv
import io
import itertools
import re
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from app.workbench.attention import map_uri
from app.workbench.cache import content_key
from ssrnet.analysis.marked_pairs import marked_threshold
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image, read_image_bytes
from ssrnet.data.uploads import UploadedImage
from ssrnet.explain.cam import pair_cams
from ssrnet.explain.image_maps import ImageMap
from ssrnet.explain.overlay import scale_of
from ssrnet.retrieval.verification import verify
from tests.app.conftest import html, pictures_across, rows_of_pictures, specs, workbench


@pytest.fixture
def photographs(city):
    """Two images of vehicle 0007 and one of 0008, as uploads."""
    images = open_dataset(city).test
    own = [image for image in images if image.vehicle_id == "0007"][:2]
    other = next(image for image in images if image.vehicle_id == "0008")
    return [(image.name, image.path.read_bytes(), "image/jpeg") for image in (*own, other)]


def upload(test, **files):
    for label, content in files.items():
        next(each for each in test.get("file_uploader") if each.label.lower().startswith(label)).set_value(content)
    return test.run()


def test_nothing_is_computed_before_both_are_there(open_city, photographs):
    test = open_city("images")
    assert not test.exception and not test.error and "Upload both" in test.info[0].value
    upload(test, query=photographs[0])
    assert not test.exception and "Upload both" in test.info[0].value


def test_a_gallery_is_ranked_by_both_models(open_city, photographs):
    test = open_city("images")
    upload(test, query=photographs[0], gallery=photographs)
    assert not test.exception and not test.error
    rows = rows_of_pictures(test)
    assert [row["heading"] for row in rows] == ["Baseline (GB)", "SSR-Net (GB+AB+RB)"]
    for row in rows:
        query, *listed = row["pictures"]
        assert query["kind"] == "query" and query["alt"] == f"query: {photographs[0][0]}"
        assert {each["kind"] for each in listed} == {"plain"}, "nobody has said which are right"
        assert listed[0]["opens"] == photographs[0][0] and listed[0]["caption"].startswith("1 · 0.000")
        assert {each["opens"] for each in listed} == {name for name, *_ in photographs}
    assert photographs[0][0] in test.subheader[0].value


def test_two_pictures_stand_beside_their_maps(open_city, city, checkpoints, photographs, offered):
    """In one sheet, a row a picture: the maps are those of the pair, and what the networks make of each by itself."""
    test = open_city("images", images_mode="Compare two images", same_scale="true")
    upload(test, first=photographs[0], second=photographs[2])
    sheet = html(test).partition('<div class="sheet">')[2].partition("</table>")[0]
    kinds = re.findall(r'<th scope="colgroup" colspan="(\d)">(.*?)</th>', sheet)
    titles = re.findall(r'<th scope="col">(.*?)</th>', sheet)
    models = workbench(city, checkpoints).networks
    assert [count for count, _ in kinds] == ["2", "1", "1", "1"] and kinds[0][1].startswith(
        "Grad-CAM of the similarity"
    )
    assert titles == [*models, "SSR-Net (GB+AB+RB)", "Baseline (GB)", "SSR-Net (GB+AB+RB)"]
    rows = sheet.partition("<tbody>")[2].split("</tr>")[:2]
    names = [photographs[at][0] for at in (0, 2)]
    for row, which, name in zip(rows, ("First", "Second"), names, strict=True):
        assert f"<p>{which} · {name}</p>" in row and row.count("<img") == 5
    pair = [UploadedImage.of(name, read_image_bytes(photographs[at][1], name), "") for at, name in zip((0, 2), names)]
    maps = []
    for model in models.values():
        views = model.predictor.set_images(pair)
        both = pair_cams(model.network, *(view.feature_map for view in views))
        maps.append([ImageMap(cells, None) for cells in (both.query, both.gallery)])
    scale = scale_of([one.cells for of_model in maps for one in of_model])
    for at, row in enumerate(rows):
        assert re.findall(r'<img src="(.*?)"', row)[:2] == [map_uri(of_model[at], scale) for of_model in maps]
    assert pictures_across(offered["pair_maps_png"]()) == 6


def test_rows_are_exported(open_city, photographs, offered):
    test = open_city("images")
    upload(test, query=photographs[0], gallery=photographs)
    assert pictures_across(offered["ranks_of_your_images_png"]()) == 4


def test_a_zip_is_a_gallery_and_what_is_no_image_is_said(open_city, photographs):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data, _ in photographs:
            archive.writestr(f"some/folder/{name}", data)
        archive.writestr("broken.jpg", b"no image")
    test = open_city("images")
    upload(test, query=photographs[0], gallery=[("all.zip", packed.getvalue(), "application/zip")])
    assert not test.exception and "broken.jpg is not a JPEG" in test.warning[0].value
    assert all(len(row["pictures"]) == 4 for row in rows_of_pictures(test))


def test_a_pair_lies_among_the_data_sets_pairs_and_has_no_verdict_by_them(open_city, city, checkpoints, photographs):
    test = open_city("images", images_mode="Compare two images")
    upload(test, first=photographs[0], second=photographs[2])
    assert not test.exception and not test.error
    shown, charts = test.dataframe[0].value, specs(test)
    models = workbench(city, checkpoints).networks.values()
    captions = [each.value for each in test.caption if each.value.endswith("no verdict follows.")]
    for (_, row), model, spec, caption in zip(shown.iterrows(), models, charts, captions, strict=True):
        found = verify(model.features(), model.split)
        rates = found.rates(row["Cosine"])
        assert row["Two vehicles at least as similar"] == pytest.approx(100 * rates.false_match)
        assert row["Same vehicle less similar"] == pytest.approx(100 * rates.false_non_match)
        assert f"{rates.false_match:.2%} of two vehicles are at least as similar" in caption
        assert f"{rates.false_non_match:.2%} of one vehicle less" in caption
        one, two, pair = spec["data"]
        assert [one["name"], two["name"]] == ["one vehicle", "two vehicles"]
        assert pair["x"] == pytest.approx([row["Cosine"]] * 2) and f"{row['Cosine']:.3f}" in pair["name"]
    words = " ".join(each.value for each in test.markdown)
    assert not re.search(r"\*\*(same vehicle|two vehicles)\*\*", words, re.IGNORECASE) and "Verdict" not in shown
    assert words.count("No verdict: fewer than 20 pairs of your pictures, or 5 of a kind, are marked") == 2


@pytest.fixture
def known(city):
    """All test images as uploads, and the marks of 9 pairs of one vehicle and of 12 of two."""
    images = open_dataset(city).test
    digests = {content_key(read_image(image.path)): image for image in images}
    assert len(digests) == len(images)
    marked, most = {}, {"one vehicle": 9, "two vehicles": 12}
    for pair in itertools.combinations(sorted(digests), 2):
        mark = "one vehicle" if len({digests[one].vehicle_id for one in pair}) == 1 else "two vehicles"
        if list(marked.values()).count(mark) < most[mark]:
            marked[pair] = mark
    return [(image.name, image.path.read_bytes(), "image/jpeg") for image in images], marked, digests


def press(test, label):
    next(each for each in test.button if each.label == label).click()
    return test.run()


def test_pairs_are_marked_and_unmarked_and_stay_for_the_session(open_city, known, offered):
    test = open_city("images", images_mode="Calibrate")
    upload(test, photographs=known[0])
    assert not test.exception and "needs 20 marked pairs, at least 5 of one vehicle and 5 of two" in test.info[0].value
    assert "Pairs of 12 pictures" in test.caption[0].value
    for label in ("Same vehicle", "Other vehicle", "Not sure"):
        press(test, label)
    bar = test.get("progress")[-1]
    assert bar.proto.text == "2 of 20 pairs marked: 1 of one vehicle, 1 of two"
    first, second, third = csv.DictReader(io.StringIO(offered["marked_pairs_csv"]()))
    assert [each["mark"] for each in (first, second, third)] == ["one vehicle", "two vehicles", "not sure"]
    cosine = "cosine, SSR-Net (GB+AB+RB)"
    assert float(first[cosine]) > float(third[cosine]) > float(second[cosine])
    press(test, "Undo")
    assert len(test.session_state["pair_marks"]) == 2
    test.segmented_control(key="images_mode").set_value("Rank a gallery").run()
    test.segmented_control(key="images_mode").set_value("Calibrate").run()
    assert any("From before" in each.value and "and 9 more" in each.value for each in test.caption)
    assert test.get("progress")[-1].proto.text.startswith("2 of 20")
    press(test, "Remove")
    assert "Upload photographs of which you know" in test.info[0].value


@pytest.mark.parametrize("align", ["false", "true"])
def test_marks_give_a_threshold_and_only_then_a_verdict(open_city, city, checkpoints, known, align):
    photographs, marked, digests = known
    test = open_city("images", images_mode="Calibrate", align=align)
    test.session_state["pair_marks"] = marked
    upload(test, photographs=photographs)
    assert test.get("progress")[-1].proto.text == "21 pairs marked: 9 of one vehicle, 12 of two"
    bench = workbench(city, checkpoints)
    bench = bench.aligned if align == "true" else bench
    thresholds = []
    for (_, row), model in zip(test.dataframe[0].value.iterrows(), bench.networks.values(), strict=True):
        rows = model.predictor.embed([read_image(image.path) for image in digests.values()])
        if align == "true":
            rows = model.statistics().align(rows, [None] * len(rows))
        at = sorted({digest for pair in marked for digest in pair})
        rows = dict(zip(digests, rows, strict=True))
        cosines = [float(torch.cosine_similarity(rows[a], rows[b], dim=0)) for a, b in marked]
        pairs = np.array([[at.index(digest) for digest in pair] for pair in marked])
        found = marked_threshold(
            np.array(cosines), np.array([mark == "one vehicle" for mark in marked.values()]), pairs
        )
        assert row["Model"] == model.title and row["Threshold"] == pytest.approx(found.threshold, abs=1e-5)
        assert row["95 % interval"] == f"{found.low:.3f} to {found.high:.3f}"
        assert f"({found.false_match.errors} of 12; " in row["Two vehicles accepted"]
        assert f"({found.false_non_match.errors} of 9; " in row["One vehicle rejected"]
        thresholds.append(found)
    test.segmented_control(key="images_mode").set_value("Compare two images").run()
    upload(test, first=photographs[0], second=photographs[-1])
    verdicts = [each.value for each in test.markdown if "of the 21 pairs that you marked" in each.value]
    for (_, row), found, words in zip(test.dataframe[0].value.iterrows(), thresholds, verdicts, strict=True):
        verdict = {True: "**Same vehicle**", False: "**Two vehicles**", None: "**No verdict**"}
        assert words.startswith(verdict[found.is_same(row["Cosine"])]), row["Cosine"]
        assert f"the threshold {found.threshold:.3f} (95 % interval {found.low:.3f} to {found.high:.3f})" in words


CAMERAS = ["north"] * 9 + ["south"] * 8 + ["few"] * 3


@pytest.fixture
def by_camera(city):
    """A zip file of 20 test images, those of each made-up camera in a folder, and the images in its order."""
    images, packed = (2 * open_dataset(city).test)[: len(CAMERAS)], io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, (camera, image) in enumerate(zip(CAMERAS, images, strict=True)):
            archive.writestr(f"all/{camera}/{number}.jpg", image.path.read_bytes())
    return ("all.zip", packed.getvalue(), "application/zip"), images


@pytest.mark.parametrize("camera", [None, "south", "few"])
def test_uploads_are_aligned_by_the_cameras_that_their_folders_name(
    camera, open_city, city, checkpoints, photographs, by_camera
):
    archive, images = by_camera
    test = open_city("images", align="true")
    upload(test, query=photographs[0], gallery=archive)
    assert not test.exception and not test.error
    box = next(each for each in test.selectbox if each.label == "Camera of the query")
    few, north, south = "few (3 in the gallery)", "north (9 in the gallery)", "south (8 in the gallery)"
    assert box.options == ["unknown", few, north, south]
    box.set_value(camera).run()
    bench = workbench(city, checkpoints).aligned
    rows, shown = rows_of_pictures(test), test.dataframe[0].value
    assert [row["heading"] for row in rows] == list(bench.with_raw)
    query = read_image_bytes(photographs[0][1], "query")
    for (raw, aligned), (_, line), model in zip((rows[:2], rows[2:]), shown.iterrows(), bench.networks.values()):
        embeddings = model.predictor.embed([query, *(read_image(image.path) for image in images)])
        statistics = model.statistics().with_cameras(embeddings[1:], CAMERAS)
        assert statistics.cameras == ("north", "south")
        for row, compared in ((raw, embeddings), (aligned, statistics.align(embeddings, [camera, *CAMERAS]))):
            cosine = torch.cosine_similarity(compared[:1], compared[1:])
            listed, best = row["pictures"][1:], cosine.sort(descending=True).values[:10].tolist()
            captions = [picture["caption"].split(" · ") for picture in listed]
            assert [place for place, *_ in captions] == [str(place) for place in range(1, 11)]
            distances = [float(words.removesuffix(each["opens"])) for (_, words, _), each in zip(captions, listed)]
            assert distances == pytest.approx([1 - each for each in best], abs=6e-4)
            assert [float(cosine[int(each["opens"][:-4])]) for each in listed] == pytest.approx(best, abs=1e-5)
            assert [by for *_, by in captions] == [CAMERAS[int(each["opens"][:-4])] for each in listed]
        assert line["Model"] == aligned["heading"]
        rates = verify(model.compared_features(), model.split).rates(line["Cosine"])
        assert any("aligned by your pictures' own cameras" in each.value for each in test.markdown)
        assert line["Two vehicles at least as similar"] == pytest.approx(100 * rates.false_match)
        chosen = int(test.subheader[0].value.split()[1].removesuffix(".jpg"))
        assert line["Cosine"] == pytest.approx(float(cosine[chosen]), abs=1e-5)
    caption = next(each.value for each in test.caption if each.value.startswith("Aligned by camera"))
    assert "17 of the gallery's 20 pictures" in caption and "2 cameras with at least 4" in caption
    if camera == "south":
        assert "the query by its camera's; the other 3 by the statistics of" in caption
    else:
        assert "the other 3 and the query by the statistics of" in caption


def test_pictures_without_cameras_are_aligned_by_the_data_sets_whole_statistics(
    open_city, city, checkpoints, photographs
):
    test = open_city("images", images_mode="Compare two images", align="true")
    upload(test, first=photographs[0], second=photographs[2])
    assert not test.exception and not test.error
    for (_, row), model in zip(
        test.dataframe[0].value.iterrows(), workbench(city, checkpoints).aligned.networks.values()
    ):
        pair = [read_image_bytes(content, name) for name, content, _ in (photographs[0], photographs[2])]
        aligned = model.statistics().align(model.predictor.embed(pair), [None, None])
        assert row["Cosine"] == pytest.approx(float(torch.cosine_similarity(*aligned, dim=0)), abs=1e-5)
    assert any("since no camera is named here with at least 4 pictures" in each.value for each in test.caption)


def test_without_alignment_folders_name_no_camera(open_city, photographs, by_camera):
    test = open_city("images")
    upload(test, query=photographs[0], gallery=by_camera[0])
    assert not test.exception and len(rows_of_pictures(test)) == 2
    assert not [each for each in test.selectbox if each.label == "Camera of the query"]
    captions = [picture["caption"] for row in rows_of_pictures(test) for picture in row["pictures"]]
    assert captions and not [caption for caption in captions if "north" in caption]


def test_uploads_are_never_written_to_the_disk(open_city, project, photographs):
    big = Image.new("RGB", (60, 60), (1, 2, 3))
    buffer = io.BytesIO()
    big.save(buffer, "PNG")
    test = open_city("images")
    upload(test, query=("secret.png", buffer.getvalue(), "image/png"), gallery=photographs)
    assert not test.exception
    assert not [path for path in project.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]
