import pytest

from ssrnet.data.probes import probe_series
from ssrnet.errors import DataError

HEADER = "image,series,step,value,vehicle_id,camera_id,mark,change"


def write(folder, *lines):
    (folder / "probes.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return folder


def test_steps_come_in_their_order_a_series_a_vehicle_and_marks_are_left_to_others(tmp_path):
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
    assert probe_series(tmp_path) == []
    with pytest.raises(DataError, match="line 2: the step is 'third'"):
        probe_series(write(tmp_path, "a.jpg,turn,third,30 deg,0001,c015,,"))
