import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
import torch
from PIL import Image
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from app.workbench import OpenedModel, Workbench, places, roots
from app.workbench.cache import SESSION, _stores, content_key
from app.workbench.opening import open_checkpoint, open_data
from ssrnet.data.images import read_image
from ssrnet.data.protocols import Protocol
from ssrnet.data.records import VehicleImage
from ssrnet.data.uploads import UploadedImage, Uploads
from ssrnet.retrieval.alignment import AlignmentSettings
from ssrnet.retrieval.extraction import FeatureSet

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CELLS = re.compile(r"<td[^>]*>([^<]*)</td>")


@pytest.fixture(scope="session", autouse=True)
def _installed_packages_searched_once():
    """Every new AppTest would search all of them for components: an eighth of a second each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture
def project(tmp_path_factory, monkeypatch) -> Path:
    """An empty folder in the place of the project's own, which may hold the demo and is not written to by tests."""
    folder = tmp_path_factory.mktemp("project")
    monkeypatch.setattr(places, "ROOT", folder)
    monkeypatch.setenv(roots.NAMED, str(tmp_path_factory.getbasetemp()))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def offered(monkeypatch) -> dict[str, Callable[[], bytes]]:
    """What makes each download of the pages that the test opens, with every menu of exports open, by the button's key."""
    made, plain, menu = {}, st.download_button, st.popover

    def download_button(label, data, *arguments, **options):
        made[options["key"]] = data
        return plain(label, b"", *arguments, **options)

    def popover(label, **options):
        if options.get("on_change") == "rerun":
            st.session_state.setdefault(options["key"], True)
        return menu(label, **options)

    monkeypatch.setattr(st, "download_button", download_button)
    monkeypatch.setattr(st, "popover", popover)
    return made


@pytest.fixture
def open_page(project) -> Callable[..., AppTest]:
    """``open_page(view, **url)`` runs one page as the app does, with the URL's parameters."""

    def page(view: str) -> None:
        from app.widgets.page import run_view

        run_view(view, view.title())

    def run(view: str, **url: str) -> AppTest:
        test = AppTest.from_function(page, kwargs={"view": view}, default_timeout=120)
        for key, value in url.items():
            test.query_params[key] = value
        return test.run()

    return run


@pytest.fixture
def open_city(open_page, city, checkpoints) -> Callable[..., AppTest]:
    """``open_city(view, **url)`` runs a page on the tiny city with both networks, and sees that it shows no error."""

    def run(view: str, **url: str) -> AppTest:
        return whole(open_page(view, **{"data": str(city), **checkpoints, **url}))

    return run


def workbench(data: Path, checkpoints: Mapping[str, str], protocol: Protocol = Protocol()) -> Workbench:
    """What the sidebar opens for these paths."""
    models = (open_checkpoint(checkpoints[role]) for role in ("baseline", "ssrnet"))
    return Workbench.of(open_data(str(data)), *models, protocol)


def as_upload(image: VehicleImage, name: str = "mine.jpg") -> UploadedImage:
    """An image of a data set as a viewer would upload it."""
    picture = read_image(image.path)
    return UploadedImage.of(name, picture, content_key(picture))


def with_uploads(test: AppTest, pictures: Mapping[str, Image.Image]) -> AppTest:
    """The page again, with ``pictures`` uploaded before on *Your images*, and the query one of them."""
    test.session_state[SESSION] = {("uploads", "images_gallery"): ((), Uploads(dict(pictures), ()))}
    return whole(test.run().toggle(key="query_mine").set_value(True).run())


def shared_keys() -> str:
    """All keys of what the pages cache for all viewers."""
    return repr([key for store in _stores().values() for key in store.entries])


def aligned(model: OpenedModel) -> OpenedModel:
    """The model aligned by its cameras' own statistics, though each has but a few of the tiny city's images."""
    return replace(model.aligned, alignment=AlignmentSettings(prior=1, min_images=1))


