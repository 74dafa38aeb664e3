"""The workbench without the pages."""

import io
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from app.workbench import OpenedModel, opening
from app.workbench.cache import cached, cached_value, content_key, session_values
from app.workbench.images import uploads
from app.workbench.opening import checkpoint_files, open_data, telling_query
from app.workbench.places import file_stamp
from ssrnet.data.images import read_image
from ssrnet.data.protocols import Protocol
from ssrnet.explain.graph import GraphEdit, rank_edited_query
from ssrnet.retrieval import extraction
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, extract
from tests.app.conftest import workbench
from tests.data import layouts


def test_the_telling_query_is_the_largest_gain_of_stored_features(project, city, checkpoints, monkeypatch):
    bench = workbench(city, checkpoints, Protocol("single_gallery_shot", seed=98))
    with monkeypatch.context() as nothing_stored:
        nothing_stored.setattr(OpenedModel, "stored_features", lambda self: None)
        assert telling_query(bench) is None
    names = tuple(image.name for image in bench.dataset.test)
    vehicles = sorted({image.vehicle_id for image in bench.dataset.test})
    features = {
        bench.baseline.title: torch.randn(len(names), 4, generator=torch.Generator().manual_seed(3)),
        bench.ssrnet.title: torch.eye(4)[[vehicles.index(image.vehicle_id) for image in bench.dataset.test]],
    }
    scored = {
        title: evaluate(FeatureSet(rows, names, {"G": 4}), bench.dataset, bench.protocol, top_k=3, made_by={})
        for title, rows in features.items()
    }
    monkeypatch.setattr(OpenedModel, "stored_features", lambda self: features[self.title])
    monkeypatch.setattr(OpenedModel, "evaluation", lambda self: scored[self.title])
    baseline, ssrnet = (evaluation.ranking for evaluation in scored.values())
    gains = {
        image.name: ssrnet.average_precision[q] - baseline.average_precision[q]
        for q, image in enumerate(bench.split.query)
        if ssrnet.first_hit[q] == 1 < baseline.first_hit[q]
    }
    with monkeypatch.context() as few:
        few.setattr(opening, "MOST_DISTANCES", 1)
        assert telling_query(bench) is None
    assert len(gains) > 1 and telling_query(bench).name == max(gains, key=gains.get)


@pytest.mark.parametrize("how", ["older", "same time"])
def test_another_file_of_the_same_size_is_noticed(tmp_path, how):
    """A file that a restored copy or a clock set back dates before, or exactly as, the one it replaces."""
    path, other = tmp_path / "a.bin", tmp_path / "b.bin"
    path.write_bytes(b"one")
    before, about = file_stamp(path), path.stat()
    assert file_stamp(path) == before
    other.write_bytes(b"two")
    moved = -86400 * 10**9 if how == "older" else 0
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns + moved))
    os.replace(other, path)
    assert file_stamp(path) != before and file_stamp(path)[1] == before[1] == 3
    path.unlink()
    assert file_stamp(path) == (0, 0, 0, 0)


def test_a_picture_added_however_deep_is_noticed(project, tmp_path, monkeypatch):
    root = layouts.unlabelled(tmp_path / "photos", ("a.jpg", "2024/may/b.jpg", "2024/june/c.jpg"))
    os.symlink(root, root / "2024/may/round")  # a link that leads back
    before = open_data(str(root))
    assert open_data(str(root)) is before and len(before.dataset.test) == 3
    layouts.jpeg(root / "2024/may/d.jpg")
    assert len(open_data(str(root)).dataset.test) == 4
    (root / "2024/june/new").mkdir()
    assert len(open_data(str(root)).dataset.test) == 4
    layouts.jpeg(root / "2024/june/new/e.jpg")  # in a folder that was empty when it was opened last
    assert len(open_data(str(root)).dataset.test) == 5
    monkeypatch.setattr(opening, "MOST_WATCHED", 3)
    assert opening.watched(root) == [root, root / "2024", root / "2024/june"]


class Cancelled(BaseException):
    """As Streamlit ends a page's run."""


def test_a_cancelled_extraction_goes_on(project, city, checkpoints, monkeypatch):
    sizes, original = [], extraction.embeddings
    monkeypatch.setattr(extraction, "CPU_BATCH", 4)
    monkeypatch.setattr(extraction, "embeddings", lambda *a: (sizes.append(len(a[1])), original(*a))[1])
    model, settings = workbench(city, checkpoints).ssrnet, ExtractSettings(image_size=48)
    images = model.data.dataset.test
    count = len(images)

    def cancel(done: int, total: int) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        model.features(cancel, settings)
    assert sum(sizes) == 8 < count
    features = model.features(settings=settings)
    assert sum(sizes) == count
    whole = extract(model.network, images, settings, 48, torch.device("cpu")).rounded()
    assert features.names == whole.names and torch.equal(features.features, whole.features)
    assert [path.suffix for path in (project / "runs/features").iterdir()] == [".safetensors"]


