"""Opens data sets, checkpoints and features for the pages; the only place with Streamlit's caches.

Nothing here imports torchvision before a network is built: it takes as long as all else that a first
rank list needs, and where the features are there already none is.
"""

from __future__ import annotations

import base64
import io
import os.path
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from app.workbench.forward import forward
from app.workbench.recent import Recent
from app.workbench.roots import check, check_images, further_roots
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.data.training_sets import SeenInTraining
from ssrnet.errors import CheckpointError, DataError, ResourceError
from ssrnet.index.partial import PartialFeatures
from ssrnet.installation import check_installation
from ssrnet.model import FeatureMap, SSRNet
from ssrnet.resources import resolve_device
from ssrnet.retrieval.evaluation import Evaluation, evaluate
from ssrnet.retrieval.external.model import ImportedModel
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, describe, extract
from ssrnet.retrieval.feature_files import Record, feature_record, find, keep, part_name, read_record, remove_oldest
from ssrnet.training.checkpoint import StoredCheckpoint, load_checkpoint, read_checkpoint
from ssrnet.training.trained_on import seen_by

ROOT = Path(__file__).resolve().parent.parent.parent
"""The project's folder, where the bundled demo lies; the app may be started from anywhere."""
DEMO = {
    "data": "assets/city",
    "baseline": "checkpoints/baseline.safetensors",
    "ssrnet": "checkpoints/ssrnet.safetensors",
}
"""The bundled demo, by the sidebar's keys."""
SHIPPED_FEATURES, KEPT_FEATURES = "assets/features", "runs/features"
MOST_KEPT = 2 * 2**30
"""Bytes of features kept on the disk: some 400 times the demo's, or 25 times VeRi-776's."""
LONGEST_LIST = 20
"""The longest rank list that a page shows."""

Model = StoredCheckpoint | ImportedModel
"""What ranks a data set: a network's checkpoint, or features that another program made."""
Report = Callable[[int, int], None]
"""Told how many batches are done and how many there are."""


@dataclass(frozen=True)
class OpenedDataset:
    """A data set with its content hash, which takes a while on a large one and is asked for often."""

    dataset: ReIDDataset
    hash: str


