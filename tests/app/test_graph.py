"""The Graph page: switches, what they do to token and ranks, matrices, and nodes of several images."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.widgets.components.node_graph import Switches, _figure, graph_edges
from app.widgets.symbols import typeset
from app.workbench import graphs
from app.workbench.cache import forget_pictures, session_values
from ssrnet.data.images import read_image
from ssrnet.explain.captions import smoothing_caption
from ssrnet.explain.graph import GraphEdit
from ssrnet.explain.relations import smoothness
from ssrnet.explain.shares import branch_products
from ssrnet.model.graph import RelationGraph
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.ranking import rank
from ssrnet.training.checkpoint import save_checkpoint
from tests import tiny
from tests.app.conftest import (
    align_by_hand,
    aligned,
    as_upload,
    components,
    html,
    matrices,
    ranked_rows,
    shared_keys,
    whole,
    with_uploads,
    workbench,
)

QUERY = "0007_c001_00000000_0.jpg"
NODES = ["global", "ul", "ur", "mid", "dl", "dr", "token"]


@pytest.fixture(scope="module")
def graph():
    return RelationGraph(8, 4)


def test_the_graph_as_it_is(open_city):
    test = open_city("graph", query=QUERY)
    assert any("Baseline (GB) has no relation branch" in caption.value for caption in test.caption)
    drawing = components(test, "node_graph")[0]
    assert [node["name"] for node in drawing["nodes"]] == NODES and len(drawing["edges"]) == 4 + 4 + 6
    assert drawing["off"] == drawing["cut"] == []
    places = {
        node["name"]: (node["x"] / drawing["size"][0], node["y"] / drawing["size"][1]) for node in drawing["nodes"]
    }
    # A 64 px image has a 4x4 map, and 2/3 of it are 2 cells: centres at 1, 3 and 2 of 4.
    assert places["ul"] == pytest.approx((0.25, 0.25)) and places["dr"] == pytest.approx((0.75, 0.75))
    assert [metric.value for metric in test.metric[:2]] == ["1.000", "1.000"]
    assert html(test).count('class="row"') == 1, "without an edit there is nothing to set beside the graph as it is"
    A, P = matrices(test)[0].values()
    assert A.sum() == 7 + 2 * 14 and (A.diagonal() == 1).all()
    assert P[0].tolist() == [0.5, 0, 0, 0, 0, 0, 0.5] and P.sum(1) == pytest.approx(1)
    assert len(matrices(test)[1]) == 3, "cosines of H(0), H(1) and H(2)"


def test_the_page_says_how_alike_nodes_are_over_several_images(open_city):
    test = open_city("graph", query=QUERY)
    (sentence,) = (each.value for each in test.markdown if "Mean cosine between two nodes" in each.value)
    assert all(f"at $H^{{({layer})}}$" in sentence for layer in range(3)) and "M_c" not in sentence
    assert any("Measured on all images" in each.value for each in test.caption)


def test_sentences_say_whether_the_graph_smooths_and_which_node_turns_the_token(open_city, city, checkpoints):
    test = open_city("graph", query=QUERY)
    model = workbench(city, checkpoints).ssrnet
    query = next(i for i, image in enumerate(model.split.query) if image.name == QUERY)
    means = smoothness(model.view(model.split.query[query]).trace).nodes[:, 0].tolist()
    texts = [each.value for each in test.markdown]
    assert typeset(smoothing_caption(means, "The nodes of this image")) in texts
    (turned,) = (text for text in texts if re.search(r"turns? \$f_\{\\mathrm\{token\}\}\$", text))
    table = test.dataframe[-1].value
    cosine = table["f_token's cosine without it"]
    assert f"{table['Node'][cosine.idxmin()].split(' (')[0]} off" in turned and f"{cosine.min():.4f}" in turned


def test_switches_in_the_url_change_token_matrices_and_label(open_city):
    test = open_city("graph", query=QUERY, graph_off="ul,token", graph_cut="ur-mid")
    drawing = components(test, "node_graph")[0]
    assert drawing["off"] == ["ul", "token"] and drawing["cut"] == ["ur-mid"]
    assert float(test.metric[0].value) < 1
    assert any("Asymmetric: the query's graph is edited" in caption.value for caption in test.caption)
    assert "without ul, token silenced, without edge mid-ur" in html(test) and html(test).count('class="row"') == 2
    A, P = matrices(test)[0].values()
    assert A[1].tolist() == [0, 1, 0, 0, 0, 0, 0] and A[2, 3] == A[3, 2] == 0
    assert P[6].tolist() == pytest.approx([1 / 6, 0, 1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 6])
    silenced = open_city("graph", query=QUERY, graph_off="ul", graph_how="silenced")
    assert matrices(silenced)[0]["A + I (Eq. 3)"].sum() == 7 + 2 * 14, "a silenced node keeps its edges"
    assert "ul silenced" in html(silenced)


@pytest.mark.parametrize(
    ("variant", "missing", "hub"), [("w/o token", "token", "global"), ("w/o global node", "global", "token")]
)
def test_variants_of_table_1_are_drawn_with_their_adjacency(open_city, variant, missing, hub):
    test = open_city("graph", query=QUERY, graph_variant=variant, graph_off="dl")
    drawing = components(test, "node_graph")[0]
    nodes = [name for name in NODES if name != missing]
    assert [node["name"] for node in drawing["nodes"]] == nodes and len(drawing["edges"]) == 4 + 4 + 5
    A = matrices(test)[0]["A + I (Eq. 3)"]
    assert [name for name, joined in zip(nodes, A[nodes.index(hub)]) if not joined] == ["dl"], "which is taken out"
    assert A.shape == (6, 6) and A.sum() == 6 + 2 * (13 - 4), "dl had two corners, the middle, and the hub"
    assert "Drawing and matrices only" in test.info[0].value and not test.metric
    assert "graph_variant" in test.query_params and 'class="row"' not in html(test)
    assert [each.value for each in test.subheader][0] == "Nodes of several images, layer by layer"


def test_the_switch_between_graphs_offers_those_that_the_checkpoint_is_not(open_city):
    offered = {each.key: each.options for each in open_city("graph", query=QUERY).get("button_group")}
    assert list(offered["graph_variant"]) == ["this checkpoint", "w/o token", "w/o global node"]


def test_nodes_that_lose_their_edges_are_named_for_the_drawing(open_city):
    drawing = components(open_city("graph", query=QUERY, graph_off="ul,token"), "node_graph")[0]
    assert drawing["removable"] == NODES[:6], "the token is read out, so it is silenced and keeps its edges"
    silenced = components(open_city("graph", query=QUERY, graph_off="ul", graph_how="silenced"), "node_graph")[0]
    assert silenced["removable"] == []


def test_the_print_draws_edges_of_a_node_that_is_off_as_off(open_city):
    drawing = components(open_city("graph", query=QUERY, graph_off="ul,token", graph_cut="dl-dr"), "node_graph")[0]
    lines = [trace for trace in _figure(drawing).data if trace.mode == "lines"]
    drawn = {tuple(edge): (line.line.dash, line.opacity) for edge, line in zip(drawing["edges"], lines, strict=True)}
    assert {edge for edge, (dash, _) in drawn.items() if dash == "dot"} == {
        edge for edge in drawn if "ul" in edge or edge == ("dl", "dr")
    }
    assert {edge for edge, (_, opacity) in drawn.items() if opacity < 1} == {
        edge for edge in drawn if "token" in edge and "ul" not in edge
    }


def test_the_print_has_the_screens_colours_and_the_names_beside_the_picture(open_city):
    drawing = components(open_city("graph", query=QUERY), "node_graph")[0]
    *lines, nodes = _figure(drawing).data
    assert [line.line.color for line in lines] == drawing["lines"]
    assert {tuple(edge): colour for edge, colour in zip(drawing["edges"], drawing["lines"])}[("ul", "mid")] == "#ffffff"
    assert list(nodes.marker.color) == [node["colour"] for node in drawing["nodes"]]
    assert len(set(nodes.marker.color)) == 3 and nodes.text[0] == "G" and nodes.text[-1] == "T"
    assert [each.text for each in _figure(drawing).layout.annotations] == ["global", "token"]


def test_nodes_of_several_images_are_the_second_section_and_open_on_look_alikes(open_city, monkeypatch):
    test = open_city("graph", query=QUERY)
    assert [each.value for each in test.subheader][0] == "Nodes of several images, layer by layer"
    assert any("1 image, 7 nodes each" in each.value for each in test.caption), "no look-alikes without sibling groups"
    monkeypatch.setattr(graphs, "choices", lambda image: ["query", "vehicle", "alike", "wrong", "random"])
    monkeypatch.setattr(
        graphs, "chosen_images", lambda model, query, choice, *_: asked.append(choice) or [model.split.query[0]]
    )
    asked = []
    open_city("graph", query=QUERY)
    open_city("graph", query=QUERY, graph_images="This image")
    assert asked == ["alike", "query"]


def test_all_on_takes_the_switches_back(open_city):
    test = open_city("graph", query=QUERY, graph_off="ul")
    test.button(key="graph_reset").click().run()
    assert "graph_off" not in test.query_params and test.metric[0].value == "1.000"


def test_shares_of_the_nodes_add_up(open_city):
    test = open_city("graph", query=QUERY)
    rows = test.dataframe[-1].value
    assert rows["Node"].tolist()[-1] == "constant of the neck" and len(rows) == 8
    assert test.dataframe[-1].proto.placeholder == "", "what a row does not have is an empty cell"
    assert rows["Switched off"].tolist()[:7] == ["removed"] * 6 + ["silenced"]
    total = rows["Share in the match's cosine"].sum()
    assert any(f"{total:.4f}" in caption.value for caption in test.caption)


def test_nodes_of_a_vehicle_are_drawn_layer_by_layer(open_city):
    url = {"graph_images": "Its vehicle", "graph_colour": "camera", "graph_method": "t-SNE"}
    test = open_city("graph", query=QUERY, **url)
    drawn = components(test, "scatter")[0]
    assert [panel["title"] for panel in drawn["panels"]] == ["H(0)", "H(1)", "H(2)"]
    assert [len(panel["x"]) for panel in drawn["panels"]] == [21, 21, 21]
    assert [kind["label"] for kind in drawn["kinds"]] == ["c001", "c002"]
    assert drawn["marked"] == list(range(7)) and len(drawn["pictures"]) == 3
    assert drawn["crop"][1] == [0, 0, 0.5, 0.5] and drawn["crop"][0] == [0, 0, 1, 1]
    assert any("Mean over 3 images" in caption.value for caption in test.caption)


def test_a_baseline_alone_is_one_sentence(open_page, city, checkpoints):
    test = whole(open_page("graph", data=str(city), baseline=checkpoints["baseline"], ssrnet=checkpoints["baseline"]))
    assert "has no relation branch, so it has no nodes to show; choose an SSR-Net" in test.info[0].value
    assert not components(test, "node_graph")


def test_a_network_without_token_has_six_nodes(open_page, city, checkpoints, tmp_path):
    model = tiny.network(token_node=False, gcn_depth=1)
    path = tmp_path / "notoken.safetensors"
    save_checkpoint(path, model, tiny.info(model))
    test = whole(
        open_page(
            "graph",
            data=str(city),
            query=QUERY,
            baseline=checkpoints["baseline"],
            ssrnet=str(path),
            graph_off="global",
            graph_cut="ul-nowhere",
        )
    )
    assert [node["name"] for node in components(test, "node_graph")[0]["nodes"]] == NODES[:6]
    assert "global silenced" in html(test) and len(matrices(test)[1]) == 2


def test_switches_fit_the_graph(graph):
    asked = Switches(("token", "ul", "wheel"), ("mid-ul", "ul-mid", "global-ul")).of(graph)
    assert asked == Switches(("ul", "token"), ("ul-mid",)), "names in the graph's order, and no edge that it lacks"
    assert asked.edit(graph, True) == GraphEdit(("ul",), ("token",), (("ul", "mid"),))
    assert asked.edit(graph, False) == GraphEdit((), ("ul", "token"), (("ul", "mid"),))
    assert len(graph_edges(graph)) == 14


def test_an_answer_without_an_edit_is_the_stored_ranking(project, city, checkpoints):
    model = workbench(city, checkpoints).ssrnet
    evaluation, found = model.evaluation(), graphs.edited_query(model, 1, GraphEdit())
    assert found.token_cosine == pytest.approx(1) and found.embedding_cosine == pytest.approx(1)
    listed = [hit.index for hit in evaluation.ranking.hits(1)]
    np.testing.assert_allclose(
        found.ranking.distance[0, : len(listed)], evaluation.ranking.distance[1, : len(listed)], atol=2e-3
    )
    assert torch.equal(found.before.f_token, found.after.trace.f_token)


def test_an_edited_query_and_its_nodes_are_aligned_by_frozen_statistics(project, city, checkpoints):
    model, edit = aligned(workbench(city, checkpoints).ssrnet), GraphEdit(nodes_off=("ul",))
    split, stored = model.split, model.features()
    image, view = split.query[1], model.view(split.query[1])

    def by_hand(trace, image=image):
        return align_by_hand(model, FeatureSet(trace.embedding(), (image.name,), stored.branch_dims), [image])

    gallery, split_of_one = align_by_hand(model, stored, split.gallery), replace(split, query=(image,))
    found, (before, after) = graphs.edited_query(model, 1, edit), map(by_hand, (view.trace, view.edit(edit).trace))
    assert found.embedding_cosine == pytest.approx(torch.cosine_similarity(before, after).item())
    for ranking, rows in ((found.ranking, before), (found.edited_ranking, after)):
        expected = rank(rows, gallery, split_of_one, top_k=5)
        assert ranking.order[0, :5].tolist() == expected.order[0, :5].tolist()
        np.testing.assert_allclose(ranking.distance[0, :5], expected.distance[0, :5], atol=1e-5)
        assert ranking.first_hit[0] == expected.first_hit[0]
    hit = graphs.first_listed(found.ranking)
    nodes = {row.node: row for row in graphs.single_nodes(model, 1, hit.index)}
    match = by_hand(model.view(split.gallery[hit.index]).trace, split.gallery[hit.index])  # not rounded as stored ones
    cosines = torch.cosine_similarity(torch.cat([before, after]), match)
    assert nodes["ul"].fall == pytest.approx((cosines[0] - cosines[1]).item(), abs=1e-4)
    assert nodes["ul"].first_hit == found.edited_ranking.first_hit[0]
    token = branch_products(before[0], match, stored.branch_dims).shares()[2].item()
    assert sum(row.share for row in nodes.values()) == pytest.approx(token, abs=1e-4)


def test_the_page_says_what_is_aligned(open_city):
    test = open_city("graph", query=QUERY, align="true", graph_off="ul")
    captions = [each.value for each in test.caption]
    assert "Baseline (GB) has no relation branch, so it has no nodes to show." in captions
    assert any("aligned by camera, with statistics that no edit" in each for each in captions)
    assert "Graph as it is, aligned" in html(test) and "Edited: without ul, aligned" in html(test)
    assert any(each.endswith("Alignment takes the camera's mean off the constant of the neck.") for each in captions)
    assert not any("lign" in each.value for each in open_city("graph", query=QUERY).caption)


def test_choices_of_images(project, city, checkpoints):
    model = workbench(city, checkpoints).ssrnet
    image = model.split.query[0]
    assert graphs.choices(image) == ["query", "vehicle", "wrong", "random"], "no look-alikes without sibling groups"

    def names(choice, most=6, seed=0):
        found = graphs.chosen_images(model, 0, choice, most, seed)
        assert found[0] == image and len(set(found)) == len(found) <= most
        return found

    assert {other.vehicle_id for other in names("vehicle")} == {image.vehicle_id} and len(names("vehicle")) == 3
    assert {other.vehicle_id for other in names("wrong")} > {image.vehicle_id}, "itself and its first wrong hits"
    drawn = names("random", 12)
    assert len({other.vehicle_id for other in drawn}) == 4 and names("random", 12) == drawn != names("random", 12, 1)


def test_an_upload_of_a_test_image_has_its_nodes_its_token_and_its_ranks(project, city, checkpoints):
    raw, edit = workbench(city, checkpoints).ssrnet, GraphEdit(nodes_off=("ul",))
    by_whole_set = replace(raw.aligned, alignment=replace(raw.aligned.alignment, min_images=99))
    upload = as_upload(raw.split.query[1])
    for model in (raw, by_whole_set):  # features are kept as float16, which may round a last bit otherwise
        mine, member = (graphs.edited_query(model, query, edit) for query in (upload, 1))
        for name in ("token_cosine", "embedding_cosine"):
            assert getattr(mine, name) == pytest.approx(getattr(member, name), abs=1e-4)
        for name in ("ranking", "edited_ranking"):
            found, expected = getattr(mine, name), getattr(member, name)
            assert found.order.tolist() == expected.order.tolist() and not found.is_labelled
            np.testing.assert_allclose(found.distance, expected.distance, atol=1e-4)
        nodes, expected = (graphs.single_nodes(model, query, 2) for query in (upload, 1))
        assert [(row.node, row.off) for row in nodes] == [(row.node, row.off) for row in expected]
        for name in ("token_cosine", "share", "fall"):
            values = ([getattr(row, name) or 0 for row in rows] for rows in (nodes, expected))
            np.testing.assert_allclose(*values, atol=1e-4)
    nearest = graphs.chosen_images(raw, upload, graphs.NEAREST, 4)
    listed = graphs.edited_query(raw, 1, GraphEdit()).ranking.order[0, :3]
    assert nearest == [upload, *(raw.split.gallery[at] for at in listed)]
    for layer, expected in zip(graphs.nodes(raw, [upload]), graphs.nodes(raw, [raw.split.query[1]]), strict=True):
        np.testing.assert_allclose(layer, expected, atol=1e-5)
    assert upload.digest not in shared_keys() and upload.digest in repr(session_values().keys())
    forget_pictures()
    assert upload.digest not in repr(session_values().keys()), "no uploader holds it"


def test_the_page_edits_the_graph_of_an_upload(open_city, city, checkpoints):
    queries = workbench(city, checkpoints).split.query
    image = next(image for image in queries if image.name == QUERY)
    test = open_city("graph", query=QUERY, graph_off="ul")
    before, metrics = ranked_rows(test), [metric.value for metric in test.metric[:2]]
    with_uploads(test, {"mine.jpg": read_image(image.path), "other.jpg": read_image(queries[0].path)})
    assert [metric.value for metric in test.metric] == metrics, "no first hit and no AP, since nobody knows the vehicle"
    for row, known in zip(ranked_rows(test), before, strict=True):
        assert row["heading"] == known["heading"]
        assert {each["kind"] for each in row["pictures"][1:]} == {"plain"}
    columns = test.dataframe[-1].value.columns
    assert "Share in the image's cosine" in columns and not any("hit" in name for name in columns)
    offered = {each.key: each.options for each in test.get("button_group")}
    assert list(offered["graph_upload_images"]) == ["This image", "Your other images", "Its nearest", "Random vehicles"]
    test.segmented_control(key="graph_upload_images").set_value("uploads").run()
    assert not test.exception and any("2 images, 7 nodes each" in each.value for each in test.caption)
    assert "mine.jpg" not in str(test.query_params)
