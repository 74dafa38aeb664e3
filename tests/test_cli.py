import json
import os
import subprocess
import sys

import pytest

from ssrnet import __main__, cli
from ssrnet.commands.compare import CompareSettings
from ssrnet.commands.evaluate import EvaluateSettings
from ssrnet.errors import SettingsError
from ssrnet.training.settings import TrainSettings, recipe


def parsed(monkeypatch, *arguments: str):
    """The settings that the command line would run."""
    caught = []
    monkeypatch.setattr(cli, "HANDLERS", dict.fromkeys(cli.HANDLERS, caught.append))
    cli.run(arguments)
    return caught[0]


def fails(monkeypatch, capsys, *arguments: str) -> str:
    """What `ssrnet ARGUMENTS` prints to stderr as it exits with 2."""
    monkeypatch.setattr(sys, "argv", ["ssrnet", *arguments])
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("command", ["", "train", "evaluate", "compare", "extract", "doctor"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.run([*command.split(), "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    wanted = {
        "": ["ssrnet train --data DIR", "{train,evaluate,compare,extract,", "doctor}"],
        "train": ["--model.crop-ratio", "Lambda of Eq. 2", "--resume", "--recipe {paper,strong,quick,shipped,healed}"]
        + [
            "Where the paper is silent or ambiguous",
            "Sum or mean in the triplet loss (Sec. 3.5, Eq. 6): --loss.reduction",
        ],
        "evaluate": ["--checkpoint", "--only", "--queries", "--re-rank", "--extraction.flip-test"],
        "compare": ["--baseline", "--ssrnet", "--untrained", "--slices", "--protocols", "--extraction.flip-test"],
        "extract": ["--split {test,train,query,gallery}"],
        "doctor": ["--checkpoints"],
    }
    assert all(words in printed for words in wanted[command]), printed


def test_the_module_runs_and_a_missing_folder_is_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "ssrnet", "train", "--data", "no/such/folder", "--out", "out"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr == (
        "ssrnet: no/such/folder does not exist; give the path of a data set's folder or of a CSV file.\n"
    )
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("train --data d --out o --model.crop-ratio 0", "crop ratio is 0"),
        ("train --data d --out o --model.crop-ratio 1.2", "crop ratio is 1.2; it must lie in (0, 1], 2/3 in the"),
        ("train --data d --out o --workers -1", "workers is -1; it must be at least 0."),
        ("extract --data d --checkpoint c.safetensors --out f.npy", "f.npy does not end in .safetensors; "),
        ("evaluate --data d --checkpoint c.safetensors", "there is no checkpoint at c.safetensors; "),
        ("compare --data d --baseline b --ssrnet s --out c.md", "c.md does not end in .json; "),
        ("compare --data d --baseline b --ssrnet s --out c.json", "there is no checkpoint at b; "),
        ("evaluate --data d", "give --checkpoint FILE, --untrained WEIGHTS or --features FILE; "),
    ],
)
def test_bad_values_are_one_sentence(monkeypatch, capsys, tmp_path, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    printed = fails(monkeypatch, capsys, *arguments.split())
    assert printed.startswith(f"ssrnet: {sentence}") and printed.count("\n") == 1
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "fly",
        "train",
        "train --data d",
        "train --data d --out o --recipe slow",
        "train --data d --out o --wheels 4",
        "evaluate --data d --protocol none",
        "train --data d --out o --epochs many",
    ],
)
def test_usage_errors_exit_with_2_and_no_traceback(monkeypatch, capsys, arguments):
    assert "Traceback" not in fails(monkeypatch, capsys, *arguments.split())


def test_a_broken_installation_is_one_sentence(monkeypatch, capsys):
    def broken():
        raise __main__.SSRNetError("torch and torchvision are not from the same build.")

    monkeypatch.setattr(__main__, "check_installation", broken)
    printed = fails(monkeypatch, capsys, "--help")
    assert printed == "ssrnet: torch and torchvision are not from the same build.\n"


