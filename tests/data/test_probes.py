from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssrnet.data.probes import AS_IT_IS, MOVED, REMOVED, mark_probes, probe_series
from ssrnet.errors import DataError
from ssrnet.synth.vehicle.part_names import PART_NAMES

CITY = Path(__file__).resolve().parents[2] / "assets/city"
HEADER = "image,series,step,value,vehicle_id,camera_id,mark,change"
MARK_HEADER = HEADER + ",mark_pixels,mask\n"


def write(folder, *lines):
    (folder / "probes.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return folder


def test_steps_come_in_order_one_series_for_each_vehicle_without_the_marks(tmp_path):
    folder = write(
        tmp_path,
        "b.jpg,turn,10,150 deg,0001,c015,,",
        "a.jpg,turn,2,30 deg,0001,c015,,",
        "c.jpg,turn,0,0 deg,0002,,,",
        "d.jpg,mark,0,dent,0001,c015,dent-1,as it is",
        "e.jpg,sun,0,7.00 h,0001,c015,,",
    )
    turn, other, sun = probe_series(folder)
    assert (turn.name, turn.vehicle_id, turn.values) == ("turn", "0001", ("30 deg", "150 deg"))
    assert [image.path for image in turn.photographs] == [folder / "a.jpg", folder / "b.jpg"]
    assert (other.vehicle_id, other.photographs[0].camera_id) == ("0002", None)
    assert sun.name == "sun"


def test_no_file_is_no_series_and_a_step_that_is_no_number_is_named(tmp_path):
    assert probe_series(tmp_path) == [] and mark_probes(tmp_path) == []
    with pytest.raises(DataError, match="line 2: the step is 'third'"):
        probe_series(write(tmp_path, "a.jpg,turn,third,30 deg,0001,c015,,"))


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
    (tmp_path / "probes.csv").write_text(MARK_HEADER + "turn.jpg,turn,0,0 deg,1,c1,,,,turn.png\n" + "".join(rows))
    (probe,) = mark_probes(tmp_path)
    assert probe.region(AS_IT_IS, (2, 2), ("body", "sticker")).tolist() == [[False, False], [False, True]]
    with pytest.raises(DataError, match="has the mark 'sticker'; parts.txt has no part of this name"):
        probe.region(AS_IT_IS, (2, 2), ("body", "wheel"))


def test_a_capture_without_its_counterpart_is_skipped(tmp_path):
    (tmp_path / "probes.csv").write_text(MARK_HEADER + f"a.jpg,mark,0,sticker,1,c1,s-1,{AS_IT_IS},1,a.png\n")
    assert mark_probes(tmp_path) == []
