"""An opened data set, with the hashes that its caches are kept by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ssrnet.data.records import ReIDDataset
from ssrnet.data.uploads import PictureInMemory


@dataclass(frozen=True)
class OpenedDataset:
    """A data set with its content hash, which takes a while on a large one."""

    dataset: ReIDDataset
    hash: str
    attributes_hash: str = ""
    """Over the images' attributes, which do not shape features, and so are not in ``hash``."""

    @classmethod
    def of(cls, dataset: ReIDDataset) -> OpenedDataset:
        digest = hashlib.sha256()
        for image in (*dataset.train, *dataset.query, *dataset.gallery):
            digest.update(f"{image.name}{sorted(image.attributes.items())}".encode(errors="surrogateescape"))
        return cls(dataset, dataset.content_hash(), digest.hexdigest()[:16])

    @property
    def is_uploaded(self) -> bool:
        """Whether its images are uploads, of which nothing is read from the disk or written to it."""
        return isinstance(next(iter(self.dataset.gallery), None), PictureInMemory)

    @property
    def uploaded_digest(self) -> str:
        """For the caches: what is computed of uploads stays in the viewer's session; empty for other images."""
        return self.hash if self.is_uploaded else ""

    @property
    def content_key(self) -> tuple[str, str, str]:
        """With the root, since a copy of the folder has the same hash and other paths."""
        return self.hash, self.attributes_hash, str(self.dataset.root)
