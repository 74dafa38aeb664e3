"""A round of the quiz, its explanation and the score, as they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.widgets.components import stylesheet
from app.workbench.images import image_label, thumbnail
from app.workbench.quiz import Play
from ssrnet.analysis.attributes import SIBLING, in_words
from ssrnet.analysis.quiz import CHOICES, MARKS, Round, Score, differences
from ssrnet.data.protocols import Split
from ssrnet.data.records import VehicleImage

HEIGHT = 300
"""Pixels of a picture's height, at most."""
YOU = "You"
VISIBLE = "visible_marks"
"""The attribute that lists the kinds of marks that an image shows."""


def board(split: Split, one: Round, played: Play, number: int, titles: Sequence[str]) -> None:
    """The query and five images in two rows of three; below each a button or, once it is answered, what it is."""
    answered = len(played.given) > number
    query = split.query[one.query]
    label = f" {image_label(query)}" if answered else ""
    cells = iter([cell for _ in range(2) for cell in st.columns(3)])
    with next(cells):
        st.html(stylesheet("quiz") + _picture(query, "query", "The query", f"<b>Query</b>{escape(label)}"))
    for place, (cell, g) in enumerate(zip(cells, one.choices)):
        image, kind, words = split.gallery[g], "plain", ""
        if answered:
            kind = "hit" if place == one.right else "error" if place == played.given[number] else "plain"
            words = _caption(image, one, place, played.given[number], titles)
        with cell:
            st.html(_picture(image, kind, f"Image {place + 1}", words))
            if not answered:
                st.button(
                    f"Image {place + 1}",
                    key=f"quiz_answer_{place}",
                    width="stretch",
                    shortcut=f"{place + 1}",
                    on_click=played.answer,
                    args=(number, place),
                )


def score_line(number: int, rounds: int, seed: int, titles: Sequence[str], score: Score) -> None:
    """The round, and how many each had right so far."""
    answered = score.right.shape[1]
    counts = " · ".join(f"{escape(name)} {count}" for name, count in zip((YOU, *titles), score.counts))
    right = f" · right of {answered}: {counts}" if answered else ""
    st.html(f'{stylesheet("quiz")}<p class="quiz-score">Round {number + 1} of {rounds}, seed {seed}{right}</p>')


def verdict(one: Round, given: int, titles: Sequence[str]) -> None:
    """Who was right, in a sentence."""
    right = by_number(one.right)
    yours = (
        f"Right: it is {right}." if given == one.right else f"Wrong: you took {by_number(given)}, but it is {right}."
    )
    models = "; ".join(
        f"{title} {'is right' if place == one.right else f'took {by_number(place)}'}"
        for title, place in zip(titles, one.answers)
    )
    sign, colour = ("✓", "right") if given == one.right else ("✗", "wrong")
    st.html(
        f'{stylesheet("quiz")}<p class="quiz-score" role="status"><b class="{colour}">{sign} {yours}</b> {escape(models)}.</p>'
    )


def by_number(place: int) -> str:
    return f"image {place + 1}"


def explained_table(split: Split, one: Round, titles: Sequence[str], attributes: Sequence[str], aligned: bool) -> None:
    """The five images: what they are, each model's cosine, and in what the manifest says that their vehicles differ."""
    query = split.query[one.query]
    rows = []
    for place, g in enumerate(one.choices):
        image = split.gallery[g]
        cosines = "".join(
            f'<td class="number{" strong" * (place == answer)}">{row[place]:.3f}{" ◂" * (place == answer)}</td>'
            for row, answer in zip(one.cosines, one.answers)
        )
        notes = _notes(query, image, attributes)
        rows.append(f"<tr><td>{place + 1}</td><td>{_what(query, image)}</td>{cosines}<td>{notes}</td></tr>")
    cosine = "Aligned cosine" if aligned else "Cosine"
    heads = ["Image", "Vehicle", *(f"{cosine}, {title}" for title in titles), "Against the query's vehicle"]
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    caption = "◂ marks each model's answer: its highest cosine to the query."
    if VISIBLE in query.attributes:
        caption += f" Marks in view in the query: {_marks(query.attributes[VISIBLE])}."
    st.html(
        f'{stylesheet("quiz")}<div class="quiz-scroll"><table class="quiz-table"><caption>{escape(caption)}</caption>'
        f"<tr>{head}</tr>{''.join(rows)}</table></div>"
    )


