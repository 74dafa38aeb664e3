"""``ssrnet import``: features that another program computed join the comparison as a third model.

The file is numpy's .npz with ``features`` (N, D), ``paths`` (N,) and, where they are known, ``ids`` and ``cameras``
(N,). Rows may come in any order; paths are matched by their last parts, so it does not matter where the images lay.
Two or three lines write it. In torchreid, in ``Engine._evaluate`` after both calls of ``_feature_extraction``::

    paths = [one[0] for loader in (query_loader, gallery_loader) for one in loader.dataset.data]
    np.savez("osnet.npz", features=torch.cat([qf, gf]).numpy(), paths=np.array(paths),
             ids=np.concatenate([q_pids, g_pids]), cameras=np.concatenate([q_camids, g_camids]))

In fast-reid, in ``ReidEvaluator.evaluate`` where features, pids and camids of all batches are there, queries first;
``items`` is ``dataset.img_items`` of the test loader::

    paths = [one[0] for one in items]
    np.savez("agw.npz", features=features.numpy(), paths=np.array(paths), ids=np.asarray(pids),
             cameras=np.asarray(camids))
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
from ssrnet.retrieval.external.matching import Taken, read_arrays, take
from ssrnet.retrieval.external.model import FOLDER, import_record, keep_import
from ssrnet.training.checkpoint import file_hash

LONGEST_NAME = 60


@dataclass(frozen=True)
class ImportSettings:
    """Take features that another program computed of a data set's test images, as a third model for the app.

    FILE.npz has features (N, D) and paths (N,), and may have ids and cameras (N,), as written by
    numpy.savez("FILE.npz", features=..., paths=numpy.array(paths), ids=..., cameras=...).
    """

    features: Annotated[Path, tyro.conf.arg(metavar="FILE.npz")]
    """The features, and the path or file name of the image of each."""
    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder, or the path of a CSV manifest."""
    name: str
    """What the app calls this model; an earlier import of this name and data is replaced."""
    out: Path = Path(FOLDER)
    """Folder in which the app looks for imported models."""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable() or len(self.name) > LONGEST_NAME:
            raise SettingsError(
                f"the name is {self.name!r}; give the model a name of 1 to {LONGEST_NAME} printable characters."
            )


def import_features(settings: ImportSettings) -> None:
    """Runs the command: checks the file against the data set, keeps the features and says how they rank.

    Raises :class:`DataError` for a file that is none, lacks an array, or does not fit the data set.
    """
    dataset = open_dataset(settings.data)
    if not dataset.test:
        raise DataError(f"{dataset.root} has no test images that features could be of; open another data set.")
    taken = take(read_arrays(settings.features), dataset, settings.features)
    dataset_hash, name = dataset.content_hash(), settings.name.strip()
    dimensions = taken.features.features.shape[1]
    record = import_record(
        name, settings.features.name, file_hash(settings.features), dimensions, dataset, dataset_hash
    )
    kept = keep_import(settings.out, taken.features, record)
    print(
        f"{'replaced' if kept.replaced else 'wrote'} {kept.model.path}: {name}, {len(dataset.test):,} test images of "
        f"{dataset.name}, {dimensions:,} numbers each"
    )
    for line in _notes(taken):
        print(f"  {line}")
    protocol = Protocol("cross_camera")
    reason = protocol.unavailable(dataset)
    if reason is None:
        found = evaluate(
            taken.features.rounded(), dataset, protocol, made_by=kept.model.record, dataset_hash=dataset_hash
        )
        print(f"cross_camera: rank-1 {found.metrics.rank(1):.2%}, mAP {found.metrics.mAP:.2%} (cosine, no re-ranking)")
    else:
        print(f"cross_camera cannot be measured here: {reason}")
    print(f"next: streamlit run app/main.py, open {settings.data}, and choose {name} as third model in the sidebar")


def _notes(taken: Taken) -> Iterator[str]:
    if taken.compared:
        yield f"{' and '.join(taken.compared)} agree with the data set's"
    if taken.beyond:
        yield f"{taken.beyond:,} rows are of images outside the test split and were left out"
    if taken.again:
        yield f"{taken.again:,} rows repeat an image, such as a query that is in the gallery too, and were left out"
