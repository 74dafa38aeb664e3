"""What the pages ask for, without the pages."""

import pytest
import torch

from app.services import Services
from ssrnet.retrieval import extraction
from ssrnet.retrieval.extraction import ExtractSettings, extract


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
