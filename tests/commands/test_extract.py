from dataclasses import replace

import pytest
import torch

import ssrnet
from ssrnet.analysis.health_files import find_health
from ssrnet.commands.extract import FeatureFileSettings, write_feature_file
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError
from ssrnet.explain.gallery_graphs import GalleryGraphs
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, describe, extract
from ssrnet.retrieval.feature_files import feature_record
from ssrnet.training.checkpoint import load_checkpoint, save_checkpoint
from tests import tiny
from tests.data import layouts


@pytest.fixture
def settings(run, tmp_path):
    return FeatureFileSettings(
        run.data, run.out / "last.safetensors", tmp_path / "out/features.safetensors", workers=0, device="cpu"
    )


@pytest.mark.parametrize(("split", "count"), [("test", 12), ("train", 18), ("query", 4), ("gallery", 12)])
def test_the_file_holds_the_splits_embeddings_and_what_made_them(settings, split, count, capsys):
    write_feature_file(replace(settings, split=split))
    features, record = FeatureSet.load(settings.out)
    dataset, checkpoint = open_dataset(settings.data), load_checkpoint(settings.checkpoint)
    images = getattr(dataset, split)
    expected = extract(checkpoint.model, images, ExtractSettings(), 32, torch.device("cpu"))
    assert torch.allclose(features.rows(images), expected.features, rtol=1e-3, atol=1e-4)
    assert len(features.names) == count
    assert features.branch_dims == {"G": 512, "attn": 512, "token": 512}
    assert record == {
        **checkpoint.record,
        "image_size": 32,
        "flip_test": False,
        "neck": "after",
        "normalise_branches": False,
        "branches": [],
        "dataset": dataset.name,
        "dataset_hash": dataset.content_hash(),
        "layout": "VeRi",
        "split": split,
        "version": ssrnet.__version__,
    }
    assert f"{settings.out}: {count} embeddings of 1,536 numbers" in capsys.readouterr().out
    assert [path.name for path in settings.out.parent.iterdir()] == ["features.safetensors"]


def test_a_folder_gets_a_file_named_by_what_made_it(settings, tmp_path, capsys):
    settings = replace(settings, checkpoint=tmp_path / "mine.safetensors", out=tmp_path / "features")
    model = tiny.network(**tiny.BASELINE)
    save_checkpoint(settings.checkpoint, model, tiny.info(model))
    write_feature_file(settings)
    (first,) = settings.out.iterdir()
    assert first.name.startswith(f"{open_dataset(settings.data).name}-mine-") and first.suffix == ".safetensors"
    assert f"{first}: 12 embeddings" in capsys.readouterr().out

    flipped = replace(settings, extraction=ExtractSettings(flip_test=True))
    write_feature_file(flipped)
    assert len(list(settings.out.iterdir())) == 2 and first.exists()

    save_checkpoint(settings.checkpoint, model, tiny.info(model, epoch=4))  # the same name, another file
    write_feature_file(settings)
    (left,) = settings.out.iterdir()
    assert left != first and f"{first}: removed" in capsys.readouterr().out


def test_another_ending(settings, tmp_path):
    with pytest.raises(
        DataError, match="features.npy does not end in .safetensors; give --out such a name, or a folder"
    ):
        write_feature_file(replace(settings, out=tmp_path / "features.npy"))


def test_an_empty_split(settings, tmp_path):
    data = layouts.folders(tmp_path / "data", {"image_test": layouts.VERI_TEST})
    with pytest.raises(DataError, match="data has an empty train split; choose another with --split"):
        write_feature_file(replace(settings, data=data, split="train"))
    assert not settings.out.exists()


def test_a_bad_image_leaves_no_file(settings, tmp_path):
    data = layouts.veri(tmp_path / "data")
    bad = data / "image_test" / layouts.VERI_TEST[4]
    bad.write_text("this is no picture")
    with pytest.raises(DataError, match=f"{bad} is not a JPEG"):
        write_feature_file(replace(settings, data=data))
    assert not settings.out.exists()


def test_what_the_app_explains_is_written_beside(settings, tmp_path, capsys):
    out = tmp_path / "features"
    write_feature_file(replace(settings, out=out, explained=True))
    assert sorted(path.suffixes[-1] for path in out.iterdir()) == [".graphs", ".json"]
    checkpoint, dataset = load_checkpoint(settings.checkpoint), open_dataset(settings.data)
    graphs, _ = GalleryGraphs.load(next(out.glob("*.graphs")), checkpoint.model)
    assert graphs.names == tuple(image.name for image in dataset.test) and len(graphs.products) == 0
    record = feature_record(checkpoint.record | describe(ExtractSettings(), 32), dataset, dataset.content_hash())
    assert find_health([out], record).images == len(dataset.test)
    assert "12 images" in capsys.readouterr().out
    with pytest.raises(DataError, match="writes into a folder; .*features.safetensors is none"):
        write_feature_file(replace(settings, explained=True))