def test_a_value_is_made_once_for_all_who_want_it_at_the_same_time():
    made, results = [], []

    def make() -> int:
        made.append(threading.get_ident())
        time.sleep(0.05)
        return 7

    threads = [threading.Thread(target=lambda: results.append(cached("test", "once", make))) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert results == [7] * 4 and len(made) == 1


def test_what_fails_is_made_again_and_the_least_used_goes():
    def fail() -> int:
        raise Cancelled

    with pytest.raises(Cancelled):
        cached("few", 0, fail, most=2)
    assert cached_value("few", 0) is None
    for key in (0, 1, 0, 2):
        cached("few", key, lambda key=key: key, most=2)
    assert [cached_value("few", key) for key in (0, 1, 2)] == [0, None, 2]


def test_keys_follow_content(project, city, checkpoints, tmp_path):
    model = workbench(city, checkpoints).ssrnet
    image = model.data.dataset.test[0]
    assert content_key((model, image)) == content_key([model, image]) and hash(content_key((model, image)))
    copy = tmp_path / "copy"
    shutil.copytree(city, copy)
    other = workbench(copy, checkpoints).ssrnet
    assert other.hash == model.hash and content_key(other) != content_key(model), "a copy has other paths"
    path = tmp_path / "a.txt"
    path.write_text("a")
    before = content_key(path)
    path.write_text("longer")
    assert content_key(path) != before


def test_one_that_is_being_made_is_not_made_again_for_lack_of_room():
    """Two makers at once would share half-done work."""
    makers, started, release = [], threading.Event(), threading.Event()

    def slow() -> int:
        makers.append(threading.get_ident())
        started.set()
        release.wait(5)
        return 1

    first = threading.Thread(target=lambda: cached("one place", "slow", slow, most=1))
    first.start()
    started.wait(5)
    cached("one place", "quick", lambda: 2, most=1)
    second = threading.Thread(target=lambda: cached("one place", "slow", slow, most=1))
    second.start()
    release.set()
    [thread.join() for thread in (first, second)]
    assert len(makers) == 1


def test_an_edited_attribute_is_shown(project, checkpoints, tmp_path):
    data = tmp_path / "folder"
    data.mkdir()
    lines = ["image,vehicle_id,camera_id,split,colour"]
    for i in range(40):  # more files than a glance at the first few would see
        Image.new("RGB", (8, 8), (i, i, i)).save(data / f"{i:02d}.png")
        lines.append(f"{i:02d}.png,{i // 4},c{i % 2},{'query' if i % 4 == 0 else 'gallery'},red")
    (data / "manifest.csv").write_text("\n".join(lines))
    assert workbench(data, checkpoints).split.query[0].attributes["colour"] == "red"
    (data / "manifest.csv").write_text("\n".join(lines).replace("red", "blue"))
    bench = workbench(data, checkpoints)
    assert bench.dataset.query[0].attributes["colour"] == bench.split.query[0].attributes["colour"] == "blue"


def test_folders_that_vanish_while_checkpoints_are_listed(project, checkpoints, monkeypatch):
    folder = project / "runs/gone"
    folder.mkdir(parents=True)
    shutil.copy(checkpoints["ssrnet"], project / "runs/there.safetensors")
    scan = os.scandir

    def vanish_after(path):
        entries = scan(path)
        if Path(path) == folder:
            folder.rmdir()
            raise FileNotFoundError(path)
        return entries

    monkeypatch.setattr(os, "scandir", vanish_after)
    assert checkpoint_files() == ["runs/there.safetensors"] and not folder.exists()


def test_an_uploader_holds_no_more_than_its_files(project):
    class File:
        def __init__(self, number: int) -> None:
            self.file_id, self.name = str(number), f"{number}.png"

        def getvalue(self) -> bytes:
            buffer = io.BytesIO()
            Image.new("RGB", (4, 4), (int(self.file_id), 0, 0)).save(buffer, "PNG")
            return buffer.getvalue()

    files = [File(number) for number in range(4)]
    for count in (1, 2, 3, 4, 1):
        assert len(uploads("gallery", files[:count]).pictures) == count
    held = [value for key, value in session_values().items() if key[0] == "uploads"]
    assert sum(len(read.pictures) for _, read in held) == 1


def test_alignment_holds_for_all_that_a_model_compares(project, city, checkpoints):
    """Ranks, branch shares, verification, another lambda and uploads go by the same frozen statistics."""
    bench = workbench(city, checkpoints)
    assert not bench.is_aligned and bench.raw == bench and list(bench.with_raw) == list(bench.models)
    aligned = bench.aligned
    assert aligned.raw == bench and aligned.is_aligned and aligned.aligned == aligned
    assert list(aligned.with_raw) == [t for title in bench.models for t in (title, f"{title}, aligned")]
    model = aligned.ssrnet
    statistics = model.statistics()
    assert bench.ssrnet.statistics() is None and statistics.images == len(model.data.dataset.test)
    assert model.evaluation().record.camera_alignment == str(statistics)
    raw = bench.ssrnet.features()
    assert model.features() is raw
    rows = statistics.align(raw.features, [image.camera_id for image in model.data.dataset.test])
    assert torch.equal(model.compared_features().rows(model.data.dataset.test), rows)
    query, ranking = model.split.query[0], model.branch_features().rank(0)
    assert model.evaluation().ranking.hits(0)[0].index == ranking.hits(0)[0].index
    # A lambda that makes the boxes of training gives the ranks of training.
    view = model.view(query)
    edited = rank_edited_query(view.edit(GraphEdit(crop_ratio=model.settings.crop_ratio)), model.branch_features(), 0)
    assert edited.ranking.order[0, 0] == ranking.order[0, 0]
    assert edited.ranking.distance == pytest.approx(ranking.distance, abs=2e-3)  # stored features are float16
    pictures = [read_image(image.path) for image in (query, *model.data.dataset.test[:5])]
    embeddings = model.embed(pictures)
    listed = model.rank(embeddings, [None] * 6)
    whole = statistics.align(embeddings, [None] * 6)
    cosines = torch.cosine_similarity(whole[:1], whole[1:])
    assert [one.cosine for one in listed] == pytest.approx(sorted(cosines.tolist(), reverse=True), abs=1e-6)
