"""The workers of one host, in a directory: a file that says what is in force in each, and a socket that wakes it.

The number of a process, its start and its number space are the name of its file, so that nobody is taken for somebody
who has gone. Waking is a courtesy: who misses it looks at the switch soon all the same.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from faultware.state.private import make_private
from faultware.state.service import identity, is_alive
from faultware.state.store import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

_HEARTBEAT_SECONDS: Final = 1.0
# Of a worker in another number space, such as another container, only its silence tells that it has gone.
_GONE_SECONDS: Final = 60.0
# What an address may have (unix(7)); a longer one is reached through a descriptor of its directory.
_MOST_ADDRESS: Final = 100
_SOCKET: Final = ".socket"


class Roster:
    """Who serves, and how to wake them.

    Args:
        directory: Made when somebody joins.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name = ""
        self._said: tuple[int, bool] | None = None
        self._beat_at = 0.0
        # The last setting of the switch that is in force here, and since when.
        self._obeyed = (False, 0.0)
        self._obeyed_at: float | None = None

    def join(self, wake: Callable[[], object]) -> None:
        """Enter this process; `wake` is called, in a thread, whenever somebody rings."""
        self._name, self._said = identity(os.getpid()), None
        # Where no socket can be had, this process looks at the switch as often as it does anyway.
        with suppress(OSError):
            make_private(self._directory)
            bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            path = self._directory / (self._name + _SOCKET)
            path.unlink(missing_ok=True)
            with self._address(path.name) as address:
                bell.bind(address)
            threading.Thread(target=_listen, args=(bell, wake), name="faultware-bell", daemon=True).start()
            weakref.finalize(self, _leave, os.getpid(), bell, path, self._directory / self._name)

    def ring(self) -> None:
        """Wake everybody; waits for nobody."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.setblocking(False)
            for entry in self._directory.iterdir():
                if entry.suffix != _SOCKET:
                    continue
                try:
                    with self._address(entry.name) as address:
                        bell.sendto(b"!", address)
                except ConnectionRefusedError:
                    entry.unlink(missing_ok=True)
                except OSError:  # full: it has been rung already, and not yet listened
                    continue

    def report(self, version: int, *, killed: bool, switched_at: float) -> None:
        """Say what is in force in this process."""
        now = time.monotonic()
        if self._obeyed != (killed, switched_at):
            # Who begins to serve when the kill is over had nothing to obey, and its first word is no measure of speed.
            self._obeyed, self._obeyed_at = (killed, switched_at), None if self._said is None else time.time()
        is_news = (version, killed) != self._said
        if not self._name or (not is_news and now - self._beat_at < _HEARTBEAT_SECONDS):
            return
        with suppress(OSError):
            path = self._directory / self._name
            if is_news or not path.exists():
                make_private(self._directory)
                text = {"host": socket.gethostname(), "version": version, "killed": killed, "since": self._obeyed_at}
                draft = path.with_suffix(".tmp")
                draft.write_text(json.dumps(text))
                draft.replace(path)
            else:
                os.utime(path)
            self._said, self._beat_at = (version, killed), now

    def workers(self, switched_at: float) -> tuple[Worker, ...]:
        """All that are there.

        Args:
            switched_at: When the switch was set last, in wall-clock seconds.
        """
        found: list[Worker] = []
        with suppress(OSError):
            for entry in sorted(self._directory.iterdir()):
                if not entry.suffix:
                    with suppress(OSError, ValueError, KeyError, TypeError):
                        found.append(_worker(entry, switched_at))
        return tuple(found)

    @contextmanager
    def _address(self, name: str) -> Generator[str, None, None]:
        path = str(self._directory / name)
        if len(os.fsencode(path)) <= _MOST_ADDRESS:
            yield path
            return
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{descriptor}/{name}"
        finally:
            os.close(descriptor)


def _worker(entry: Path, switched_at: float) -> Worker:
    silent = max(0.0, time.time() - entry.stat().st_mtime)
    if silent > _GONE_SECONDS or not is_alive(entry.name):
        entry.unlink(missing_ok=True)
        entry.with_name(entry.name + _SOCKET).unlink(missing_ok=True)
        raise ValueError
    data: dict[str, Any] = json.loads(entry.read_bytes())
    killed = data["killed"] is True
    took = max(0.0, float(data["since"]) - switched_at) if killed and data["since"] is not None else None
    pid = int(entry.name.partition("-")[0])
    return Worker(str(data["host"])[:100], pid, int(data["version"]), killed, silent, took)


def _listen(bell: socket.socket, wake: Callable[[], object]) -> None:
    while True:
        try:
            if not bell.recv(16):
                return
        except OSError:
            return
        wake()


def _leave(process: int, bell: socket.socket, *paths: Path) -> None:
    """At the end, but not of a process that was forked from the one that joined."""
    if os.getpid() != process:
        return
    with suppress(OSError):
        # Closing alone would not wake whoever reads.
        bell.shutdown(socket.SHUT_RDWR)
    bell.close()
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)
