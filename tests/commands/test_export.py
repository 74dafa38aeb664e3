import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ssrnet
from ssrnet import cli
from ssrnet.commands import export
from ssrnet.commands.export import Difference, ExportSettings, export_checkpoint
from ssrnet.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from ssrnet.errors import CheckpointError, InstallationError, ResourceError, SettingsError
from ssrnet.model import EmbeddingSettings
from ssrnet.training.checkpoint import load_checkpoint, save_checkpoint
from tests import tiny

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install -e .[export]")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install -e .[export]")

SIZE = 64


def exported(settings: ExportSettings):
    """An onnxruntime session over what the command wrote."""
    export_checkpoint(settings)
    return onnxruntime.InferenceSession(str(settings.out), providers=["CPUExecutionProvider"])


def agree(session, checkpoint: str | Path, embedding: EmbeddingSettings, size: int = SIZE) -> None:
    """Several batch sizes, none of them the tracer's own, against the trace that retrieval uses."""
    model = load_checkpoint(checkpoint).model
    for batch in (1, 2, 4, 7):
        images = tiny.images(batch, size, seed=batch)
        (answer,) = session.run(None, {"images": images.numpy()})
        expected = model.trace(images).embedding(embedding).numpy()
        assert answer.shape == expected.shape and answer.dtype == np.float32
        assert np.abs(answer - expected).max() <= 1e-4


@pytest.fixture(scope="module")
def ssrnet_export(checkpoints, tmp_path_factory):
    """Settings and session of the tiny SSR-Net, exported once with all defaults."""
    settings = ExportSettings(Path(checkpoints["ssrnet"]), tmp_path_factory.mktemp("export") / "new/ssrnet.onnx")
    return settings, exported(settings)


def test_ssrnet_agrees_with_pytorch_for_any_batch(ssrnet_export):
    settings, session = ssrnet_export
    agree(session, settings.checkpoint, EmbeddingSettings())
    assert [path.name for path in settings.out.parent.iterdir()] == ["ssrnet.onnx"]


def test_the_batch_is_free_and_the_image_is_not(ssrnet_export):
    _, session = ssrnet_export
    (images,), (embedding,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.shape) == ("images", ["batch", 3, SIZE, SIZE])
    assert (embedding.name, embedding.shape) == ("embedding", ["batch", 1536])


def test_the_file_says_what_it_is(ssrnet_export):
    settings, session = ssrnet_export
    about = session.get_modelmeta().custom_metadata_map
    checkpoint = load_checkpoint(settings.checkpoint)
    assert about["model"] == "SSR-Net (GB+AB+RB)" and about["checkpoint"] == "ssrnet.safetensors"
    assert about["checkpoint_hash"] == checkpoint.hash and about["version"] == ssrnet.__version__
    assert about["image_size"] == str(SIZE)
    assert json.loads(about["mean"]) == list(IMAGENET_MEAN) and json.loads(about["std"]) == list(IMAGENET_STD)
    assert json.loads(about["neck"]) == "after" and json.loads(about["normalise_branches"]) is False
    assert about["dataset_hash"] == checkpoint.info.dataset_hash


def test_the_file_is_valid_and_tells_nothing_of_the_machine_that_wrote_it(ssrnet_export):
    settings, _ = ssrnet_export
    onnx.checker.check_model(str(settings.out), full_check=True)
    content = settings.out.read_bytes()
    for path in (str(Path.cwd()), os.path.dirname(torch.__file__), str(settings.checkpoint.parent)):
        assert path.encode() not in content


def test_the_baseline_through_the_command_line_with_another_embedding_and_size(checkpoints, tmp_path, capsys):
    out = tmp_path / "baseline.onnx"
    cli.run(
        ["export", "--checkpoint", checkpoints["baseline"], "--out", str(out), "--image-size", "96"]
        + ["--embedding.neck", "before", "--embedding.normalise-branches"]
    )
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    agree(session, checkpoints["baseline"], EmbeddingSettings("before", normalise_branches=True), 96)
    printed = capsys.readouterr().out
    assert f"{out}: Baseline (GB), images (N, 3, 96, 96) -> embedding (N, 512)\n" in printed
    assert "largest difference from PyTorch" in printed and printed.count("\n") == 2
    about = session.get_modelmeta().custom_metadata_map
    assert about["neck"] == '"before"' and about["normalise_branches"] == "true" and about["image_size"] == "96"


