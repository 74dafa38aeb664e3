"""The Quiz page: its rounds, what an answer explains, the score, and what it says where there is no quiz."""

import re

import pytest
import torch
from streamlit.testing.v1 import AppTest

from ssrnet.analysis.quiz import ROUNDS, Round, draw_rounds
from tests.app.conftest import components, html, whole, workbench

FIGURES = re.compile(r'<figure class="quiz-picture (\w+)"><img src="(.*?)" alt="(.*?)">')


@pytest.fixture
def open_quiz(open_page, fleet, checkpoints):
    def run(**url: str) -> AppTest:
        return whole(open_page("quiz", data=str(fleet), **checkpoints, **url))

    return run


@pytest.fixture
def drawn(project, fleet, checkpoints):
    """``drawn(seed)``: the rounds by the stored features, drawn here again."""

    def run(seed: int) -> tuple[Round, ...]:
        bench = workbench(fleet, checkpoints)
        return draw_rounds(bench.split, [model.features() for model in bench.networks.values()], seed)

    return run


def answer(test: AppTest, place: int) -> AppTest:
    return whole(test.button(key=f"quiz_answer_{place}").click().run())


def go_on(test: AppTest) -> AppTest:
    return whole(test.button(key="quiz_next").click().run())


def cells(test: AppTest) -> list[list[str]]:
    """The rows of the table on the page, as text."""
    rows = re.findall(r"<tr>(<td>.*?)</tr>", html(test))
    return [[re.sub("<br>", "\n", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]


def test_a_question_shows_a_query_and_five_pictures_and_gives_nothing_away(open_quiz):
    test = open_quiz(quiz="3")
    figures = FIGURES.findall(html(test))
    assert [kind for kind, _, _ in figures] == ["query"] + ["plain"] * 5
    assert [alt for _, _, alt in figures] == ["The query", *(f"Image {place}" for place in range(1, 6))]
    assert len({uri for _, uri, _ in figures}) == 6
    sidebar = '<figure class="query-photo">.*?</figure>'  # the other pages' query
    text = re.sub(f'src=".*?"|{sidebar}', "", html(test))
    assert not re.search(r"v\d|c\d", re.sub("<style>.*?</style>", "", text, flags=re.S)), "no vehicle, no camera"
    assert "Round 1 of 10, seed 3" in text
    assert [test.button(key=f"quiz_answer_{place}").proto.shortcut for place in range(5)] == list("12345")


@pytest.mark.parametrize("right", [True, False])
def test_an_answer_is_explained(open_quiz, drawn, fleet, checkpoints, right):
    test = open_quiz(quiz="3")
    one = drawn(3)[0]
    place = one.right if right else (one.right + 1) % 5
    test = answer(test, place)
    kinds = [kind for kind, _, _ in FIGURES.findall(html(test))]
    expected = ["plain"] * 5
    expected[place] = "error"
    expected[one.right] = "hit"
    assert kinds == ["query", *expected]
    assert [each["button"] for each in components(test, "focus_button")] == ["quiz_next"]
    said = f"it is image {one.right + 1}." if right else f"you took image {place + 1}, but it is image {one.right + 1}."
    assert said in html(test) and f"right of 1: You {int(right)}" in html(test)

    split = workbench(fleet, checkpoints).split
    query = split.query[one.query]
    for at, (row, g) in enumerate(zip(cells(test), one.choices, strict=True)):
        image, notes = split.gallery[g], row[-1]
        assert row[0] == f"{at + 1}" and image.vehicle_id in row[1]
        assert [float(cell.removesuffix(" ◂")) for cell in row[2:4]] == pytest.approx(one.cosines[:, at], abs=6e-4)
        assert ["◂" in cell for cell in row[2:4]] == [at == each for each in one.answers]
        assert f"in view: {image.attributes['visible_marks']}" in notes
        mark, own = (each.attributes["visible_marks"] for each in (image, query))
        assert (f"lacks {own} rear 1; has instead {mark} rear 1" in notes) == (at != one.right)
        colours = image.attributes["colour"], query.attributes["colour"]
        assert ("colour: {} instead of {}".format(*colours) in notes) == (colours[0] != colours[1])
    links = {(each.proto.page, each.proto.query_string) for each in test.get("page_link")}
    assert len(links) == len({one.right, place, *one.answers}) + 1
    name = split.gallery[one.choices[one.right]].name
    assert any(page == "retrieval" and f"query={query.name}" in url and f"match={name}" in url for page, url in links)


def test_ten_rounds_make_a_score_and_the_next_seed_follows(open_quiz, drawn):
    test = open_quiz(quiz="3")
    rounds = drawn(3)
    assert len(rounds) == ROUNDS
    for number, one in enumerate(rounds):
        assert f"Round {number + 1} of 10" in html(test)
        test = go_on(answer(test, one.right if number < 6 else (one.right + 1) % 5))
    counts = [sum(one.answers[model] == one.right for one in rounds) for model in range(2)]
    said = " ".join(each.value for each in test.markdown)
    assert f"**You 6**, **Baseline (GB) {counts[0]}**, **SSR-Net (GB+AB+RB) {counts[1]}**" in said
    alone = [n for n, one in enumerate(rounds[:6], 1) if one.right not in one.answers]
    listed = f"round{'s' * (len(alone) > 1)} {', '.join(map(str, alone))}" if alone else "no round"
    assert f"You were right and both models wrong in {listed}." in said
    table = cells(test)
    assert [row[0] for row in table] == [str(number) for number in range(1, 11)]
    assert ["✓" in row[3] for row in table] == [True] * 6 + [False] * 4

    test = whole(test.button(key="quiz_again").click().run())
    assert test.query_params["quiz"] in ("4", ["4"]) and "Round 1 of 10, seed 4" in html(test)


def test_the_same_rounds_again_and_answers_that_stay(open_quiz):
    test = answer(open_quiz(), 0)
    before = html(test)
    assert "seed 1" in before and html(whole(test.run())) == before, "the answer stays in the session"
    for _ in range(ROUNDS - 1):
        test = answer(go_on(test), 0)
    test = whole(go_on(test).button(key="quiz_same").click().run())
    assert FIGURES.findall(html(test))[0][0] == "query" and "Round 1 of 10, seed 1" in html(test)


def test_a_seed_repeats_its_rounds(open_quiz):
    first, again, other = (FIGURES.findall(html(open_quiz(quiz=seed))) for seed in ("5", "5", "6"))
    assert first == again != other


@pytest.mark.parametrize("seed", ["abc", "-1", "1.5", "9" * 40, "²"])
def test_a_seed_that_is_none_is_one_sentence(open_quiz, seed):
    test = open_quiz(quiz=seed)
    assert "must be a whole number of at most 9 digits" in test.warning[0].value
    assert "seed 1" in html(test)


def test_aligned_cosines_where_the_switch_is_on(open_quiz, fleet, checkpoints):
    test = answer(open_quiz(quiz="3", align="true"), 0)
    assert "Aligned cosine, Baseline (GB)" in html(test)
    bench = workbench(fleet, checkpoints).aligned
    one = draw_rounds(bench.split, [model.compared_features() for model in bench.networks.values()], 3)[0]
    shown = [[float(cell.removesuffix(" ◂")) for cell in row[2:4]] for row in cells(test)]
    assert torch.tensor(shown).T.flatten().tolist() == pytest.approx(one.cosines.flatten(), abs=6e-4)


def test_too_few_vehicles_say_so(open_city):
    test = open_city("quiz")
    assert "There is no quiz on this data: a round shows 5 vehicles and this gallery has 4" in test.info[0].value
    assert "quiz_answer_0" not in [each.key for each in test.button]
