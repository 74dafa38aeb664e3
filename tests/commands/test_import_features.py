"""``ssrnet import``: accepted and refused files; the features keep their ranks and metrics."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import ssrnet
from ssrnet import cli
from ssrnet.commands.import_features import ImportSettings
from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.errors import DataError, SettingsError
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.external.arrays import read_arrays
from ssrnet.retrieval.external.matching import match_to_dataset, unit_scale
from ssrnet.retrieval.external.model import read_import
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, extract
from ssrnet.training.checkpoint import file_hash
from tests import tiny
from tests.data import layouts

FIRST = "0006_c001_00000000_0.jpg"


@pytest.fixture(scope="module")
def dataset(city):
    return open_dataset(city)


@pytest.fixture
def arrays(dataset):
    """As torchreid writes them: paths of its own, ids as numbers, cameras from 0, queries before the gallery."""
    paths = [f"reid-data/veri/image_query/{image.name}" for image in dataset.query]
    queries = {image.name for image in dataset.query}
    paths += [f"reid-data/veri/image_test/{image.name}" for image in dataset.test if image.name not in queries]
    names = [path.split("/")[-1] for path in paths]
    return {
        "features": np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32),
        "paths": np.array(paths),
        "ids": np.array([int(name[:4]) for name in names]),
        "cameras": np.array([int(name[6:9]) - 1 for name in names]),
    }


@pytest.fixture
def matched(dataset, tmp_path):
    """``matched(arrays)``: the file written, read and matched to the data set."""

    def run(arrays):
        path = tmp_path / "f.npz"
        np.savez(path, **arrays)
        return match_to_dataset(read_arrays(path), dataset, path)

    return run


def without(arrays, name):
    return {key: value for key, value in arrays.items() if key != name}


def duplicated(arrays):
    """The first row once more, with other features."""
    more = {name: np.concatenate([column, column[:1]]) for name, column in arrays.items()}
    more["features"][-1] *= -1
    return more


def changed(arrays, name, row, value):
    column = arrays[name].astype(object if name == "paths" else arrays[name].dtype)
    column[row] = value
    return arrays | {name: column.astype(str) if name == "paths" else column}


def test_every_test_image_gets_its_own_row_whatever_the_order(arrays, matched, dataset):
    found = matched(arrays)
    assert found.features.names == tuple(image.name for image in dataset.test)
    assert found.features.branch_dims == {"imported": 8} and found.verified == ("ids", "cameras")
    assert (found.outside_test, found.duplicates) == (0, 0)
    names = [path.split("/")[-1] for path in arrays["paths"]]
    for image in dataset.test:
        own = torch.from_numpy(arrays["features"][names.index(image.name)])
        assert torch.cosine_similarity(found.features.rows([image])[0], own, dim=0) == pytest.approx(1, abs=1e-6)

    order = np.random.default_rng(1).permutation(12)
    shuffled = matched({name: column[order] for name, column in arrays.items()})
    assert torch.equal(shuffled.features.features, found.features.features)


def test_a_models_own_features_come_back_with_the_same_ranks_and_metrics(dataset, matched):
    features = extract(tiny.network(), dataset.test, ExtractSettings(), 32, torch.device("cpu")).rounded()
    order = np.random.default_rng(2).permutation(12)
    names = np.array([features.names[i] for i in order])
    found = matched({"features": features.features.numpy()[order], "paths": names}).features.rounded()
    for protocol in (Protocol("cross_camera"), Protocol("single_gallery_shot", seed=3)):
        expected, got = (evaluate(each, dataset, protocol, made_by={}) for each in (features, found))
        assert got.metrics == expected.metrics
        assert np.array_equal(got.ranking.order, expected.ranking.order)
        assert np.array_equal(got.ranking.distance, expected.ranking.distance)


@pytest.mark.parametrize(
    ("dtype", "scale"), [("float16", 1), ("float64", 1e-30), ("float64", 1e200), ("float32", 1e-9)]
)
def test_neither_kind_nor_size_of_the_numbers_matters(arrays, matched, dtype, scale):
    plain = matched(arrays).features.rounded().features
    found = matched(arrays | {"features": (arrays["features"].astype(dtype) * scale).astype(dtype)}).features.rounded()
    assert torch.cosine_similarity(found.features, plain).min() > 1 - 1e-6
    largest = found.features.abs().amax(1)
    assert ((2**14 <= largest) & (largest <= 2**15)).all(), "float16 holds them with all its digits"


def test_scaling_by_powers_of_two_loses_no_bit():
    features = np.array([[3.0, -0.125, 1e-3], [1e-20, 2e-20, 0.0]], np.float32)
    scaled = unit_scale(features)
    assert np.array_equal(scaled[0], features[0] * 2.0**13) and scaled[0, 0] == 24576
    ratio = scaled[1, 1] / features[1, 1]
    assert np.log2(ratio) % 1 == 0 and np.array_equal(scaled[1], features[1] * ratio)


def test_training_images_are_left_out_and_counted(arrays, matched, dataset):
    train = [f"/elsewhere/image_train/{image.name}" for image in dataset.train[:5]]
    more = {
        "features": np.concatenate([arrays["features"], np.ones((5, 8), np.float32)]),
        "paths": np.concatenate([arrays["paths"], train]),
        "ids": np.concatenate([arrays["ids"], np.zeros(5, int)]),
    }
    found = matched(more)
    assert (found.outside_test, found.duplicates, found.verified) == (5, 0, ("ids",))
    assert torch.equal(found.features.features, matched(arrays).features.features)


def test_queries_that_are_in_the_gallery_too_may_have_two_rows(arrays, matched):
    """VeRi-776's queries lie in both folders, and frameworks write queries and then the gallery."""
    twice = {name: np.concatenate([column, column[:4]]) for name, column in arrays.items()}
    twice["paths"][12:] = [path.replace("image_query", "image_test") for path in arrays["paths"][:4]]
    twice["features"][12:] *= 1.0001
    found = matched(twice)
    assert (found.outside_test, found.duplicates) == (0, 4)
    assert torch.equal(found.features.features, matched(arrays).features.features)