def test_a_resnet50_with_some_of_its_branches(tmp_path):
    model = tiny.network(backbone="resnet50")
    save_checkpoint(tmp_path / "c.safetensors", model, tiny.info(model))
    # Normalised, since the numbers of such an untrained network are tens where a trained one's are about 1.
    embedding = EmbeddingSettings(normalise_branches=True, branches=("attn", "token"))
    session = exported(ExportSettings(tmp_path / "c.safetensors", tmp_path / "c.onnx", embedding=embedding))
    agree(session, tmp_path / "c.safetensors", embedding)
    assert session.get_outputs()[0].shape == ["batch", 1024]


@pytest.fixture
def settings(checkpoints, tmp_path):
    """The tiny baseline's, with a file already in the place of the new one."""
    (tmp_path / "net.onnx").write_text("the old one")
    return ExportSettings(Path(checkpoints["baseline"]), tmp_path / "net.onnx")


def untouched(settings: ExportSettings) -> bool:
    return tiny.files(settings.out.parent) == {"net.onnx": b"the old one"}


def test_another_ending_or_size_is_refused(settings, tmp_path):
    with pytest.raises(SettingsError, match="net.pt does not end in .onnx; give --out such a name"):
        replace(settings, out=tmp_path / "net.pt")
    with pytest.raises(SettingsError, match="image_size is 8; an image needs at least 32 pixels per side"):
        replace(settings, image_size=8)


def test_a_branch_that_the_model_lacks(settings):
    with pytest.raises(SettingsError, match="the model has no branch token; it has G"):
        export_checkpoint(replace(settings, embedding=EmbeddingSettings(branches=("token",))))
    assert untouched(settings)


def test_an_absent_checkpoint(settings, tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint at .*none.safetensors"):
        export_checkpoint(replace(settings, checkpoint=tmp_path / "none.safetensors"))
    assert untouched(settings)


def without(monkeypatch, *packages: str) -> None:
    """Imports of these fail from now on, as where they are not installed."""
    real = export.import_module

    def import_module(name):
        if name in packages:
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(export, "import_module", import_module)


def test_without_onnx_one_sentence_says_what_to_install(settings, monkeypatch):
    without(monkeypatch, "onnx", "onnxscript")
    with pytest.raises(InstallationError, match=r"needs onnx and onnxscript, .*run `pip install -e .\[export\]`"):
        export_checkpoint(settings)
    assert untouched(settings)


@pytest.fixture
def quick_graph(ssrnet_export, monkeypatch):
    """Tracing answers with the graph of another network, SSR-Net, and at once."""
    graph = onnx.load(ssrnet_export[0].out)
    monkeypatch.setattr(export, "to_onnx", lambda *_: graph)


def test_without_onnxruntime_the_file_is_written_and_said_to_be_unchecked(settings, monkeypatch, capsys, quick_graph):
    without(monkeypatch, "onnxruntime")
    export_checkpoint(settings)
    assert "not compared with PyTorch, since onnxruntime is not installed" in capsys.readouterr().out
    assert settings.out.stat().st_size > 1_000_000


def test_a_graph_that_disagrees_replaces_nothing(ssrnet_export, settings, monkeypatch, quick_graph):
    other = tiny.network(seed=1)
    checkpoint = replace(load_checkpoint(ssrnet_export[0].checkpoint), model=other.requires_grad_(False))
    monkeypatch.setattr(export, "load_checkpoint", lambda _: checkpoint)
    with pytest.raises(CheckpointError, match="net.onnx was not written: onnxruntime's embeddings of .* differ from"):
        export_checkpoint(settings)
    assert untouched(settings)


def test_a_graph_that_onnxruntime_refuses_is_one_sentence(settings, monkeypatch):
    monkeypatch.setattr(export, "to_onnx", lambda *_: onnx.ModelProto())
    with pytest.raises(InstallationError, match="cannot run the exported graph") as caught:
        export_checkpoint(settings)
    assert "\n" not in str(caught.value) and untouched(settings)


def test_a_full_disk_leaves_the_old_file(settings, quick_graph):
    with tiny.small_disk(), pytest.raises(ResourceError, match="cannot write .*net.onnx .*is untouched"):
        export_checkpoint(settings)
    assert untouched(settings)


@pytest.mark.parametrize(
    ("largest", "scale", "tolerable"),
    [(1e-4, 0.5, True), (2e-4, 1.0, False), (9e-4, 10.0, True), (float("nan"), 1.0, False)],
)
def test_what_difference_is_tolerable(largest, scale, tolerable):
    assert Difference(largest, scale).tolerable is tolerable
