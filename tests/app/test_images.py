import io
import zipfile

import pytest
from PIL import Image

from ssrnet.data.datasets import open_dataset
from ssrnet.retrieval.verification import verify
from tests.app.conftest import pictures_across, rows_of_pictures, workbench


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
        captions = [picture["caption"] for picture in row["pictures"]]
        assert captions[:2] == ["Query", f"1 · 1.000 · {photographs[0][0]}"] and len(captions) == 4
    assert photographs[0][0] in test.subheader[0].value


def test_rows_and_maps_are_exported(open_city, photographs, offered):
    test = open_city("images")
    upload(test, query=photographs[0], gallery=photographs)
    for key, pictures in (("images_ranks_export_png", 4), ("images_pair_export_png", 2)):
        assert pictures_across(offered[key]()) == pictures, key


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


def test_two_images_have_a_verdict_with_the_data_sets_error_rates(open_city, city, checkpoints, photographs):
    test = open_city("images", images_mode="Compare two images")
    upload(test, first=photographs[0], second=photographs[2])
    assert not test.exception and not test.error
    shown = test.dataframe[0].value
    models = workbench(city, checkpoints).networks.values()
    for (_, row), model in zip(shown.iterrows(), models, strict=True):
        found = verify(model.features(), model.split)
        assert row["Threshold"] == pytest.approx(found.equal_error().threshold)
        rates = found.rates(row["Cosine"])
        assert row["Two vehicles at least as similar"] == pytest.approx(100 * rates.false_match)
        assert row["Same vehicle less similar"] == pytest.approx(100 * rates.false_non_match)
        assert row["Verdict"] == ("same vehicle" if row["Cosine"] >= row["Threshold"] else "two vehicles")


def test_uploads_are_never_written_to_the_disk(open_city, project, photographs):
    big = Image.new("RGB", (60, 60), (1, 2, 3))
    buffer = io.BytesIO()
    big.save(buffer, "PNG")
    test = open_city("images")
    upload(test, query=("secret.png", buffer.getvalue(), "image/png"), gallery=photographs)
    assert not test.exception
    assert not [path for path in project.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]
