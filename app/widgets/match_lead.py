"""What tipped a match: the branches and the nodes by which an image stands before, or behind, the one it is weighed against."""

from __future__ import annotations

from collections.abc import Mapping

from app.widgets.components.node_graph import NODE_TITLES
from app.widgets.match_cells import rival_title
from app.widgets.ranking_options import branch_title
from app.workbench.matches import PairLead, PairShares, Rival
from ssrnet.analysis.verdict import signed
from ssrnet.data.records import VehicleImage
from ssrnet.explain.lead import NodeLead


def say_lead(title: str, shares: PairShares, rival: Rival, image: VehicleImage, lead: PairLead) -> str:
    """Sentences on one model: ``image`` is the rival's, ``shares`` are those of the image that is asked about."""
    place = "before" if shares.rank < rival.rank else "behind"
    text = (
        f"**{title}** puts this image (rank {shares.rank}) {place} the {rival_title(rival).lower()} (`{image.name}`, rank "
        f"{rival.rank}) by {abs(lead.total):.3f} of cosine"
    )
    if len(lead.branches) > 1:
        text += ": " + ", ".join(
            f"{branch_title(name).lower()} {signed(share, 3)}" for name, share in _largest(lead.branches)
        )
    return f"{text}.{_say_nodes(lead.nodes, lead.total) if lead.nodes else ''}"


def _say_nodes(nodes: NodeLead, total: float) -> str:
    """The node with the largest share, and those without which the order would turn."""
    name, share = _largest({name: share for name, share in nodes.nodes.items() if name in NODE_TITLES})[0]
    text = f" Within the relation branch the {_node(name)} counts most ({signed(share, 3)})."
    turning = [name for name, lead in nodes.without.items() if lead * total < 0]
    if not turning:
        return f"{text} No node alone, taken out of all three graphs, turns the order (by ablation)."
    return f"{text} Without the {_listed(turning)} in all three graphs the order would turn (by ablation, each alone)."


def _largest(shares: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda each: -abs(each[1]))


def _node(name: str) -> str:
    return f"{NODE_TITLES[name]} node"


def _listed(names: list[str]) -> str:
    words = [_node(name) for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
