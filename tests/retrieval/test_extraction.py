import json
import multiprocessing

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.records import VehicleImage
from ssrnet.data.transforms import pixel_transform, to_input
from ssrnet.data.transforms import test_transform as transform
from ssrnet.errors import DataError, ResourceError, SettingsError
from ssrnet.model import EmbeddingSettings
from ssrnet.retrieval import extraction
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, batch_size, describe, embeddings, extract
from tests import tiny

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    return tiny.network()


@pytest.fixture(scope="module")
def test_images(city):
    return open_dataset(city).test


def test_rows_are_the_embeddings_of_the_images_in_order(model, test_images):
    features = extract(model, test_images, ExtractSettings(batch_size=5), 32, CPU)
    assert features.names == tuple(image.name for image in test_images)
    assert features.features.shape == (12, 1536) and features.features.dtype == torch.float32
    assert features.branch_dims == {"G": 512, "attn": 512, "token": 512}
    with torch.no_grad():
        for i in (0, 7, 11):
            alone = model.trace(transform(32)(read_image(test_images[i].path))[None]).embedding()[0]
            assert torch.allclose(features.features[i], alone, atol=1e-4)


def test_the_settings_size_goes_before_the_checkpoints(model, test_images):
    few = test_images[:2]
    small, large = (extract(model, few, ExtractSettings(), size, CPU).features for size in (32, 48))
    by_settings = extract(model, few, ExtractSettings(image_size=48), 32, CPU).features
    assert torch.equal(by_settings, large) and not torch.allclose(by_settings, small)


