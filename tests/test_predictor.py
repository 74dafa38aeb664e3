import doctest
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ssrnet
from ssrnet import predictor as module
from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.data.transforms import test_transform as transform
from ssrnet.errors import CheckpointError, DataError, ProtocolError, SettingsError
from ssrnet.explain.graph import GraphEdit, edit_trace
from ssrnet.model import EmbeddingSettings
from ssrnet.predictor import Predictor
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.extraction import ExtractSettings, extract
from tests import tiny

SIZE = 64


@pytest.fixture(scope="module")
def predictor():
    return Predictor(tiny.network().requires_grad_(False), SIZE)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    paths = [folder / f"{i}.png" for i in range(6)]
    for path in paths:
        Image.fromarray(random.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(path)
    return paths


def test_the_example_of_the_docstring(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    assert doctest.testmod(module).failed == 0 and doctest.testmod(module).attempted > 4


def test_paths_pil_images_and_arrays_are_the_same_picture(predictor, photographs):
    image = Image.open(photographs[0])
    rows = predictor.embed([photographs[0], str(photographs[0]), np.asarray(image), image.convert("RGBA")])
    assert rows.shape == (4, 512 * 3) and torch.allclose(rows, rows[:1].expand(4, -1), atol=1e-6)


def test_a_picture_embedded_as_a_feature_file_holds_it(predictor, photographs):
    image = Image.open(photographs[0]).convert("RGB")
    x = transform(48)(image)[None]
    with torch.no_grad():
        both = [predictor.model.trace(each).embedding() for each in (x, x.flip(-1))]
    flipped = predictor.embed_as(photographs[0], ExtractSettings(image_size=48, flip_test=True))
    assert torch.allclose(flipped, (both[0] + both[1]) / 2, atol=1e-6)
    assert torch.allclose(predictor.embed_as(image, ExtractSettings())[0], predictor.embed([image])[0], atol=1e-6)


def test_a_view_is_the_networks_forward_pass(predictor, photographs):
    view = predictor.set_image(photographs[0])
    x = transform(SIZE)(Image.open(photographs[0]))[None]
    with torch.no_grad():
        whole, half = predictor.model.trace(x), predictor.model.trace(x, 0.5)
    assert torch.equal(view.trace.embedding(), whole.embedding()) and view.size == (60, 40)
    assert view.at(0.5).boxes == half.boxes and torch.allclose(view.at(0.5).embedding(), half.embedding())
    edit = GraphEdit(nodes_off=("mid",), edges_off=(("ul", "ur"),))
    edited = view.without(["mid"], [("ul", "ur")])
    assert edited.label.edit == edit
    assert torch.equal(edited.trace.f_token, edit_trace(predictor.model, whole, edit).trace.f_token)
    attention = view.attention()
    assert attention.shape == (40, 60) and 0 < attention.min() <= attention.max() < 1


def test_f_g_is_computed_once(predictor, photographs, monkeypatch):
    passes = []
    forward = predictor.model.backbone.forward
    monkeypatch.setattr(predictor.model.backbone, "forward", lambda x: passes.append(len(x)) or forward(x))
    views = predictor.set_images(photographs)
    for view in views:
        view.at(0.5), view.at(0.75), view.without(["mid"]), view.embedding()
    assert passes == [4, 2]


def test_progress_is_reported_batch_by_batch(predictor, photographs):
    calls = []
    predictor.embed(photographs, progress_callback=lambda *call: calls.append(call))
    assert calls == [(4, 6), (6, 6)]


def test_ranks_are_by_cosine_and_the_picture_itself_comes_first(predictor, photographs):
    ranked = predictor.rank(photographs[2], photographs)
    assert [hit.rank for hit in ranked] == [1, 2, 3, 4, 5, 6] and ranked[0].index == 2
    assert ranked[0].cosine == pytest.approx(1) and sorted((hit.cosine for hit in ranked), reverse=True) == [
        hit.cosine for hit in ranked
    ]
    embeddings = predictor.embed(photographs)
    assert ranked[1].cosine == pytest.approx(float(torch.cosine_similarity(*embeddings[[2, ranked[1].index]], dim=0)))
    assert predictor.rank(photographs[2], photographs, top_k=3) == ranked[:3]


def test_two_models_on_a_data_set(tmp_path):
    data = tiny.city(tmp_path / "data")
    dataset = open_dataset(data)
    models = [Predictor(tiny.network(**changes), SIZE) for changes in (tiny.BASELINE, {})]
    pair = ssrnet.Comparison(*(model.evaluate(data) for model in models))
    assert len(pair.delta_ap) == len(dataset.query)
    features = extract(models[1].model, dataset.test, ExtractSettings(), SIZE, torch.device("cpu"))
    rows = models[1].embed(dataset.test)
    assert torch.allclose(rows, features.features, atol=1e-5), "both are batches of the same network"
    assert pair.b.record.features["image_size"] == SIZE
    aligned = models[1].evaluate(data, alignment=ssrnet.AlignmentSettings(prior=2, min_images=1))
    expected = evaluate(
        features, dataset, Protocol(dataset.protocol), made_by={}, alignment=ssrnet.AlignmentSettings(2, 1)
    )
    assert aligned.record.camera_alignment == expected.record.camera_alignment != "none"
    assert np.array_equal(aligned.ranking.order, expected.ranking.order)


def test_bad_input_gets_one_sentence(predictor, photographs, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        predictor.set_image(tmp_path / "no.jpg")
    with pytest.raises(DataError, match=r"\(40, 60\).*\(height, width, 3\) uint8"):
        predictor.set_image(np.zeros((40, 60), np.uint8))
    with pytest.raises(SettingsError, match="no node roof"):
        predictor.set_image(photographs[0]).without(["roof"])
    with pytest.raises(CheckpointError):
        Predictor.load(photographs[0])
    with pytest.raises(AttributeError, match="no attribute 'Predicter'"):
        ssrnet.Predicter  # noqa: B018


def test_a_path_and_an_opened_image_are_the_same_pixels(predictor, tmp_path):
    turned, clear = tmp_path / "turned.jpg", tmp_path / "clear.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 60, 3), np.uint8)).save(turned, exif=exif)
    Image.new("RGBA", (30, 20), (200, 0, 0, 0)).save(clear)
    for path, size in ((turned, (40, 60)), (clear, (30, 20))):
        opened = Image.open(path)
        a, b = module.as_image(path), module.as_image(opened)
        assert a.size == b.size == size and np.array_equal(np.asarray(a), np.asarray(b))
    assert Image.open(turned).getexif()[0x0112] == 6 and np.asarray(module.as_image(clear)).min() == 255


def test_no_picture_has_a_row_of_no_length(predictor):
    branches = EmbeddingSettings(branches=("G",))
    assert predictor.embed([], branches).shape == (0, 512) and predictor.embed([]).shape == (0, 1536)
    with pytest.raises(SettingsError, match="at least 1"):
        predictor.rank(Image.new("RGB", (8, 8)), [Image.new("RGB", (8, 8))], top_k=-1)


def test_a_protocol_that_cannot_be_served_costs_no_extraction(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "extract", lambda *a, **k: pytest.fail("nothing to extract for"))
    with pytest.raises(ProtocolError):
        predictor.evaluate(tiny.city(tmp_path / "data"), Protocol("multi_gallery_shot", n=40))
