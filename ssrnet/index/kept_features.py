"""An extraction that is resumed where an earlier one was stopped, and whose features are kept in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssrnet.errors import ResourceError
from ssrnet.index.partial import PartialFeatures
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.feature_files import MOST_KEPT, Record, part_name, remove_oldest, save_features


def extract_and_keep(
    folder: Path,
    record: Record,
    made_by: Record,
    extraction: Callable[[PartialFeatures], FeatureSet],
    say: Callable[[str], object] = lambda _: None,
) -> FeatureSet:
    """The features that ``extraction(partial)`` returns, as :func:`find_features` finds them in ``folder`` afterwards.

    ``record`` is that of :func:`feature_record`, ``made_by`` its part without the data set. What takes more than
    ``MOST_KEPT`` bytes is removed, the oldest first. A full or read-only disk costs only the next time; ``say`` gets a
    sentence on what became of them.
    """
    with PartialFeatures(folder / part_name(record), made_by, say) as partial:
        features = extraction(partial).rounded()
        try:
            path = save_features(folder, features, record)
            say(f"{path}: features kept for the next time")
            partial.remove()
            remove_oldest(folder, MOST_KEPT)
        except (ResourceError, OSError) as error:
            say(f"the features will be extracted again the next time, since {error}")
    return features
