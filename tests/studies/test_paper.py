"""The paper's numbers agree with each other and with what its text says of them."""

import pytest

from ssrnet.studies.paper import citation, paper_tables, references
from ssrnet.studies.tables import increase

T = paper_tables()
VERI, V800, V1600, V2400 = "VeRi-776", "VehicleID-800", "VehicleID-1600", "VehicleID-2400"

SSR_NET = {
    "Table 1": "+AB+RB",
    "Table 2": "CBAM",
    "Table 3": "SSR-Net",
    "Table 4": "l = 2",
    "Table 5": "β = 1",
    "Table 6": "Cross-Entropy + triplet",
    "Table 7": "SSR-Net",
    "Table 8": "SSR-Net",
    "Table 9": "SSR-Net",
}

SCRAMBLED = {
    "β = 0": "73.43 78.90 94.04 85.36 75.32 81.44 74.44 80.14",
    "β = 0.5": "94.34 74.27 87.49 84.43 75.39 81.40 78.47 81.51",
    "β = 1": "96.36 78.32 77.44 83.08 89.07 79.51 85.13 83.12",
}
"""Table 5's rows as the text at hand has them."""


def test_all_tables_are_there():
    assert list(T) == [*(f"Table {n}" for n in range(1, 5)), "Fig. 4", *(f"Table {n}" for n in range(5, 10))]
    counts = {name: len(table.rows) for name, table in T.items()}
    assert list(counts.values()) == [7, 4, 2, 3, 0, 7, 7, 2, 27, 31]
    assert all(len(row.values) == len(table.columns) for table in T.values() for row in table.rows)
    assert "10.1145/3578578" in citation()


@pytest.mark.parametrize(("table", "label"), SSR_NET.items())
def test_ssr_nets_row_agrees_across_the_tables(table, label):
    for test_set, metric in T[table].columns:
        if (test_set, metric) in T["Table 1"].columns:
            assert T[table].value(label, test_set, metric) == T["Table 1"].value("+AB+RB", test_set, metric)


def test_gb_agrees_between_tables_1_and_7():
    for metric in ("Rank-1", "mAP"):
        assert T["Table 7"].value("GB", VERI, metric) == T["Table 1"].value("GB", VERI, metric)


def test_beta_0_is_cross_entropy_alone():
    for metric in ("Rank-1", "mAP"):
        assert T["Table 5"].value("β = 0", VERI, metric) == T["Table 6"].value("Cross-Entropy", VERI, metric)


@pytest.mark.parametrize(("label", "printed"), SCRAMBLED.items())
def test_table_5_unscrambled(label, printed):
    """The same numbers as in the text, where they stand as two runs that each go from left to right."""
    row, scrambled = list(T["Table 5"].row(label).values), [float(number) for number in printed.split()]
    assert sorted(row) == sorted(scrambled)
    places = [row.index(number) for number in scrambled]
    assert sum(later < earlier for earlier, later in zip(places, places[1:])) <= 1


def test_table_5s_rows_are_plausible():
    for row in T["Table 5"].rows:
        rank_1, mAP = row.values[2::2], row.values[3::2]
        assert row.values[0] > row.values[1]  # VeRi-776: many matches a query
        assert all(r < m for r, m in zip(rank_1, mAP))  # VehicleID: one match a query
        assert sorted(mAP, reverse=True) == list(mAP)  # a larger gallery is harder


def test_table_3_has_the_columns_of_its_ssr_net_row():
    assert [test_set for test_set, _ in T["Table 3"].columns[::2]] == [VERI, V800, V1600, V2400]
    assert T["Table 3"].value("SSR-Net", V2400, "mAP") == 83.12


def test_fig_4_has_no_invented_points():
    assert T["Fig. 4"].rows == () and "not in the text" in T["Fig. 4"].notes[0]


@pytest.mark.parametrize(
    ("name", "of_ssr_net", "over_gb"), [("Parameters", 31.88, 46.8), ("Multiply-adds", 11.85, 13.4)]
)
def test_table_7s_increases_are_shares_of_ssr_net(name, of_ssr_net, over_gb):
    small, large = (T["Table 7"].value(label, "", name) for label in ("GB", "SSR-Net"))
    assert increase(small, large) == (pytest.approx(of_ssr_net, abs=0.005), pytest.approx(over_gb, abs=0.05))


