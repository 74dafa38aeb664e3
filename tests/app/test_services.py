"""What the pages ask for, without the pages."""

import os

import pytest
import torch

from app.workbench import Services, _stamp
from ssrnet.retrieval import extraction
from ssrnet.retrieval.extraction import ExtractSettings, extract


@pytest.mark.parametrize("how", ["older", "same time"])
def test_another_file_of_the_same_size_is_noticed(tmp_path, how):
    """A file that a restored copy or a clock set back dates before, or exactly as, the one it replaces."""
    path, other = tmp_path / "a.bin", tmp_path / "b.bin"
    path.write_bytes(b"one")
    before, about = _stamp(path), path.stat()
    assert _stamp(path) == before
    other.write_bytes(b"two")
    moved = -86400 * 10**9 if how == "older" else 0
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns + moved))
    os.replace(other, path)
    assert _stamp(path) != before and _stamp(path)[1] == before[1] == 3
    path.unlink()
    assert _stamp(path) == (0, 0, 0, 0)


class Cancelled(BaseException):
    """As Streamlit ends a page's run."""


def test_a_cancelled_extraction_goes_on(project, city, checkpoints, monkeypatch):
    sizes, original = [], extraction.embeddings
    monkeypatch.setattr(extraction, "CPU_BATCH", 4)
    monkeypatch.setattr(extraction, "embeddings", lambda *a: (sizes.append(len(a[1])), original(*a))[1])
    services, settings = Services(), ExtractSettings(image_size=48)
    checkpoint, opened = services.checkpoint(checkpoints["ssrnet"]), services.dataset(str(city))
    count = len(opened.dataset.test)

    def cancel(done: int, total: int) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        services.features(checkpoint, opened, cancel, settings)
    assert sum(sizes) == 8 < count
    features = services.features(checkpoint, opened, None, settings)
    assert sum(sizes) == count
    whole = extract(services.model(checkpoint), opened.dataset.test, settings, 48, torch.device("cpu")).rounded()
    assert features.names == whole.names and torch.equal(features.features, whole.features)
    assert [path.suffix for path in (project / "runs/features").iterdir()] == [".safetensors"]
