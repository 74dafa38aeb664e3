"""A gallery index searched from Retrieval and from Your images."""

import json
import shutil
from pathlib import Path

import pytest

from ssrnet.commands.index_build import BuildSettings, build_index
from ssrnet.data.datasets import open_dataset
from ssrnet.training.checkpoint import save_checkpoint
from tests import tiny
from tests.app.conftest import rows_of_pictures

QUERY = "0008_c001_00000000_0.jpg"


@pytest.fixture(scope="module")
def index(city, checkpoints, tmp_path_factory) -> Path:
    """SSR-Net's, of the tiny city's twelve test images."""
    folder = tmp_path_factory.mktemp("indexes") / "city"
    build_index(BuildSettings(city, Path(checkpoints["ssrnet"]), folder, features=(), workers=0, device="cpu"))
    return folder


def listed(test) -> list[str]:
    """Names in the index's row, nearest first."""
    assert not test.exception and not test.error, [each.value for each in test.error]
    row = rows_of_pictures(test)[-1]  # below the models' own rows
    return [picture["alt"].split(": ")[1] for picture in row["pictures"]]


def test_the_query_is_searched_with_the_indexs_own_model(open_page, city, checkpoints, index):
    url = {"data": str(city), "query": QUERY, "index": str(index), **checkpoints}
    test = open_page("retrieval", index_other_cameras="false", **url)
    names = listed(test)
    assert names[0] == QUERY and len(names) == 10
    assert "SSR-Net (GB+AB+RB)" in json.dumps(rows_of_pictures(test)) and "of 12 images" in json.dumps(
        rows_of_pictures(test)
    )
    own = {image.name for image in open_dataset(city).test if image.camera_id == "c001"}
    others = listed(open_page("retrieval", **url))
    assert others and not own & set(others), "its own camera is left out unless asked for"
    assert set(listed(open_page("retrieval", index_cameras="c002, c009", index_k="3", **url))) <= set(others)


def test_an_index_in_milvus_lists_the_same_pictures_and_says_how_they_were_found(
    open_page, city, checkpoints, index, tmp_path
):
    out, checkpoint = tmp_path / "milvus", Path(checkpoints["ssrnet"])
    places = {"backend": "milvus", "approximate": True, "features": (index,)}
    build_index(BuildSettings(city, checkpoint, out, workers=0, device="cpu", **places))
    url = {"data": str(city), "query": QUERY, "index_other_cameras": "false", **checkpoints}
    exact, near = (open_page("retrieval", index=str(folder), **url) for folder in (index, out))
    assert listed(near) == listed(exact) and len(listed(near)) == 10
    assert "compared one by one" in json.dumps(rows_of_pictures(exact))
    assert "approximately (HNSW): finds 100.0% of the 50 nearest" in json.dumps(rows_of_pictures(near))


def test_without_an_index_the_page_says_how_to_make_one(open_city):
    test = open_city("retrieval")
    assert any("ssrnet index build" in caption.value for caption in test.caption)


def test_what_cannot_be_searched_is_one_sentence(open_page, city, checkpoints, index, tmp_path):
    url = {"data": str(city), "query": QUERY}
    test = open_page("retrieval", index=str(tmp_path / "nowhere"), **url, **checkpoints)
    assert not test.exception and "is no gallery index" in test.error[0].value
    other = tmp_path / "other.safetensors"
    model = tiny.network()
    save_checkpoint(other, model, tiny.info(model, epoch=7))
    test = open_page("retrieval", index=str(index), baseline=checkpoints["baseline"], ssrnet=str(other), **url)
    assert not test.exception and "was built with checkpoint hash" in test.error[0].value
    test = open_page("retrieval", index=str(index), index_cameras="c777", **url, **checkpoints)
    assert any("None of the index's 12 images" in each.value for each in test.info)


def test_an_index_below_runs_is_offered(project, open_city, open_page, city, checkpoints, index):
    shutil.copytree(index, project / "runs/archive")
    test = open_page("images", images_mode="Search an index", data=str(city), **checkpoints)
    assert not test.exception and any("Upload a query" in each.value for each in test.info)
    test = open_city("retrieval")
    assert test.selectbox(key="index").options == ["runs/archive"]
