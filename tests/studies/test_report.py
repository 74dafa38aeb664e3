import json
import re
import shutil
from dataclasses import asdict, replace

import pytest

from ssrnet.commands.study import make_plan
from ssrnet.commands.study_report import write_report
from ssrnet.errors import DataError
from ssrnet.studies import html_report, tables
from ssrnet.studies.cell_results import write_json
from ssrnet.studies.definitions import STUDIES
from ssrnet.studies.orders import CHANCE
from ssrnet.studies.paper import paper_tables, references
from ssrnet.studies.report import CAUTION, best, markdown
from ssrnet.studies.settings import ReportSettings
from ssrnet.studies.tables import Column, report_tables
from tests.studies import small

COMPLEXITY = {
    "costs": [
        {"label": "GB", "parameters": 23_510_000, "multiply_adds": 8_110_000_000, "seconds": 0.02},
        {"label": "SSR-Net", "parameters": 34_530_000, "multiply_adds": 9_220_000_000, "seconds": 0.022},
    ],
    "ratio": 1.1,
    "ratio_quartiles": [1.05, 1.2],
    "record": {
        "backbone": "resnet50",
        "image_size": 256,
        "batch_size": 8,
        "rounds": 10,
        "precision": "float32",
        "input": "random images",
        "device": "cpu (x86_64)",
        "threads": 1,
        "load_average": 0.5,
        "torch": "2",
        "version": "0",
    },
}


@pytest.fixture(scope="module")
def out(city, tmp_path_factory):
    """A folder in which `components`, `depth` and `crop-ratio` were run; of `depth` the last row is missing."""
    out = tmp_path_factory.mktemp("out")
    settings = small.study("all", city, out, sizes=((0, 128),))
    plan = make_plan(settings, [STUDIES[name] for name in ("components", "depth", "crop-ratio")])
    for name, cells in plan.items():
        rows = [{"label": label, "cell": cell.name} for label, cell in cells.items()]
        write_json(out / f"studies/{name}.json", {"study": name, "rows": rows})
        for number, (label, cell) in enumerate(cells.items()):
            if label != "l = 3":
                write_json(cell.result, asdict(small.result(cell, 0.1 + number / 100, 0.3 + number / 100)))
    write_json(out / "studies/complexity.json", COMPLEXITY)
    return out


@pytest.fixture(scope="module")
def made(out):
    return {table.name: table for table in report_tables(out)}


def measured(out):
    return [table for table in report_tables(out) if table.is_measured]


def value(table, label, *column):
    row = next(row for row in table.rows if row.label == label)
    return row.values[table.columns.index(Column(*column))]


def test_every_table_is_there_in_the_papers_order(made):
    names = "components attention parts depth crop-ratio beta losses complexity table-8 table-9"
    assert list(made) == names.split()


def test_measured_numbers_stand_beside_the_papers(made):
    table = made["components"]
    assert [column.origin for column in table.columns] == ["here"] * 2 + ["paper"] * 8
    printed = [row.label for row in paper_tables()["Table 1"].rows]
    assert [row.label for row in table.rows] == [*printed, "+AB+RB (GN after BN)"]
    assert value(table, "GB", "here", "toys", "Rank-1", "cross camera") == "10.00"
    assert value(table, "GB", "here", "toys", "mAP", "cross camera") == "30.00"
    assert value(table, "GB", "paper", "VeRi-776", "mAP") == "71.54"
    assert value(table, "+AB+RB", "paper", "VehicleID-2400", "Rank-1") == "77.44"
    assert value(table, "+AB+RB (GN after BN)", "paper", "VehicleID-2400", "Rank-1") == tables.ABSENT


def test_both_protocols_have_their_columns_and_notes(city, tmp_path):
    cells = make_plan(small.study("parts", city, tmp_path), [STUDIES["parts"]])["parts"]
    results = {label: small.result(cell, 0.2) for label, cell in cells.items()}
    shots = small.result(cells["PCB"], 0.4, seeds=(0, 1), protocol="single_gallery_shot").scores
    results["PCB"] = replace(results["PCB"], scores=results["PCB"].scores + shots)
    for label, cell in cells.items():
        write_json(cell.result, asdict(results[label]))
    rows = [{"label": label, "cell": cell.name} for label, cell in cells.items()]
    write_json(tmp_path / "studies/parts.json", {"study": "parts", "rows": rows})
    (table,) = measured(tmp_path)
    single = ("here", "toys", "Rank-1", "single gallery shot")
    assert value(table, "PCB", "here", "toys", "Rank-1", "cross camera") == "20.00"
    assert value(table, "PCB", *single) == "40.00 ± 2.00" and value(table, "SSR-Net", *single) == tables.ABSENT
    assert sum(note.startswith("Here, toys") for note in table.notes) == 2