def answers_table(
    split: Split, rounds: Sequence[Round], given: Sequence[int], titles: Sequence[str], score: Score
) -> None:
    """A row a round with everyone's answer, the sums, and where person and models differ."""
    names = (YOU, *titles)
    counts = ", ".join(f"**{name} {count}**" for name, count in zip(names, score.counts))
    st.markdown(f"Right of {len(rounds)}: {counts}. By chance it would be {len(rounds) / CHOICES:g}.")
    for words, numbers in (
        ("You were right and both models wrong", score.person_alone),
        ("A model was right and you were wrong", score.models_alone),
    ):
        where = f"in round{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}" if numbers else "in no round"
        st.markdown(f"{words} {where}.")
    rows = []
    for number, (one, place) in enumerate(zip(rounds, given)):
        query, right = split.query[one.query], split.gallery[one.choices[one.right]]
        cells = "".join(_judged(one, answer) for answer in (place, *one.answers))
        pair = f"{escape(image_label(query))}</td><td>{one.right + 1}: {escape(image_label(right))}"
        rows.append(f"<tr><td>{number + 1}</td><td>{pair}</td>{cells}</tr>")
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in ("Round", "Query", "Right image", *names))
    st.html(
        f'{stylesheet("quiz")}<div class="quiz-scroll"><table class="quiz-table"><tr>{head}</tr>'
        f"{''.join(rows)}</table></div>"
    )


def _picture(image: VehicleImage, kind: str, alt: str, words: str) -> str:
    """``words`` is HTML. The alternative text must not give the answer away, so it names no vehicle."""
    caption = f"<figcaption>{words}</figcaption>" if words else ""
    uri = thumbnail(image, HEIGHT)
    return f'<figure class="quiz-picture {kind}"><img src="{uri}" alt="{escape(alt, quote=True)}">{caption}</figure>'


def _caption(image: VehicleImage, one: Round, place: int, given: int, titles: Sequence[str]) -> str:
    sign = "✓" if place == one.right else "✗"
    takers = [name for name, answer in zip((YOU, *titles), (given, *one.answers)) if answer == place]
    by = "".join(f'<span class="by">{escape(name)}</span>' for name in takers)
    return f"<b>{place + 1} {sign}</b> {escape(image_label(image))}<br>{by}"


def _what(query: VehicleImage, image: VehicleImage) -> str:
    label = escape(image_label(image))
    if image.vehicle_id == query.vehicle_id:
        return f'<span class="right">✓ {label}</span>, the query\'s vehicle'
    group = query.attributes.get(SIBLING)
    sibling = group is not None and image.attributes.get(SIBLING) == group
    return f"✗ {label}, {'a sibling' if sibling else 'another vehicle'}"


def _notes(query: VehicleImage, image: VehicleImage, attributes: Sequence[str]) -> str:
    """In what the data set says that two vehicles differ, and which kinds of marks the image shows."""
    lines = []
    for name, (of_query, of_image) in differences(query, image, attributes).items():
        if name == MARKS:
            lines.append(f"marks: lacks {_marks(of_query)}; has instead {_marks(of_image)}")
        else:
            lines.append(f"{in_words(name)}: {of_image or 'not named'} instead of {of_query or 'not named'}")
    if not lines and image.vehicle_id != query.vehicle_id:
        lines.append("the data set names no difference")
    if VISIBLE in image.attributes:
        lines.append(f"in view: {_marks(image.attributes[VISIBLE])}")
    return "<br>".join(escape(line) for line in lines)


def _marks(names: str | None) -> str:
    """ "dent rear 1, patch left 1" for "dent-rear-1 patch-left-1"."""
    return ", ".join(name.replace("-", " ") for name in (names or "").split()) or "none"


def _judged(one: Round, answer: int) -> str:
    right = answer == one.right
    kind, sign = ("right", "✓") if right else ("wrong", "✗")
    return f'<td><span class="{kind}">{sign}</span> {answer + 1}</td>'
