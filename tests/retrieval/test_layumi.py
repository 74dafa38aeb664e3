"""``pytorch_result.mat``: rows without names find their images, and files of other data are refused."""

import numpy as np
import pytest
from scipy.io import savemat

from ssrnet import cli
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError
from ssrnet.retrieval.external.layumi import read_result
from ssrnet.retrieval.external.matching import match_to_dataset
from tests.data import layouts


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """A gallery with false detections and distractors, which layumi's file has rows of too."""
    return layouts.market(tmp_path_factory.mktemp("market"))


@pytest.fixture
def result():
    """As test.py writes it: (1, N) labels and cameras, the gallery's folders being -1, 0000 and 0003."""
    return {
        "query_f": np.array([[1, 0, 0.5]], np.float32),
        "query_label": np.array([[3]]),
        "query_cam": np.array([[1]]),
        "gallery_f": np.array([[9, 9, 9], [8, 8, 8], [0, 1, 0], [0, 2, 1], [3, 0, 1], [4, 1, 0]], np.float32),
        "gallery_label": np.array([[-1, -1, 0, 0, 3, 3]]),
        "gallery_cam": np.array([[1, 3, 1, 2, 2, 4]]),
    }


@pytest.fixture
def read(market, tmp_path):
    """``read(result)``: the file written, read and matched to the data set."""

    def run(result):
        savemat(tmp_path / "pytorch_result.mat", result)
        data = open_dataset(market)
        return match_to_dataset(read_result(tmp_path / "pytorch_result.mat", data), data, tmp_path)

    return run


def test_every_row_finds_its_image(read, result):
    found = read(result)
    assert found.verified == ("ids", "cameras") and found.outside_test == found.duplicates == 0
    rows = dict(zip(found.features.names, found.features.features.numpy(), strict=True))
    for name, row in {
        "0003_c1s6_015971_00.jpg": [1, 0, 0.5],
        "0000_c1s1_000151_01.jpg": [0, 1, 0],
        "0000_c2s1_000301_00.jpg": [0, 2, 1],
        "0003_c2s3_071002_01.jpg": [3, 0, 1],
        "0003_c4s6_016021_00.jpg": [4, 1, 0],
    }.items():
        assert np.allclose(rows[name] / np.linalg.norm(rows[name]), row / np.linalg.norm(row), atol=1e-3), name


def test_cameras_of_which_the_file_has_one_digit_are_not_compared(read, result):
    one_digit = {name: np.zeros_like(result[name]) for name in ("query_cam", "gallery_cam")}
    assert read(result | one_digit).verified == ("ids",)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"query_f": None}, "has no query_f; a pytorch_result.mat has query_f, query_label"),
        (
            {"gallery_label": np.array([[0, 0, 0, 3, 3, 3]])},
            "has 6 rows of the gallery where .* has 4 images; open the",
        ),
        (
            {"gallery_label": np.array([[-1, -1, 0, 3, 3, 3]])},
            "gallery_label is 3 in row 4 where .* has 0000_c2s1_000301_00.jpg in the order of ImageFolder",
        ),
        ({"gallery_f": np.zeros((5, 3), np.float32)}, "gallery_f is float32 of shape .5, 3., with 6 labels and 6 cam"),
        ({"query_f": np.array([[np.nan, 1, 2]], np.float32)}, "1 of 5 features hold NaN or infinity"),
        ({"gallery_cam": np.array([[1, 3, 1, 2, 4, 2]])}, "cameras contradict .* for"),
    ],
)
def test_what_does_not_fit_is_one_sentence(read, result, change, sentence):
    with pytest.raises(DataError, match=sentence):
        read({name: value for name, value in (result | change).items() if value is not None})


@pytest.mark.parametrize("content", [b"", b"no numbers" * 30, b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_other_files(market, tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mat (is no .mat file|has no query_f)"):
        read_result(tmp_path / "a.mat", open_dataset(market))
    with pytest.raises(DataError, match=r"there is no file .*gone\.mat; check"):
        read_result(tmp_path / "gone.mat", open_dataset(market))


def test_the_command_takes_the_file(market, result, tmp_path, capsys):
    savemat(tmp_path / "pytorch_result.mat", result)
    command = ["import", "--features", str(tmp_path / "pytorch_result.mat"), "--data", str(market), "--name", "layumi"]
    cli.run([*command, "--out", str(tmp_path / "imported")])
    said = capsys.readouterr().out
    # By hand: the query (1, 0, 0.5) is nearest to (3, 0, 1), a match, and then to (4, 1, 0), the other one.
    assert "ids and cameras agree" in said and "rank-1 100.00%, mAP 100.00%" in said