def test_no_number_without_its_protocol_record(made, out):
    for table in made.values():
        for row in table.rows:
            measured = [row.values[c] for c, column in enumerate(table.columns) if column.origin == "here"]
            if any(text != tables.ABSENT for text in measured):
                record = json.loads((out / row.record).read_text())
                assert record.get("record") or record["scores"][0]["record"]
            else:
                assert row.record is None
    note = " ".join(made["components"].notes)
    for words in (
        "content abc",
        "cross_camera",
        "8 queries with a match",
        "junk: same vehicle and camera",
        "cosine",
        "seed 0",
        "steps: 4",
        "recipe quick",
        "r50.safetensors",
        "4 vehicles",
        "metric losses: the mean over the batch",
    ):
        assert words in note, words
    assert "/w/" not in note


def test_measured_tables_and_their_rows_records(made, out):
    shown = measured(out)
    assert [table.name for table in shown] == ["components", "depth", "crop-ratio", "complexity"]
    for table in shown:
        assert table == made[table.name]
        for row in table.rows:
            records = tables.protocol_records(out, row)
            assert len(records) == (0 if row.label == "l = 3" else 1)
            assert all(record["version"] == "0" for record in records)


def test_what_is_not_measured_is_said_and_left_empty(made):
    depth = made["depth"]
    assert value(depth, "l = 3", "here", "toys", "mAP", "cross camera") == tables.ABSENT
    assert value(depth, "l = 3", "paper", "VeRi-776", "mAP") == "76.97"
    assert any(note.startswith("Not measured yet: 1 of 3 rows;") for note in depth.notes)
    assert {column.origin for column in made["beta"].columns} == {"paper"}
    assert "Not measured here yet; run `ssrnet study beta --data DIR`." in made["beta"].notes


def test_text_and_table_and_our_readings_stand_below_the_table(made):
    said = " ".join(made["components"].notes)
    assert (
        "‘+RB’ gains at least 4.43% higher mAP performance over the baseline”, 4.43 points of mAP; in Table 1 +RB"
        in said
    )
    assert "+RB has 0.06 points of mAP less than +RB (w/o GN) on VehicleID-800." in said
    for name in ("components", "attention", "parts", "depth", "crop-ratio", "beta", "losses"):
        assert any("experiments under the single-gallery-shot condition" in note for note in made[name].notes), name
    assert any("`--loss.reduction` (mean)" in note for note in made["beta"].notes)
    losses = " ".join(made["losses"].notes)
    assert all(
        words in losses for words in ("m = 0.4 and γ = 80", "`--loss.normalise-pairs`", "`--loss.instance-classes`")
    )
    assert "| Edges of the graph | Sec. 3.4: " in markdown(list(made.values()))


def test_numbers_with_intervals_and_a_sentence_on_the_papers_order(city, tmp_path):
    cells = make_plan(small.study("depth", city, tmp_path), [STUDIES["depth"]])["depth"]
    for number, cell in enumerate(cells.values()):
        write_json(cell.result, asdict(small.result(cell, 0.2, 0.3 + number / 100, with_vehicles=True)))
    rows = [{"label": label, "cell": cell.name} for label, cell in cells.items()]
    write_json(tmp_path / "studies/depth.json", {"study": "depth", "rows": rows})
    (table,) = measured(tmp_path)
    assert value(table, "l = 2", "here", "toys", "mAP", "cross camera") == "31.00\n31.0 to 31.0"
    assert table.finding.startswith("On toys (cross camera), of the 3 pairs of rows that the paper orders by mAP on")
    assert table.finding.endswith(
        "l = 3 is highest here, +1.0, 1.0 to 1.0 points over l = 2, which is highest in the paper: beyond chance."
    )
    assert table.notes[0] == CHANCE and all(CHANCE not in one.notes for one in report_tables(tmp_path) if one != table)
    assert "| **32.00**<br>32.0 to 32.0 |" in markdown([table]) and table.finding in markdown([table])
    page = html_report.html_page([table])
    assert "<p>On toys (cross camera)" in page
    assert all(not one.finding for one in report_tables(tmp_path)[4:])


def test_fig_4_shows_measured_points_and_none_of_the_papers(made):
    table = made["crop-ratio"]
    assert {column.origin for column in table.columns} == {"here"}
    assert [point.ratio for point in table.curve] == pytest.approx([1 / 8, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1])
    assert any("none are given" in note for note in table.notes)
    equal = [note for note in table.notes if "the same regions" in note]  # floor(8/4) = floor(8/3) = 2, of 8 cells
    assert len(equal) == 1 and equal[0].startswith("λ = 1/4 and λ = 1/3 cut the same regions of the 8×8 map at 128 px")
    figure = html_report.curve_figure(table)
    assert [trace.yaxis for trace in figure.data] == ["y", "y2"] and all("here" in trace.name for trace in figure.data)
    assert figure.data[0].error_y.array is None
    ends = ((5.0, 25.0), (20.0, 45.0))
    drawn = html_report.curve_figure(replace(table, curve=tuple(replace(p, intervals=ends) for p in table.curve)))
    first = table.curve[0]
    assert drawn.data[0].error_y.array[0] == pytest.approx(25.0 - first.rank_1)
    assert drawn.data[1].error_y.arrayminus[0] == pytest.approx(first.mAP - 20.0)


