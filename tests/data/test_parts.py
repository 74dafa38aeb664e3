from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssrnet.data.parts import MARKS, part_names, read_mask
from ssrnet.errors import DataError
from ssrnet.synth.vehicle.part_names import FIRST_MARK, PART_NAMES

CITY = Path(__file__).resolve().parents[2] / "assets/city"


def test_the_marks_are_those_of_the_city():
    assert MARKS == PART_NAMES[FIRST_MARK:-1]
    assert part_names(CITY) == PART_NAMES


def test_data_without_part_names(tmp_path):
    assert part_names(tmp_path) is None


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
