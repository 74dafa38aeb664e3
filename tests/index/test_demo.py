"""The bundled city's own features, 3,072 numbers an image: both backends and the package's ranking agree."""

from pathlib import Path

import numpy as np
import torch

from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage
from ssrnet.index.entries import Filters
from ssrnet.index.filling import entry_of
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import rank
from tests.index.galleries import make, passes

ROOT = Path(__file__).parents[2]
DAY = 86400
FILTERS = [
    Filters(),
    Filters(cameras=("c003", "c015")),
    Filters(not_cameras=("c003",), after=13 * DAY, before=14 * DAY),
    Filters(vehicle_types=("suv", "pickup"), junk=("0017", "c003")),
]


def city_features() -> FeatureSet:
    """What is shipped."""
    (path,) = (ROOT / "assets/features").glob("city-ssrnet-*.safetensors")
    features, record = FeatureSet.load(path)
    assert record["split"] == "test"
    return features


def test_the_demo_in_both_backends(tmp_path):
    dataset, features = open_dataset(ROOT / "assets/city"), city_features()
    images = sorted(dataset.test, key=lambda image: image.name)[::2]
    values = features.rounded().rows(images).numpy()
    listed = [entry_of("city/test", image) for image in images]
    indexes = [make(tmp_path / backend, backend, values.shape[1]) for backend in ("exact", "milvus")]
    assert [index.add(listed, values) for index in indexes] == [len(images)] * 2
    asked = list(range(0, len(images), 20))
    asking = tuple(VehicleImage(Path("q"), str(i), "nobody", "nowhere") for i in asked)
    for filters in FILTERS:
        kept = [i for i, entry in enumerate(listed) if passes(entry, filters)]
        assert 30 < len(kept), f"{filters} leaves too few to test with"
        gallery = tuple(images[i] for i in kept)
        expected = rank(torch.from_numpy(values[asked]), torch.from_numpy(values[kept]), Split(asking, gallery, False))
        for index in indexes:
            for row, order, distance in zip(
                index.search(values[asked], 20, filters), expected.order, expected.distance, strict=True
            ):
                assert [entry.name for entry, _ in row] == [gallery[i].name for i in order]
                assert np.allclose([n.distance for n in row], distance, rtol=0, atol=1e-6)
    for index in indexes:
        index.close()