def test_complexity_is_relative(made):
    table = made["complexity"]
    assert value(table, "SSR-Net", "here", "", "Time, GB = 1") == "1.10"
    assert value(table, "SSR-Net", "paper", "", "Time, GB = 1") == "1.20"
    assert value(table, "SSR-Net", "here", "", "Parameters") == "34.53 M"
    note = " ".join(table.notes)
    assert "+31.88 % of SSR-Net's parameters and +11.85 % of its multiply-adds (+46.8 % and +13.4 % over GB)" in note
    assert "+31.91 % of SSR-Net's parameters" in note and "load 0.5" in note and "quartiles 1.05 and 1.20" in note


def test_tables_8_and_9_cite_their_methods(made):
    for name, count in (("table-8", 27), ("table-9", 31)):
        assert len(made[name].rows) == count and "measured by nobody here" in made[name].notes[0]
        groups = [(row.group, row.label) for row in made[name].rows if row.group]
        assert [group.split()[0] for group, _ in groups] == ["Global", "Local", "Graph", "This"]
        assert [label for _, label in groups][2:] == ["HSS-GCN*", "SSR-Net"]
    assert "| **Graph networks** |  |" in markdown([made["table-8"]])
    assert value(made["table-9"], "GSTE", "paper", "VeRi-776", "Rank-1") == tables.ABSENT
    assert value(made["table-9"], "HSS-GCN*", "paper", "", "Source") == "[69] Xu et al., 2021"


@pytest.mark.parametrize(
    ("number", "short"),
    [
        (33, "[33] Liao et al., 2015"),
        (13, "[13] Guo et al., 2018"),
        (85, "[85] Zhou and Shao, 2017"),
        (23, "[23] Jaderberg et al., 2015"),
    ],
)
def test_short_references(number, short):
    assert tables.short_reference(number) == short


def test_every_reference_is_listed_whole(made):
    text = markdown(list(made.values()))
    assert all(f"- [{number}] {reference}" in text for number, reference in references().items())
    assert all(re.fullmatch(r"\[\d+\] .+, \d{4}", tables.short_reference(number)) for number in references())


def test_several_galleries_show_their_spread(planned_score):
    assert tables._measured(planned_score, Column("here", "toys", "Rank-1", "cross camera")) == "50.00 ± 2.00"


@pytest.fixture
def planned_score(city, tmp_path):
    cells = make_plan(small.study("parts", city, tmp_path), [STUDIES["parts"]])["parts"]
    return small.result(cells["PCB"], seeds=(0, 1))


def test_the_best_of_a_column_is_bold_as_in_the_paper(made):
    table = made["components"]
    bold = {(table.rows[r].label, table.columns[c]) for r, c in best(table)}
    assert ("+AB+RB", Column("paper", "VeRi-776", "mAP")) in bold
    assert len(bold) == len(table.columns)
    assert not {column for _, column in bold} & {column for column in made["complexity"].columns if not column.test_set}


def test_markdown(made):
    text = markdown(list(made.values()))
    assert CAUTION[0] in text and "other data" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({line.count("|") - line.count("\\|") for line in block.splitlines()}) == 1
    assert "here<br>toys<br>cross camera<br>Rank-1" in text and "paper<br>VeRi-776<br>Rank-1" in text
    assert re.search(r"\| \[GB\]\(cells/[\w.-]+/cell.json\) \| 10.00 \|", text)


def test_the_files(out, capsys):
    paths = write_report(ReportSettings("report", out))
    assert [path.name for path in paths] == ["report.md", "report.html"]
    html = paths[1].read_text()
    assert (
        html.count('class="plotly-graph-div"') == 11 and html.count("<h2") == 12
    )  # ten tables, a curve; readings, references
    assert "<code>--loss.reduction</code> (mean)" in html and "`" not in html.partition('<h2 id="readings')[2]
    assert "Measured on other data." in html and '<script src="http' not in html and '<img src="http' not in html
    assert str(paths[1]) in capsys.readouterr().out


def test_published_numbers_make_the_same_tables_and_name_no_folder(out, tmp_path):
    here, to = tmp_path / "here", tmp_path / "tables"
    shutil.copytree(out, here)
    cell = next(here.glob("cells/*GN*/cell.json"))
    values = json.loads(cell.read_text())
    write_json(cell, values | {"training": values["training"] | {"data": "/home/someone/city", "recipe": "quick"}})
    write_report(ReportSettings("report", here, publish=to))
    assert [(table.name, table.rows) for table in report_tables(to)] == [(t.name, t.rows) for t in report_tables(here)]
    published = json.loads((to / cell.relative_to(here)).read_text())
    assert published["training"]["data"] == "city" and published["training"]["recipe"] == "quick"
    assert "w/o" in published["variant"], "a slash that is no folder's stays"
    assert {path.suffix for path in to.rglob("*") if path.is_file()} == {".json"}


def test_a_folder_without_studies_and_a_damaged_plan(tmp_path):
    with pytest.raises(DataError, match="has no study; run `ssrnet study NAME --data DIR"):
        write_report(ReportSettings("report", tmp_path))
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/beta.json").write_text("{")
    with pytest.raises(DataError, match="beta.json is not a file of a study .*; remove it and run the study again.$"):
        write_report(ReportSettings("report", tmp_path))
