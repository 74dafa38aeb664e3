"""A viewer's labels of images that have none: in the session, and in a file where the server writes for this viewer."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from app.workbench import places, roots
from app.workbench.cache import cached
from app.workbench.dataset import OpenedDataset
from app.workbench.model import OpenedModel
from app.workbench.opening import watched
from app.workbench.progress import Progress
from app.workbench.workbench import Workbench
from ssrnet.analysis.disagreements import Disagreement, disagreements
from ssrnet.data.label_files import NO_FILE, is_of_folder, labels_in, labels_text, read_labels, write_labels
from ssrnet.data.labels import Labels
from ssrnet.data.manifest_files import can_be_written
from ssrnet.data.protocols import Protocol
from ssrnet.data.readers import folder
from ssrnet.data.readers.zip_files import UNPACKED
from ssrnet.data.records import UNLABELLED, VehicleImage
from ssrnet.errors import DataError, SSRNetError
from ssrnet.retrieval.feedback import FeedbackSettings, rank_again
from ssrnet.retrieval.ranking import RankedImage

SESSION = "labelling"
"""The session state's key."""
MOST_BYTES = 16 * 2**20
"""The largest file of labels that is uploaded."""


@dataclass
class Labelling:
    """One viewer's labels of one folder; ``path`` is where they are kept, None where they stay in the session.

    history: the labels after each answer, the present ones last. problem: why the last answer was not taken or not
    written. skipped: pairs that the viewer passed over. given: for each answer in ``history``, the image that it was about, ""
    where it was about several; taken_back: how many were undone, and the image of the last of these.
    """

    images: OpenedDataset
    path: Path | None = None
    state: str = NO_FILE
    history: list[Labels] = field(default_factory=lambda: [Labels()])
    problem: str = ""
    skipped: set[tuple[str, str]] = field(default_factory=set)
    given: list[str] = field(default_factory=list)
    taken_back: tuple[int, str] = (0, "")

    @property
    def labels(self) -> Labels:
        return self.history[-1]

    @property
    def folder(self) -> Path:
        root = self.images.dataset.root
        if root.is_dir() or self.images.is_uploaded:
            return root
        return root.parent  # of a manifest that names images without a vehicle

    @property
    def may_be_saved(self) -> bool:
        """Whether the viewer may name a file here; nothing of uploads is written."""
        return roots.may_open() and not self.images.is_uploaded

    @property
    def place(self) -> Path:
        """Where a downloaded file belongs: beside the folder; for uploads in the folder that was packed, wherever it is."""
        return self.folder / "manifest.csv" if self.images.is_uploaded else beside(self.folder)

    def answer(self, change: Callable[[Labels], Labels], about: str = "") -> None:
        """Takes what ``change`` makes of the labels, and writes it; what contradicts earlier answers is a problem, no answer."""
        try:
            labels = change(self.labels)
        except DataError as error:
            self.problem = str(error)
            return
        self.problem = ""
        if labels is not self.labels:
            self.history.append(labels)
            self.given.append(about)
            self._write()

    def relate(self, a: str, b: str, are_same: bool) -> None:
        """The answer about a pair, which must have names that a manifest can hold."""
        unwritable = next((name for name in (a, b) if not can_be_written(name)), None)
        if unwritable is not None:
            self.problem = str(DataError(f"{unwritable!r} is a name that no manifest can hold; rename the file."))
            return
        self.answer(lambda labels: labels.confirm(a, b) if are_same else labels.refuse(a, b), about=b)

    def undo(self) -> None:
        """The labels before the last answer of this session."""
        self.problem = ""
        if len(self.history) > 1:
            del self.history[-1]
            self.taken_back = self.taken_back[0] + 1, self.given.pop()
            self._write()

    def keep_at(self, path: Path | None) -> None:
        """From now on the labels are kept at ``path``; those that a file there has are taken, where there are none yet.

        Raises :class:`DataError` where the file there is another one, or has labels while the viewer has some too.
        """
        kept = read_labels(path) if path else None
        if kept and not is_of_folder(kept, self.folder) and not _of_one_zip_file(kept.folder, self.folder):
            raise DataError(
                f"{path} labels the images in {kept.folder}, not those in {self.folder}; choose another place."
            )
        if kept and self.labels != Labels() and self.labels != kept.labels:
            raise DataError(f"{path} has other labels of these images than the ones given here; choose another place.")
        self.path, self.state, self.problem = path, kept.state if kept else NO_FILE, ""
        if kept:
            self.history, self.given = [kept.labels], []
        elif self.labels != Labels():
            self._write()

    def take_upload(self, name: str, content: bytes) -> None:
        """The labels in a file of this name that was downloaded before, as one answer; what is none is a problem."""

        def downloaded(labels: Labels) -> Labels:
            if len(content) > MOST_BYTES:
                raise DataError(
                    f"{name} has more than {MOST_BYTES // 2**20} MB; choose the labels that were downloaded here."
                )
            taken = labels_in(content, Path(name)).labels
            images = {image for pair in (*taken.same, *taken.other) for image in pair} | set(taken.named)
            if not images & {image.name for image in self.images.dataset.test}:
                raise DataError(
                    f"{name} has no label of an image in this folder; choose the labels that were downloaded for these images."
                )
            return labels if taken == labels else taken

        self.answer(downloaded)

    def take_file(self) -> None:
        """Gives up this session's labels for those in the file."""
        self.history, self.given = [Labels()], []
        self.keep_at(self.path)

    def text(self) -> str:
        """The file as a download, for its :attr:`place`."""
        return labels_text(self.place, self.folder, self.images.dataset.test, self.labels)

    def _write(self) -> None:
        if self.path is None:
            return
        try:
            images = self.images.dataset.test
            self.state = write_labels(self.path, self.folder, images, self.labels, self.state)
        except SSRNetError as error:
            self.problem = f"Not saved: {error}"


