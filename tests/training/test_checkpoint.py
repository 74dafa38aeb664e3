import copy
import json
import os
import pickle
import random
from dataclasses import asdict
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import ResNet18_Weights, resnet18

from ssrnet.data.training_sets import TrainingSet
from ssrnet.errors import CheckpointError, ResourceError, SettingsError
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.training.checkpoint import (
    FORMAT,
    file_hash,
    load_backbone,
    load_checkpoint,
    load_weights,
    read_checkpoint,
    read_weights,
    save_checkpoint,
)
from tests import tiny


@pytest.fixture(scope="module")
def model():
    return tiny.network(num_classes=5, crop_ratio=0.5)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """A good checkpoint; read it, never write over it."""
    path = tmp_path_factory.mktemp("checkpoints") / "good.safetensors"
    save_checkpoint(path, model, tiny.info(model))
    return path


def rewritten(saved, path, metadata=None, **changes):
    """``saved`` at ``path`` with other metadata values, or with other tensors (None takes one out)."""
    tensors, stored, _ = read_weights(saved)
    tensors = {name: t for name, t in (tensors | changes).items() if t is not None}
    save_file(tensors, path, stored if metadata is None else metadata)
    return path


def fails(path, *parts: str, load=load_checkpoint) -> None:
    """Loading raises one sentence with the file's path and ``parts``."""
    with pytest.raises(CheckpointError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path)) or f" {path}" in message
    assert all(part in message for part in parts), message
    assert message.endswith(".") and "\n" not in message


def test_a_round_trip_is_exact(model, saved):
    loaded = load_checkpoint(saved)
    own = model.state_dict()
    assert loaded.model.state_dict().keys() == own.keys()
    assert all(torch.equal(value, own[name]) for name, value in loaded.model.state_dict().items())
    assert not loaded.model.training and loaded.notes == ()
    x = tiny.images()
    alike = copy.deepcopy(model).to(memory_format=torch.channels_last)  # as it is loaded, which rounds otherwise
    with torch.no_grad():
        assert torch.equal(loaded.model.trace(x).embedding(), alike.trace(x).embedding())


def test_the_global_nodes_side_of_the_neck_is_saved_and_before_it_in_older_files(tmp_path):
    model = tiny.network(global_node_from="after")
    path = tmp_path / "after.safetensors"
    save_checkpoint(path, model, tiny.info(model))
    assert load_checkpoint(path).model.settings.global_node_from == "after"
    metadata = dict(read_weights(path).metadata)
    info = json.loads(metadata["info"])
    del info["model"]["global_node_from"]
    metadata["info"] = json.dumps(info)
    older = load_checkpoint(rewritten(path, tmp_path / "older.safetensors", metadata)).model
    assert older.settings.global_node_from == "before"
    with torch.no_grad():
        trace = older.trace(tiny.images())
    assert torch.equal(trace.H[0][:, 0], trace.f_G)


def test_loading_draws_no_random_weights(saved, tmp_path):
    without = rewritten(saved, tmp_path / "without.safetensors", **{"classifiers.token.weight": None})
    assert not load_checkpoint(without).model.classifiers["token"].weight.any()


def test_what_the_file_says_of_itself(model, saved):
    loaded = load_checkpoint(saved)
    assert loaded.info == tiny.info(model) and loaded.model.settings == model.settings
    assert loaded.path == saved and loaded.hash == file_hash(saved) and len(loaded.hash) == 16
    assert loaded.record == {
        "model": "GB+AB+RB, λ = 0.5",
        "checkpoint": "good.safetensors",
        "checkpoint_hash": loaded.hash,
    }
    assert load_checkpoint(str(saved)).hash == loaded.hash


def test_what_a_file_says_is_read_without_its_weights(saved, tmp_path):
    stored, loaded = read_checkpoint(saved), load_checkpoint(saved)
    assert (stored.info, stored.path, stored.hash, stored.record) == (
        loaded.info,
        loaded.path,
        loaded.hash,
        loaded.record,
    )
    assert not hasattr(stored, "model")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(saved.read_bytes()[:-1])
    fails(cut, "is damaged or no safetensors file", load=read_checkpoint)
    fails(tmp_path / "none.safetensors", "there is no checkpoint at", load=read_checkpoint)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    fails(tmp_path / "other.pth", "no ssrnet metadata", load=read_checkpoint)


