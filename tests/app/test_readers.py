"""Every page on every kind of data set that is read."""

import pytest

from app.widgets.page import VIEWS
from tests.data import layouts

LAYOUTS = {
    "VeRi-776": layouts.veri,
    "VehicleID": layouts.vehicleid,
    "VERI-Wild": layouts.veri_wild,
    "Market": layouts.market,
    "CSV": layouts.csv_manifest,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_page_works_on_it(open_page, checkpoints, tmp_path, layout):
    data = LAYOUTS[layout](tmp_path / layout)
    for view in VIEWS:
        test = open_page(view, data=str(data), **checkpoints)
        assert not test.exception and not test.error, (view, [each.value for each in test.error])
        assert "Explain" in [each.label for each in test.expander], f"{view} is drawn to its end"
        assert any(data.name in each.value for each in test.sidebar.caption)
