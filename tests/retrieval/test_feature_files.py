import os
import time
from dataclasses import replace
from fnmatch import fnmatch

import pytest
import torch

import ssrnet
from ssrnet.data.datasets import open_dataset
from ssrnet.errors import ResourceError
from ssrnet.model import EmbeddingSettings
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, describe
from ssrnet.retrieval.feature_files import (
    PARTS,
    differences,
    feature_record,
    file_name,
    find_features,
    find_file,
    part_name,
    read_record,
    remove_oldest,
    remove_outdated,
    save_features,
)


@pytest.fixture
def features():
    values = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    return FeatureSet(values, ("a.jpg", "b.jpg", "c.jpg"), {"G": 4, "token": 2})


def record(settings=ExtractSettings(), **changes):
    made_by = {
        "model": "SSR-Net",
        "checkpoint": "ssrnet.safetensors",
        "checkpoint_hash": "c" * 16,
        **describe(settings, 256),
    }
    return made_by | {"dataset": "city", "dataset_hash": "d" * 16, "split": "test", "version": "1"} | changes


def test_the_record_names_model_settings_data_and_split(city):
    dataset = open_dataset(city)
    found = feature_record(record(), dataset, "0" * 16, "train")
    assert found == record(
        dataset=dataset.name, layout="VeRi", dataset_hash="0" * 16, split="train", version=ssrnet.__version__
    )


def test_what_was_kept_is_found_as_float32_in_any_of_the_folders(features, tmp_path):
    path = save_features(tmp_path / "b", features, record())
    assert path.parent == tmp_path / "b" and path.name == file_name(record())
    found = find_features([tmp_path / "a", tmp_path / "b"], record())
    assert find_file([tmp_path / "a", tmp_path / "b"], record())[0] == path
    assert found.names == features.names and found.branch_dims == features.branch_dims
    assert found.features.dtype == torch.float32 and torch.equal(found.features, features.features.half().float())
    assert torch.equal(found.features, features.rounded().features)
    assert os.listdir(tmp_path / "b") == [path.name]


def test_differences_are_those_by_which_features_are_not_found():
    same = record(checkpoint="copy.safetensors", dataset="City", version="2", model="X", branches=[])
    assert differences(record(), same) == []
    other = record(ExtractSettings(precision="bfloat16", flip_test=True), checkpoint_hash="e" * 16)
    assert differences(other, record()) == [
        f"checkpoint hash is {'e' * 16} (ssrnet.safetensors), not {'c' * 16} (ssrnet.safetensors)",
        "flip test is True, not False",
        "precision is bfloat16, not the default",
    ]


def test_the_file_is_float16_unless_a_number_is_too_large(features, tmp_path):
    small = save_features(tmp_path, features, record()).stat().st_size
    large, of = replace(features, features=features.features * 1e6), record(checkpoint_hash="e" * 16)
    assert save_features(tmp_path, large, of).stat().st_size == small + 2 * features.features.numel()
    assert torch.equal(find_features([tmp_path], of).features, large.features)


@pytest.mark.parametrize("name", ["checkpoint_hash", "dataset_hash", "split", "image_size"])
def test_features_of_something_else_are_not_found(features, tmp_path, name):
    save_features(tmp_path, features, record())
    assert find_features([tmp_path], record(**{name: 1})) is None
    for settings in (ExtractSettings(flip_test=True), ExtractSettings(embedding=EmbeddingSettings(neck="before"))):
        assert find_features([tmp_path], record(settings)) is None


def test_names_alone_do_not_matter(features, tmp_path):
    save_features(tmp_path, features, record())
    assert (
        find_features([tmp_path], record(checkpoint="copy.safetensors", dataset="City", version="2", model="X"))
        is not None
    )
    assert find_features([tmp_path], record(ExtractSettings(batch_size=1))) is not None


def test_a_file_is_trusted_for_its_record_and_not_for_its_name(features, tmp_path):
    path = save_features(tmp_path, features, record(checkpoint_hash="f" * 16))
    path.rename(tmp_path / file_name(record()))
    assert find_features([tmp_path], record()) is None


@pytest.mark.parametrize("damage", [b"", b"no features", None])
def test_a_damaged_file_is_passed_over_and_made_again(features, tmp_path, damage):
    path = save_features(tmp_path, features, record())
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    assert find_features([tmp_path], record()) is None
    save_features(tmp_path, features, record())
    assert find_features([tmp_path], record()) is not None


