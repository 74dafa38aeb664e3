"""The studies: the rows of each table of the paper, as changes to shared settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from ssrnet.losses import ReductionName
from ssrnet.model import TABLE_1

TrainedStudyName = Literal["components", "attention", "parts", "depth", "crop-ratio", "beta", "losses"]
StudyName = Literal[TrainedStudyName, "complexity"]

SSR_NET: Mapping[str, object] = {"attention_branch": True, "relation_branch": True}


@dataclass(frozen=True)
class Row:
    """One variant: its label in the paper, and its changes to the model's and the loss's settings."""

    label: str
    model: Mapping[str, object] = field(default_factory=dict)
    loss: Mapping[str, object] = field(default_factory=dict)

    @property
    def model_changes(self) -> dict[str, object]:
        """The changes, with both branches on unless the row says otherwise, whatever --network is."""
        return {**SSR_NET, **self.model}


@dataclass(frozen=True)
class Study:
    """One table or figure of the paper. ``notes``: where we had to interpret it.

    ``readings``: further rows, of the paper's method in another reading; the paper has no numbers of them.
    """

    name: TrainedStudyName
    paper: str
    rows: tuple[Row, ...]
    readings: tuple[Row, ...] = ()
    metrics: tuple[str, ...] = ("Rank-1", "mAP")
    notes: tuple[str, ...] = ()


CROP_RATIOS = {"1/8": 1 / 8, "1/4": 1 / 4, "1/3": 1 / 3, "1/2": 1 / 2, "2/3": 2 / 3, "5/6": 5 / 6, "1": 1.0}
"""Of these the paper's text names 1/8 and 2/3; the others are our choice of points."""

BETAS = (0, 0.2, 0.5, 0.8, 1, 1.2, 1.5)


def balanced(beta: float, reduction: ReductionName = "mean") -> dict[str, object]:
    """Eq. 7 with that weight of Eq. 6, whose terms are averaged or, as printed, summed."""
    return {"classification": "cross_entropy", "metric": "triplet", "beta": float(beta), "reduction": reduction}


LOSSES = {
    "Cross-Entropy": ("cross_entropy", "none"),
    "Circle": ("circle", "none"),
    "Circle + triplet": ("circle", "triplet"),
    "Cross-Entropy + triplet": ("cross_entropy", "triplet"),
    "Cross-Entropy + Contrast": ("cross_entropy", "contrastive"),
    "Cross-Entropy + Lifted": ("cross_entropy", "lifted"),
    "Cross-Entropy + Instance": ("cross_entropy", "instance"),
}
"""Classification and metric loss of Table 6's rows."""

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study(
            "components",
            "Table 1",
            tuple(Row(label, changes) for label, changes in TABLE_1.items()),
            (Row("+AB+RB (GN after BN)", {"global_node_from": "after"}),),
        ),
        Study(
            "attention",
            "Table 2",
            (
                Row("Bilinear CNN", {"attention": "bilinear"}),
                Row("Spatial Transformer Network", {"attention": "stn"}),
                Row("SE-Block", {"attention": "se"}),
                Row("CBAM", {"attention": "cbam"}),
            ),
            metrics=("Rank-1", "Rank-5", "mAP"),
            notes=("The paper only cites the methods; ssrnet/model/attention.py states our reading of each.",),
        ),
        Study(
            "parts",
            "Table 3",
            (Row("PCB", {"parts": "pcb"}), Row("SSR-Net", {"parts": "regions"})),
            notes=("PCB's six stripes take the relation branch's place on the same map (our reading).",),
        ),
        Study("depth", "Table 4", tuple(Row(f"l = {depth}", {"gcn_depth": depth}) for depth in (1, 2, 3))),
        Study(
            "crop-ratio",
            "Fig. 4",
            tuple(Row(f"λ = {name}", {"crop_ratio": ratio}) for name, ratio in CROP_RATIOS.items()),
            notes=("The paper's text names λ = 1/8 and 2/3; the other ratios are our choice of points.",),
        ),
        Study(
            "beta",
            "Table 5",
            tuple(Row(f"β = {beta:g}", loss=balanced(beta)) for beta in BETAS),
            tuple(Row(f"β = {beta:g}, Eq. 6 summed", loss=balanced(beta, "sum")) for beta in BETAS if beta),
        ),
        Study(
            "losses",
            "Table 6",
            tuple(
                Row(label, loss={"classification": classification, "metric": metric})
                for label, (classification, metric) in LOSSES.items()
            ),
        ),
    )
}
"""The seven studies that train; `complexity` (Table 7) counts and times, see :mod:`ssrnet.studies.complexity`."""

STUDY_NAMES: tuple[str, ...] = (*STUDIES, "complexity")
assert STUDY_NAMES == get_args(StudyName)
