"""``ssrnet index build | search | serve-check``, from the command line."""

import json
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ssrnet import cli
from ssrnet.commands.index_build import BuildSettings, build_index
from ssrnet.commands.index_search import SearchSettings, search_index
from ssrnet.commands.index_server import findings
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import DataError, InstallationError, ResourceError, SettingsError
from ssrnet.index import milvus_client
from ssrnet.index.exact_store import ExactIndex
from ssrnet.index.milvus_client import connect
from ssrnet.index.opening import open_index
from ssrnet.index.pca import FILE
from ssrnet.index.record import read_index_record
from ssrnet.retrieval.extraction import ExtractSettings, extract
from ssrnet.training.checkpoint import load_checkpoint, save_checkpoint
from tests import tiny
from tests.index.galleries import BACKENDS
from tests.processes import run_command


@pytest.fixture
def settings(city, checkpoints, tmp_path):
    return BuildSettings(
        city, Path(checkpoints["ssrnet"]), tmp_path / "index", features=(tmp_path / "kept",), workers=0, device="cpu"
    )


def built(settings: BuildSettings, capsys) -> str:
    """What building the index prints."""
    build_index(settings)
    return capsys.readouterr().out


def query(settings: BuildSettings, image: Path, **changes) -> SearchSettings:
    return SearchSettings(settings.out, settings.checkpoint, image, device="cpu", **changes)


@pytest.mark.parametrize("backend", BACKENDS)
def test_build_holds_what_extract_computes_and_again_adds_nothing(settings, backend, capsys):
    settings = replace(settings, backend=backend)
    first = built(settings, capsys)
    assert f"12 images of 1,536 numbers, {backend}; 0 images were there, 12 added (0 from feature files)" in first
    assert "12 images were there, 0 added" in built(settings, capsys)
    images = open_dataset(settings.data).test
    expected = extract(load_checkpoint(settings.checkpoint).model, images, ExtractSettings(), 64, torch.device("cpu"))
    index, _ = open_index(settings.out)
    for image, row in zip(images, index.search(expected.features.numpy(), 1), strict=True):
        assert (row[0].entry.name, row[0].entry.vehicle_id) == (image.name, image.vehicle_id)
        assert row[0].entry.path == str(image.path) and row[0].distance < 1e-5
    index.close()


def test_features_that_are_there_are_not_computed_again(settings, capsys, monkeypatch):
    arguments = ["--data", settings.data, "--checkpoint", settings.checkpoint, "--out", settings.features[0]]
    cli.run(["extract", *map(str, arguments), "--workers", "0", "--device", "cpu"])
    monkeypatch.setattr("ssrnet.commands.index_build.embed_batches", None)
    assert "12 added (12 from feature files)" in built(settings, capsys)


def test_changed_images_and_labels_are_noticed(settings, tmp_path, capsys):
    data = tiny.city(tmp_path / "data")
    settings = replace(settings, data=data)
    built(settings, capsys)
    one, other = sorted((data / "image_test").iterdir())[1:3]
    one.write_bytes(other.read_bytes())
    assert "11 images were there, 1 added (0 from feature files), 1 changed files replaced, 0" in built(
        settings, capsys
    )
    index, _ = open_index(settings.out)
    features = {e.name: f for part in index.blocks() for e, f in zip(*part, strict=True)}
    assert len(features) == 12 and np.allclose(features[one.name], features[other.name], atol=2e-2)
    index.relabel([replace(entry, camera_id="wrong") for entry in index.entries()])
    index.close()
    assert "12 images were there, 0 added (0 from feature files), 0 changed files replaced, 12 rel" in built(
        settings, capsys
    )


def test_another_checkpoint_is_refused(settings, tmp_path, capsys):
    build_index(settings)
    other = replace(settings, checkpoint=tmp_path / "other.safetensors")
    model = tiny.network(seed=1)
    save_checkpoint(other.checkpoint, model, tiny.info(model))
    image = next((settings.data / "image_query").iterdir())
    for run in (lambda: build_index(other), lambda: search_index(query(other, image))):
        with pytest.raises(
            DataError, match=r"was built with checkpoint hash \w{16} \(ssrnet.*other.safetensors\); use the"
        ):
            run()


