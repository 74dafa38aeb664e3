"""How the Explorer is served: ``streamlit run app/main.py``. Its pages are in ``pages.py``.

What a data set, a file name or an upload says is shown by the viewer's browser, which would load a picture from
anywhere that such a text names. The policy below, which the browser keeps, forbids it, and that another page frames
this one, so that nobody is made to click on what he does not see.
"""

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.formparsers import MultiPartParser
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "style-src 'self' 'unsafe-inline'",
        # Streamlit loads the pages' components as blobs, and its tables run WebAssembly.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


class StaysHere:
    """Gives every answer the headers above."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


MultiPartParser.spool_max_size = (
    0  # an upload of any size stays in memory; without this, one over 1 MB is put on the disk
)

app = st.App("pages.py", middleware=[Middleware(StaysHere)])
