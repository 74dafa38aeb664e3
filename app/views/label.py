"""Label: which images of a folder show one vehicle, answered by a person, with the models' help."""

from __future__ import annotations

import streamlit as st

from app.widgets.components.image_picker import chosen_image
from app.widgets.controls import one_of
from app.widgets.evaluations import ensure_features
from app.widgets.label_board import TASKS, disagreeing, ranked_images, selection, vehicles
from app.widgets.label_file import label_file, progress_line
from app.widgets.page import explain
from app.widgets.problems import fragment
from app.workbench import Workbench
from app.workbench.labels import Labelling, labelling, on_images
from ssrnet.analysis.disagreements import disagreements
from ssrnet.data.label_files import write_labels
from ssrnet.data.labels import Labels
from ssrnet.retrieval.feedback import asked_again

INTRO = r"""
Mark which images show the same vehicle. Each answer asks the query again, nearer to what was confirmed and farther
from what was refused: ${q' \propto q + \beta\,\bar{x}_{\mathrm{same}} - \gamma\,\bar{x}_{\mathrm{other}}}$.
"""
EQUATIONS = (
    r"q' \propto \alpha\, q + \frac{\beta}{|R|} \sum_{i \in R} x_i - \frac{\gamma}{|S|} \sum_{i \in S} x_i, "
    r"\qquad \alpha = 1,\; \beta = 0.75,\; \gamma = 0.15",
    r"\mathrm{ratio}(i, j) = \frac{\max(r_1, r_2)}{\min(r_1, r_2)}, \qquad r_m = \min(\mathrm{rank}_m(j \mid i), \mathrm{rank}_m(i \mid j))",
)
LOOK_FOR = """
**Keys.** Arrows move from image to image, **S** says *same vehicle*, **O** *other vehicle*, **U** takes the last answer back, **N** goes
to the next query or pair. The buttons below an image do the same.

**Answers join.** If a and b show one vehicle, and b and c do, so do a and c; a refused pair separates all images of both vehicles.
An answer that contradicts earlier ones is not taken, and the sentence names the chain that it would break.

**Asked again.** Rocchio's relevance feedback on embeddings of length 1: $R$ are the images confirmed as the query's vehicle, $S$ those
refused. The second row leaves out both, so it lists what is left to answer.

**Pairs the models disagree on** are near to one network and far to the other: an answer there tells the two apart, while a pair that both
rank first says little that is new.

**The file** is a `manifest.csv` with the further columns `same_as` and `not_same_as`. An image without a vehicle stays in it as
`unlabelled`, and a data set that is read from it leaves these images out, since they may show any of its vehicles.
"""


def render(bench: Workbench) -> None:
    """How far labelling is, one of its tasks, and the file of labels; a sentence where the data set has identities."""
    now = labelling(bench)
    if now is None:
        st.info(
            f"{bench.dataset.name} says which images show the same vehicle. This page is for image files that nobody has "
            "labelled: name their folder in the sidebar.",
            icon=":material/label:",
        )
    else:
        key = "query" if now.images is bench.data else "label_query"
        bench = on_images(bench, now.images)
        ensure_features(bench.models.values())
        fragment(_board)(bench, now, key, chosen_image(key, bench.dataset.test).name)
    explain(EQUATIONS, LOOK_FOR, (Labels, asked_again, disagreements, write_labels))


def _board(bench: Workbench, now: Labelling, key: str, query: str) -> None:
    place = st.container()
    task = one_of("Task", TASKS, "label_task", label_visibility="collapsed")
    if task == "ranks":
        ranked_images(bench, now, key, query)
    elif task == "pairs":
        disagreeing(bench, now)
    elif task == "map":
        selection(bench, now)
    else:
        vehicles(bench, now)
    with place:
        progress_line(now)
    label_file(now)
