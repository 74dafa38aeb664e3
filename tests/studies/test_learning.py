"""The recorded run: its record against numbers worked by hand, and a tiny run against the training itself."""

import math
from dataclasses import replace

import pytest
import torch

from ssrnet import cli
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.errors import DataError
from ssrnet.studies.learning import recorder
from ssrnet.studies.learning.record import LearningRecord, eq_7
from ssrnet.studies.learning.recorder import contact_sheet, on_last_axes, training_settings
from ssrnet.studies.settings import LearningStudySettings
from ssrnet.train import train
from ssrnet.training.checkpoint import load_checkpoint

ABOUT = {"branches": ["G"], "nodes": ["token"], "vehicles": ["a", "b"], "images": ["1", "2", "3", "4"], "log": []}


def by_hand() -> LearningRecord:
    """One state of four images on a line at 0, 3 (vehicle a), 7 and 9 (vehicle b)."""
    x = torch.tensor([0.0, 3.0, 7.0, 9.0])
    return LearningRecord(
        distance=(x[:, None] - x).abs()[None, None],
        logits=torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, math.log(3)], [0.0, math.log(3)]])[None, None],
        cosine=torch.tensor([[1, 0.2, 0.9, 0.1], [0.2, 1, 0, 0], [0.9, 0, 1, 0], [0.1, 0, 0, 1]])[None],
        plane=torch.zeros(1, 4, 2),
        M_s=torch.zeros(1, 1, 2, 2),
        node_cosine=torch.ones(1, 1, 1, 1, 1),
        looked_at=torch.tensor([0]),
        labels=torch.tensor([0, 0, 1, 1]),
        about=ABOUT,
    )


def test_terms_by_hand():
    record = by_hand()
    terms = record.terms(0, margin=1.5)
    # farthest 3, 3, 2, 2 and nearest 7, 4, 4, 6: terms 0, 0.5, 0, 0
    assert terms["triplet/G"] == pytest.approx(0.5 / 4)
    assert terms["cross_entropy/G"] == pytest.approx((2 * math.log(2) - 2 * math.log(3 / 4)) / 4)
    assert record.probabilities(0, "G", 2).tolist() == pytest.approx([0.25, 0.75])
    assert eq_7(terms, 0.4) == pytest.approx(terms["cross_entropy/G"] + 0.4 * 0.125)
    assert record.first_ranks(0, 0, 2) == [(2, pytest.approx(0.9)), (1, pytest.approx(0.2))]
    assert record.mined(0, "G").pairs.negative.tolist() == [2, 2, 1, 1]


def test_a_record_is_read_as_it_was_written_and_nothing_else_is(tmp_path):
    path = tmp_path / "run.safetensors"
    by_hand().save(path)
    read = LearningRecord.load(path)
    assert torch.equal(read.distance, by_hand().distance) and read.about == ABOUT
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="no record of `ssrnet study learning`"):
        LearningRecord.load(path)


def test_embeddings_on_the_last_states_axes():
    last = torch.tensor([[3.0, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]])
    plane = on_last_axes(torch.stack([last + torch.tensor([0, 0, 5.0]), last]))
    assert torch.allclose(plane[1].abs(), torch.tensor([[3.0, 0], [3, 0], [0, 1], [0, 1]]), atol=1e-5)
    assert torch.allclose(plane[0], plane[1], atol=1e-5)  # what lies off the plane is not seen


def test_a_contact_sheet_has_a_vehicle_a_row():
    squares = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 2, 2, 3)
    sheet = contact_sheet(squares.contiguous(), 3)
    assert sheet.size == (6, 4)
    assert [sheet.getpixel((x, y))[0] for y in (0, 2) for x in (0, 2, 4)] == list(range(6))


def test_a_tiny_run_is_recorded_and_is_the_run_that_training_makes(city, tmp_path, monkeypatch):
    """The tiny city has six training vehicles, so batches of four; three epochs at once end at the same weights."""
    monkeypatch.setattr(LearningStudySettings, "__post_init__", lambda self: None)
    small = dict(identities_per_batch=4, images_per_identity=2)
    plain = recorder.training_settings
    monkeypatch.setattr(recorder, "training_settings", lambda *each: replace(plain(*each), **small))
    arguments = [f"--data={city}", f"--out={tmp_path / 'out'}", f"--publish={tmp_path / 'assets'}"]
    cli.run(["study", "learning", *arguments, "--vehicles=6", "--epochs=2", "--image-size=32"])

    files = {path.name: path for path in (tmp_path / "assets/learning").iterdir()}
    assert set(files) == {"run.safetensors", "batch.jpg"}
    record = LearningRecord.load(files["run.safetensors"])
    assert record.states == 3 and len(record.images) == 8 and len(record.vehicles) == 6
    assert read_image(files["batch.jpg"]).size == (2 * 32, 4 * 32)
    assert [line["epoch"] for line in record.log] == [1, 2] and "triplet/token" in record.log[0]
    assert str(tmp_path) not in str(record.about)

    (data,) = (tmp_path / "out/slices").iterdir()
    settings = LearningStudySettings("learning", city, tmp_path / "again", None, 6, 2, 32)
    run = replace(training_settings(settings, data), **small)
    train(run)
    model = load_checkpoint(run.out / "last.safetensors").model
    squares = torch.stack(
        [
            recorder.pixel_transform(32)(read_image(image.path))
            for image in recorder.draw_batch(open_dataset(data).train, 4, 2, 0)
        ]
    )
    seen = recorder.look(model, squares, record.looked_at)
    for name in ("distance", "logits", "cosine", "M_s", "node_cosine"):
        assert torch.allclose(seen[name], getattr(record, name)[-1], atol=1e-4), name
