"""Starts real servers on loopback, reads what they use of processor and memory, and stops them whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
TOKEN = "a-token-for-the-benchmarks"
# Reading ten thousand rules takes seconds, and longer on a machine that is busy.
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers.

    Args:
        port: On 127.0.0.1.
        pid: Its first process; workers are its children.
    """

    port: int
    pid: int

    def processor_seconds(self) -> float:
        """What all its processes have used so far."""
        ticks = 0
        for pid in self._family():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """What its first process keeps in memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _family(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]


def uvicorn(factory: str) -> list[str]:
    """One process of uvicorn with what most people install beside it."""
    words = ["uvicorn", factory, "--factory", "--loop", "uvloop", "--http", "httptools"]
    return [sys.executable, "-m", *words, "--no-access-log", "--log-level", "error", "--backlog", "8192"]


def gthread(factory: str, threads: int) -> list[str]:
    """One worker of gunicorn with threads."""
    words = ["gunicorn", f"{factory}()", "-k", "gthread", "--threads", str(threads), "--keep-alive", "60"]
    return [sys.executable, "-m", *words, "--log-level", "error"]


@contextmanager
def serve(command: Sequence[str], settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server with these settings and none from outside, for as long as the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    bind = ["--bind", f"127.0.0.1:{port}"] if "gunicorn" in command else ["--port", str(port)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAULTWARE_")}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, *bind],
            cwd=ROOT,
            env={**kept, **(settings or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_for(port, process, log)
            yield Server(port, process.pid)
        finally:
            # Its own group, and nobody else's: the number is not given away before `wait`.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def enabled(directory: str, **settings: str) -> dict[str, str]:
    """Settings of a service with faults, whose switch lies in a file of its own."""
    given = {f"FAULTWARE_{name.upper()}": value for name, value in settings.items()}
    store = tempfile.mkdtemp(dir=directory)
    return {
        "FAULTWARE_ENABLED": "true",
        "FAULTWARE_CONTROL_TOKEN": TOKEN,
        "FAULTWARE_STORE": f"file:{store}",
        **given,
    }


def _wait_for(port: int, process: subprocess.Popen[bytes], log) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if connection.recv(16).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.05)
    log.seek(0)
    raise RuntimeError(f"{process.args} did not start:\n{log.read().decode(errors='replace')}")
