"""A real Milvus server, of the package ``milvus``, on free ports of localhost and in a folder of its own.

``python -m tests.index.milvus_server COMMAND ...`` runs a command with ``--uri`` and ``--process`` of such a server.
"""

from __future__ import annotations

import lzma
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest

START_SECONDS = 180
WHEELS = {("linux", "x86_64"), ("darwin", "arm64")}
ETCD = """\
name: default
listen-client-urls: {clients}
advertise-client-urls: {clients}
listen-peer-urls: {peers}
initial-advertise-peer-urls: {peers}
initial-cluster: default={peers}
"""
"""Settings of the etcd inside the server; without them every server on a machine takes the same port for its peers."""


class MilvusServer:
    """``uri`` is where it listens. Its processes form a group of their own, so that no other is ever killed."""

    def __init__(self, folder: Path) -> None:
        if (sys.platform, platform.machine()) not in WHEELS:
            pytest.skip("NO MILVUS SERVER WAS TESTED: the package milvus has no wheel for this platform")
        import milvus

        self.folder, self.version = folder, metadata.version("milvus")
        self._process: subprocess.Popen | None = None
        config = milvus.MilvusServerConfig(data_dir=str(folder))
        names = [name for name in config.configurable_items if name.endswith("_port")]
        *ports, self._health, peers = free_ports(len(names) + 2)
        config.update(**dict(zip(names, ports, strict=True)))
        config.set("proxy.timeTickInterval", 20)  # ms that reads wait for; by default 200
        config.set("common.session.ttl", 5)  # seconds after which a killed server's place is free; by default 30
        config.resolve()
        clients = f"http://127.0.0.1:{config.get('etcd_port')}"
        (folder / "etcd.yaml").write_text(ETCD.format(clients=clients, peers=f"http://127.0.0.1:{peers}"))
        self.uri = f"http://127.0.0.1:{config.get('proxy_port')}"
        self._alias = f"ssrnet-{os.getpid()}-{self._health}"
        settings = folder / "configs/milvus.yaml"
        where = f"etcd:\n  config:\n    path: {folder / 'etcd.yaml'}\n"
        settings.write_text(settings.read_text().replace("etcd:\n", where, 1))
        _unpack(Path(milvus.__file__).parent / "data/bin", folder / "bin")

    def start(self) -> None:
        """Starts it, on the data that an earlier start left, and waits until it says that it is healthy."""
        environment = os.environ | {
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(self._health),
            "LD_LIBRARY_PATH": str(self.folder / "bin"),
            "DYLD_LIBRARY_PATH": str(self.folder / "bin"),
        }
        # Without an alias there is one server a machine, by its lock in /run.
        command = [self.folder / "bin/milvus", "run", "standalone", "-alias", self._alias]
        with open(self.folder / "output.txt", "ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            assert self._process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def kill(self) -> None:
        """kill -9 of it and its children."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            for folder in ("/run", "/tmp"):  # the only file that it writes elsewhere
                Path(folder, f"milvus/standalone-{self._alias}.pid").unlink(missing_ok=True)

    @property
    def process(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        return (self.folder / "output.txt").read_text(errors="replace")[-2000:]

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/healthz", timeout=5) as answer:
                return b"OK" in answer.read()
        except (urllib.error.URLError, OSError):
            return False


def free_ports(count: int) -> list[int]:
    """Different ports of localhost on which nothing listens."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _unpack(packed: Path, folder: Path) -> None:
    """The wheel's files are compressed; the largest takes longest, so it is begun first."""
    folder.mkdir(parents=True, exist_ok=True)

    def unpack(path: Path) -> None:
        whole = folder / path.stem
        whole.write_bytes(lzma.decompress(path.read_bytes()))
        whole.chmod(0o755)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(unpack, sorted(packed.glob("*.lzma"), key=lambda path: -path.stat().st_size)))


def main(command: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        server = MilvusServer(Path(folder))
        server.start()
        try:
            return subprocess.run([*command, "--uri", server.uri, "--process", str(server.process)]).returncode
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
