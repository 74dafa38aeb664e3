import re

import numpy as np
import pytest
import streamlit as st
import torch
from PIL import Image

from app.workbench import Workbench
from app.workbench import health as bench_health
from app.workbench.attention import VERDICTS
from app.workbench.cache import SESSION, _stores, content_key
from app.workbench.opening import open_checkpoint, open_data
from ssrnet.data.datasets import open_dataset
from ssrnet.data.images import read_image
from ssrnet.data.protocols import Protocol
from ssrnet.data.uploads import Uploads
from ssrnet.explain.cam import CAMS, Cam
from ssrnet.explain.captions import map_caption, map_shares
from ssrnet.explain.image_maps import ImageMap, mass_by_part, network_map
from ssrnet.model.health import attention_health
from ssrnet.studies.verdicts import ExplanationVerdicts, MapVerdict, ModelVerdicts, write_verdicts
from ssrnet.training.checkpoint import file_hash
from tests import tiny
from tests.app.conftest import html, specs, workbench

QUERY = "0007_c001_00000000_0.jpg"


def grid(test):
    """By "model: map", in order, what stands below that column's maps: the bar's two numbers, then the caption."""
    sheet = next(element.proto.body for element in test.get("html") if 'class="sheet"' in element.proto.body)
    sheet = re.sub(r"<i>(\w)</i><sub>(\w+)</sub>", r"\1_\2", sheet)  # symbols without their typesetting
    kinds = [
        kind
        for count, kind in re.findall(r'<th scope="colgroup" colspan="(\d)">(.*?)</th>', sheet)
        for _ in range(int(count))
    ]
    titles = re.findall(r'<th scope="col">(.*?)</th>', sheet)
    lines = [
        [(*map(float, re.findall(r"<span>(.*?)</span>", cell)), *re.findall("<p>(.*?)</p>", cell)) for cell in cells]
        for cells in (row.split("<td>")[1:] for row in sheet.split("<tbody>")[1].split("</tr>")[:-1])
    ]
    assert all(len(cells) == len(titles) == len(kinds) for cells in lines)
    columns = zip(*lines, strict=True)
    return {f"{title}: {kind}": list(cells) for title, kind, cells in zip(titles, kinds, columns, strict=True)}


def photographs(test):
    """The captions of the grid's images."""
    sheet = next(element.proto.body for element in test.get("html") if 'class="sheet"' in element.proto.body)
    return re.findall(r'<th scope="row">.*?<p>(.*?)</p>', sheet)


@pytest.fixture
def publish(project):
    """``publish(hash, gains, trusted)``: a study of one checkpoint, and of a baseline that nobody has in view."""

    def run(checkpoint_hash, gains, trusted):
        maps = [
            MapVerdict(name, gain, gain - 0.1, gain + 0.1, 12, 0.7, {"faithful": name in trusted}, name in trusted)
            for name, gain in gains.items()
        ]
        maps.append(MapVerdict("centre", 0.1, 0.0, 0.2, 12, 0.9, {}, False))
        models = ModelVerdicts("Baseline (GB)", "0" * 16, tuple(maps)), ModelVerdicts("x", checkpoint_hash, tuple(maps))
        write_verdicts(project / VERDICTS, ExplanationVerdicts({"dataset": "town"}, models))

    return run


def said(test):
    """The sentences on the maps in view, one a map."""
    (lines,) = (each.value for each in test.markdown if "on the border ring" in each.value)
    return lines.splitlines()


def claims(test):
    return [each.value for each in test.caption if "explanations study" in each.value]


