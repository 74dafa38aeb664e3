"""Connections to Milvus: a local file, a server or a cluster, all through pymilvus.

A file is served by milvus-lite to this process alone, on a port of localhost without a password, for as long as one of
its clients is open.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ssrnet.errors import DataError, InstallationError, ResourceError, SettingsError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

ENDING = ".db"
"""Of the path of a local file, which milvus-lite keeps as a folder."""
TOKEN_VARIABLE, TOKEN_FOR_VARIABLE = "MILVUS_TOKEN", "MILVUS_URI"
"""Environment variables with a server's token, where it wants one, and that server's address; written nowhere.

The token is sent to no other server: an index says itself at which address it lies, and not every index is one's own.
"""
CONNECT_SECONDS = 10
TIMEOUT_SECONDS = 60
"""How long a request may take."""
OLDEST_CLIENT, OLDEST_SERVER = (3, 0), (2, 3)
"""Before 2.3 Milvus has no cosine distance and no upserts."""


@dataclass
class _Served:
    """A file served by this process: what stops it, the address, and how many clients it has."""

    server: Any
    database: Any
    address: str
    clients: int = 0


_served: dict[Path, _Served] = {}
_serving = Lock()


class Connection(NamedTuple):
    """An open client; ``uri`` is what the user named, ``versions`` says those of server and client."""

    client: MilvusClient
    uri: str
    versions: str

    def close(self) -> None:
        """Closes the client, and the file that no other client of this process has open."""
        self.client.close()
        if not is_server(self.uri):
            _release(Path(self.uri))


def is_server(uri: str) -> bool:
    """Whether it is an address, not a path."""
    return "://" in uri


def checked_uri(uri: str) -> str:
    """An address without its last slash, or an absolute path; raises :class:`SettingsError` for anything else."""
    if not is_server(uri):
        if not uri.endswith(ENDING):
            raise SettingsError(
                f"--uri is {uri!r}; write the address of a Milvus server, as http://localhost:19530, or a path that "
                f"ends in {ENDING}."
            )
        return str(Path(uri).absolute())
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"--uri is {uri!r}; write an address of Milvus as http://localhost:19530 or https://HOST.")
    if parts.username or parts.password:
        raise SettingsError(
            f"--uri holds a password; leave it out, and set {TOKEN_VARIABLE}, and {TOKEN_FOR_VARIABLE} to the address."
        )
    if "global-cluster" in uri.lower():  # pymilvus would ask there for another host, and send the token to that
        raise SettingsError(f"--uri is {uri!r}, which names other hosts in turn; write the address of one cluster.")
    return uri.rstrip("/")


def connect(uri: str) -> Connection:
    """A client of the server at ``uri``, or of the file.

    Raises :class:`InstallationError` without pymilvus, :class:`ResourceError` where the server cannot be reached or is
    too old, or another process has the file open, :class:`DataError` for a damaged file, :class:`SettingsError` as
    :func:`checked_uri`.
    """
    uri = checked_uri(uri)
    pymilvus = import_pymilvus()
    address, token = (uri, _token(uri)) if is_server(uri) else (_serve(Path(uri)), "")
    try:
        with user_facing_errors(uri):
            client = pymilvus.MilvusClient(address, token=token, timeout=CONNECT_SECONDS, dedicated=True)
            version = client.get_server_version(timeout=CONNECT_SECONDS)
        connection = Connection(client, uri, f"Milvus {version.removeprefix('v')}, pymilvus {pymilvus.__version__}")
        if is_server(uri) and _numbers(version) < OLDEST_SERVER:
            client.close()
            raise ResourceError(
                f"{uri} is {connection.versions}, and an index needs Milvus 2.3 or later; update the server."
            )
        return connection
    except BaseException:
        if not is_server(uri):
            _release(Path(uri))
        raise


def import_pymilvus() -> Any:
    """The package; raises :class:`InstallationError` where it is not installed or too old."""
    try:
        import pymilvus
    except ImportError as error:
        raise InstallationError(
            "an index in Milvus needs pymilvus, not installed here; run `pip install -e .[index]` in the folder of "
            "SSR-Net Explorer, or use --backend exact."
        ) from error
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it prints a traceback of each error that it raises
    if _numbers(pymilvus.__version__) < OLDEST_CLIENT:
        raise InstallationError(
            f"pymilvus {pymilvus.__version__} is too old, 3.0 or later is needed; run `pip install -e .[index]` in the "
            "folder of SSR-Net Explorer."
        )
    return pymilvus


@contextmanager
def user_facing_errors(uri: str, versions: str = "") -> Iterator[None]:
    """Turns what pymilvus raises into a sentence."""
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
        what = " ".join(str(getattr(error, "message", "") or error).split())[:240] or type(error).__name__
        if "UNIMPLEMENTED" in what:
            raise ResourceError(
                f"{uri} cannot do what was asked of it ({versions or what}); install the version of pymilvus that belongs "
                "to the server, or update the server."
            ) from error
        raise ResourceError(
            f"Milvus at {uri} did not do as asked ({what}); check that it runs and can be reached, and where it wants a "
            f"token {TOKEN_VARIABLE} and, with this address, {TOKEN_FOR_VARIABLE}: what was added stays, and the same "
            "command goes on."
        ) from error


def _serve(path: Path) -> str:
    """The address at which this process serves the file from now on."""
    try:
        from milvus_lite.adapter.grpc.server import start_server_in_thread
        from milvus_lite.exceptions import DataDirLockedError
    except ImportError as error:
        raise InstallationError(
            "a Milvus file needs milvus-lite, not installed here; run `pip install -e .[index]` in the folder of SSR-Net "
            "Explorer, or name a server with --uri."
        ) from error
    with _serving:
        if path not in _served:
            try:
                logging.getLogger("grpc._server").setLevel(logging.CRITICAL)  # of calls that milvus-lite lacks
                path.parent.mkdir(parents=True, exist_ok=True)
                _check_links(path)
                server, database, port = start_server_in_thread(str(path))
            except DataDirLockedError as error:
                raise ResourceError(
                    f"another process has {path} open, and a Milvus file is for one; close it, or use a Milvus server."
                ) from error
            except OSError as error:
                raise ResourceError(
                    f"{path} cannot be used ({error.strerror or error}); free space or check its permissions."
                ) from error
            _served[path] = _Served(server, database, f"http://127.0.0.1:{port}")
        _served[path].clients += 1
        return _served[path].address


def _release(path: Path) -> None:
    with _serving:
        served = _served[path]
        served.clients -= 1
        if not served.clients:
            del _served[path]
            served.server.stop(grace=None).wait()
            with suppress(OSError):  # of a folder that is gone
                served.database.close()


def _check_links(path: Path) -> None:
    """Raises :class:`DataError` for a link in the file's folder: Milvus would read and write wherever it leads."""
    for entry in path.rglob("*"):
        if entry.is_symlink():
            raise DataError(
                f"{entry} is a link, and a Milvus file has none; restore the file, or build the index again."
            )


def _token(uri: str) -> str:
    named = os.environ.get(TOKEN_FOR_VARIABLE, "").rstrip("/")
    return os.environ.get(TOKEN_VARIABLE, "") if named == uri else ""


def _numbers(version: str) -> tuple[int, int]:
    match = re.search(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else OLDEST_SERVER
