from dataclasses import replace

import pytest

from ssrnet.losses import LossSettings
from ssrnet.model import ModelSettings
from ssrnet.studies.definitions import STUDIES
from ssrnet.studies.paper import paper_tables


def test_the_rows_are_the_papers():
    for study in STUDIES.values():
        printed = [row.label for row in paper_tables()[study.paper].rows]
        assert [row.label for row in study.rows] == printed or study.name == "crop-ratio"
    assert [len(study.rows) for study in STUDIES.values()] == [7, 4, 2, 3, 7, 7, 7]


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_a_studys_rows_differ(study):
    variants = {
        (replace(ModelSettings(), **row.model_changes), replace(LossSettings(), **row.loss))
        for row in (*study.rows, *study.readings)
    }
    assert len(variants) == len(study.rows) + len(study.readings)


def test_the_rows_in_another_reading():
    readings = {study.name: study.readings for study in STUDIES.values() if study.readings}
    assert list(readings) == ["components", "beta"]
    assert [row.model for row in readings["components"]] == [{"global_node_from": "after"}]
    summed = readings["beta"]
    assert len(summed) == 6 and {row.loss["reduction"] for row in summed} == {"sum"}
    assert [row.loss["beta"] for row in summed] == [
        row.loss["beta"] for row in STUDIES["beta"].rows if row.loss["beta"]
    ]


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_one_row_of_each_study_is_the_papers_ssr_net(study):
    variants = [
        (replace(ModelSettings(), **row.model_changes), replace(LossSettings(), **row.loss)) for row in study.rows
    ]
    assert variants.count((ModelSettings(), LossSettings())) == 1


def test_crop_ratios_that_the_text_names():
    ratios = {row.label: row.model["crop_ratio"] for row in STUDIES["crop-ratio"].rows}
    assert ratios["λ = 1/8"] == 0.125 and ratios["λ = 2/3"] == ModelSettings().crop_ratio