@pytest.mark.parametrize("path", [FIRST, f"image_query/{FIRST}", f"C:\\veri\\image_query\\{FIRST}", f"./x/{FIRST}"])
def test_a_path_is_known_by_its_last_parts(arrays, matched, path):
    assert matched(changed(arrays, "paths", 0, path)).features.names[0] == FIRST


def test_bytes_are_text_too(arrays, matched):
    assert matched(arrays | {"paths": arrays["paths"].astype("S")}).features.names[0] == FIRST


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: without(a, "features"), r"has no array features \(it has paths, ids, cameras\); write features"),
        (lambda a: without(a, "paths"), r"has no array paths \(it has features, ids, cameras\)"),
        (lambda a: a | {"features": a["features"][0]}, r"features is float32 of shape \(8,\); expected float16"),
        (lambda a: a | {"features": a["ids"][:, None]}, r"features is int64 of shape \(12, 1\); expected float16"),
        (lambda a: a | {"features": a["features"][:, :0]}, r"features is float32 of shape \(12, 0\); expected"),
        (
            lambda a: a | {"paths": a["paths"][:11]},
            r"paths has shape \(11,\) where features has 12 rows; expected \(12",
        ),
        (lambda a: a | {"ids": a["ids"][:, None]}, r"ids has shape \(12, 1\) where features has 12 rows"),
        (lambda a: a | {"cameras": a["cameras"][:3]}, r"cameras has shape \(3,\) where features has 12 rows"),
        (lambda a: a | {"paths": np.arange(12)}, "paths holds int, not text; write numpy.array"),
        (lambda a: a | {"paths": a["paths"].astype(object)}, "is no .npz that can be read safely .Python objects"),
        (
            lambda a: changed(a, "features", (2, 3), np.nan),
            r"1 of 12 features hold NaN or infinity \(the first is that "
            "of reid-data/veri/image_query/0008",
        ),
        (lambda a: changed(a, "features", (2, 3), np.inf), "1 of 12 features hold NaN or infinity"),
        (lambda a: changed(a, "features", (slice(1, 3), slice(None)), 0), "2 of 12 features hold only zeros.*0007"),
        (lambda a: duplicated(a), "names 1 images twice with different features .*0006.*; keep"),
        (
            lambda a: changed(a, "paths", slice(10, 12), "market/9.jpg"),
            r"2 of 12 paths match no image in .* \(the "
            "first is market/9.jpg, where the data set has 0006_c001.*; open the data set",
        ),
        (
            lambda a: {k: v[1:] for k, v in a.items()},
            f"has no features of 1 of the 12 test images of .*first is {FIRST}",
        ),
        (
            lambda a: changed(a, "ids", 1, 6),
            "ids contradict .* for 1 of 12 images .the first is 0007_c001.*: 6 in the "
            "file, 0007 in the data set.; numbers may differ",
        ),
        (
            lambda a: a | {"ids": a["ids"][::-1]},
            "ids contradict .* check that features, paths and ids are in one order",
        ),
        (
            lambda a: changed(a, "cameras", 0, 1),
            "cameras contradict .* for 1 of 12 .*: 1 in the file, c001 in the data",
        ),
        (
            lambda a: changed(a, "cameras", 0, 7),
            "cameras contradict .* for 1 of 12 .*: 7 in the file, c001 in the data",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(arrays, matched, tmp_path, change, sentence):
    with pytest.raises(DataError, match=sentence) as error:
        matched(change(arrays))
    assert str(error.value).startswith(str(tmp_path / "f.npz")) and "\n" not in str(error.value)


def test_labels_are_compared_as_groups_since_frameworks_renumber_them(arrays, matched):
    names = np.array([f"veri_{chr(97 + number)}" for number in arrays["ids"]])
    assert matched(arrays | {"ids": names, "cameras": arrays["cameras"] * 10}).verified == ("ids", "cameras")


def test_different_photographs_of_one_name_are_told_by_their_folders(arrays, city, tmp_path):
    root = tiny.city(tmp_path / "city")
    (root / "image_test" / FIRST).write_bytes((root / "image_query/0007_c001_00000000_0.jpg").read_bytes())
    dataset = open_dataset(root)
    assert len(dataset.test) == 13
    features = np.random.default_rng(0).normal(size=(13, 8)).astype(np.float32)
    paths = [f"veri/{image.path.parent.name}/{image.path.name}" for image in dataset.test]
    order = np.random.default_rng(1).permutation(13)
    path = tmp_path / "f.npz"
    np.savez(path, features=features[order], paths=np.array(paths)[order])
    found = match_to_dataset(read_arrays(path), dataset, path).features
    assert {FIRST, f"image_test/{FIRST}"} < set(found.names)
    assert np.array_equal(found.features.numpy(), unit_scale(features)), "each of the two has its own"
    np.savez(path, features=features, paths=np.array([each.split("/")[-1] for each in paths]))
    with pytest.raises(DataError, match="2 of 13 paths match several images .*; write paths with their folders"):
        match_to_dataset(read_arrays(path), dataset, path)


def test_a_path_that_fits_two_images(arrays, tmp_path):
    root = tmp_path / "data"
    layouts.write(
        root / "manifest.csv",
        ["image,vehicle_id,split", "a/1.jpg,v,query", "b/1.jpg,v,gallery", "c/1.jpg,w,train", "d/2.jpg,w,gallery"],
    )
    for name in ("a/1.jpg", "b/1.jpg", "c/1.jpg", "d/2.jpg"):
        layouts.jpeg(root / name)
    path, dataset = tmp_path / "f.npz", open_dataset(root)
    features = arrays["features"][:3]
    np.savez(path, features=features, paths=np.array(["x/a/1.jpg", "b/1.jpg", "2.jpg"]))
    assert match_to_dataset(read_arrays(path), dataset, path).features.names == ("a/1.jpg", "b/1.jpg", "d/2.jpg")
    np.savez(path, features=features, paths=np.array(["x/a/1.jpg", "1.jpg", "2.jpg"]))
    with pytest.raises(
        DataError, match=r"1 of 3 paths match several images in .*\(the first is 1.jpg\); write paths with"
    ):
        match_to_dataset(read_arrays(path), dataset, path)


class _Trap:
    def __reduce__(self):
        return pytest.fail, ("code in the file was run",)


@pytest.mark.parametrize("content", [b"", b"no numbers", pickle.dumps(_Trap()), b"PK\x03\x04 half a zip"])
def test_other_files_are_one_sentence_and_never_run(tmp_path, content):
    path = tmp_path / "f.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="f.npz is no .npz that can be read safely"):
        read_arrays(path)


def test_no_file_and_a_single_array(tmp_path):
    with pytest.raises(DataError, match="there is no file .*gone.npz; check the path"):
        read_arrays(tmp_path / "gone.npz")
    np.save(tmp_path / "f.npy", np.ones(3))
    with pytest.raises(DataError, match="f.npy holds one array without a name; write several with numpy.savez"):
        read_arrays(tmp_path / "f.npy")


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "two\nlines"])
def test_names_that_cannot_be_shown(name, tmp_path):
    with pytest.raises(SettingsError, match="1 to 60 printable characters"):
        ImportSettings(tmp_path / "f.npz", tmp_path, name)