def align_by_hand(model: OpenedModel, features: FeatureSet, images: Sequence[VehicleImage]) -> torch.Tensor:
    """(N, D): rows of ``features``, of all the model's branches, by the statistics of its unedited features."""
    statistics = model.statistics()
    rows = [statistics.cameras.index(image.camera_id) for image in images]
    return (features.rows(images) - statistics.mean[rows]) / statistics.deviation[rows]


def whole(test: AppTest) -> AppTest:
    """The page, which shows no error."""
    assert not test.exception and not test.error, [each.value for each in (*test.exception, *test.error)]
    return test


def records(test: AppTest) -> list[dict]:
    """The protocol records on the page."""
    return [json.loads(each.value) for each in test.json if "average_precision" in each.value]


def specs(test: AppTest) -> list[dict]:
    """The page's Plotly charts."""
    return [json.loads(each.proto.spec) for each in test.get("plotly_chart")]


def components(test: AppTest, name: str) -> list[dict]:
    """What each mounted component of this name was given."""
    mounted = [element.proto for element in test.get("bidi_component")]
    return [json.loads(proto.json or proto.mixed.json) for proto in mounted if proto.component_name.endswith(name)]


def html(test: AppTest) -> str:
    """All raw HTML on the page, that within clickable rows included."""
    clickable = [json.loads(element.proto.json or "{}") for element in test.get("bidi_component")]
    return "".join([element.proto.body for element in test.get("html")] + [each.get("html", "") for each in clickable])


def models_listed(test: AppTest) -> list[str]:
    """The models of the models' table, without the differences below them."""
    return [title for title in models_table(test) if "−" not in title]


def models_table(test: AppTest) -> dict[str, list[str]]:
    """The cells of each row of the models' table, differences as "+1.00" and "0.50 to 2.00", by the row's title."""
    body = html(test).partition('<div class="metrics">')[2].partition("</tbody>")[0]
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', body)
    return {unescape(title): re.findall(r">([^<>]+)<", cells) for title, cells in rows}


def matrices(test: AppTest) -> list[dict[str, np.ndarray]]:
    """Each group of small matrices on the page: the numbers in the cells, by the matrix's title."""
    groups = [element.proto.body for element in test.get("html") if 'class="matrices"' in element.proto.body]
    return [
        {
            re.sub("<.*?>", "", title): np.array(
                [[float(Fraction(cell)) for cell in CELLS.findall(row)] for row in rows.split("</tr>")[1:-1]]
            )
            for title, rows in re.findall(r"<caption>(.*?)</caption>(.*?)</table>", group)
        }
        for group in groups
    ]


def rows_of_pictures(test: AppTest) -> list[dict]:
    """The rows of pictures on the page: heading, note, and of each picture its URI, alt text, caption and name."""
    rows = []
    for block in re.split(r'<div class="block[^"]*">', html(test))[1:]:
        title = re.search(r'<p class="title">(.*?)<span>(.*?)</span></p>', block)
        figures = re.findall(
            r'<figure class="(\w+)"(.*?)><img src="(.*?)" alt="(.*?)"><figcaption>(.*?)</figcaption>', block
        )
        pictures = [
            {
                "kind": kind,
                "uri": uri,
                "alt": unescape(alt),
                "caption": unescape(re.sub("<.*?>", "", caption)),
                "opens": unescape("".join(re.findall(r'data-name="(.*?)"', attributes))),
            }
            for kind, attributes, uri, alt, caption in figures
        ]
        heading, note = map(unescape, title.groups()) if title else ("", "")
        rows.append({"heading": heading, "note": note, "pictures": pictures})
    return rows


def ranked_rows(test: AppTest) -> list[dict]:
    """The rows of pictures that have a heading; what one may click on to choose it has none."""
    return [row for row in rows_of_pictures(test) if row["heading"]]


def pictures_across(sheet: bytes) -> int:
    """How many pictures the first row of an exported PNG has side by side, with white between them."""
    page = np.asarray(Image.open(io.BytesIO(sheet)).convert("RGB"))
    inked = (page < 250).any(2)[page.shape[0] // 4].nonzero()[0]  # through the first row
    return 1 + int((np.diff(inked) > 3).sum())