class Services:
    """What the pages ask for. Everything comes from a cache where nothing has changed on disk."""

    def dataset(self, root: str) -> OpenedDataset:
        """The data set in a folder or CSV; opened anew when the folder, or one just below it, changes."""
        path = _locate(root)
        stamps = _stamps(path)
        opened = _dataset(str(path), stamps)
        _check_links(str(path), stamps, tuple(further_roots()), opened)
        return opened

    def checkpoint(self, path: str) -> StoredCheckpoint:
        """What a checkpoint says of itself; read anew when the file changes."""
        located = _locate(path)
        return _checkpoint(str(located), _stamp(located))

    def model(self, checkpoint: StoredCheckpoint) -> SSRNet:
        """The checkpoint's network, loaded when it is first asked for."""
        return _model(str(checkpoint.path), checkpoint.hash)

    def demo(self) -> dict[str, str]:
        """The bundled demo by the sidebar's keys; empty where a part of it is not there."""
        return DEMO if all((ROOT / path).exists() for path in DEMO.values()) else {}

    def is_demo_data(self, root: str) -> bool:
        demo = ROOT / DEMO["data"]
        try:
            own = _locate(root)
        except DataError:
            return False
        return os.path.exists(own) and demo.exists() and own.samefile(demo)

    def checkpoint_files(self) -> list[str]:
        """Checkpoints in ``checkpoints/`` and ``runs/`` of the working folder and the project's."""
        found = {
            str(path.relative_to(base)): path
            for base in dict.fromkeys((ROOT, Path.cwd()))
            for folder in ("checkpoints", "runs")
            for path in (base / folder).rglob("*.safetensors")
        }
        return sorted(
            name
            for name, path in found.items()
            if not path.name.startswith(".") and not _holds_features(str(path), _stamp(path))
        )

    def stored_features(
        self, checkpoint: Model, opened: OpenedDataset, settings: ExtractSettings = ExtractSettings()
    ) -> FeatureSet | None:
        """Embeddings of the data set's test images from memory, from the demo, or from an earlier extraction.

        Imported ones are what they are, whatever the settings.
        """
        imported = isinstance(checkpoint, ImportedModel)
        store, key = _feature_store(), (checkpoint.hash, opened.hash, None if imported else settings)
        features = store.get(key)
        if features is None:
            folders = [ROOT / SHIPPED_FEATURES, ROOT / KEPT_FEATURES]
            if imported:
                features = checkpoint.features()
            else:
                features = find(folders, _feature_record(checkpoint, opened, settings))
            if features is not None:
                store.add(key, features)
        return features

    def features(
        self,
        checkpoint: Model,
        opened: OpenedDataset,
        report: Report | None = None,
        settings: ExtractSettings = ExtractSettings(),
    ) -> FeatureSet:
        """Stored embeddings of the test images, or else new ones, which are kept; ``report`` hears of every batch.

        An extraction that was stopped goes on from the images that it had done.
        """

        def reporting(batches, total):
            for done, batch in enumerate(batches):
                yield batch
                if report:
                    report(done + 1, total)

        features = self.stored_features(checkpoint, opened, settings)
        if features is not None:
            return features
        store = _feature_store()
        with store.making:
            features = self.stored_features(checkpoint, opened, settings)  # another session may have made it
            if features is None:
                folder, record = ROOT / KEPT_FEATURES, _feature_record(checkpoint, opened, settings)
                with PartialFeatures(folder / part_name(record), made_by(checkpoint, settings)) as part:
                    features = extract(
                        self.model(checkpoint),
                        opened.dataset.test,
                        settings,
                        checkpoint.info.image_size,
                        resolve_device(),
                        progress=reporting,
                        part=part,
                    ).rounded()
                    store.add((checkpoint.hash, opened.hash, settings), features)
                    with suppress(ResourceError, OSError):  # a full or read-only disk only costs the next start
                        keep(folder, features, record)
                        part.remove()
                        remove_oldest(folder, MOST_KEPT)
        return features

    def evaluation(self, checkpoint: Model, opened: OpenedDataset, protocol: Protocol) -> Evaluation:
        """Ranking and metrics of one model under one protocol."""
        features = self.features(checkpoint, opened)
        root = str(opened.dataset.root)  # a copy of the folder has the same hash and other paths
        seen = None if isinstance(checkpoint, ImportedModel) else self.seen_in_training(checkpoint, opened)
        return _evaluation(checkpoint.hash, opened.hash, root, protocol, checkpoint, opened, features, seen)

    def seen_in_training(self, checkpoint: StoredCheckpoint, opened: OpenedDataset) -> SeenInTraining | None:
        """How much of the data set the checkpoint was trained on; None where it does not say."""
        root = str(opened.dataset.root)
        return _seen_in_training(checkpoint.hash, opened.hash, root, checkpoint, opened)

    def thumbnail(self, image: VehicleImage, height: int = 160) -> str:
        """A small JPEG as a data URI; a grey field for an image that cannot be read."""
        return _thumbnail(str(image.path), _stamp(image.path), height)

    def stamp(self, image: VehicleImage) -> tuple[int, ...]:
        """Changes when the image's file does; what is computed from the image is cached under it."""
        return _stamp(image.path)

    def square(self, checkpoint: StoredCheckpoint, image: VehicleImage) -> np.ndarray:
        """The image as the network sees it but for normalisation: (size, size, 3) uint8."""
        size = checkpoint.info.image_size
        return np.asarray(read_image(image.path).resize((size, size), Image.Resampling.BILINEAR))

    def feature_map(self, checkpoint: StoredCheckpoint, image: VehicleImage) -> FeatureMap:
        """F_G of one image, (1, C, H, W): embed once, ask many times."""
        return self.feature_maps(checkpoint, [image])[0]

    def feature_maps(self, checkpoint: StoredCheckpoint, images: Sequence[VehicleImage]) -> list[FeatureMap]:
        """F_G of each image, (1, C, H, W); those that are not there yet go through the network together."""
        store, size = _feature_maps(), checkpoint.info.image_size
        keys = [(checkpoint.hash, str(image.path), _stamp(image.path)) for image in images]
        found = {key: store.get(key) for key in keys}
        new = {key: image for key, image in zip(keys, images, strict=True) if found[key] is None}
        if new:
            made = forward(self.model(checkpoint), [read_image(image.path) for image in new.values()], size)
            found |= {key: store.add(key, one) for key, one in zip(new, made, strict=True)}
        return [found[key] for key in keys]


