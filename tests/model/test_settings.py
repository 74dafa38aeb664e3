import pytest

from ssrnet.errors import SettingsError
from ssrnet.model import TABLE_1, ModelSettings


def test_the_defaults_are_the_papers():
    settings = ModelSettings()
    assert (settings.backbone, settings.last_stride, settings.attention, settings.parts) == (
        "resnet50",
        1,
        "cbam",
        "regions",
    )
    assert (settings.crop_ratio, settings.gcn_depth, settings.branch_dim) == (2 / 3, 2, 512)
    assert settings.global_node and settings.token_node and settings.global_node_from == "before"


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        (TABLE_1["GB"], "Baseline (GB)"),
        (TABLE_1["+AB"], "GB+AB"),
        (TABLE_1["+RB (w/o GN)"], "GB+RB, w/o GN"),
        (TABLE_1["+RB (w/o token)"], "GB+RB, w/o token"),
        (TABLE_1["+RB"], "GB+RB"),
        (TABLE_1["+AB+RB (w/o GN)"], "GB+AB+RB, w/o GN"),
        (TABLE_1["+AB+RB"], "SSR-Net (GB+AB+RB)"),
        ({"attention": "se", "gcn_depth": 3, "crop_ratio": 0.5}, "GB+AB+RB, se, l = 3, λ = 0.5"),
        ({"parts": "pcb"}, "GB+AB+PCB"),
        ({"global_node_from": "after"}, "GB+AB+RB, GN after BN"),
        ({"global_node_from": "after", "global_node": False}, "GB+AB+RB, w/o GN"),
    ],
)
def test_titles_are_the_rows_of_the_tables(changes, title):
    assert ModelSettings(**changes).title == title


@pytest.mark.parametrize(
    ("changes", "graph", "stripes"),
    [
        ({}, True, False),
        ({"parts": "pcb"}, False, True),
        (TABLE_1["+AB"], False, False),
        ({**TABLE_1["GB"], "parts": "pcb"}, False, False),
    ],
)
def test_graph_and_stripes_belong_to_the_relation_branch(changes, graph, stripes):
    settings = ModelSettings(**changes)
    assert (settings.has_graph, settings.has_stripes) == (graph, stripes)


@pytest.mark.parametrize("ratio", [0, 1.2, -1])
def test_crop_ratios_outside_0_to_1_are_refused(ratio):
    with pytest.raises(SettingsError, match=rf"crop ratio is {ratio}; it must lie in \(0, 1\]"):
        ModelSettings(crop_ratio=ratio)


@pytest.mark.parametrize("depth", [0, 4])
def test_depths_that_the_paper_does_not_have(depth):
    with pytest.raises(SettingsError, match=f"GCN depth is {depth}; the paper's Table 4 has 1, 2 and 3"):
        ModelSettings(gcn_depth=depth)


def test_a_graph_needs_a_node_to_read_out():
    nodes = dict(global_node=False, token_node=False)
    with pytest.raises(SettingsError, match="neither global node nor token"):
        ModelSettings(**nodes)
    assert not ModelSettings(parts="pcb", **nodes).has_graph


def test_a_branch_needs_a_channel():
    with pytest.raises(SettingsError, match="branch_dim is 0"):
        ModelSettings(branch_dim=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "vgg16"},
        {"attention": "transformer"},
        {"parts": "wheels"},
        {"stride_position": "conv3"},
        {"global_node_from": "beside"},
    ],
)
def test_a_name_that_is_none_of_the_choices_is_refused(changes):
    ((name, value),) = changes.items()  # a checkpoint's metadata may say anything
    with pytest.raises(SettingsError, match=f"{name} is '{value}'; choose one of "):
        ModelSettings(**changes)
