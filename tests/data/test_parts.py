from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssrnet.data.parts import AS_IT_IS, MARKS, MOVED, REMOVED, mark_probes, part_names, read_mask
from ssrnet.errors import DataError
from ssrnet.synth.vehicle.part_names import FIRST_MARK, PART_NAMES

CITY = Path(__file__).resolve().parents[2] / "assets/city"
HEADER = "image,series,step,value,vehicle_id,camera_id,mark,change,mark_pixels,mask\n"


def test_the_marks_are_those_of_the_city():
    assert MARKS == PART_NAMES[FIRST_MARK:-1]
    assert part_names(CITY) == PART_NAMES


def test_the_citys_probes_show_as_many_pixels_as_its_table_says():
    probes = {(one.photographs[AS_IT_IS].vehicle_id, one.mark): one for one in mark_probes(CITY)}
    assert len(probes) == 67 and sum(MOVED in one.photographs for one in probes.values()) == 61
    probe = probes["0017", "sticker-windscreen-1"]
    assert probe.kind == "sticker" and probe.photographs[REMOVED].name == "probes/mark_0017_04.jpg"
    width, height = Image.open(probe.photographs[AS_IT_IS].path).size
    pixels = [int(probe.region(change, (height, width), PART_NAMES).sum()) for change in (AS_IT_IS, REMOVED, MOVED)]
    assert pixels == [36, 0, 30]


def test_a_mark_of_the_same_kind_that_stays_does_not_count(tmp_path):
    (tmp_path / "parts.txt").write_text("0 body\n1 sticker\n")
    masks = {"before": [[1, 0], [0, 1]], "after": [[1, 0], [0, 0]]}
    for name, values in masks.items():
        Image.fromarray(np.array(values, np.uint8)).save(tmp_path / f"{name}.png")
    rows = [
        f"{name}.jpg,mark,0,sticker,1,c1,s-1,{change},1,{name}.png\n"
        for name, change in (("before", AS_IT_IS), ("after", REMOVED))
    ]
    (tmp_path / "probes.csv").write_text(HEADER + "turn.jpg,turn,0,0 deg,1,c1,,,,turn.png\n" + "".join(rows))
    (probe,) = mark_probes(tmp_path)
    assert probe.region(AS_IT_IS, (2, 2), ("body", "sticker")).tolist() == [[False, False], [False, True]]
    with pytest.raises(DataError, match="has the mark 'sticker'; parts.txt has no part of this name"):
        probe.region(AS_IT_IS, (2, 2), ("body", "wheel"))


def test_a_capture_without_its_other_half_is_left_out(tmp_path):
    (tmp_path / "probes.csv").write_text(HEADER + f"a.jpg,mark,0,sticker,1,c1,s-1,{AS_IT_IS},1,a.png\n")
    assert mark_probes(tmp_path) == []


def test_data_without_these_files(tmp_path):
    assert part_names(tmp_path) is None and mark_probes(tmp_path) == []


@pytest.mark.parametrize("text", ["1 body\n", "0 body\n2 wheel\n", "0\n", "body\n"])
def test_part_names_count_up_from_0(tmp_path, text):
    (tmp_path / "parts.txt").write_text(text)
    with pytest.raises(DataError, match=r"parts.txt, line \d: found .*; expected \d and a part's name"):
        part_names(tmp_path)


def test_masks_of_another_size_or_with_unknown_values_are_refused(tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(np.array([[0, 3]], np.uint8)).save(path)
    np.testing.assert_array_equal(read_mask(path, (1, 2), 4), [[0, 3]])
    with pytest.raises(DataError, match="is 2 x 1, its photograph 1 x 2 pixels"):
        read_mask(path, (2, 1), 4)
    with pytest.raises(DataError, match="has the value 3; parts.txt names 3 parts"):
        read_mask(path, (1, 2), 3)
    with pytest.raises(DataError, match="does not exist"):
        read_mask(tmp_path / "none.png", (1, 2), 3)
