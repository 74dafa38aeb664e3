"""Opens data sets, checkpoints and features for the pages; the only place with Streamlit's caches."""

from __future__ import annotations

import base64
import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import streamlit as st
import torch
from PIL import Image

from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.data.transforms import test_transform
from ssrnet.errors import DataError
from ssrnet.model import FeatureMap, SSRNet
from ssrnet.resources import resolve_device
from ssrnet.retrieval.evaluation import Evaluation, evaluate
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, describe, extract
from ssrnet.runs import StoredMetrics, find_runs, stored_metrics
from ssrnet.training.checkpoint import Checkpoint, load_checkpoint

LONGEST_LIST = 20
"""The longest rank list that a page shows."""

Report = Callable[[int, int], None]
"""Told how many batches are done and how many there are."""


@dataclass(frozen=True)
class OpenedDataset:
    """A data set with its content hash, which takes a while on a large one and is asked for often."""

    dataset: ReIDDataset
    hash: str


@dataclass
class FeatureStore:
    """The last few extracted feature sets; one extraction at a time, since each uses all cores."""

    entries: OrderedDict[tuple, FeatureSet] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    most: int = 6

    def get(self, key: tuple, make: Callable[[], FeatureSet]) -> FeatureSet:
        with self.lock:
            if key not in self.entries:
                self.entries[key] = make()
                while len(self.entries) > self.most:
                    self.entries.popitem(last=False)
            self.entries.move_to_end(key)
            return self.entries[key]

    def holds(self, key: tuple) -> bool:
        return key in self.entries


class Services:
    """What the pages ask for. Everything comes from a cache where nothing has changed on disk."""

    def dataset(self, root: str) -> OpenedDataset:
        """The data set in a folder or CSV; opened anew when the folder, or one just below it, changes."""
        return _dataset(root, _stamps(Path(root).expanduser()))

    def checkpoint(self, path: str) -> Checkpoint:
        """A loaded network; loaded anew when the file changes."""
        return _checkpoint(path, _stamp(Path(path)))

    def checkpoint_files(self) -> list[str]:
        """Checkpoints lying in ``checkpoints/`` and ``runs/`` of the working folder."""
        found = [path for folder in ("checkpoints", "runs") for path in Path(folder).rglob("*.safetensors")]
        return sorted(str(path) for path in found if not path.name.startswith("."))

    def run_folders(self) -> list[str]:
        """Training runs lying in ``runs/`` and ``checkpoints/`` of the working folder."""
        return [str(folder) for folder in find_runs([Path("runs"), Path("checkpoints")])]

    def stored_metrics(self, path: Path) -> list[StoredMetrics]:
        """What a checkpoint says that it scored; read anew when the file changes."""
        return _stored_metrics(str(path), _stamp(path))

    def has_features(self, checkpoint: Checkpoint, opened: OpenedDataset) -> bool:
        """Whether :meth:`features` would answer at once."""
        return _feature_store().holds((checkpoint.hash, opened.hash))

    def features(self, checkpoint: Checkpoint, opened: OpenedDataset, report: Report | None = None) -> FeatureSet:
        """Embeddings of the data set's test images; ``report`` hears of every batch."""

        def reporting(batches, total):
            for done, batch in enumerate(batches):
                yield batch
                if report:
                    report(done + 1, total)

        def make() -> FeatureSet:
            return extract(
                checkpoint.model, opened.dataset.test, ExtractSettings(batch_size=16), checkpoint.info.image_size,
                resolve_device(), progress=reporting,
            )  # fmt: skip

        return _feature_store().get((checkpoint.hash, opened.hash), make)

    def evaluation(self, checkpoint: Checkpoint, opened: OpenedDataset, protocol: Protocol) -> Evaluation:
        """Ranking and metrics of one model under one protocol."""
        features = self.features(checkpoint, opened)
        return _evaluation(checkpoint.hash, opened.hash, protocol, checkpoint, opened, features)

    def thumbnail(self, image: VehicleImage, height: int = 160) -> str:
        """A small JPEG as a data URI; a grey field for an image that cannot be read."""
        return _thumbnail(str(image.path), _stamp(image.path), height)

    def square(self, checkpoint: Checkpoint, image: VehicleImage) -> np.ndarray:
        """The image as the network sees it but for normalisation: (size, size, 3) uint8."""
        size = checkpoint.info.image_size
        return np.asarray(read_image(image.path).resize((size, size), Image.Resampling.BILINEAR))

    def feature_map(self, checkpoint: Checkpoint, image: VehicleImage) -> FeatureMap:
        """F_G of one image, (1, C, H, W): embed once, ask many times."""
        stamp, size = _stamp(image.path), checkpoint.info.image_size
        return _feature_map(checkpoint.hash, str(image.path), stamp, checkpoint.model, size)


@st.cache_resource(max_entries=4, show_spinner="Opening the data set")
def _dataset(root: str, stamps: tuple) -> OpenedDataset:
    dataset = open_dataset(root)
    return OpenedDataset(dataset, dataset.content_hash())


@st.cache_resource(max_entries=4, show_spinner="Loading the checkpoint")
def _checkpoint(path: str, stamp: tuple) -> Checkpoint:
    return load_checkpoint(path)


@st.cache_data(max_entries=64, show_spinner=False)
def _stored_metrics(path: str, stamp: tuple) -> list[StoredMetrics]:
    return stored_metrics(Path(path))


@st.cache_resource
def _feature_store() -> FeatureStore:
    return FeatureStore()


@st.cache_resource(max_entries=16, show_spinner="Ranking")
def _evaluation(
    checkpoint_hash: str, dataset_hash: str, protocol: Protocol,
    _checkpoint: Checkpoint, _opened: OpenedDataset, _features: FeatureSet,
) -> Evaluation:  # fmt: skip
    made_by = _checkpoint.record | describe(ExtractSettings(), _checkpoint.info.image_size)
    return evaluate(_features, _opened.dataset, protocol, made_by=made_by, top_k=LONGEST_LIST)


@st.cache_data(max_entries=5000, show_spinner=False)
def _thumbnail(path: str, stamp: tuple, height: int) -> str:
    try:
        image = read_image(path)
    except DataError:
        image = Image.new("RGB", (height, height), (128, 128, 128))
    image.thumbnail((2 * height, height))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


@st.cache_resource(max_entries=64, show_spinner=False)
def _feature_map(checkpoint_hash: str, path: str, stamp: tuple, _model: SSRNet, size: int) -> FeatureMap:
    device = next(_model.parameters()).device
    with torch.no_grad():
        return _model.feature_map(test_transform(size)(read_image(path))[None].to(device))


def _stamp(path: Path) -> tuple[int, int]:
    """Changes when the file does; (0, 0) where there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _stamps(root: Path) -> tuple:
    below = sorted(root.iterdir()) if root.is_dir() else []
    return tuple(_stamp(path) for path in (root, *below[:32]))
