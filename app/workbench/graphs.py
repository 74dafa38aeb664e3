"""A query before and after an edit of its relation graph, and the nodes of many images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from app.workbench import OpenedModel, Progress
from app.workbench.cache import cached
from app.workbench.queries import Query, query_image, query_position
from app.workbench.uploaded_data import uploads_beside
from ssrnet.analysis.attributes import SIBLING
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage
from ssrnet.explain.graph import EditedTrace, GraphEdit, rank_edited_query
from ssrnet.explain.token_shares import NECK, ablate_nodes, token_shares
from ssrnet.model import Trace
from ssrnet.retrieval.alignment import standardised
from ssrnet.retrieval.ranking import Hit, Ranking

QUERY, VEHICLE, ALIKE, WRONG, RANDOM, NEAREST, UPLOADS = (
    "query",
    "vehicle",
    "alike",
    "wrong",
    "random",
    "nearest",
    "uploads",
)
"""Whose nodes the page looks at."""
RANDOM_IMAGES = 3
"""Images of each random vehicle."""


@dataclass(frozen=True)
class EditedQuery:
    """One query with its graph as it is and after an edit, each ranked against the stored gallery.

    The cosines are between after and before: of f_token, and of the whole embedding, aligned where the model is.
    """

    before: Trace
    after: EditedTrace
    token_cosine: float
    embedding_cosine: float
    ranking: Ranking
    edited_ranking: Ranking


@dataclass(frozen=True)
class NodeRow:
    """One node by itself: f_token without it, and its part in the cosine of the query and one gallery image.

    off: "removed", or "silenced" for the node that is read out. share: exact, of H(l-1); None for the neck's constant
    alone. fall: of the cosine when the query loses the node.
    """

    node: str
    off: str
    token_cosine: float | None
    first_hit: int | None
    share: float
    fall: float | None


def edited_query(model: OpenedModel, query: Query, edit: GraphEdit) -> EditedQuery:
    """A query before and after ``edit``; some ten milliseconds once its F_G is there."""
    image, position = query_image(model.split, query), query_position(query)

    def compute() -> EditedQuery:
        view, features = model.view(image), model.branch_features()
        before, after = view.trace, view.edit(edit)
        standardisation = model.standardisation([image])
        embeddings = [standardised(trace.embedding(), standardisation) for trace in (after.trace, before)]
        # Both embeddings from the same pass, so that nothing but the edit is between the two rankings.
        unedited = view.edit(GraphEdit())
        return EditedQuery(
            before,
            after,
            float(torch.cosine_similarity(after.trace.f_token, before.f_token)[0]),
            float(torch.cosine_similarity(*embeddings)[0]),
            rank_edited_query(unedited, features, position).ranking,
            rank_edited_query(after, features, position).ranking,
        )

    return cached("edited queries", (model, image, edit), compute)


def single_nodes(model: OpenedModel, query: Query, gallery: int) -> list[NodeRow]:
    """Every node by itself, for a query and a gallery image, by its position in the split."""
    images = query_image(model.split, query), model.split.gallery[gallery]
    return cached("single nodes", (model, images), lambda: _single_nodes(model, query, gallery), 128)


def nodes(
    model: OpenedModel, images: Sequence[VehicleImage], progress_callback: Progress | None = None
) -> list[np.ndarray]:
    """[(N, n, C)]: H(0) ... H(l) of the images; each is cached, so that a cancelled call is continued by the next."""
    rows = []
    for done, image in enumerate(images, start=1):

        def compute(image: VehicleImage = image) -> list[np.ndarray]:
            return [H[0].cpu().numpy() for H in model.view(image).trace.H]

        rows.append(cached("nodes", (model.hash, image), compute, 256))
        if progress_callback and len(images) > 1:
            progress_callback(done, len(images))
    return [np.stack(layer) for layer in zip(*rows)]


def choices(image: VehicleImage) -> list[str]:
    """Whose nodes can be looked at beside this image's; without labels its nearest, or any; beside an upload the others."""
    if image.vehicle_id is None:
        others = isinstance(image, UploadedImage) and len(uploads_beside()) > 1
        return [QUERY, *([UPLOADS] if others else []), NEAREST, RANDOM]
    return [QUERY, VEHICLE, *([ALIKE] if image.attributes.get(SIBLING) else []), WRONG, RANDOM]