@pytest.fixture
def masked(tmp_path):
    """The tiny city with a mask for each image of vehicle 0007: its left half is paint, the rest background."""
    root = tiny.city(tmp_path / "toys")
    lines = (root / "manifest.csv").read_text().splitlines()
    rows = [f"{lines[0]},mask"]
    (root / "masks").mkdir()
    for line in lines[1:]:
        name, mask = line.split(",")[0], ""
        if "0007" in line:
            mask = f"masks/{name}.png"
            width, height = Image.open(root / "image_test" / name).size
            values = np.zeros((height, width), np.uint8)
            values[:, : width // 2] = 1
            Image.fromarray(values).save(root / mask)
        rows.append(f"{line},{mask}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    (root / "parts.txt").write_text("0 background\n1 paint\n")
    return root


def test_m_s_stands_for_ssrnet_alone_and_a_cam_for_both(open_city, city, checkpoints):
    test = open_city("attention", query=QUERY)
    own = [image for image in open_dataset(city).test if image.vehicle_id == "0007"]
    columns = grid(test)
    model = Workbench.of(open_data(str(city)), *map(open_checkpoint, checkpoints.values()), Protocol()).ssrnet
    M_s = network_map(model.view(own[0]).trace, "M_s").cells
    assert len(own) > 1 and len(columns["SSR-Net (GB+AB+RB): M_s"]) == len(own)
    numbers = columns["SSR-Net (GB+AB+RB): M_s"][[QUERY in each for each in photographs(test)].index(True)]
    assert own[0].name == QUERY and numbers == pytest.approx((M_s.min(), M_s.max()), rel=0.01)
    assert "Baseline (GB): M_s" not in columns
    (absent,) = (each.value for each in test.caption if "no spatial attention map" in each.value)
    assert absent.count("Baseline (GB)") == 2, "no M_s, no F_attn"
    for title in ("Baseline (GB): Grad-CAM", "SSR-Net (GB+AB+RB): Grad-CAM"):
        second, *others = [caption.rpartition(": ")[0] for _, _, caption in columns[title]]
        assert second == "similarity to 0007 · c002" and set(others) == {"similarity to 0007 · c001"}


def test_one_scale_for_all_maps_of_a_kind(open_city):
    apart, together = (grid(open_city("attention", query=QUERY, same_scale=each)) for each in ("false", "true"))
    assert list(apart) == list(together)
    for kind in ("M_s", "|F_G|", "|F_attn|", "Grad-CAM"):
        ranges = [cell[:2] for title, cells in apart.items() if title.endswith(f": {kind}") for cell in cells]
        whole = {cell[:2] for title, cells in together.items() if title.endswith(f": {kind}") for cell in cells}
        assert whole == {(min(low for low, _ in ranges), max(high for _, high in ranges))}
        assert len(set(ranges)) > 1


def test_the_chosen_colours_are_the_maps_and_the_bars(open_city):
    inferno, viridis = (html(open_city("attention", query=QUERY, **url)) for url in ({}, {"map_colours": "Viridis"}))
    assert "Colours from black, " in inferno and "Colours from violet, " not in inferno
    assert "Colours from violet, " in viridis and "#440154" in viridis and "#440154" not in inferno
    assert "match_method" not in viridis and viridis != inferno


def test_fewer_images_than_asked_for_are_said(open_city):
    fewer = [each.value for each in open_city("attention", query=QUERY, attention_images="12").caption]
    assert any(re.match(r"Its vehicle: \d+ of the 11 asked for", each) for each in fewer)
    assert not any(
        "asked for" in each.value for each in open_city("attention", query=QUERY, attention_images="1").caption
    )


def test_raw_features_are_compared_and_said_so_where_the_sidebar_aligns_them(open_city):
    sentence = "Cosines and maps on this page are of raw features"
    raw, aligned = open_city("attention", query=QUERY), open_city("attention", query=QUERY, align="true")
    assert [any(sentence in each.value for each in test.caption) for test in (raw, aligned)] == [False, True]
    assert grid(raw) == grid(aligned) != {}


def test_the_length_of_f_attn_stands_beside_m_s_and_is_f_gs_for_the_baseline(open_city):
    test = open_city("attention", query=QUERY)
    ssr_net, baseline = "SSR-Net (GB+AB+RB)", "Baseline (GB)"
    assert list(grid(test)) == [
        f"{ssr_net}: M_s",
        f"{baseline}: |F_G|",
        f"{ssr_net}: |F_attn|",
        f"{baseline}: Grad-CAM",
        f"{ssr_net}: Grad-CAM",
    ]
    assert any("Baseline (GB) has no attention branch and so no $F" in each.value for each in test.caption)
    assert claims(test) == [], "no study was published"


def test_the_page_opens_on_the_map_that_the_study_trusts_most(open_city, publish, checkpoints):
    own = file_hash(checkpoints["ssrnet"])
    gains = {"score-cam": 0.2, "hires-cam": 0.3, "F_attn": 0.4, "eigen-cam": 0.9}
    publish(own, gains, trusted=("score-cam", "hires-cam", "F_attn"))
    test = open_city("attention", query=QUERY)
    (claim,) = claims(test)
    assert claim.startswith(
        "Of the maps that pass the explanations study's tests on SSR-Net (GB+AB+RB), $|F_{\\mathrm{attn}}|$ has "
    )
    assert "the largest gain (0.40, 95 % interval 0.30 to 0.50, 12 photographs of town), so it stands first" in claim
    assert claim.endswith(
        "$|F_{\\mathrm{attn}}|$ has 70 % of its mass on the vehicle, a blob in the middle 90 %: this share decides nothing."
    )
    assert "Baseline" not in claim
    kinds = list(dict.fromkeys(title.rpartition(": ")[2] for title in grid(test)))
    assert kinds == ["|F_attn|", "M_s", "|F_G|", "HiResCAM"]


def test_a_map_that_fails_the_study_is_said_to_say_little_and_which_one_says_more(open_city, publish, checkpoints):
    publish(file_hash(checkpoints["ssrnet"]), {"M_s": 0.0, "hires-cam": 0.3}, trusted=("hires-cam",))
    cautioned = [line for line in said(open_city("attention", query=QUERY)) if "says little about a match" in line]
    assert len(cautioned) == 1 and cautioned[0].startswith("- **SSR-Net (GB+AB+RB): $M_s$** is ")
    assert cautioned[0].endswith("(the explanations study's test 'faithful' fails); HiResCAM says most.")


def test_each_map_in_view_is_described_by_its_own_numbers(open_city, project, city, checkpoints):
    lines = said(open_city("attention", query=QUERY, attention_images="1"))
    bench = Workbench.of(open_data(str(city)), *map(open_checkpoint, checkpoints.values()), Protocol())
    image = next(image for image in bench.dataset.test if image.name == QUERY)
    cells = network_map(bench.ssrnet.view(image).trace, "M_s").cells
    assert f"- **SSR-Net (GB+AB+RB): $M_s$** {map_caption(map_shares([cells]))}" in [line.strip() for line in lines]
    assert len(lines) == len(set(lines)) == 5, "M_s of SSR-Net alone, a length and a CAM of both"


def test_a_slow_map_opens_no_page_and_a_chosen_one_takes_the_cams_place(open_city, publish, checkpoints):
    publish(file_hash(checkpoints["ssrnet"]), {"score-cam": 0.5, "layer-cam": 0.3}, trusted=("score-cam", "layer-cam"))
    test = open_city("attention", query=QUERY)
    assert "Score-CAM has the largest gain" in claims(test)[0] and "Layer-CAM (0.30) stands first" in claims(test)[0]
    assert list(grid(test))[1] == "SSR-Net (GB+AB+RB): Layer-CAM"
    other = open_city("attention", query=QUERY, attention_cam="Grad-CAM of the cosine")
    assert list(grid(other))[1] == "SSR-Net (GB+AB+RB): Grad-CAM of the cosine"


def test_nothing_is_claimed_of_other_checkpoints_nor_of_a_broken_file(
    open_city, open_page, publish, project, city, checkpoints
):
    publish("f" * 16, {"layer-cam": 0.3}, trusted=("layer-cam",))
    test = open_city("attention", query=QUERY)
    assert (
        claims(test) == [] and list(grid(test))[0] == "SSR-Net (GB+AB+RB): M_s" and "Grad-CAM" in list(grid(test))[-1]
    )
    publish(file_hash(checkpoints["ssrnet"]), {"layer-cam": 0.3}, trusted=())
    test = open_city("attention", query=QUERY)
    assert claims(test) == ["No map passes the explanations study's tests on SSR-Net (GB+AB+RB)."]
    (project / VERDICTS).write_text("{}")
    test = open_page("attention", data=str(city), query=QUERY, **checkpoints)
    assert not test.exception and "holds no verdicts" in test.error[0].value and len(grid(test)) == 5


def test_the_page_says_whether_the_attention_looks_at_the_image(open_city):
    test = open_city("attention", query=QUERY)
    baseline, ssr_net = (each.value for each in test.markdown if "border cell" in each.value)
    assert "**Baseline (GB)**" in baseline and "$F_G$ " in baseline and "M_c" not in baseline and "M_s" not in baseline
    for words in ("**SSR-Net (GB+AB+RB)**", "$M_c$ ", "$M_s$ ", "% of its variance is position", "times the middle"):
        assert words in ssr_net
    assert "Mean cosine" not in ssr_net, "that is the Graph page's"
    assert any("Measured on all images of this data set's test half" in each.value for each in test.caption)


def test_health_in_batches_is_that_of_the_chosen_images(project, city, checkpoints, monkeypatch):
    bench = Workbench.of(open_data(str(city)), *map(open_checkpoint, checkpoints.values()), Protocol())
    monkeypatch.setattr(bench_health, "IMAGES", 5)
    images, calls = bench_health.health_images(bench.data), []
    assert [bench.dataset.test.index(image) for image in images] == [0, 2, 5, 8, 11]
    health = bench_health.health(bench.ssrnet, lambda *done: calls.append(done))
    assert calls == [(1, 2), (2, 2)] and health.images == 5
    whole = attention_health([view.trace for view in bench.ssrnet.views(images)])
    assert health.M_s_position == pytest.approx(whole.M_s_position, rel=1e-4)
    assert health.node_cosine == pytest.approx(whole.node_cosine, rel=1e-4)


def test_health_is_measured_once_and_read_from_the_disk_later(project, city, checkpoints, monkeypatch):
    bench = Workbench.of(open_data(str(city)), *map(open_checkpoint, checkpoints.values()), Protocol())
    st.cache_resource.clear()
    measured = bench_health.health(bench.ssrnet)
    (path,) = project.rglob("*.health.json")
    st.cache_resource.clear()
    monkeypatch.setattr(bench_health, "_sums", lambda *_: 1 / 0)
    assert bench_health.health(bench.ssrnet) == measured
    path.write_text("{}")
    st.cache_resource.clear()
    with pytest.raises(ZeroDivisionError):
        bench_health.health(bench.ssrnet)


def test_images_beside_the_query_method_and_branch_come_from_the_url(open_city):
    url = {"query": QUERY, "attention_set": "Other vehicles", "attention_images": "3", "opacity": "0.8"}
    test = open_city("attention", attention_cam="Layer-CAM", attention_branch="Attention", **url)
    columns = grid(test)
    assert "Baseline (GB): Layer-CAM" not in columns and len(columns["SSR-Net (GB+AB+RB): Layer-CAM"]) == 3
    assert any("Baseline (GB) has no attention branch." in each.value for each in test.caption)
    query, *others = photographs(test)
    assert query == f"Query · 0007 · c001 · {QUERY}" and not any("0007" in text for text in others)
    assert "opacity: 0.8" in html(test)


def test_a_cam_added_to_the_table_is_a_choice_of_both_pages(open_city, monkeypatch):
    toy = Cam("Toy-CAM", lambda given: given.feature_map.F_G[:, 0].numpy(), note="shows the first channel")
    monkeypatch.setitem(CAMS, "toy-cam", toy)
    test = open_city("attention", query=QUERY, attention_cam="Toy-CAM")
    assert not test.exception and list(grid(test))[-1] == "SSR-Net (GB+AB+RB): Toy-CAM"
    assert "Toy-CAM" in test.selectbox(key="attention_cam").options
    match = open_city("retrieval", query=QUERY, match="0006_c001_00000000_0.jpg")
    offered = match.selectbox(key="match_method").options
    assert "Toy-CAM" in offered and "Eigen-CAM (a control)" in offered
    assert not {"Score-CAM", "Grad-CAM of the cosine"} & set(offered)


def test_the_strongest_channels_are_ssrnets(open_city):
    test = open_city("attention", attention_images="1")
    weights = [float(text) for text in re.findall(r"<p><i>M</i><sub>c</sub> ([\d.]+)</p>", html(test))]
    assert len(weights) == 8 and weights == sorted(weights, reverse=True)
    assert test.subheader[-1].value == "SSR-Net (GB+AB+RB): the 8 channels that $M_c$ lets through most"
    assert not any("Baseline" in each.value for each in test.subheader)


def test_mass_by_part_stands_where_masks_are(open_city, open_page, masked, checkpoints):
    test = open_page("attention", data=str(masked), query=QUERY, **checkpoints)
    assert not test.exception and "Mass by part" in [each.value for each in test.subheader]
    assert all("on the vehicle" in line for line in said(test))
    chart = next(each for each in specs(test) if each["data"][0]["name"] == "area")
    assert chart["layout"]["yaxis"]["autorange"] == "reversed", "from top to bottom as in the legend"
    largest = [max(values) for values in zip(*(bars["x"] for bars in chart["data"][1:]))]
    assert largest == sorted(largest, reverse=True)
    other = open_page("attention", data=str(masked), query="0006_c001_00000000_0.jpg", **checkpoints)
    assert not any("on the vehicle" in line for line in said(other))
    assert any("images has a part mask, so nothing is said of the vehicle" in each.value for each in other.caption)
    without = open_city("attention", query=QUERY)
    assert "Mass by part" not in [each.value for each in without.subheader]


def test_mass_is_shared_among_the_parts_of_the_masks(masked):
    dataset = open_dataset(masked)
    image = next(image for image in dataset.test if image.vehicle_id == "0007")
    cells = np.zeros((4, 4), np.float32)
    cells[:, 0] = 1  # all within the left half, but for what bilinear sampling spreads
    mass, area = mass_by_part(dataset, [image], [ImageMap(cells, None)])
    assert mass["paint"] > 0.95 and sum(mass.values()) == pytest.approx(1)
    assert area == pytest.approx({"background": 0.5, "paint": 0.5}, abs=0.02)


@pytest.mark.parametrize("align", ["false", "true"])
def test_an_uploaded_picture_is_a_query_and_stays_in_the_session(open_city, city, checkpoints, align):
    images, model = open_dataset(city).test, workbench(city, checkpoints).ssrnet
    features = model.features()
    test = open_city("attention", align=align)
    assert not [each for each in test.toggle if "your images" in each.label]
    mine = {f"mine-{at}.jpg": read_image(image.path).rotate(180) for at, image in enumerate(images[:3])}
    test.session_state[SESSION] = {("uploads", "images_gallery"): ((), Uploads(mine, ()))}
    test.run().toggle(key="query_mine").set_value(True).run()
    assert not test.exception and not test.error
    assert [each.partition("Query · ")[2] or each for each in photographs(test)] == list(mine)
    columns = grid(test)
    first, second, third = model.predictor.embed(list(mine.values()))
    cosines = [float(torch.cosine_similarity(first, other, dim=0)) for other in (second, second, third)]
    captions = [caption for _, _, caption in columns["SSR-Net (GB+AB+RB): Grad-CAM"]]
    for caption, name, cosine in zip(captions, ("mine-1.jpg", "mine-0.jpg", "mine-0.jpg"), cosines, strict=True):
        assert caption.startswith(f"similarity to {name}: {cosine:.3f}")
    M_s = network_map(model.predictor.set_image(mine["mine-0.jpg"]).trace, "M_s").cells
    assert columns["SSR-Net (GB+AB+RB): M_s"][0][:2] == pytest.approx((M_s.min(), M_s.max()), rel=0.01)
    shared = [key for store in _stores().values() for key in store.entries]
    assert not [digest for digest in map(content_key, mine.values()) if digest in repr(shared)]
    kinds = {key[0] for key in test.session_state[SESSION]}
    assert {"views", "similarity maps"} <= kinds

    test.segmented_control(key="attention_upload_set").set_value("Nearest in the gallery").run()
    assert not test.exception and not test.error
    gallery = features.rows(model.split.gallery)
    nearest = [
        model.split.gallery[at].name for at in torch.cosine_similarity(first[None], gallery).argsort(descending=True)
    ]
    assert [each.rpartition(" · ")[2] for each in photographs(test)] == ["mine-0.jpg", *nearest[:2]]