def test_search_prints_a_table(settings, capsys):
    build_index(settings)
    capsys.readouterr()
    image = sorted((settings.data / "image_query").iterdir())[1]
    search_index(query(settings, image, k=3))
    header, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert header == ["rank", "distance", "vehicle", "camera", "time", "name", "source"]
    assert len(rows) == 3 and rows[0][:2] == ["1", "0.0000"] and rows[0][5] == image.name
    search_index(query(settings, image, k=12, junk=(rows[0][2], rows[0][3]), type=("car", "bus")))
    assert not any(line.split()[2:4] == rows[0][2:4] for line in capsys.readouterr().out.splitlines()[1:])
    search_index(query(settings, image, camera=("c002",), not_id=(rows[0][2],)))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert len(rows) == 6 and {row[3] for row in rows} == {"c002"} and image.name[:4] not in {row[2] for row in rows}
    with pytest.raises(DataError, match="none of the 12 images of .* passes the filters"):
        search_index(query(settings, image, camera=("c009",)))
    with pytest.raises(DataError, match="none of the 12 images"):
        search_index(query(settings, image, after="day 1 00:00:00"))  # no image of this city says when it was taken
    with pytest.raises(SettingsError, match="--before is 'noon'; write seconds"):
        search_index(query(settings, image, before="noon"))


def test_pca_reports_its_loss_and_follows_the_data(settings, tmp_path, capsys):
    data = tiny.city(tmp_path / "data")
    settings = replace(settings, data=data, pca=6)
    first = built(settings, capsys)
    assert "PCA to 6 of 1,536: fitted on 12 features, keeps" in first
    assert "measured on data, cross_camera, seed None" in first and "mAP" in first and "% projected" in first
    report = json.loads((settings.out / "pca.json").read_text())
    assert report["projected_to"] == 6 and report["record"]["dataset"] == "data" and 0 <= report["projected_mAP"] <= 1
    gone = sorted((data / "image_test").iterdir())[1]
    gone.write_bytes(sorted((data / "image_test").iterdir())[2].read_bytes())
    assert "1 changed files replaced" in built(settings, capsys)
    index, record = open_index(settings.out)
    assert len(index) == 12 and record.stored == 6
    with pytest.raises(DataError, match="holds an index projected to 6 numbers, but --pca is 5"):
        build_index(replace(settings, pca=5))


def test_rescoring_orders_by_whole_features(settings, capsys):
    image = sorted((settings.data / "image_query").iterdir())[1]
    build_index(replace(settings, out=settings.out.with_name("whole")))
    build_index(replace(settings, pca=2))
    capsys.readouterr()
    tables = []
    for out, changes in (("whole", {}), ("index", {"rescore": 12}), ("index", {})):
        search_index(replace(query(settings, image, k=5, **changes), index=settings.out.with_name(out)))
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] != tables[2]
    with pytest.raises(
        SettingsError, match=r"--rescore is 4; it needs an index built with --pca, and at least k \(5\)"
    ):
        search_index(query(settings, image, k=5, rescore=4))
    with pytest.raises(SettingsError, match="--rescore is 20; it needs an index built with --pca"):
        search_index(replace(query(settings, image, rescore=20), index=settings.out.with_name("whole")))


def test_pca_goes_on_where_it_was_stopped(settings, capsys, monkeypatch):
    settings = replace(settings, pca=6)
    build_index(replace(settings, out=settings.out.with_name("whole")))
    capsys.readouterr()
    blocks = ExactIndex.blocks

    def stopped(index, size=1024):
        """After five images, when the projection is fitted and projected features are being added."""
        for number, block in enumerate(blocks(index, 5 if (settings.out / FILE).exists() else size)):
            if number and (settings.out / FILE).exists():
                raise KeyboardInterrupt
            yield block

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ExactIndex, "blocks", stopped)
        build_index(settings)
    assert len(open_index(settings.out)[0]) == 5
    assert "12 images were there, 0 added" in built(settings, capsys)
    queries = np.random.default_rng(0).normal(size=(4, 1536))
    found, expected = (
        open_index(out)[0].search(queries, 12) for out in (settings.out, settings.out.with_name("whole"))
    )
    for row, other in zip(found, expected, strict=True):  # products of other batches may round otherwise in float16
        assert dict(row).keys() == dict(other).keys() and len(row) == 12
        assert all(abs(distance - dict(other)[entry]) < 2e-3 for entry, distance in row)