def test_the_hash_is_of_the_content(model, saved, tmp_path):
    again, other = tmp_path / "again.safetensors", tmp_path / "other.safetensors"
    again.write_bytes(saved.read_bytes())
    save_checkpoint(other, model, tiny.info(model, epoch=4))
    assert file_hash(again) == file_hash(saved) != file_hash(other)


def test_a_model_without_classifiers(tmp_path):
    model = tiny.network(**tiny.BASELINE)
    save_checkpoint(tmp_path / "a.safetensors", model, tiny.info(model, num_classes=7))
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert loaded.model.num_classes is None and not loaded.model.classifiers


def test_half_precision_weights_are_loaded_as_float32(saved, tmp_path):
    halves = {name: t.half() if t.is_floating_point() else t for name, t in load_file(saved).items()}
    loaded = load_checkpoint(rewritten(saved, tmp_path / "half.safetensors", **halves))
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}


def test_a_missing_file(tmp_path):
    fails(tmp_path / "none.safetensors", "there is no checkpoint at", "ssrnet train")
    fails(tmp_path, "there is no checkpoint at")


@pytest.mark.parametrize("kept", [0, 7, 1000, -1])
def test_a_truncated_file(saved, tmp_path, kept):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(saved.read_bytes()[:kept])
    fails(path, "is damaged or no safetensors file")


@pytest.mark.parametrize("content", [b"hello, I am a text file\n" * 40, b"\xff" * 5000, b"\0" * 5000])
def test_garbage(tmp_path, content):
    path = tmp_path / "garbage.safetensors"
    path.write_bytes(content)
    fails(path, "is damaged or no safetensors file")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_garbage_with_pytorchs_ending(tmp_path, suffix):
    path = tmp_path / f"garbage{suffix}"
    generator = random.Random(0)
    contents = [bytes(generator.randrange(256) for _ in range(generator.choice([1, 9, 90, 900]))) for _ in range(200)]
    for content in (b"", b"hello, I am a text file\n" * 40, b"<!DOCTYPE html><html></html>"):
        path.write_bytes(content)
        fails(path, "is no PyTorch file", load=read_weights)
    for content in contents:  # by chance a few of these look like the name of a function
        path.write_bytes(content)
        fails(path, load=read_weights)


def test_a_truncated_pytorch_file(tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "whole.pth")
    path = tmp_path / "cut.pth"
    path.write_bytes((tmp_path / "whole.pth").read_bytes()[:2000])
    fails(path, "is no PyTorch file", load=read_weights)


class Malicious:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("how", ["torch", "legacy", "pickle"])
def test_pickled_code_is_told_and_does_not_run(tmp_path, how):
    path, mark = tmp_path / "evil.pth", tmp_path / "it ran"
    content = {"weights": torch.zeros(2), "more": Malicious(mark)}
    if how == "pickle":
        path.write_bytes(pickle.dumps({"more": Malicious(mark)}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    for load in (load_checkpoint, read_weights, lambda path: load_backbone(tiny.network(), str(path))):
        fails(path, "holds pickled code", "so it was not", load=load)
    assert not mark.exists()
    if how == "pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert mark.exists()  # so the file was as bad as it looks


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"a": 1, "b": torch.zeros(2)}, 7])
def test_a_pytorch_file_of_something_else(tmp_path, content):
    path = tmp_path / "a.pth"
    torch.save(content, path)
    fails(path, "holds no dictionary of tensors", "save a state_dict", load=read_weights)


@pytest.mark.parametrize(
    "key", [None, "state_dict", "model", "net", "model_state_dict", "net model", "model state_dict"]
)
def test_a_state_dict_is_found_in_its_wrapping(tmp_path, key):
    state = {"a": torch.arange(3)}
    content = state
    for each in reversed((key or "").split()):
        content = {each: content, "epoch": 3}
    torch.save(content, tmp_path / "a.pth")
    tensors, metadata, _ = read_weights(tmp_path / "a.pth")
    assert tensors.keys() == {"a"} and torch.equal(tensors["a"], state["a"]) and metadata == {}


