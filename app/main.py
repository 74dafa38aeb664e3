"""How the Explorer is served: ``streamlit run app/main.py``. Its pages are in ``pages.py``.

Names in a data set, file names and uploads are shown in the viewer's browser, which would load an image from any server
that such a text names. A Content-Security-Policy blocks external resources, and framing by other sites, which could
trick a viewer into clicks.
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


class SecurityHeadersMiddleware:
    """Adds :data:`HEADERS` to every HTTP response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


# Uploads stay in memory; by default Starlette writes those over 1 MB to the disk.
MultiPartParser.spool_max_size = 0

app = st.App("pages.py", middleware=[Middleware(SecurityHeadersMiddleware)])
