"""The bar of a guided tour, and lecture mode, through Streamlit's own test runner."""

from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from app.views.story import KEYS
from app.widgets import tours
from app.widgets.lecture import LEAVE, SWITCH
from app.widgets.tours import STAGES, TOURS, Step, Tour, opened_step
from ssrnet.training.checkpoint import save_checkpoint
from tests import tiny
from tests.app.conftest import components, workbench

QUERY = "0008_c001_00000000_0.jpg"


def links(test: AppTest) -> dict[str, tuple[str, dict[str, str], bool]]:
    """The bar's links by their labels: page, parameters and whether they are disabled."""
    found = [each.proto for each in test.get("page_link")]
    return {
        one.label: (one.page, {key: values[0] for key, values in parse_qs(one.query_string).items()}, one.disabled)
        for one in found
    }


def said(test: AppTest) -> list[str]:
    return [each.value for each in test.markdown]


def test_the_bar_has_the_steps_sentence_and_leads_on_and_back(open_city, city, checkpoints):
    test = open_city("graph", tour="token", step="2", query=QUERY)
    assert said(test)[:2] == [
        "**The token** · 2 of 4 · The whole graph",
        "The token is joined to all other nodes; its row after the last layer is the branch's feature.",
    ]
    source = {"data": str(city), **checkpoints}
    tour = {"tour": "token", "query": QUERY}
    assert links(test)["Previous"] == ("retrieval", source | tour | {"step": "1"}, False)
    assert links(test)["Next"] == ("graph", source | tour | {"step": "3", "graph_off": "ul"}, False)
    assert links(test)["Start"] == ("", source, False)
    assert not test.button or LEAVE not in [each.key for each in test.button], "not in lecture mode"


def test_a_tour_ends_at_its_last_step(open_city):
    test = open_city("graph", tour="token", step="4", graph_off="global")
    assert "4 of 4" in said(test)[0]
    assert links(test)["Next"][2] and not links(test)["Previous"][2]


def test_the_story_tour_steps_through_every_stage_of_the_page(city, checkpoints, project):
    assert list(STAGES) == KEYS
    bench = workbench(city, checkpoints)
    tour = TOURS["story"](bench)
    assert list(TOURS)[0] == "story" and {step.view for step in tour.steps} == {"story"}
    assert [step.params["stage"] for step in tour.steps] == [str(stage) for stage in range(1, 11)]


@pytest.mark.parametrize(
    "changes", [tiny.BASELINE, {"attention": "se"}, {"attention_branch": False}, {"parts": "pcb"}], ids=str
)
def test_the_story_tour_leaves_out_what_the_network_does_not_have(open_page, city, tmp_path, checkpoints, changes):
    model, path = tiny.network(**changes), tmp_path / "other.safetensors"
    save_checkpoint(path, model, tiny.info(model))
    source = {"data": str(city), **checkpoints, "ssrnet": str(path)}
    line = components(open_page("story", **source), "stages")[0]
    steps = TOURS["story"](workbench(city, {**checkpoints, "ssrnet": str(path)})).steps
    assert [int(step.params["stage"]) for step in steps] == [at for at in range(1, 11) if at not in line["absent"]]


def test_in_the_story_tour_the_stage_is_the_steps_and_there_is_no_line_of_stages(open_city):
    test = open_city("story", tour="story", step="3", stage="7", query=QUERY)
    assert "3 of 10 · Channel attention" in said(test)[0] and test.subheader[0].value.startswith("3. ")
    assert not components(test, "stages")
    assert links(test)["Next"][1]["stage"] == "4" and links(test)["Previous"][1]["stage"] == "2"