def test_a_container_that_holds_itself_ends(tmp_path):
    content = {"epoch": 3}
    content["model"] = content
    torch.save(content, tmp_path / "a.pth")
    fails(tmp_path / "a.pth", "holds no dictionary of tensors", load=read_weights)


def test_weights_without_ssrnets_metadata(saved, tmp_path):
    save_file(load_file(saved), tmp_path / "a.safetensors")
    fails(tmp_path / "a.safetensors", "not which network they are for", "ssrnet train")
    torch.save(load_file(saved), tmp_path / "a.pth")
    fails(tmp_path / "a.pth", "not which network they are for")


def metadata_with(model, **settings) -> dict[str, str]:
    """The metadata of ``model``'s checkpoint with other values among its network's settings."""
    about = asdict(tiny.info(model))
    about["model"] |= settings
    return {"format": FORMAT, "info": json.dumps(about)}


@pytest.mark.parametrize("info", ["{", "7", "[]", '"a"', "{}", '{"model": 3}', '{"model": {}}', None])
def test_damaged_metadata(saved, tmp_path, info):
    metadata = {"format": FORMAT} | ({} if info is None else {"info": info})
    fails(rewritten(saved, tmp_path / "a.safetensors", metadata), "has damaged metadata")


@pytest.mark.parametrize(
    "settings", [{"crop_ratio": "wide"}, {"gcn_depth": True}, {"branch_dim": 10**9}, {"backbone": 7}]
)
def test_settings_of_another_kind_or_size(model, saved, tmp_path, settings):
    path = rewritten(saved, tmp_path / "a.safetensors", metadata_with(model, **settings))
    fails(path, "cannot build", *settings)


def with_training_sets(saved, path, packed):
    """``saved`` at ``path`` with ``packed`` for its training sets, or without any where that is None."""
    metadata = read_weights(saved).metadata
    values = json.loads(metadata["info"])
    del values["training_sets"]
    values |= {} if packed is None else {"training_sets": packed}
    return rewritten(saved, path, metadata | {"info": json.dumps(values)})


def test_training_sets_come_back_and_older_files_have_none(model, saved, tmp_path):
    sets = (TrainingSet("toys", "0" * 16, 2, ("a" * 10,), ("b" * 16,), ("c" * 10, "d" * 10)),)
    save_checkpoint(tmp_path / "a.safetensors", model, tiny.info(model, training_sets=sets))
    assert read_checkpoint(tmp_path / "a.safetensors").info.training_sets == sets
    older = with_training_sets(saved, tmp_path / "older.safetensors", None)
    assert load_checkpoint(older).info == load_checkpoint(saved).info == tiny.info(model)


@pytest.mark.parametrize(
    "packed",
    [
        None,
        "toys",
        [3],
        [{"name": "toys"}],
        [{"name": "a", "content_hash": "0" * 16, "images": 1, "vehicles": "0", "examples": "", "cameras": ""}],
    ],
)
def test_training_sets_that_make_no_sense(saved, tmp_path, packed):
    packed = {} if packed is None else packed
    path = with_training_sets(saved, tmp_path / "a.safetensors", packed)
    fails(path, "has damaged metadata", "training", load=read_checkpoint)


def test_metadata_of_a_newer_version(model, saved, tmp_path):
    metadata = metadata_with(model, wheels=4)
    fails(rewritten(saved, tmp_path / "a.safetensors", metadata), "newer ssrnet (it sets wheels)", "update ssrnet")


@pytest.mark.parametrize(
    ("name", "value"), [("backbone", "vgg16"), ("attention", "x"), ("gcn_depth", 7), ("crop_ratio", 1.2)]
)
def test_metadata_of_a_network_that_cannot_be_built(model, saved, tmp_path, name, value):
    metadata = metadata_with(model, **{name: value})
    fails(rewritten(saved, tmp_path / "a.safetensors", metadata), str(value))