COMMANDS = "train evaluate compare extract import index export publish study synth benchmark doctor split".split()


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help_into_a_closed_pipe_ends_without_a_word(monkeypatch, capsys, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        monkeypatch.setattr(sys, "argv", ["ssrnet", *arguments, "--help"])
        with pytest.raises(SystemExit) as ended:
            __main__.main()
    assert ended.value.code == 141 and capsys.readouterr().err == ""


def test_another_broken_pipe_is_no_closed_output(monkeypatch):
    def broken(arguments):
        raise BrokenPipeError("of a worker")

    monkeypatch.setattr(cli, "run", broken)
    with pytest.raises(BrokenPipeError, match="of a worker"):
        __main__.main()


def test_a_closed_pipe_leaves_no_traceback_of_the_process():
    run = subprocess.Popen([sys.executable, "-m", "ssrnet", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdout.close()
    assert run.stderr.read() == b"" and run.wait(60) == 141


@pytest.mark.parametrize("form", ["--recipe {}", "--recipe={}"])
@pytest.mark.parametrize("name", ["paper", "quick"])
@pytest.mark.parametrize("network", ["ssrnet", "baseline"])
def test_recipe_and_network_choose_the_defaults(monkeypatch, name, network, form):
    arguments = f"train --data d --out o {form.format(name)} --network {network}".split()
    settings = parsed(monkeypatch, *arguments)
    expected = recipe(name, network)
    assert settings.recipe == name and settings.network == network and str(settings.data) == "d"
    for field in ("model", "loss", "augment", "optimiser", "frozen_stages", "epochs", "sizes", "identities_per_batch"):
        assert getattr(settings, field) == getattr(expected, field), field
    assert settings.model.relation_branch == settings.model.attention_branch == (network == "ssrnet")


@pytest.mark.parametrize(("cuda", "name"), [(True, "paper"), (False, "quick")])
def test_without_a_recipe_the_device_decides(monkeypatch, cuda, name):
    monkeypatch.setattr(cli.torch.cuda, "is_available", lambda: cuda)
    assert parsed(monkeypatch, "train", "--data", "d", "--out", "o").recipe == name


def test_single_values_change_a_recipe(monkeypatch):
    settings = parsed(
        monkeypatch,
        *"train --data d --out o --recipe paper --network baseline --model.attention-branch".split(),
        *"--optimiser.learning-rate 0.5 --sizes 0 64 3 96 --loss.classification circle --loss.metric triplet --no-resume".split(),
    )
    assert isinstance(settings, TrainSettings)
    assert settings.model.attention_branch and not settings.model.relation_branch
    assert settings.optimiser.learning_rate == 0.5 and settings.optimiser.name == "sgd"
    assert settings.sizes == ((0, 64), (3, 96)) and settings.loss.title == "circle+triplet"


def test_evaluate_parses_nested_settings(monkeypatch):
    settings = parsed(
        monkeypatch,
        *"evaluate --data d --untrained none --extraction.embedding.branches G token".split(),
        *"--re-rank --re-ranking.k1 5 --re-ranking.k2 2 --model.backbone resnet18".split(),
    )
    assert isinstance(settings, EvaluateSettings) and settings.re_rank and settings.re_ranking.k1 == 5
    assert settings.extraction.embedding.branches == ("G", "token")
    assert settings.model.backbone == "resnet18" and not settings.model.relation_branch


def test_compare_parses_lists(monkeypatch):
    arguments = "compare --data d --baseline b --ssrnet s --out c.json --slices sibling_group type=bus,van".split()
    settings = parsed(monkeypatch, *arguments, "--protocols", "single_gallery_shot", "cross_camera", "--seeds", "3")
    assert isinstance(settings, CompareSettings) and settings.slices == ("sibling_group", "type=bus,van")
    assert settings.protocols == ("single_gallery_shot", "cross_camera") and settings.seeds == 3
    assert len(parsed(monkeypatch, *arguments).protocols) == 3


def test_settings_check_themselves_when_called_from_python():
    with pytest.raises(SettingsError, match="crop ratio is 1.2"):
        cli.run(["train", "--data", "d", "--out", "o", "--model.crop-ratio", "1.2"])


def test_train_then_evaluate_then_extract_then_doctor(city, tmp_path, capsys):
    out = tmp_path / "run"
    data = ["--data", str(city)]
    tiny = (
        "--network baseline --recipe quick --model.backbone resnet18 --backbone-weights none "
        "--sizes 0 32 --identities-per-batch 2"
    )
    cli.run(["train", *data, "--out", str(out), "--max-steps", "1", *tiny.split()])
    checkpoint = ["--checkpoint", str(out / "last.safetensors"), "--workers", "0"]
    cli.run(["evaluate", *data, *checkpoint, "--out", str(out / "n.json")])
    printed = capsys.readouterr().out
    assert "Baseline (GB) on" in printed and "protocol record: {" in printed
    assert json.loads((out / "n.json").read_text())["results"][0]["record"]["features"]["model"] == "Baseline (GB)"
    features = str(tmp_path / "features.safetensors")
    cli.run(["extract", *data, *checkpoint, "--out", features])
    cli.run(["doctor", *data, "--checkpoints", str(out)])
    assert capsys.readouterr().out.endswith("nothing wrong\n")