def test_the_flip_test_averages_with_the_mirror_image(model, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    records = []
    for name, picture in (("a.png", pixels), ("b.png", pixels[:, ::-1])):
        Image.fromarray(np.ascontiguousarray(picture)).save(tmp_path / name)
        records.append(VehicleImage(tmp_path / name, name, "1"))
    plain = extract(model, records, ExtractSettings(), 32, CPU).features
    flipped = extract(model, records, ExtractSettings(flip_test=True), 32, CPU).features
    assert not torch.allclose(plain[0], plain[1], atol=1e-3)
    assert torch.allclose(flipped[0], plain.mean(0), atol=1e-4) and torch.allclose(flipped[0], flipped[1], atol=1e-4)


def test_chosen_branches(model, test_images):
    settings = ExtractSettings(embedding=EmbeddingSettings(branches=("token", "G")))
    features = extract(model, test_images[:2], settings, 32, CPU)
    whole = extract(model, test_images[:2], ExtractSettings(), 32, CPU).features
    assert features.branch_dims == {"G": 512, "token": 512}
    assert torch.equal(features.features, whole[:, [*range(512), *range(1024, 1536)]])


def test_columns_of_some_branches(model, test_images):
    whole = extract(model, test_images[:2], ExtractSettings(), 32, CPU)
    for branches in (("attn",), ("token", "G"), ("G", "attn", "token")):
        for normalise in (False, True):
            together = ExtractSettings(embedding=EmbeddingSettings(normalise_branches=normalise))
            alone = ExtractSettings(embedding=EmbeddingSettings(normalise_branches=normalise, branches=branches))
            cut = extract(model, test_images[:2], together, 32, CPU).only(branches)
            expected = extract(model, test_images[:2], alone, 32, CPU)
            assert torch.equal(cut.features, expected.features)
            assert (cut.names, cut.branch_dims) == (expected.names, expected.branch_dims)
    assert torch.equal(whole.only(()).features, whole.features)


def test_columns_of_a_branch_that_is_not_there():
    features = FeatureSet(torch.zeros(1, 3), ("a",), {"G": 1, "attn": 2})
    with pytest.raises(SettingsError, match="the features have no branch part1, token; they have G, attn: choose"):
        features.only(["G", "part1", "token"])


def test_a_branch_that_the_model_lacks(test_images):
    settings = ExtractSettings(embedding=EmbeddingSettings(branches=("token",)))
    with pytest.raises(SettingsError, match="no branch token; it has G"):
        extract(tiny.network(**tiny.BASELINE), test_images[:1], settings, 32, CPU)


def test_the_model_is_put_in_evaluation_mode_and_unchanged(test_images):
    model = tiny.network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    extract(model, test_images[:3], ExtractSettings(), 32, CPU)
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_progress_is_told_how_many_batches_there_are(model, test_images):
    totals = []

    def progress(batches, total):
        totals.append(total)
        return batches

    extract(model, test_images, ExtractSettings(batch_size=5), 32, CPU, progress=progress)
    assert totals == [3]


def test_pixels_from_workers_become_the_input_of_one_image_bit_for_bit(test_images):
    pictures = [read_image(image.path) for image in test_images]
    batch = to_input(torch.stack([pixel_transform(48)(picture) for picture in pictures]))
    assert torch.equal(batch, torch.stack([transform(48)(picture) for picture in pictures]))
    assert batch.shape == (12, 3, 48, 48) and batch.is_contiguous(memory_format=torch.channels_last)


def test_the_batch_size_is_the_devices_own_unless_it_is_given():
    cpu, cuda = (batch_size(ExtractSettings(), torch.device(name)) for name in ("cpu", "cuda"))
    assert 1 <= cpu <= 64 < cuda
    assert batch_size(ExtractSettings(batch_size=7), torch.device("cuda")) == 7


@pytest.fixture
def small_device(monkeypatch):
    """A device whose memory takes three images; a list of the sizes that were tried."""
    tried = []

    def limited(model, batch, settings):
        tried.append(len(batch))
        if len(batch) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return embeddings(model, batch, settings)

    monkeypatch.setattr(extraction, "embeddings", limited)
    return tried


def test_a_batch_that_the_memory_does_not_take_is_halved_and_tried_again(model, test_images, small_device, monkeypatch):
    monkeypatch.setattr(extraction, "CPU_BATCH", 8)
    totals = []
    features = extract(
        model, test_images, ExtractSettings(), 32, CPU, progress=lambda b, total: (totals.append(total), b)[1]
    )
    assert small_device == [8, 4, 2, 2, 2, 2, 2, 2] and totals == [2]  # the second batch has four images
    expected = torch.cat(
        [extract(model, test_images[i : i + 2], ExtractSettings(), 32, CPU).features for i in range(0, 12, 2)]
    )
    assert torch.equal(features.features, expected)


def test_a_size_that_was_asked_for_is_not_changed(model, test_images, small_device):
    with pytest.raises(
        ResourceError, match="4 images of 32 pixels a forward pass do not fit in the memory of cpu; give a s"
    ):
        extract(model, test_images, ExtractSettings(batch_size=4), 32, CPU)
    assert small_device == [4]


def test_memory_that_takes_no_image(model, test_images, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(extraction, "embeddings", full)
    with pytest.raises(ResourceError, match="1 images of 32 pixels a forward pass do not fit"):
        extract(model, test_images, ExtractSettings(), 32, CPU)


def test_bfloat16_is_for_cuda(model, test_images):
    settings = ExtractSettings(precision="bfloat16")
    with pytest.raises(
        SettingsError, match="--extraction.precision bfloat16 is for CUDA only and the device is cpu; lea"
    ):
        extract(model, test_images, settings, 32, CPU)


@pytest.mark.parametrize("flip", [False, True])
def test_bfloat16_gives_nearly_the_same_directions(model, test_images, flip):
    """On this machine's CPU, in the arithmetic that CUDA would use."""
    batch = torch.stack([transform(64)(read_image(image.path)) for image in test_images[:4]])
    with torch.inference_mode():
        half, full = (
            embeddings(model, batch, ExtractSettings(flip_test=flip, precision=precision))
            for precision in ("bfloat16", "float32")
        )
    assert half.dtype == torch.float32 and not torch.equal(half, full)
    assert torch.cosine_similarity(half, full).min() > 0.999


def test_no_images_give_no_rows(model):
    assert extract(model, (), ExtractSettings(), 32, CPU).features.shape == (0, 1536)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("damage", ["text", "truncated"])
def test_a_file_that_is_no_image_is_named_in_one_sentence(model, city, tmp_path, damage, workers):
    good = open_dataset(city).test[0].path.read_bytes()
    path = tmp_path / "0001_c001_00000001_0.jpg"
    path.write_bytes(b"this is no picture\n" if damage == "text" else good[: len(good) // 2])
    with pytest.raises(DataError) as caught:
        extract(model, [VehicleImage(path, path.name, "1")], ExtractSettings(), 32, CPU, workers)
    reason = "is not a JPEG" if damage == "text" else "is damaged or cut short"
    assert str(caught.value).startswith(f"{path} {reason}") and "\n" not in str(caught.value)
    assert not multiprocessing.active_children(), "the garbage collector would wait five seconds for each"


def feature_set() -> FeatureSet:
    generator = torch.Generator().manual_seed(0)
    return FeatureSet(torch.randn(3, 5, generator=generator), ("a.jpg", "ü/b.jpg", "c.jpg"), {"G": 3, "attn": 2})


def record(name: str) -> VehicleImage:
    return VehicleImage(name, name, "1")


def test_a_feature_file_comes_back_rounded_to_float16(tmp_path):
    features, made_by = feature_set(), {"model": "SSR-Net", "image_size": 256}
    features.save(tmp_path / "new/features.safetensors", made_by)
    loaded, totals = FeatureSet.load(tmp_path / "new/features.safetensors")
    assert torch.equal(loaded.features, features.features.half().float()) and totals == made_by
    assert (loaded.names, loaded.branch_dims) == (features.names, features.branch_dims)
    assert list(loaded.branch_dims) == ["G", "attn"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["features.safetensors"]


def test_rows_come_in_the_order_of_the_images():
    features = feature_set()
    assert torch.equal(features.rows([record("c.jpg"), record("a.jpg")]), features.features[[2, 0]])


def test_rows_of_an_image_without_features():
    with pytest.raises(DataError, match="no features for 2 of 3 images, for example x.jpg; extract"):
        feature_set().rows([record("x.jpg"), record("a.jpg"), record("y.jpg")])


def damaged(path, how: str) -> None:
    feature_set().save(path, {})
    whole = path.read_bytes()
    metadata = {"names": json.dumps(["a", "b", "c"]), "branch_dims": json.dumps({"G": 5}), "record": "{}"}
    tensors = {"features": torch.zeros(3, 5)}
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(whole[:-8])
    elif how == "text":
        path.write_text("no features here")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "no metadata":
        save_file(tensors, path)
    elif how == "other tensors":
        save_file({"weights": torch.zeros(3, 5)}, path, metadata)
    elif how == "fewer names":
        save_file(tensors, path, metadata | {"names": json.dumps(["a"])})
    elif how == "names no list":
        save_file(tensors, path, metadata | {"names": "7"})
    elif how == "dims no mapping":
        save_file(tensors, path, metadata | {"branch_dims": "[5]"})
    elif how == "names no JSON":
        save_file(tensors, path, metadata | {"names": "["})


@pytest.mark.parametrize(
    "how",
    [
        "missing",
        "truncated",
        "text",
        "empty",
        "no metadata",
        "other tensors",
        "fewer names",
        "names no list",
        "dims no mapping",
        "names no JSON",
    ],
)
def test_a_damaged_feature_file_is_named(tmp_path, how):
    path = tmp_path / "features.safetensors"
    damaged(path, how)
    with pytest.raises(DataError) as caught:
        FeatureSet.load(path)
    assert str(caught.value).startswith(f"{path} is not a feature file of ssrnet (")
    assert str(caught.value).endswith("make one with `ssrnet extract`.") and "()" not in str(caught.value)


def test_describe_names_what_shapes_the_features():
    settings = ExtractSettings(batch_size=7, embedding=EmbeddingSettings("before", True, ("G",)))
    assert describe(settings, 192) == {
        "image_size": 192,
        "flip_test": False,
        "neck": "before",
        "normalise_branches": True,
        "branches": ("G",),
    }
    assert describe(ExtractSettings(precision="bfloat16"), 192)["precision"] == "bfloat16"  # of float32 nothing is said
    assert describe(ExtractSettings(image_size=64, flip_test=True), 192) == {
        "image_size": 64,
        "flip_test": True,
        "neck": "after",
        "normalise_branches": False,
        "branches": (),
    }


@pytest.mark.parametrize(("name", "value"), [("image_size", 0), ("image_size", -5), ("batch_size", 0)])
def test_settings_that_cannot_work(name, value):
    with pytest.raises(SettingsError, match=f"{name} is {value}"):
        ExtractSettings(**{name: value})