def labelling(bench: Workbench) -> Labelling | None:
    """The session's labels of the opened images, from the file beside them where there is one; None for labelled data.

    What keeps that file from being read stands in ``problem``; then nothing is written until another place is chosen.
    """
    manifest = _manifest(bench.data)
    images = None if manifest is None else _images_of(manifest)
    if images is None:
        manifest, images = None, bench.data
    if images.dataset.is_labelled:
        return None
    current = st.session_state.get(SESSION)
    if current is None or current.images.content_key != images.content_key:
        current = st.session_state[SESSION] = Labelling(images)
        if images.is_uploaded:
            return current
        try:
            current.keep_at(_usual_place(current.folder) if manifest is None else manifest)
        except SSRNetError as error:
            current.problem = str(error) if roots.may_open() else ""
        if current.path and not roots.may_open():
            current.path = None
    return current


def on_images(bench: Workbench, images: OpenedDataset) -> Workbench:
    """The same models on the images without their labels, raw; the third model where it has features of them."""
    if images is bench.data:
        return bench.raw
    return Workbench.of(images, bench.baseline.source, bench.ssrnet.source, Protocol(UNLABELLED))


def beside(root: Path) -> Path:
    """The manifest beside a folder: /data/fleet.csv for /data/fleet."""
    root = Path(os.path.abspath(root))
    return root.with_name(f"{root.name or 'images'}.csv")


def ranked_again(
    model: OpenedModel, query: VehicleImage, labels: Labels, settings: FeedbackSettings, top_k: int
) -> tuple[list[RankedImage], list[RankedImage]]:
    """All images by the query alone, and the first ``top_k`` without an answer by the query asked again.

    ``index`` is the position among the test images.
    """
    images = model.data.dataset.test
    features = cached("label features", model, lambda: model.compared_features().rows(images), 4)
    at = images.index(query)
    known = [labels.relation(query.name, image.name) for image in images]
    confirmed, refused = ([row for row, each in enumerate(known) if each == kind] for kind in ("same", "other"))
    confirmed.remove(at)
    alone = cached("query alone", (model, query), lambda: rank_again(features, at, [], [], settings), 16)
    return alone, rank_again(features, at, confirmed, refused, settings, top_k)


def disagreeing_pairs(bench: Workbench, progress_callback: Progress) -> list[Disagreement]:
    """Pairs of test images that the two networks rank differently, by their positions."""
    models = tuple(bench.networks.values())
    images = bench.dataset.test

    def compute() -> list[Disagreement]:
        return disagreements(*(model.compared_features().rows(images) for model in models), progress_callback)

    return cached("disagreements", models, compute, 4)


def _manifest(data: OpenedDataset) -> Path | None:
    """The manifest that the data set was read from; None for another layout."""
    root = data.dataset.root
    if data.dataset.layout != "CSV":
        return None
    return root if root.is_file() else root / "manifest.csv"


def _images_of(manifest: Path) -> OpenedDataset | None:
    """The folder of images that a manifest of labels is about; None for a manifest that labelling has not written."""
    try:
        kept = read_labels(manifest)
    except DataError:
        return None
    if kept is None:
        return None
    place = places.readable_path(str(kept.folder))

    def read() -> OpenedDataset:
        return OpenedDataset.of(folder.read(place, "its labels are in a manifest"))

    return cached("labelled images", watched(place), read, 4)


def _of_one_zip_file(*folders: Path) -> bool:
    """Whether both were unpacked from a zip file of one name, which may have changed in between."""
    inside = [Path(os.path.relpath(os.path.realpath(folder), UNPACKED.resolve())).parts for folder in folders]
    return all(parts[0] != ".." for parts in inside) and inside[0][1:] == inside[1][1:]


def _usual_place(root: Path) -> Path | None:
    """Where labels of a folder are kept: beside it, or beside the zip file that it was unpacked from; None where nobody may."""
    typed = Path(st.session_state.get("data") or root)
    is_unpacked = UNPACKED.resolve() in root.resolve().parents
    place = typed.with_suffix(".csv") if is_unpacked and typed.is_file() else beside(root)
    if not roots.may_open():
        try:
            places.readable_path(str(place))
        except DataError:
            return None
    return place
