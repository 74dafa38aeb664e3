"""``ssrnet import``: features that another program computed, as a third model for the app to compare.

The file is numpy's .npz with ``features`` (N, D), ``paths`` (N,) and, where they are known, ``ids`` and ``cameras``
(N,). Rows may come in any order; paths are matched by their last parts, so the folders do not matter. Two or three
lines write it. In torchreid, in ``Engine._evaluate`` after both calls of ``_feature_extraction``::

    paths = [one[0] for loader in (query_loader, gallery_loader) for one in loader.dataset.data]
    np.savez("osnet.npz", features=torch.cat([qf, gf]).numpy(), paths=np.array(paths),
             ids=np.concatenate([q_pids, g_pids]), cameras=np.concatenate([q_camids, g_camids]))

In fast-reid, in ``ReidEvaluator.evaluate`` where features, pids and camids of all batches are there, queries first;
``items`` is ``dataset.img_items`` of the test loader::

    paths = [one[0] for one in items]
    np.savez("agw.npz", features=features.numpy(), paths=np.array(paths), ids=np.asarray(pids),
             cameras=np.asarray(camids))

layumi's Person_reID_baseline_pytorch needs none: its ``test.py`` writes ``pytorch_result.mat``, which is imported as it
is. It names no images, so the number of rows and their labels must be those of the data set.

Where query and gallery have different photographs of one name, paths must have their folders
(``image_test/0002_c002_00030600_0.jpg``); all other paths match by the file's name alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.errors import DataError, SettingsError
from ssrnet.retrieval.evaluation import evaluate
from ssrnet.retrieval.external import layumi
from ssrnet.retrieval.external.arrays import read_arrays
from ssrnet.retrieval.external.matching import Matched, match_to_dataset
from ssrnet.retrieval.external.model import FOLDER, import_record, save_import
from ssrnet.training.checkpoint import file_hash

MAX_NAME = 60


@dataclass(frozen=True)
class ImportSettings:
    """Import features of a data set's test images that another program computed, as a third model for the app.

    FILE.npz has features (N, D) and paths (N,), and may have ids and cameras (N,), as written by
    numpy.savez("FILE.npz", features=..., paths=numpy.array(paths), ids=..., cameras=...). FILE.mat is layumi's
    pytorch_result.mat.
    """

    features: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """The features, and the path or file name of the image of each (.npz); or a pytorch_result.mat."""
    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder, or the path of a CSV manifest."""
    name: str
    """What the app calls this model; an earlier import of this name and data is replaced."""
    out: Path = Path(FOLDER)
    """Folder in which the app looks for imported models."""
    layout: str | None = None
    """Read the folder as this layout, as `Folders` or `unlabelled`, whatever it is recognised as."""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable() or len(self.name) > MAX_NAME:
            raise SettingsError(
                f"the name is {self.name!r}; give the model a name of 1 to {MAX_NAME} printable characters."
            )


def import_features(settings: ImportSettings) -> None:
    """Checks the file against the data set, stores the features and prints their rank-1 and mAP.

    Raises :class:`DataError` for a damaged file, a missing array, or features that do not match the data set.
    """
    dataset = open_dataset(settings.data, layout=settings.layout)
    if not dataset.test:
        raise DataError(f"{dataset.root} has no test images that features could be of; open another data set.")
    if settings.features.suffix.lower() == layumi.SUFFIX:
        arrays = layumi.read_result(settings.features, dataset)
    else:
        arrays = read_arrays(settings.features)
    matched = match_to_dataset(arrays, dataset, settings.features)
    dataset_hash, name = dataset.content_hash(), settings.name.strip()
    dimensions = matched.features.features.shape[1]
    record = import_record(
        name, settings.features.name, file_hash(settings.features), dimensions, dataset, dataset_hash
    )
    saved = save_import(settings.out, matched.features, record)
    print(
        f"{'replaced' if saved.replaced else 'wrote'} {saved.model.path}: {name}, {len(dataset.test):,} test images of "
        f"{dataset.name}, {dimensions:,} numbers each"
    )
    for line in (*[dataset.reading] * (dataset.reading is not None), *dataset.warnings, *_notes(matched)):
        print(f"  {line}")
    protocol = Protocol("cross_camera")
    reason = protocol.unavailable(dataset)
    if reason is None:
        metrics = evaluate(
            matched.features.rounded(), dataset, protocol, made_by=saved.model.record, dataset_hash=dataset_hash
        ).metrics
        print(f"cross_camera: rank-1 {metrics.rank(1):.2%}, mAP {metrics.mAP:.2%} (cosine, no re-ranking)")
    else:
        print(f"cross_camera cannot be measured here: {reason}")
    print(f"next: streamlit run app/main.py, open {settings.data}, and choose {name} as third model in the sidebar")


def _notes(matched: Matched) -> Iterator[str]:
    if matched.verified:
        yield f"{' and '.join(matched.verified)} agree with the data set's"
    if matched.outside_test:
        yield f"{matched.outside_test:,} rows of images outside the test split were skipped"
    if matched.duplicates:
        yield f"{matched.duplicates:,} rows repeat an image, such as a query that is also in the gallery; skipped"
