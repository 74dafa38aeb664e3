"""How it learns: the losses on a real PK batch (Eqs. 5 to 7), and how a ranking is scored (Eqs. 8 and 9)."""

from __future__ import annotations

import streamlit as st

from app.widgets.components.image_picker import image_picker
from app.widgets.controls import one_of
from app.widgets.evaluations import ensure_features
from app.widgets.hardest_pairs import hardest_pairs_of_batch
from app.widgets.needs_labels import needs_labels
from app.widgets.page import explain
from app.widgets.recorded_run import recorded_epochs
from app.widgets.score_steps import score_steps
from app.workbench import Workbench
from app.workbench.learning import PART, PARTS
from ssrnet.data.sampler import PKSampler
from ssrnet.explain.batch import before_neck
from ssrnet.explain.scoring import score_query
from ssrnet.losses import BatchHardTriplet, ReIDLoss, hardest_pairs
from ssrnet.metrics import average_precision

INTRO = r"""
The **triplet loss** moves images of one vehicle closer together than to any other; **cross-entropy** makes a classifier
name the vehicle: ${\mathcal{L} = \sum \mathcal{L}_{ce} + \beta \sum \mathcal{L}_{triHard}}$ over the branches (Eq. 7). Ranking then
uses the features alone.
"""
TRIPLET = (
    r"\mathcal{L}_{triHard} = \sum_{p=1}^{P} \sum_{k=1}^{K} \Big( \max_{i} D(x_p^k, x_p^i)"
    r" - \min_{n \neq p,\, j} D(x_p^k, x_n^j) + \alpha \Big)_+ \quad (6)"
)
SCORES = (
    r"CMC@K = \frac{1}{Q} \sum_{q=1}^{Q} gt(q, K) \;\;\text{(Eq. 8)}, \qquad AP(q) = \frac{1}{M} \sum_{i=1}^{M} \frac{i}{\mathrm{rank}_i}",
    r"mAP = \frac{1}{Q} \sum_{q=1}^{Q} AP(q) \;\;\text{(Eq. 9)}",
)
LOOK_FOR = """
**Batch-hard.** Of all images of the anchor's vehicle in the batch only the farthest counts, and of all other vehicles only
the nearest. An anchor whose negative is farther than its positive by more than the margin has no term and no gradient. The paper
sums over the batch; the code here takes the mean, so that β does not depend on the batch's size.

**Before and after the neck.** The triplet loss acts on Euclidean distances before the batch-norm neck, cross-entropy on the
logits after it, and ranking on cosines after it. The page's stored features are those after; the neck is a scale and a shift a
column, so the features before follow from them, to the three digits that are stored.

**AP.** The paper does not write AP out; this is the non-interpolated one. A wrong image at exactly a match's
distance counts as ranked before it, and junk is left out before ranks are counted.
"""


def render(bench: Workbench) -> None:
    """One of the parts, of which only the visible one is computed."""
    if PART not in st.session_state and PART not in st.query_params:
        st.session_state[PART] = _part_of_link()
    part = one_of("Part", list(PARTS.values()), PART, label_visibility="collapsed")
    if part != PARTS["run"] and not bench.dataset.is_labelled:
        needs_labels("A batch" if part == PARTS["batch"] else "A score")
    elif part == PARTS["batch"]:
        with st.container(key="learning_batch"):
            st.markdown(f"Training draws batches of P vehicles with K images each.\n\n$$\n{TRIPLET}\n$$")
            ensure_features(bench.models.values())
            hardest_pairs_of_batch(bench)
    elif part == PARTS["run"]:
        recorded_epochs()
    elif bench.split.query:
        _scores(bench)
    else:
        st.info("The protocol leaves no query to score; choose another protocol or another data set.")
    explain(
        (),
        LOOK_FOR,
        (PKSampler, hardest_pairs, BatchHardTriplet, before_neck, ReIDLoss, score_query, average_precision),
    )


def _part_of_link() -> str:
    """The part for a link that names none, from when the page showed all three at once."""
    return PARTS["run" if any(name.startswith("recorded_") for name in st.query_params) else "batch"]


def _scores(bench: Workbench) -> None:
    for equation in SCORES:
        st.latex(equation)
    with st.expander("Another query", icon=":material/image_search:"):
        image = image_picker("query", bench.split.query)
    with st.container(key="learning_scores"):
        score_steps(bench, bench.split.query.index(image))