def test_another_architecture(saved, tmp_path):
    tensors = load_file(saved)
    for other, problem in (
        (SSRNet(ModelSettings("resnet34"), 5), "lacks"),
        (SSRNet(ModelSettings("resnet18", attention="se"), 5), "tensors that it does not know"),
        (SSRNet(ModelSettings("resnet18", **tiny.BASELINE), 5), "tensors that it does not know"),
    ):
        before = {name: value.clone() for name, value in other.state_dict().items()}
        parts = ("does not fit", other.settings.backbone, problem)
        fails(saved, *parts, load=lambda path: load_weights(other, tensors, path))
        assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_missing_unknown_and_misshapen_tensors_are_named(saved, tmp_path):
    path = tmp_path / "a.safetensors"
    fails(rewritten(saved, path, **{"graph.token": None}), "lacks 1 tensors (first graph.token)")
    fails(rewritten(saved, path, wheels=torch.zeros(2)), "has 1 tensors that it does not know (first wheels)")
    fails(
        rewritten(saved, path, **{"graph.token": torch.zeros(1, 99)}),
        "graph.token is (1, 99) where (1, 512) was expected",
    )


def test_classifiers_of_another_size_are_dropped_and_said(model, saved):
    other = tiny.network(num_classes=9, seed=5, crop_ratio=0.5)
    classifiers = {name: v.clone() for name, v in other.state_dict().items() if name.startswith("classifiers.")}
    notes = load_weights(other, load_file(saved), saved)
    assert notes == ["good.safetensors: dropped its classifiers over 5 identities, which this model does not have"]
    for name, value in other.state_dict().items():
        assert torch.equal(value, classifiers.get(name, model.state_dict().get(name))), name


def test_classifiers_of_the_same_size_are_kept(model, saved):
    other = tiny.network(num_classes=5, seed=5)
    assert load_weights(other, load_file(saved), saved) == []
    assert torch.equal(other.classifiers["token"].weight, model.classifiers["token"].weight)


def test_a_crash_while_writing_leaves_the_old_file(model, saved, tmp_path, monkeypatch):
    path = tmp_path / "last.safetensors"
    path.write_bytes(saved.read_bytes())

    def crash(descriptor):
        raise RuntimeError("power cut")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(Exception, match="power cut"):
        save_checkpoint(path, model, tiny.info(model))
    assert path.read_bytes() == saved.read_bytes() and os.listdir(tmp_path) == [path.name]


# Backbone weights


@pytest.fixture(scope="module")
def resnet():
    """A torchvision resnet18's state dict, classifier included."""
    torch.manual_seed(11)
    return resnet18(weights=None).state_dict()


def holds(model: SSRNet, resnet) -> bool:
    own = model.backbone.state_dict()
    return all(torch.equal(own[name], resnet[name]) for name in own)


@pytest.mark.parametrize("name", ["r.safetensors", "r.pth", "wrapped.pth", "parallel.pth", "half.safetensors"])
def test_backbone_weights_from_a_file(resnet, tmp_path, name):
    path = tmp_path / name
    if name == "half.safetensors":
        resnet = {k: v.half().float() if v.is_floating_point() else v for k, v in resnet.items()}
        save_file({k: v.half() if "conv" in k else v for k, v in resnet.items()}, path)
    elif name.endswith(".safetensors"):
        save_file(resnet, path)
    else:
        parallel = {f"module.{k}": v for k, v in resnet.items()}
        torch.save({"r.pth": resnet, "wrapped.pth": {"state_dict": resnet}, "parallel.pth": parallel}[name], path)
    model = tiny.network()
    head = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("backbone.")}
    assert load_backbone(model, str(path)) == f"backbone: {name}"
    assert holds(model, resnet)
    assert all(torch.equal(model.state_dict()[k], v) for k, v in head.items())