def test_the_name_can_be_read(features):
    assert file_name(record()).startswith("city-ssrnet-") and len(file_name(record())) == 12 + 16 + 12
    assert file_name(record(dataset="VERI Wild/3000 ü", checkpoint="..")).startswith("veri-wild-3000-unnamed-")


def test_only_what_no_longer_matches_is_outdated(features, tmp_path):
    kept = {
        save_features(tmp_path, features, each)
        for each in (
            record(),
            record(ExtractSettings(flip_test=True)),
            record(split="train", checkpoint_hash="0"),
            record(checkpoint="other.safetensors", checkpoint_hash="0"),
            record(dataset="twocam"),
        )
    }
    old = [save_features(tmp_path, features, record(**{name: "0"})) for name in ("checkpoint_hash", "dataset_hash")]
    foreign = tmp_path / f"city-ssrnet-{'0' * 16}.safetensors"
    foreign.write_bytes(b"not ours")
    assert remove_outdated(tmp_path, record()) == sorted(old)
    assert set(tmp_path.iterdir()) == kept | {foreign}


def test_the_oldest_make_room(features, tmp_path):
    paths = [save_features(tmp_path, features, record(split=split)) for split in ("test", "train", "query")]
    for age, path in enumerate(paths):
        os.utime(path, (100 - age, 100 - age))
    other = tmp_path / "mine.safetensors"
    other.write_bytes(b"x" * 10_000)
    remove_oldest(tmp_path, paths[0].stat().st_size + paths[1].stat().st_size)
    assert set(tmp_path.iterdir()) == {paths[0], paths[1], other}
    remove_oldest(tmp_path, 0)
    assert set(tmp_path.iterdir()) == {paths[0], other}


def test_files_of_next_year_make_room_first(features, tmp_path):
    """As a clock that was set back leaves them: what was just written is the newest."""
    ahead, behind, written = [
        save_features(tmp_path, features, record(split=split)) for split in ("test", "train", "query")
    ]
    os.utime(ahead, (time.time() + 365 * 86400,) * 2)
    os.utime(behind, (100, 100))
    remove_oldest(tmp_path, written.stat().st_size + behind.stat().st_size)
    assert set(tmp_path.iterdir()) == {behind, written}
    remove_oldest(tmp_path, 0)
    assert set(tmp_path.iterdir()) == {written}


def test_parts_make_room_too(features, tmp_path):
    part, newest = tmp_path / part_name(record()), save_features(tmp_path, features, record())
    (part / "below").mkdir(parents=True)
    (part / "features.f16").write_bytes(b"x" * 10_000)
    os.utime(part, (1, 1))
    remove_oldest(tmp_path, 30_000)
    assert part.is_dir()
    remove_oldest(tmp_path, 9_000)
    assert list(tmp_path.iterdir()) == [newest]


def test_a_parts_name_holds_all_that_shapes_a_row_but_not_the_state_of_the_data():
    name = part_name(record())
    assert fnmatch(name, PARTS) and name.startswith("city-ssrnet-")
    assert part_name(record(dataset_hash="0")) == name
    others = [
        record(checkpoint_hash="0"),
        record(split="train"),
        record(ExtractSettings(flip_test=True)),
        record(ExtractSettings(precision="bfloat16")),
    ]
    assert len({name, *map(part_name, others)}) == 5


def test_the_name_of_float32_features_is_what_it_was_before_there_was_another_precision():
    assert file_name(record()) == "city-ssrnet-fbe2322b0e227f1f.safetensors"
    assert file_name(record(ExtractSettings(precision="bfloat16"))) != file_name(record())


def test_records_are_read_from_feature_files_alone(features, tmp_path, checkpoints):
    assert read_record(save_features(tmp_path, features, record())) == record() | {"branches": []}
    (tmp_path / "x.safetensors").write_bytes(b"x")
    for path in (checkpoints["ssrnet"], tmp_path / "x.safetensors", tmp_path / "absent.safetensors", tmp_path):
        assert read_record(path) is None


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(features, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot write"):
        save_features(tmp_path / "file", features, record())
    assert find_features([tmp_path / "file"], record()) is None