def chosen_images(model: OpenedModel, query: Query, choice: str, most: int = 12, seed: int = 0) -> list[VehicleImage]:
    """The query itself and up to ``most`` in all, of the test images or, for WRONG and NEAREST, of the ranked gallery."""
    split, test = model.split, model.data.dataset.test
    image = query_image(split, query)

    def of(wanted: Callable[[VehicleImage], bool]) -> list[VehicleImage]:
        return [other for other in test if wanted(other) and other.name != image.name]

    labelled = image.vehicle_id is not None
    same = of(lambda other: labelled and other.vehicle_id == image.vehicle_id)
    others: list[VehicleImage] = []
    if choice == VEHICLE:
        others = same
    elif choice == ALIKE:
        group = image.attributes.get(SIBLING)
        alike = of(lambda o: o.attributes.get(SIBLING) == group and o.vehicle_id != image.vehicle_id)
        others = _in_turn([same, *_by_vehicle(alike)])
    elif choice == UPLOADS:
        others = [other for other in uploads_beside() if other.digest != image.digest]
    elif choice in (WRONG, NEAREST):
        hits = edited_query(model, query, GraphEdit()).ranking.hits(0)
        others = [split.gallery[hit.index] for hit in hits if hit.rank is not None and not hit.match]
    elif choice == RANDOM:
        drawn = _by_vehicle(of(lambda other: not labelled or other.vehicle_id != image.vehicle_id))
        order = np.random.default_rng(seed).permutation(len(drawn))
        others = [other for i in order for other in drawn[i][:RANDOM_IMAGES]]
        return [image, *same[: RANDOM_IMAGES - 1], *others][:most]
    return [image, *others][:most]


def first_listed(ranking: Ranking) -> Hit | None:
    """The nearest image that is not junk."""
    return next((hit for hit in ranking.hits(0) if hit.rank is not None), None)


def _by_vehicle(images: Sequence[VehicleImage]) -> list[list[VehicleImage]]:
    """Images without a vehicle are a group each."""
    groups: dict[str, list[VehicleImage]] = {}
    for image in images:
        groups.setdefault(image.vehicle_id or image.name, []).append(image)
    return list(groups.values())


def _in_turn(groups: Sequence[Sequence[VehicleImage]]) -> list[VehicleImage]:
    """One of each group, then a second of each, and so on."""
    longest = max((len(group) for group in groups), default=0)
    return [group[i] for i in range(longest) for group in groups if i < len(group)]


def _single_nodes(model: OpenedModel, query: Query, gallery: int) -> list[NodeRow]:
    network, split = model.network, model.split
    images = query_image(split, query), split.gallery[gallery]
    a, b = (model.view(image).trace for image in images)
    aligned = tuple(model.standardisation([image]) for image in images)
    shares = token_shares(network, a, b, standardisations=aligned)
    removed, silenced = (
        ablate_nodes(network, a, b, off=off, standardisations=aligned).effect[0] for off in ("removed", "silenced")
    )
    rows = []
    for i, part in enumerate(shares.terms):
        share = float(shares.query[0, i])
        if part == NECK:
            rows.append(NodeRow(part, "", None, None, share, None))
            continue
        is_removed = i != network.graph.readout
        edit = GraphEdit(nodes_off=(part,)) if is_removed else GraphEdit(nodes_silenced=(part,))
        edited = edited_query(model, query, edit)
        fall = float((removed if is_removed else silenced)[i])
        first = int(edited.edited_ranking.first_hit[0])
        rows.append(NodeRow(part, "removed" if is_removed else "silenced", edited.token_cosine, first, share, fall))
    return rows