@pytest.mark.parametrize(
    "wrappers",
    ["backbone.", "base.", "model.", "module.", "_orig_mod.", "module.base.", "_orig_mod.backbone.", "module.model."],
)
def test_the_backbone_of_a_whole_network(resnet, tmp_path, wrappers):
    """fast-reid, reid-strong-baseline, layumi's baseline, DataParallel and torch.compile name it so."""
    heads = {"classifier.weight": torch.zeros(9, 512), "bottleneck.bias": torch.zeros(512)}
    path = tmp_path / "reid.pth"
    torch.save({"net": {f"{wrappers}{name}": tensor for name, tensor in resnet.items()} | heads}, path)
    model = tiny.network()
    assert load_backbone(model, str(path)) == "backbone: reid.pth (2 tensors of other parts are not used)"
    assert holds(model, resnet)


def test_backbone_weights_with_nan_are_refused(resnet, tmp_path):
    path = tmp_path / "r.pth"
    bad = resnet["layer1.0.conv1.weight"].clone()
    bad[0, 0, 0, 0] = float("nan")
    torch.save(resnet | {"layer1.0.conv1.weight": bad}, path)
    model = tiny.network()
    before = model.state_dict()["backbone.conv1.weight"].clone()
    fails(path, "holds NaN or infinity in layer1.0.conv1.weight", load=lambda path: load_backbone(model, str(path)))
    assert torch.equal(model.state_dict()["backbone.conv1.weight"], before)


def test_backbone_weights_from_before_batches_were_counted(resnet, tmp_path):
    """torchvision's older files have no num_batches_tracked, and PyTorch itself does without."""
    path = tmp_path / "old.pth"
    torch.save({k: v for k, v in resnet.items() if "num_batches_tracked" not in k}, path)
    model = tiny.network()
    load_backbone(model, str(path))
    assert holds(model, resnet)


def test_backbone_weights_of_another_backbone(resnet, tmp_path):
    path = tmp_path / "r18.safetensors"
    save_file(resnet, path)
    fails(
        path,
        "is no resnet34",
        "layer1.2.",
        "absent or of another shape",
        "--model.backbone",
        load=lambda path: load_backbone(tiny.network(backbone="resnet34"), str(path)),
    )
    save_file(resnet | {"layer5.weight": torch.zeros(1)}, path)
    fails(path, "layer5.weight is not part of it", load=lambda path: load_backbone(tiny.network(), str(path)))


def test_a_file_that_names_its_stride_is_held_against_the_models(tmp_path):
    path = tmp_path / "v1.safetensors"
    with torch.device("meta"):
        names = SSRNet(ModelSettings()).backbone.state_dict()
    save_file(
        {name: torch.zeros(value.shape, dtype=torch.float16) for name, value in names.items()},
        path,
        {"architecture": "ResNet-50 v1 (stride 2 on layer2-4[0].conv1), torchvision parameter names, no fc"},
    )
    for position, warned in (("conv1", False), ("conv2", True)):
        model = SSRNet(ModelSettings(stride_position=position, **tiny.BASELINE))
        said = load_backbone(model, str(path))
        assert ("trained with the stride on conv1; this model has it on conv2" in said) == warned


def test_none_keeps_the_weights():
    model = tiny.network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert load_backbone(model, "none") == "backbone: random weights"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_imagenet_is_torchvisions_own(resnet, monkeypatch):
    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", lambda *a, **k: resnet)
    model = tiny.network()
    assert load_backbone(model, "imagenet") == "backbone: torchvision ResNet18_Weights.IMAGENET1K_V1"
    assert holds(model, resnet)


def test_imagenet_has_its_stride_on_conv2():
    with pytest.raises(SettingsError, match="trained with the stride on conv2; set stride_position to conv2"):
        load_backbone(tiny.network(stride_position="conv1"), "imagenet")


def test_without_a_connection(monkeypatch):
    def offline(*arguments, **options):
        raise URLError("Name or service not known")

    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", offline)
    with pytest.raises(CheckpointError, match="cannot download the weights of resnet18 .*Name or service.*`none`"):
        load_backbone(tiny.network(), "imagenet")


def test_a_full_disk_is_a_sentence(model, saved, tmp_path):
    with tiny.small_disk(), pytest.raises(ResourceError, match="cannot write .*last.safetensors .*free space"):
        save_checkpoint(tmp_path / "last.safetensors", model, tiny.info(model))
    assert os.listdir(tmp_path) == []