def gain(table, better, worse, test_set, metric):
    return T[table].value(better, test_set, metric) - T[table].value(worse, test_set, metric)


@pytest.mark.parametrize(
    ("table", "better", "worse", "test_set", "metric", "points"),
    [
        ("Table 1", "+AB", "GB", VERI, "Rank-1", 1.92),
        ("Table 1", "+AB", "GB", V2400, "Rank-1", 3.08),
        ("Table 1", "+AB", "GB", V2400, "mAP", 4.11),
        ("Table 1", "+AB+RB", "GB", V2400, "Rank-1", 5.77),
        ("Table 1", "+AB+RB", "GB", V2400, "mAP", 6.12),
        ("Table 1", "+RB", "+RB (w/o GN)", VERI, "Rank-1", 0.3),
        ("Table 1", "+RB", "+RB (w/o token)", VERI, "mAP", 0.98),
        *(
            ("Table 1", "+AB+RB", "+AB+RB (w/o GN)", test_set, "mAP", points)
            for test_set, points in ((VERI, 0.6), (V800, 1.04), (V1600, 0.15), (V2400, 1.23))
        ),
        ("Table 7", "SSR-Net", "GB", VERI, "Rank-1", 3.05),
        ("Table 7", "SSR-Net", "GB", VERI, "mAP", 6.78),
        ("Table 8", "SSR-Net", "UMTS", V800, "Rank-1", 2.18),
        ("Table 8", "SSR-Net", "UMTS", V800, "mAP", 2.07),
        ("Table 8", "SSR-Net", "UMTS", V1600, "Rank-1", 0.71),
        ("Table 8", "SSR-Net", "UMTS", V1600, "mAP", 0.93),
        ("Table 8", "SSR-Net", "SGAT", V2400, "Rank-1", 5.57),
        ("Table 8", "SSR-Net", "SGAT", V2400, "mAP", 7.77),
        ("Table 9", "SSR-Net", "UMTS", VERI, "mAP", 2.42),
        ("Table 9", "SSR-Net", "Appearance+License", VERI, "Rank-1", 0.95),
        ("Table 9", "SSR-Net", "Appearance+License", VERI, "mAP", 0.24),
        ("Table 9", "SSR-Net", "HSS-GCN", VERI, "Rank-1", 2.98),
        ("Table 9", "SSR-Net", "HSS-GCN", VERI, "mAP", 7.73),
    ],
)
def test_gains_that_the_text_names(table, better, worse, test_set, metric, points):
    assert gain(table, better, worse, test_set, metric) == pytest.approx(points, abs=0.005)


def test_where_text_and_table_differ():
    """Every claim that is listed is one that its table does not bear out, by the numbers that stand there."""
    found = {
        name: [(claim.stated, round(table.smallest_gain(claim).points, 2)) for claim in table.claims]
        for name, table in T.items()
        if table.claims
    }
    assert found == {
        "Table 1": [(4.5, 4.69), (4.43, 4.53), (1.3, 1.1), (None, -0.06)],
        "Table 4": [(1.19, 1.35)],
        "Table 5": [(None, -0.05)],
        "Table 6": [(None, -0.5)],
        "Table 8": [(7.77, 7.75)],
    }
    exception = T["Table 1"].smallest_gain(T["Table 1"].claims[-1])
    assert exception[1:] == ("+RB", "+RB (w/o GN)", V800)


def test_tables_8_and_9_cite_every_other_method():
    for name in ("Table 8", "Table 9"):
        assert [row.label for row in T[name].rows if row.reference is None] == ["SSR-Net"]
    cited = {row.reference for table in T.values() for row in table.rows} - {None}
    assert cited == set(references()) and all(len(text) > 40 for text in references().values())
    assert "UMTS" not in references()[27] and references()[27].startswith("Xin Jin")
    assert [row.label for row in T["Table 9"].rows if row.same_base_network] == ["HSS-GCN"]


def test_a_number_that_the_table_lacks():
    assert T["Table 9"].value("GSTE", VERI, "Rank-1") is None  # N/A
    with pytest.raises(KeyError, match="Table 2 has no CBAM / VehicleID-800 / mAP"):
        T["Table 2"].value("CBAM", V800, "mAP")
