"""A Qdrant server's key goes to that server alone, whatever an index says of where it lies."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ssrnet.errors import SSRNetError
from ssrnet.index.qdrant import QdrantIndex

KEY = "the key of my server"


class Asked(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.headers.append(dict(self.headers))
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("named", [True, False], ids=["its own", "another"])
@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_whom_the_key_is_sent_to(monkeypatch, named):
    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        server.headers = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("QDRANT_API_KEY", KEY)
        monkeypatch.setenv("QDRANT_URL", f"{address}/" if named else "http://127.0.0.1:1")
        with pytest.raises(SSRNetError):
            QdrantIndex.open("vehicles", 8, url=address)
        server.shutdown()
    assert server.headers, "the server was not asked at all"
    assert any(KEY in headers.values() for headers in server.headers) is named
