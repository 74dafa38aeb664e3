from types import SimpleNamespace

import pytest
import torch

import ssrnet
from ssrnet.commands import doctor as module
from ssrnet.commands.doctor import PACKAGES, DoctorSettings, doctor
from ssrnet.errors import SSRNetError
from ssrnet.retrieval.extraction import FeatureSet
from tests import tiny


def wrong(settings) -> str:
    """What doctor raises at the end."""
    with pytest.raises(SSRNetError) as caught:
        doctor(settings)
    return str(caught.value)


def test_all_is_well(run, capsys):
    doctor(DoctorSettings((run.data,), (run.out,)))
    said = capsys.readouterr().out
    assert f"ssrnet {ssrnet.__version__}, Python 3." in said and said.endswith("nothing wrong\n")
    assert all(f"  {package} " in said for package in PACKAGES)
    assert "cpu, " in said and "GiB free" in said
    assert "VeRi: it holds image_train" in said and "18 images" in said
    for name in ("last.safetensors", "best.safetensors"):
        assert f"{run.out / name}: SSR-Net (GB+AB+RB), resnet18, 32 px, epoch 2, trained on " in said


def test_nothing_to_look_at(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    doctor(DoctorSettings())
    said = capsys.readouterr().out
    assert "data sets: none named, give --data DIR" in said and "checkpoints: none in checkpoints, runs" in said


def test_all_that_is_wrong_is_told_at_once(tmp_path, capsys):
    data = tiny.city(tmp_path / "city")
    for path in (data / "image_query").iterdir():
        path.write_text("no picture")
    bad = tmp_path / "runs" / "a" / "bad.safetensors"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"garbage")
    assert wrong(DoctorSettings((data, tmp_path / "missing"), (tmp_path / "runs",))) == (
        "found 3 problems; see the list above."
    )
    said = capsys.readouterr().out.partition("problems:")[2]
    assert said.count("\n  - ") == 3
    assert f"{tmp_path / 'missing'} does not exist" in said
    assert f"{data}/image_query/" in said and "is not a JPEG" in said
    assert f"{bad} is damaged or no safetensors file" in said


def test_a_checkpoint_that_was_named_but_is_not_there(tmp_path):
    assert f"there is no checkpoint at {tmp_path / 'x.safetensors'}" in wrong(
        DoctorSettings((), (tmp_path / "x.safetensors",))
    )


def test_a_feature_file_beside_the_checkpoints_is_no_fault(run, tmp_path, capsys):
    names = ("a.jpg", "b.jpg", "c.jpg")
    FeatureSet(torch.zeros(3, 5), names, {"G": 5}).save(tmp_path / "features.safetensors", {})
    doctor(DoctorSettings((), (tmp_path,)))
    said = capsys.readouterr().out
    assert "features.safetensors: features of 3 images" in said and said.endswith("nothing wrong\n")


def test_half_written_files_are_not_looked_at(tmp_path, capsys):
    (tmp_path / ".last.safetensors.12.part").write_bytes(b"half")
    (tmp_path / ".hidden.safetensors").write_bytes(b"half")
    doctor(DoctorSettings((), (tmp_path,)))
    assert "checkpoints: none in" in capsys.readouterr().out


def test_a_package_that_is_missing(monkeypatch):
    real = module.metadata.version

    def version(package):
        if package == "tyro":
            raise module.metadata.PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(module.metadata, "version", version)
    assert "tyro is not installed; run `pip install -r requirements.txt`" in wrong(DoctorSettings((), ()))


def test_two_builds_of_opencv(monkeypatch):
    monkeypatch.setattr(module.metadata, "distributions", lambda: [SimpleNamespace(name="opencv-python")])
    assert "opencv-python is installed beside the headless build" in wrong(DoctorSettings((), ()))
