"""One study from the command line to the report, nothing replaced."""

from ssrnet import cli


def test_a_study_and_its_report(city, tmp_path, monkeypatch):
    out = tmp_path / "out"
    before = sorted(city.rglob("*"))
    arguments = (
        f"study parts --data {city} --out {out} --recipe quick --model.backbone resnet18 --backbone-weights none "
        "--sizes 0 32 --identities-per-batch 2 --epochs 1 --max-steps 1 --train-identities 3 --device cpu"
    )
    cli.run(arguments.split())
    cli.run(f"study report --out {out}".split())
    text = (out / "report.md").read_text()
    assert text.count("(cells/") == 2 and "resnet18 from random weights" in text and "steps: 1, seed 0" in text
    assert (out / "report.html").stat().st_size > 1_000_000  # Plotly's script is inside
    assert sorted(city.rglob("*")) == before
