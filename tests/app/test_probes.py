"""The Probes page: likeness to a reference over a series, and pairs with a mark on and off."""

import shutil

import numpy as np
import pytest
from PIL import Image

from app.workbench import Workbench, cache, probes
from app.workbench.opening import open_checkpoint, open_data
from ssrnet.data.probes import AS_IT_IS, REMOVED
from ssrnet.data.protocols import Protocol
from ssrnet.explain.cam import WHOLE
from ssrnet.explain.overlay import Scale
from tests.app.conftest import pictures_across, whole

VEHICLE, MARKED = "0007", slice(8, 20)


@pytest.fixture(scope="module")
def probed(city, tmp_path_factory):
    """The tiny city with a series of three photographs, and a capture with a white patch and without it."""
    root = tmp_path_factory.mktemp("probed") / "city"
    shutil.copytree(city, root)
    (root / "probes/masks").mkdir(parents=True)
    generator = np.random.default_rng(1)
    lines = ["image,series,step,value,vehicle_id,camera_id,mark,change,mark_pixels,mask"]

    def photograph(name: str, pixels: np.ndarray) -> str:
        Image.fromarray(pixels).save(root / "probes" / name)
        return f"probes/{name}"

    base = np.clip(np.array((30, 60, 220)) + generator.normal(0, 12, (40, 48, 3)), 0, 255).astype(np.uint8)
    for step, name in enumerate(("0 deg", "15 deg", "30 deg")):
        turned = np.clip(base.astype(int) + 40 * step, 0, 255).astype(np.uint8)
        lines.append(f"{photograph(f'turn_{step}.jpg', turned)},turn,{step},{name},{VEHICLE},c015,,,,")
    lines.append(f"{photograph('sun_0.jpg', base)},sun,0,7.00 h,{VEHICLE},c015,,,,")
    for change in (AS_IT_IS, REMOVED):
        pixels, mask = base.copy(), np.zeros(base.shape[:2], dtype=np.uint8)
        if change == AS_IT_IS:
            pixels[MARKED, MARKED], mask[MARKED, MARKED] = 255, 1
        name = change.replace(" ", "_")
        Image.fromarray(mask).save(root / f"probes/masks/{name}.png")
        path = photograph(f"mark_{name}.jpg", pixels)
        lines.append(f"{path},mark,0,patch,{VEHICLE},c015,patch-1,{change},,probes/masks/{name}.png")
    (root / "probes.csv").write_text("\n".join(lines) + "\n")
    (root / "parts.txt").write_text("0 background\n1 patch\n")
    return root


def test_a_data_set_without_probes_is_one_sentence(open_city):
    test = open_city("probes")
    assert "has no probes" in test.info[0].value


def test_a_series_is_drawn_for_both_models_and_each_branch(open_page, probed, checkpoints):
    test = whole(open_page("probes", data=str(probed), probes_reference_turn="15 deg", **checkpoints))
    rows = test.dataframe[0].value
    branches = [f"SSR-Net (GB+AB+RB), {branch}" for branch in ("global", "attention", "token")]
    lines = ["Baseline (GB)", "SSR-Net (GB+AB+RB)", *branches]
    assert list(rows.columns) == ["Azimuth", "image", *lines]
    assert list(rows["Azimuth"]) == ["0 deg", "15 deg", "30 deg"]
    for line in lines:
        assert rows[line][1] == pytest.approx(1, abs=1e-3) and rows[line][0] < 1 and rows[line][2] < 1
    assert test.get("image")[0].proto.imgs[0].caption == "Reference: 15 deg"


def test_raw_features_are_compared_and_said_so_where_the_sidebar_aligns_them(open_page, probed, checkpoints):
    raw, aligned = (whole(open_page("probes", data=str(probed), align=each, **checkpoints)) for each in ("", "true"))
    said = [any("of raw features" in each.value for each in test.caption) for test in (raw, aligned)]
    assert said == [False, True] and raw.dataframe[0].value.equals(aligned.dataframe[0].value)


def test_the_url_names_the_series(open_page, probed, checkpoints):
    test = open_page("probes", data=str(probed), probes_series="Sun", **checkpoints)
    assert not test.exception and list(test.dataframe[0].value["Sun"]) == ["7.00 h"]


def test_marks_show_the_change_of_both_models_and_where_it_came_from(open_page, probed, checkpoints, offered):
    test = whole(open_page("probes", data=str(probed), probes_view="Mark on, mark off", **checkpoints))
    pairs, numbers = (each.value for each in test.dataframe)
    assert list(pairs["Mark"]) == ["patch-1"] and not [name for name in pairs.columns if name.startswith("Δ")]
    assert list(numbers["Branch"]) == ["all branches", "all branches", "global", "attention", "token"]
    assert np.allclose(numbers["Change"], numbers["Mark off"] - numbers["Mark on"]) and (numbers["Change"] != 0).all()
    assert len(test.metric) == 2 and all(metric.value.endswith("%") for metric in test.metric)
    assert pictures_across(offered["probes_maps_export_png"]()) == 3

    test.button(key="probes_measure").click().run()
    assert not test.exception and not test.error
    changes = test.dataframe[0].value.filter(like="Δ").iloc[0]
    assert np.allclose(changes, numbers["Change"], atol=2e-3), "stored features are float16"
    assert "probes_measure" not in [button.key for button in test.button]


def test_the_mark_is_the_part_that_differs_and_embeddings_are_kept(project, probed, checkpoints):
    cache._stores.clear()
    model = Workbench.of(open_data(str(probed)), *map(open_checkpoint, checkpoints.values()), Protocol()).ssrnet
    [pair] = probes.pairs(model.data).values()
    assert pair.vehicle == VEHICLE and pair.reference.vehicle_id == VEHICLE
    maps = probes.mark_maps(model, pair, WHOLE, "grad-cam")
    assert maps.area == pytest.approx(144 / (40 * 48))
    assert maps.with_mark.shape == maps.mark.shape == (267, 320) and 0 <= maps.share <= 1
    first, second = (maps.painted("with_mark", Scale(0.0, 1.0), name) for name in ("inferno", "cividis"))
    assert first.shape == (267, 320, 3) and (first != second).any()
    [turn, _] = probes.series(model.data)
    assert probes.stored_embeddings(model, "turn", turn.photographs) is None
    first = probes.embeddings(model, "turn", turn.photographs)
    cache._stores.clear()

    def never(done: int, total: int) -> None:
        raise AssertionError("it is on the disk")

    again = probes.embeddings(model, "turn", turn.photographs, never)
    assert again.names == first.names and (again.features == first.features).all()


def test_a_table_of_probes_that_is_broken_is_one_sentence(open_page, probed, checkpoints, tmp_path):
    root = tmp_path / "broken"
    shutil.copytree(probed, root)
    (root / "probes.csv").write_text("image,series\nprobes/turn_0.jpg,turn\n")
    test = open_page("probes", data=str(root), **checkpoints)
    assert not test.exception and "probes.csv lacks the columns" in test.error[0].value
