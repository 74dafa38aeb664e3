"""Our readings of the paper: each names a setting whose default is the choice, and numbers are counted, not typed."""

import inspect
import json
import re
from dataclasses import asdict
from pathlib import Path
from pkgutil import resolve_name

import pytest
import torch

from app.widgets.page import VIEWS
from ssrnet.commands.evaluate import EvaluateSettings
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.studies.paper import paper_tables
from ssrnet.studies.readings import all_readings, as_note, as_table, help_lines, numbers, option, readings_of
from ssrnet.studies.settings import study_defaults
from ssrnet.training.settings import recipe
from tests import tiny

DEFAULTS = {
    "train": asdict(recipe("paper")),
    "evaluate": asdict(EvaluateSettings(Path())),
    "study": vars(study_defaults(recipe("paper"), "complexity")),
}
PLACES = {*VIEWS, *paper_tables()}


@pytest.mark.parametrize("reading", all_readings(), ids=lambda reading: reading.title)
def test_a_readings_setting_exists_and_its_default_is_our_choice(reading):
    assert reading.settings or reading.code
    for name, value in reading.settings.items():
        default = DEFAULTS[reading.command]
        for part in name.split("."):
            default = default[part]
        assert (list(default) if isinstance(default, tuple) else default) == value, name
    for name, arguments in reading.code.items():
        module, _, attribute = name.rpartition(".")
        found = resolve_name(f"{module}:{attribute}")
        for argument, value in arguments.items():
            assert inspect.signature(found).parameters[argument].default == value


@pytest.mark.parametrize("reading", all_readings(), ids=lambda reading: reading.title)
def test_a_reading_says_everything_and_where_it_is_shown(reading):
    assert reading.where.startswith(("Sec. ", "Table ")) and len(reading.words) > 5
    assert reading.choice.endswith(".") and reading.why.endswith(".")
    assert reading.shown and set(reading.shown) <= PLACES
    assert "{" not in " ".join(as_note(each) for each in readings_of(reading.shown[0]))


def test_numbers_are_counted_from_the_networks():
    """The attention branch's head, of all that the branches add; the whole against Table 7."""
    with torch.device("meta"):
        base, whole = (SSRNet(settings) for settings in (ModelSettings(**tiny.BASELINE), ModelSettings()))
    counts = [sum(parameter.numel() for parameter in model.parameters()) for model in (base, whole)]
    head = sum(parameter.numel() for parameter in whole.attention_head.parameters())
    assert numbers()["head_share"] == pytest.approx(100 * head / (counts[1] - counts[0]))
    assert numbers()["narrow"] < numbers()["paper_parameters"] < numbers()["parameters"]
    (note,) = (as_note(reading) for reading in readings_of("Table 7") if "AttentionHead" in reading.setting)
    assert "47.6 %" in note and "9.22 G multiply-adds, against the paper's 9.20 G" in note
    written = " ".join(reading.choice + reading.why for reading in all_readings())
    assert not re.search(r"\d %|\d G |\d M ", written), "typed, not counted"


def test_what_the_readings_say_of_layers_is_so():
    with torch.device("meta"):
        model = SSRNet()
    head, graph = model.attention_head, model.graph
    assert (head.conv.weight.shape, head.fc.weight.shape) == ((2048, 2048, 1, 1), (512, 2048))
    assert [tuple(layer.weight.shape) for layer in graph.weights] == [(2048, 2048), (512, 2048)]
    assert all(layer.bias is None for layer in (*graph.weights, head.conv))
    assert not any(neck.bias.requires_grad for neck in model.necks.values())


def test_what_a_run_sets_otherwise():
    (padding,) = (reading for reading in all_readings() if "model.padding" in reading.settings)
    run = json.loads((Path(__file__).parents[2] / "checkpoints/ssrnet/settings.json").read_text())
    assert padding.set_otherwise(run) == {"--model.padding": "replicate"}
    assert padding.set_otherwise({}) == padding.set_otherwise({"model": {"padding": "zeros"}}) == {}


def test_the_help_names_every_option_and_the_table_every_reading():
    for reading in all_readings():
        assert f"| {reading.title} |" in as_table()
        for name in reading.settings:
            assert option(name) in help_lines(reading.command)
    assert "`--model.global-node-from` (before)" in as_table()