def test_pca_without_a_protocol_says_so(settings, capsys):
    assert "its cost was not measured: the index has 0 of" in built(replace(settings, split="train", pca=4), capsys)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"uri": "http://localhost:1"}, SettingsError, "--uri, --collection and --approximate belong to Milvus; add"),
        ({"approximate": True}, SettingsError, "--uri, --collection and --approximate belong to Milvus; add"),
        ({"pca": 0}, SettingsError, "--pca is 0"),
        ({"backend": "milvus", "uri": "localhost"}, SettingsError, "--uri is 'localhost'; write the address"),
        (
            {"backend": "milvus", "uri": "http://127.0.0.1:9"},
            ResourceError,
            "Milvus at http://127.0.0.1:9 did not do as",
        ),
        ({"pca": 900}, SettingsError, "--pca is 900, but 12 features of 1,536 numbers have at most 12 directions"),
    ],
)
def test_bad_settings_are_one_sentence(settings, changes, error, sentence, monkeypatch):
    monkeypatch.setattr(milvus_client, "CONNECT_SECONDS", 1)
    with pytest.raises(error, match=sentence) as caught:
        build_index(replace(settings, **changes))
    assert "\n" not in str(caught.value)


def test_without_pymilvus(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(InstallationError, match=r"needs pymilvus, not installed here; run `pip install -e .\[index\]`"):
        build_index(replace(settings, backend="milvus"))


def test_what_serve_check_says(settings):
    """Of a file, which answers as a server does."""
    settings = replace(settings, backend="milvus", uri=str(settings.out / "named.db"))
    build_index(settings)
    record = read_index_record(settings.out)
    name = record.collection
    with closing(connect(settings.uri)) as connection:
        answers, there, holds, found = findings(connection, None, record.stored)
        assert answers.startswith(f"{settings.uri} answers: Milvus milvus_lite-") and "pymilvus 3" in answers
        assert there == (
            f"The collection {name} is there, with 1,536 numbers an image, metric COSINE and index FLAT, as the index "
            "needs."
        )
        assert holds == "It holds 12 images." and "returns it first, at distance" in found
        with pytest.raises(DataError, match="has dimension 1536 and metric COSINE, but the index needs 512"):
            list(findings(connection, name, 512))
        with pytest.raises(DataError, match=f"named.db has no collection absent; it has {name}: build one"):
            list(findings(connection, "absent", None))
        with closing(open_index(settings.out)[0]) as index:
            index.delete([entry.key for entry in index.entries()])
        assert list(findings(connection, name, None))[-1] == "It is empty, so no search was tried."


def test_features_of_an_index_are_those_of_the_same_checkpoint(settings, tmp_path):
    """`--features` names exact indexes too; one of another checkpoint, or of projected features, is refused."""
    build_index(replace(settings, pca=4))
    here = replace(settings, out=tmp_path / "here", features=(settings.out,))
    with pytest.raises(DataError, match="is no exact index of whole features; .*with --pca it is full in the folder"):
        build_index(here)
    build_index(replace(here, features=(settings.out / "full",)))
    other = replace(here, checkpoint=tmp_path / "other.safetensors", out=tmp_path / "others")
    model = tiny.network(seed=1)
    save_checkpoint(other.checkpoint, model, tiny.info(model))
    with pytest.raises(DataError, match="was built with checkpoint hash"):
        build_index(replace(other, features=(here.out,)))


def test_from_the_shell(settings):
    of = ["--checkpoint", settings.checkpoint, "--device", "cpu"]
    built = run_command("index", "build", "--data", settings.data, "--out", settings.out, "--workers", "1", *of)
    assert built.returncode == 0 and "12 added" in built.output, built.output
    image = next((settings.data / "image_query").iterdir())
    options = ["--index", settings.out, "--image", image, "--k", "2", "--not-camera", "c002"]
    results = run_command("index", "search", *options, *of)
    assert results.returncode == 0 and image.name in results.output.splitlines()[1], results.output
    unreachable = run_command("index", "serve-check", "--uri", "http://127.0.0.1:9")
    assert unreachable.returncode == 2 and unreachable.output.startswith("ssrnet: ")
    assert "Traceback" not in unreachable.output and unreachable.output.count("\n") == 1