@st.cache_resource(max_entries=4, show_spinner="Opening the data set")
def _dataset(root: str, stamps: tuple) -> OpenedDataset:
    dataset = open_dataset(root)
    return OpenedDataset(dataset, dataset.content_hash())


@st.cache_data(max_entries=16, show_spinner=False)
def _check_links(root: str, stamps: tuple, opened_roots: tuple[Path, ...], _opened: OpenedDataset) -> None:
    dataset = _opened.dataset
    check_images([*dataset.train, *dataset.query, *dataset.gallery], own_roots())


@st.cache_resource(max_entries=16, show_spinner=False)
def _checkpoint(path: str, stamp: tuple) -> StoredCheckpoint:
    return read_checkpoint(path)


@st.cache_resource(max_entries=4, show_spinner="Loading the checkpoint")
def _model(path: str, file_hash: str) -> SSRNet:
    check_installation()
    checkpoint = load_checkpoint(path)
    if checkpoint.hash != file_hash:
        raise CheckpointError(f"{path} was written anew while this page looked at it; reload the page.")
    return checkpoint.model


@st.cache_data(max_entries=1000, show_spinner=False)
def _holds_features(path: str, stamp: tuple) -> bool:
    return read_record(Path(path)) is not None


@st.cache_resource
def _feature_store() -> Recent[FeatureSet]:
    return Recent(most=6)


@st.cache_resource
def _feature_maps() -> Recent[FeatureMap]:
    return Recent(most=96)  # of 2 MB each at 256 pixels


@st.cache_resource(max_entries=16, show_spinner="Ranking")
def _evaluation(
    checkpoint_hash: str,
    dataset_hash: str,
    root: str,
    protocol: Protocol,
    _checkpoint: Model,
    _opened: OpenedDataset,
    _features: FeatureSet,
    _seen: SeenInTraining | None,
) -> Evaluation:
    record = made_by(_checkpoint) | {"rounded_to": "float16"} | (_seen.record if _seen else {})
    return evaluate(_features, _opened.dataset, protocol, made_by=record, top_k=LONGEST_LIST, dataset_hash=_opened.hash)


@st.cache_data(max_entries=64, show_spinner=False)
def _seen_in_training(
    checkpoint_hash: str, dataset_hash: str, root: str, _checkpoint: StoredCheckpoint, _opened: OpenedDataset
) -> SeenInTraining | None:
    return seen_by(_checkpoint.info, _opened.dataset, _opened.hash)


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


def made_by(checkpoint: Model, settings: ExtractSettings = ExtractSettings()) -> Record:
    """What a record says of features that the app has made or found; the settings of imported ones are not known."""
    if isinstance(checkpoint, ImportedModel):
        return checkpoint.record
    return checkpoint.record | describe(settings, checkpoint.info.image_size)


def _feature_record(checkpoint: StoredCheckpoint, opened: OpenedDataset, settings: ExtractSettings) -> Record:
    return feature_record(made_by(checkpoint, settings), opened.dataset, opened.hash)


def own_roots() -> tuple[Path, Path]:
    """The folders that may be read without anyone's having opened them."""
    return ROOT, Path.cwd()


def _locate(path: str) -> Path:
    """``path`` from the working folder, or from the project's where it is only there.

    Raises :class:`app.workbench.roots.OutsideError` where it leads out of all folders that may be read.
    """
    own = os.path.expanduser(path)  # these two never raise, whatever was typed in
    found = ROOT / own if not os.path.exists(own) and os.path.exists(ROOT / own) else Path(own)
    return check(found, own_roots())


def _stamp(path: Path) -> tuple[int, ...]:
    """Changes when the file does; zeros where there is none. Its second number is the size.

    Time of change and size alone would not tell apart a file and its copy with the time kept (cp -p, rsync -t), nor
    what a clock that was set back dates alike; the inode and its own time do, and cost at most a needless reading.
    """
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


def _stamps(root: Path) -> tuple:
    below: list[Path] = []
    with suppress(OSError):  # no folder, or none that can be read: opening it says so
        below = sorted(root.iterdir())
    return tuple(_stamp(path) for path in (root, *below[:32]))