def test_the_command_keeps_the_features_with_their_record_and_replaces_them(arrays, dataset, city, tmp_path, capsys):
    path, out = tmp_path / "agw.npz", tmp_path / "runs/imported"
    np.savez(path, **arrays)
    command = ["import", "--features", str(path), "--data", str(city), "--name", "fast-reid AGW", "--out", str(out)]
    cli.run(command)
    said = capsys.readouterr().out
    (file,) = out.iterdir()
    assert file.name.startswith(f"{dataset.name}-fast-reid-agw-".lower()) and said.startswith(f"wrote {file}: ")
    assert "12 test images" in said and "ids and cameras agree with the data set's" in said
    assert f"next: streamlit run app/main.py, open {city}, and choose fast-reid AGW as third model" in said
    model = read_import(file)
    found = evaluate(model.features(), dataset, Protocol("cross_camera"), made_by=model.record)
    assert f"rank-1 {found.metrics.rank(1):.2%}, mAP {found.metrics.mAP:.2%}" in said
    assert model.record == {
        "model": "fast-reid AGW (imported)",
        "imported_from": "agw.npz",
        "imported_hash": file_hash(path),
        "dimensions": 8,
    }
    assert FeatureSet.load(file)[1] == model.record | {
        "name": "fast-reid AGW",
        "dataset": dataset.name,
        "dataset_hash": dataset.content_hash(),
        "layout": "VeRi",
        "split": "test",
        "version": ssrnet.__version__,
    }

    np.savez(path, **arrays | {"features": arrays["features"][::-1]})
    cli.run(command)
    assert capsys.readouterr().out.startswith(f"replaced {file}: ") and list(out.iterdir()) == [file]
    assert read_import(file).hash != model.hash
    cli.run([*command[:6], "another", *command[7:]])
    assert len(list(out.iterdir())) == 2