def test_a_lecture_goes_from_start_into_the_first_tour_and_from_each_tour_into_the_next(open_city):
    page, params, _ = links(open_city("start", present="1", query=QUERY))["From photograph to rank row"]
    assert (page, params["tour"], params["step"], params["present"]) == ("story", "story", "1", "1")
    last = links(open_city("story", tour="story", step="10", present="1", query=QUERY))
    assert last["Next"][0] == "learning" and last["Next"][1]["tour"] == "learning" and last["Next"][1]["step"] == "1"
    first = links(open_city("learning", tour="learning", step="1", present="1", query=QUERY))
    assert first["Previous"][1]["tour"] == "story" and first["Previous"][1]["step"] == "10"
    assert links(open_city("story", tour="story", step="10", query=QUERY))["Next"][2], "without it a tour ends"


def test_a_step_moves_a_slider_that_is_on_the_page_already(open_city, monkeypatch):
    steps = [Step("learning", f"α = {alpha}", "", {"batch_margin": alpha}) for alpha in ("0.25", "1.5")]
    monkeypatch.setattr(tours, "TOURS", {"margin": lambda bench: Tour("Margin", "", steps)})
    test = open_city("learning", tour="margin", step="1", batch_margin="0.25")
    assert test.slider(key="batch_margin").value == 0.25
    test.query_params["step"], test.query_params["batch_margin"] = "2", "1.5"
    test = test.run()
    assert test.slider(key="batch_margin").value == 1.5
    test = test.slider(key="batch_margin").set_value(0.75).run()
    assert test.slider(key="batch_margin").value == 0.75, "what the viewer sets then stays"


def test_a_wrong_step_opens_its_page_without_a_bar(open_city):
    test = open_city("graph", tour="token", step="9", query=QUERY)
    assert test.query_params["query"] == QUERY and "Previous" not in links(test)


@pytest.mark.parametrize(
    ("view", "url", "number"),
    [
        ("graph", {"tour": "two", "step": "2"}, 2),
        ("map", {"tour": "two", "step": "1"}, 1),
        ("map", {"tour": "two", "step": "2"}, None),  # that is on another page
        ("graph", {"tour": "two", "step": "0"}, None),
        ("graph", {"tour": "two", "step": "3"}, None),
        ("graph", {"tour": "two", "step": "-1"}, None),
        ("graph", {"tour": "two", "step": "two"}, None),
        ("graph", {"tour": "two", "step": "²"}, None),
        ("graph", {"tour": "two"}, None),
        ("graph", {"tour": "none", "step": "1"}, None),  # no steps: the models are not measured, say
        ("graph", {"tour": "another", "step": "1"}, None),
        ("graph", {"step": "1"}, None),
    ],
)
def test_only_a_step_of_this_page_is_opened(monkeypatch, view, url, number):
    two = Tour("Two", "", (Step("map", "First", ""), Step("graph", "Second", "")))
    monkeypatch.setattr(tours, "TOURS", {"two": lambda bench: two, "none": lambda bench: Tour("None", "not yet")})
    monkeypatch.setattr(tours.st, "query_params", url)
    assert opened_step(view, None) == (number and ("two", two, number))


def test_lecture_mode_is_switched_on_and_left_and_goes_from_page_to_page(open_city):
    test = open_city("graph", present="2", query=QUERY)
    assert not test.toggle(key=SWITCH).value and "Retrieval" not in links(test)
    test = test.toggle(key=SWITCH).set_value(True).run()
    assert test.query_params["present"] == "1" and test.toggle(key=SWITCH).value
    assert (links(test)["Regions"][0], links(test)["Retrieval"][0]) == ("regions", "retrieval")
    assert links(test)["Retrieval"][1]["present"] == "1"
    test = test.button(key=LEAVE).click().run()
    assert "present" not in test.query_params and not test.toggle(key=SWITCH).value
    assert test.query_params["query"] == QUERY and "Retrieval" not in links(test)


def test_lecture_mode_can_be_left_on_a_page_that_shows_an_error(open_page, checkpoints, tmp_path):
    test = open_page("graph", data=str(tmp_path / "nowhere"), **checkpoints, present="1")
    assert "does not exist" in test.error[0].value
    assert "present" not in test.button(key=LEAVE).click().run().query_params
