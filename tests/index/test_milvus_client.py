"""Whom a client talks to, and what it refuses to do: addresses, tokens, versions, files."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import pytest

from ssrnet.errors import DataError, InstallationError, ResourceError, SettingsError, SSRNetError
from ssrnet.index import milvus_client
from ssrnet.index.milvus_client import checked_uri, connect, user_facing_errors
from ssrnet.index.opening import open_index
from tests.index.galleries import entries, features, make
from tests.processes import run_script

TOKEN = "the token of my server"


class Listening(grpc.GenericRpcHandler):
    """Notes what every call carries, and answers none."""

    def __init__(self):
        self.metadata = []

    def service(self, call):
        self.metadata += [value for _, value in call.invocation_metadata]
        return None  # the client is told UNIMPLEMENTED


@pytest.mark.parametrize("named", [True, False], ids=["its own", "another"])
def test_whom_the_token_is_sent_to(monkeypatch, named):
    listening = Listening()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[listening])
    uri = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    monkeypatch.setenv("MILVUS_TOKEN", TOKEN)
    monkeypatch.setenv("MILVUS_URI", f"{uri}/" if named else "http://127.0.0.1:1")
    monkeypatch.setattr(milvus_client, "CONNECT_SECONDS", 3)
    with pytest.raises(SSRNetError):
        connect(uri)
    server.stop(0)
    import base64

    assert listening.metadata, "the server was not asked at all"
    assert (base64.b64encode(TOKEN.encode()).decode() in listening.metadata) is named


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        (
            "localhost:19530",
            "write the address of a Milvus server, as http://localhost:19530, or a path that ends in .db",
        ),
        ("ftp://localhost", "write an address of Milvus as"),
        ("http://", "write an address of Milvus as"),
        ("https://me:secret@host", "--uri holds a password; leave it out, and set MILVUS_TOKEN"),
        ("https://x.global-cluster.host", "names other hosts in turn; write the address of one cluster"),
    ],
)
def test_addresses_that_are_refused(uri, sentence):
    with pytest.raises(SettingsError, match=sentence) as caught:
        connect(uri)
    assert "secret" not in str(caught.value)


def test_addresses_are_written_in_one_way(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert checked_uri("http://host:19530/") == "http://host:19530"
    assert checked_uri("some/where.db") == str(tmp_path / "some/where.db")


def test_versions_that_do_not_go_together(monkeypatch, tmp_path):
    pymilvus = milvus_client.import_pymilvus()
    with monkeypatch.context() as patch, pytest.raises(InstallationError, match="pymilvus 2.6.1 is too old, 3.0"):
        patch.setattr(pymilvus, "__version__", "2.6.1")
        connect("http://127.0.0.1:9")
    path = str(tmp_path / "a.db")
    with closing(connect(path)) as opened:
        address = milvus_client._served[next(iter(milvus_client._served))].address
        with monkeypatch.context() as patch, pytest.raises(ResourceError, match="Milvus 2.2.16, .*needs Milvus 2.3 or"):
            patch.setattr(pymilvus.MilvusClient, "get_server_version", lambda *_, **__: "v2.2.16")
            connect(address)
        with pytest.raises(ResourceError, match=rf"cannot do what was asked of it \({opened.versions}\); install"):
            with user_facing_errors(path, opened.versions):
                raise pymilvus.MilvusException(message="StatusCode.UNIMPLEMENTED, unknown method Upsert")


def test_a_file_is_for_one_process(tmp_path):
    make(tmp_path, "milvus").close()
    opened, again = open_index(tmp_path)[0], open_index(tmp_path)[0]
    opened.add(entries(2), features(2))
    opened.close()
    assert len(again) == 2  # the file stays open as long as one of them
    script = "import sys; from pathlib import Path; from ssrnet.index.opening import open_index; open_index(Path(sys.argv[1]))"
    ended = run_script(script, tmp_path)
    assert ended.returncode and "another process has" in ended.output and "a Milvus file is for one" in ended.output
    again.close()
    assert not milvus_client._served
    assert run_script(script, tmp_path).returncode == 0


def test_a_file_is_opened_by_threads_at_once(tmp_path):
    make(tmp_path, "milvus").close()
    problems = []

    def look():
        try:
            for _ in range(3):
                with closing(open_index(tmp_path)[0]) as index:
                    assert index.search(features(1), 3) == [[]]
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems and not milvus_client._served


def test_a_damaged_file_or_one_with_a_link_is_refused_in_a_sentence(tmp_path):
    make(tmp_path, "milvus").close()
    for path in (tmp_path / "milvus.db").rglob("schema.json"):
        path.write_text("{")
    with pytest.raises(SSRNetError) as caught:
        open_index(tmp_path)
    assert "milvus.db" in str(caught.value) and "\n" not in str(caught.value)
    (tmp_path / "milvus.db/more").symlink_to(tmp_path)
    with pytest.raises(DataError, match="more is a link, and a Milvus file has none"):
        open_index(tmp_path)