def test_a_refused_file_leaves_the_earlier_import(arrays, city, tmp_path):
    path, out = tmp_path / "agw.npz", tmp_path / "imported"
    np.savez(path, **arrays)
    command = ["import", "--features", str(path), "--data", str(city), "--name", "a", "--out", str(out)]
    cli.run(command)
    before = tiny.files(out)
    np.savez(path, **without(arrays, "paths"))
    with pytest.raises(DataError):
        cli.run(command)
    assert tiny.files(out) == before


def test_without_cameras_there_is_no_cross_camera_rank(arrays, tmp_path, capsys):
    root = layouts.vehicleid(tmp_path / "VehicleID")
    dataset = open_dataset(root)
    count = len(dataset.test)
    np.savez(
        tmp_path / "f.npz",
        features=arrays["features"][:count],
        cameras=np.arange(count),
        paths=np.array([image.name for image in dataset.test]),
    )
    cli.run(
        [
            "import",
            "--features",
            str(tmp_path / "f.npz"),
            "--data",
            str(root),
            "--name",
            "a",
            "--out",
            str(tmp_path / "out"),
        ]
    )
    said = capsys.readouterr().out
    assert "cross_camera cannot be measured here: " in said and "agree" not in said


def test_data_without_test_images(arrays, tmp_path):
    root = layouts.folders(tmp_path / "trainonly", {"image_train": layouts.VERI_TRAIN})
    np.savez(tmp_path / "f.npz", **arrays)
    with pytest.raises(DataError, match="trainonly has no test images that features could be of"):
        cli.run(["import", "--features", str(tmp_path / "f.npz"), "--data", str(root), "--name", "a"])


def test_other_files_are_no_imports(checkpoints, tmp_path):
    assert read_import(Path(checkpoints["ssrnet"])) is None
    features = FeatureSet(torch.ones(1, 2), ("a",), {"G": 2})
    features.save(tmp_path / "f.safetensors", {"checkpoint": "x"})
    assert read_import(tmp_path / "f.safetensors") is None and read_import(tmp_path / "gone") is None
