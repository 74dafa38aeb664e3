"""The bar on the terminal while images are computed: images a second, and the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from tqdm import tqdm


def image_bar(images: int, processes: int = 1) -> Callable[[Iterable[Sequence], int], Iterator[Sequence]]:
    """A ``progress(batches, total)`` for at most ``images`` images, of which each of the processes has a share.

    The first item of a batch has as many rows as images.
    """

    def progress(batches: Iterable[Sequence], total: int) -> Iterator[Sequence]:
        with tqdm(total=images, unit="image") as bar:
            for batch in batches:
                count = len(batch[0]) * processes
                if not bar.n:  # images that an earlier run computed are not among the batches
                    bar.total = min(images, total * count)
                yield batch
                bar.update(min(count, bar.total - bar.n))

    return progress
