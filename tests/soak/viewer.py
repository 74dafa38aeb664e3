"""A viewer of the app over its WebSocket: Streamlit's messages without a browser to draw them."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from streamlit.components.v2.bidi_component.main import _make_trigger_id
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs, UploadedFileInfo
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import connect

XSRF = "_streamlit_xsrf"
PATIENCE = 120
"""Seconds; many viewers share two cores, and only an answer that never comes should fail."""
DONE = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


@dataclass
class Shown:
    """An element of the page, and the fragment that it belongs to, if any."""

    element: Element
    fragment: str

    @property
    def kind(self) -> str:
        return self.element.WhichOneof("type") or ""

    @property
    def message(self):
        """The element's message: a Slider, a Markdown ..."""
        return getattr(self.element, self.kind)


@dataclass
class Viewer:
    """``async with Viewer(address) as viewer``: opens pages, sets widgets, uploads; ``received`` is every byte since the
    last call of :meth:`forget`."""

    address: str
    shown: dict[tuple[int, ...], Shown] = field(default_factory=dict)
    received: list[bytes] = field(default_factory=list)
    url: str = ""
    """The page's query string, as in the address bar."""

    async def __aenter__(self) -> Viewer:
        with urllib.request.urlopen(f"{self.address}/_stcore/health") as answer:
            cookies = SimpleCookie("; ".join(answer.headers.get_all("set-cookie") or []))
        self._xsrf = cookies[XSRF].value if XSRF in cookies else ""
        self._cookie = f"{XSRF}={self._xsrf}"
        self._socket = await connect(
            f"ws://{urlsplit(self.address).netloc}/_stcore/stream",
            subprotocols=["streamlit", self._xsrf or "none"],
            additional_headers={"Cookie": self._cookie},
            max_size=None,
            ping_timeout=None,
        )
        self._states: dict[str, WidgetState] = {}
        self._page = ""
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    async def open(self, view: str, **url: str) -> float:
        """Opens a page by its link; returns the seconds until the page is complete, as do all gestures below."""
        self.url, self._page, self._states = urlencode(url), "", {}
        return await self._run(page_name=view)

    async def set(self, label: str, value: object) -> float:
        """Gives the widget of this label a value: a string, number, bool, or a list of strings or numbers."""
        at = self.widget(label)
        state = WidgetState(id=at.message.id)
        if at.kind in ("checkbox",):
            state.bool_value = value
        elif at.kind in ("button",):
            state.trigger_value = True
        elif at.kind == "slider":
            state.double_array_value.data.extend(value if isinstance(value, list) else [value])
        elif at.kind == "number_input":
            state.double_value = value
        elif at.kind in ("multiselect", "button_group"):
            state.string_array_value.data.extend(value if isinstance(value, list) else [value])
        else:
            state.string_value = value
        return await self._send(at, state)

    async def trigger(self, name: str, event: str, value: object) -> float:
        """A click in one of the app's components."""
        at = self._component(name)
        state = WidgetState(id=_make_trigger_id(at.message.id, "events"))
        state.json_trigger_value = json.dumps([{"event": event, "value": value}])
        return await self._send(at, state)

    async def state(self, name: str, **values: object) -> float:
        """Sets the state of one of the app's components."""
        at = self._component(name)
        return await self._send(at, WidgetState(id=at.message.id, json_value=json.dumps(values)))

    async def upload(self, label: str, name: str, data: bytes) -> float:
        """Hands a file to the uploader of this label."""
        at = self.widget(label)
        message = BackMsg()
        message.file_urls_request.request_id = name
        message.file_urls_request.file_names.append(name)
        message.file_urls_request.session_id = self.session
        await self._socket.send(message.SerializeToString())
        urls = await self._urls()
        await asyncio.to_thread(self._put, urls.upload_url, name, data)
        state = WidgetState(id=at.message.id)
        state.file_uploader_state_value.uploaded_file_info.append(
            UploadedFileInfo(name=name, size=len(data), file_id=urls.file_id, file_urls=urls)
        )
        return await self._send(at, state)

    def widget(self, label: str) -> Shown:
        matching = [one for one in self.shown.values() if getattr(one.message, "label", "").startswith(label)]
        assert matching, f"the page has no {label!r}: {sorted(self.labels())}"
        return matching[0]

    def _component(self, name: str) -> Shown:
        matching = [
            one for one in self.shown.values() if one.kind == "bidi_component" and one.message.id.endswith(name)
        ]
        assert matching, f"the page has no component {name!r}"
        return matching[0]

    def labels(self) -> set[str]:
        return {one.message.label for one in self.shown.values() if getattr(one.message, "label", "")}

    def texts(self, kind: str) -> list[str]:
        """What the page's alerts ("alert"), Markdown ("markdown") or exceptions ("exception") say."""
        return [getattr(one.message, "body", "") or str(one.message) for one in self.shown.values() if one.kind == kind]

    @property
    def problems(self) -> list[str]:
        """Exceptions and errors on the page."""
        errors = [one.message.body for one in self.shown.values() if one.kind == "alert" and one.message.format == 1]
        return errors + self.texts("exception")

    def forget(self) -> None:
        self.received.clear()

    async def _send(self, at: Shown, state: WidgetState) -> float:
        once = state.WhichOneof("value") in ("trigger_value", "json_trigger_value")
        if not once:
            self._states[state.id] = state
        return await self._run([state] if once else [], at.fragment)

    async def _run(self, triggers: Sequence[WidgetState] = (), fragment: str = "", page_name: str = "") -> float:
        message = BackMsg()
        rerun = message.rerun_script
        rerun.query_string, rerun.page_script_hash, rerun.page_name = self.url, self._page, page_name
        rerun.fragment_id = fragment
        rerun.widget_states.widgets.extend([*self._states.values(), *triggers])
        started = time.perf_counter()
        if not fragment:
            self.shown = {}
        await self._socket.send(message.SerializeToString())
        async with asyncio.timeout(PATIENCE):
            while True:
                got = await self._next()
                if got.WhichOneof("type") == "script_finished":
                    if got.script_finished in DONE:
                        return time.perf_counter() - started
                    assert got.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN, got

    async def _next(self) -> ForwardMsg:
        data = await self._socket.recv()
        self.received.append(data)
        got = ForwardMsg.FromString(data)
        kind = got.WhichOneof("type")
        assert kind != "ref_hash", "the server refers to a message that this viewer never cached"
        if kind == "new_session":
            self.session = got.new_session.initialize.session_id or getattr(self, "session", "")
            self._page = got.new_session.page_script_hash
        elif kind == "navigation":
            self._page = got.navigation.page_script_hash
        elif kind == "page_info_changed":
            self.url = got.page_info_changed.query_string
        elif kind == "delta":
            path = tuple(got.metadata.delta_path)
            if got.delta.WhichOneof("type") == "new_element":
                self.shown[path] = Shown(got.delta.new_element, got.delta.fragment_id)
            else:
                self.shown.pop(path, None)
        return got

    async def _urls(self) -> FileURLs:
        async with asyncio.timeout(PATIENCE):
            while True:
                got = await self._next()
                if got.WhichOneof("type") == "file_urls_response":
                    return got.file_urls_response.file_urls[0]

    def _put(self, path: str, name: str, data: bytes) -> None:
        edge = "soak-boundary"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        request = urllib.request.Request(
            self.address + path,
            head.encode() + data + f"\r\n--{edge}--\r\n".encode(),
            method="PUT",
            headers={
                "Content-Type": f"multipart/form-data; boundary={edge}",
                "Cookie": self._cookie,
                "X-Xsrftoken": self._xsrf,
            },
        )
        urllib.request.urlopen(request, timeout=PATIENCE).close()
