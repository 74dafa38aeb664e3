"""Vehicles on a line: an image's feature is one number, and the distance is how far two numbers are apart."""

from __future__ import annotations

from pathlib import Path

import torch

from ssrnet.analysis.comparison import Comparison
from ssrnet.analysis.inspection import Inspection, inspect
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.retrieval.evaluation import Evaluation, evaluate, restrict
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.query_filters import QueryFilter


def image(name: str, vehicle: str, camera: str | None, **attributes: str) -> VehicleImage:
    return VehicleImage(Path(f"{name}.jpg"), name, vehicle, camera, attributes)


A, B, C = ({"sibling_group": "1", "type": "car"}, {"sibling_group": "1", "type": "car"}, {"type": "bus"})

# A and B are siblings, C and D stand alone, E is not in the gallery.
GALLERY = {
    image("a1", "A", "c1", **A, light="none", azimuth="10"): 1.0,
    image("a2", "A", "c2", **A, light="led", azimuth="100"): 4.0,
    image("a3", "A", "c3", **A, light="none", azimuth="350"): 9.0,
    image("b1", "B", "c1", **B, light="none", azimuth="0"): 2.0,
    image("b2", "B", "c2", **B, light="led", azimuth="90"): 3.0,
    image("c1", "C", "c1", **C, light="none", azimuth="0"): 6.0,
    image("c2", "C", "c2", **C, light="none", azimuth="170"): 5.0,
    image("d1", "D", "c1", light="led"): 20.0,
}
QUERIES = {
    image("qa", "A", "c9", **A, light="none", azimuth="355"): 0.0,
    image("qj", "A", "c1", **A, light="led", azimuth="190"): 2.4,  # a1 is junk for it
    image("qc", "C", "c9", **C, light="none", azimuth="40"): 5.6,
    image("qe", "E", "c9", type="van", light="none", azimuth="0"): 0.0,
    image("qd", "D", "c9", light="none", azimuth="0"): 8.8,
}
DATASET = ReIDDataset("toys", Path("toys"), "CSV", "", (), tuple(QUERIES), tuple(GALLERY), "cross_camera")
NAMES = tuple(image.name for image in DATASET.test)

WORSE = FeatureSet(torch.tensor([*QUERIES.values(), *GALLERY.values()])[:, None], NAMES, {"G": 1})
"""First hits: qa 1, qj 3 (b1 and b2 before), qc 1, qe none, qd 8."""
BETTER = FeatureSet(torch.tensor([2.9, 4.1, 5.6, 0.0, 8.8, *GALLERY.values()])[:, None], NAMES, {"G": 1})
"""First hits: qa 3 (b2 and b1 before), qj 1, qc 1, qe none, qd 8: fixes one query and breaks another."""


def evaluation(features: FeatureSet, dataset: ReIDDataset = DATASET) -> Evaluation:
    return evaluate(features, dataset, Protocol(), made_by={}, distance="euclidean", dataset_hash="0")


def without_match(features: FeatureSet) -> Evaluation:
    """Of the query alone whose vehicle is not in the gallery."""
    return restrict(evaluation(features), QueryFilter("type", ("van",)))


def inspections() -> tuple[Inspection, Inspection]:
    return inspect(WORSE, evaluation(WORSE)), inspect(BETTER, evaluation(BETTER))


def random_and_right(dataset: ReIDDataset) -> Comparison:
    """Random features against features that know the vehicle, of four vehicles, in a single-gallery-shot."""
    names = tuple(image.name for image in dataset.test)
    vehicles = sorted({image.vehicle_id for image in dataset.test})
    random = torch.randn(len(names), 4, generator=torch.Generator().manual_seed(3))
    right = torch.eye(4)[[vehicles.index(image.vehicle_id) for image in dataset.test]]
    protocol = Protocol("single_gallery_shot", seed=0)
    return Comparison(
        *(
            evaluate(
                FeatureSet(features, names, {"G": 4}),
                dataset,
                protocol,
                top_k=3,
                dataset_hash="d" * 16,
                made_by={"checkpoint_hash": name},
            )
            for name, features in (("aaaa", random), ("bbbb", right))
        )
    )
