from ssrnet.data.datasets import open_dataset
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import Skipped
from tests.data import layouts


def test_market(tmp_path):
    data = open_dataset(layouts.market(tmp_path / "Market-1501"))
    assert (data.name, data.layout, data.protocol) == ("Market-1501", "Market", "cross_camera")
    assert (len(data.train), len(data.query), len(data.gallery)) == (2, 1, 4)
    assert (data.query[0].vehicle_id, data.query[0].camera_id) == ("0003", "c1")
    assert data.skipped == (Skipped("false detection (identity -1), in bounding_box_test", 2, "-1_c1s1_000401_03.jpg"),)
    assert data.notes == ("2 gallery images of identity 0000 are distractors.",)
    assert "0000" in {image.vehicle_id for image in Protocol("cross_camera").split(data).gallery}
    shot = Protocol("single_gallery_shot").split(data)
    assert {image.vehicle_id for image in (*shot.query, *shot.gallery)} == {"0003"}


def test_market_style_vehicles_numbered_from_0000_are_no_distractors(tmp_path):
    images = {"query": ["0000_c1s1_1_1.jpg"], "bounding_box_test": ["0000_c2s1_1_1.jpg"]}
    data = open_dataset(layouts.folders(tmp_path, images))
    assert data.distractor_ids == frozenset()
    assert len(Protocol("single_gallery_shot").split(data).query) == 1
