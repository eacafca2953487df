"""A store for all workers of all hosts: one Redis, one Valkey, or several behind sentinels or in a cluster.

The state is one hash; a write is a compare-and-set on its version, a kill needs no version. Each process that serves
has two threads: one listens to a channel, so that a kill arrives within milliseconds; the other asks each second,
since messages are lost while somebody reconnects, reports what is in force, and writes down what could not be written.
Requests and the refresher read what these threads have put into memory, and wait for no network.

A store that has forgotten, or has gone back in time, is told what this process knew last, as killed: what was stopped
must not start because a server did.
"""

from __future__ import annotations

import atexit
import math
import os
import socket
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from faultware.errors import StoreError
from faultware.state.documents import read_snapshot, write_snapshot
from faultware.state.redisclient import Unreachable, check_installed, connect, translated
from faultware.state.redisscripts import REPORT, ROLL, WRITE
from faultware.state.redisthreads import keep, listen
from faultware.state.store import KILLED, Deed, Snapshot, Worker, flag_of, killed_by, local_signal, word

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultware.config.storeurl import RedisUrl
    from faultware.state.store import Signal

_PATIENCE_SECONDS: Final = 2.0
# Who has been silent for so long has stopped by itself, whatever its grace was by default, and is not waited for.
_GONE_SECONDS: Final = 60.0
# Who stops faults without being asked, as the audit trail has it.
SETTINGS: Final = "settings"
STORE: Final = "store"
FORGOTTEN: Final = "it has lost what it knew"


class NoStateError(StoreError):
    """There is nothing where something has to be."""


class RedisStore:
    """Keeps the state in Redis.

    Args:
        url: Where it is.
        initial: The state to begin with when there is none, of version 1; None: then there has to be one.
        started_at: What was armed earlier than this, and by nobody who still serves, is killed if `initial` is.
        monotonic: A clock in seconds.
        wall: The time of day in seconds.

    Raises:
        MissingExtraError: redis-py is not installed.
    """

    def __init__(
        self,
        url: RedisUrl,
        initial: Snapshot | None,
        *,
        started_at: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        check_installed()
        self.url = str(url)
        self.channel = f"{{faultware:{url.name}}}"
        self._keys = (f"{self.channel}:state", f"{self.channel}:workers")
        self._url = url
        self._initial = initial
        self._started_at = started_at
        self._monotonic = monotonic
        self._wall = wall
        # Of version 0: nothing was heard yet.
        self._known = replace(initial or Snapshot(1, killed=True, created_at=0.0), version=0)
        self._signal = local_signal()
        self.signal: Signal = self._signal
        self.flag = flag_of(self._signal)
        # How often somebody had killed, by what was heard last.
        self._kills = 0
        self._heard_at = -math.inf
        self.trouble = ""
        self._is_stopped = False
        self._unwritten: Callable[[Snapshot], Snapshot] | None = None
        self._report: tuple[str, ...] | None = None
        self._wake: Callable[[], object] = _nobody
        self.bell = threading.Event()
        self._lock = threading.Lock()
        self._clients: tuple[int, Any] = (0, None)

    @property
    def age_seconds(self) -> float:
        """How long ago the store answered this process."""
        return self._monotonic() - self._heard_at

    # What the process that serves asks for. Nothing here waits for the network.

    def begin(self, wake: Callable[[], object]) -> None:
        """Start listening and asking in this process; what was heard before it served does not count any more."""
        self._heard_at = -math.inf
        self._lock, self.bell, self._wake = threading.Lock(), threading.Event(), wake
        for loop in (listen, keep):
            name = f"faultware-redis-{loop.__name__}"
            threading.Thread(target=loop, args=(weakref.ref(self),), name=name, daemon=True).start()
        weakref.finalize(self, self.bell.set)
        atexit.register(_leave, weakref.ref(self), os.getpid())

    def follow(self) -> None:
        """There is one signal; this says what is wrong."""
        if self.trouble:
            raise StoreError(self.trouble)

    def known(self) -> Snapshot:
        """What was heard last, with a kill that could not be written down yet."""
        return replace(self._known, killed=True) if self._is_stopped else self._known

    def stop(self) -> None:
        """Raise the killed bit here; whatever is heard, it stays up until the kill has been written down."""
        with self._lock:
            self._is_stopped = True
            self._signal[0] |= KILLED

    def report(self, version: int, *, killed: bool, switched_at: float) -> None:
        """Leave to the thread that asks what to say of this process."""
        host = socket.gethostname()
        report = (f"{host}:{os.getpid()}", str(version), str(int(killed)), f"{os.getpid()} {host}")
        if report != self._report:
            self._report = report
            self.bell.set()

    # What waits for an answer: for operators, and in the threads.

    def read(self) -> Snapshot:
        """The present state."""
        self.follow()
        return self._fetch()[0]

    def update(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Replace the state by what `change` makes of it, again and again until nobody was quicker."""
        self.follow()
        deadline = self._monotonic() + _PATIENCE_SECONDS
        seen: int | None = None
        while True:
            before, kills = self._fetch()
            # A kill that comes while this goes on holds, however often it has to begin again.
            seen = kills if seen is None else seen
            after = replace(change(before), version=before.version + 1)
            is_written, is_killed = self._write(before.version, seen, after)
            if is_written:
                self._take(replace(after, killed=is_killed))
                return after
            if self._monotonic() >= deadline:
                raise StoreError(f"{self.url}: others have been writing for too long")

    def kill(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """`stop`, then raise the bit for everybody and write down why, in one step where nobody else is writing.

        What cannot be written now is written when the store answers again.
        """
        self.stop()
        try:
            self.follow()
            return self._write_kill(change)
        except BaseException:
            # Not earlier: the keeper's thread would write it a second time, and so undo an arm that came in between.
            if self._is_stopped:  # else the bit is there
                self._unwritten = change
            raise

    def workers(self) -> tuple[Worker, ...]:
        """Everybody who reports; who has been silent for a minute is forgotten."""
        now, killed_at, pairs = self._run(ROLL)
        found: list[Worker] = []
        gone: list[bytes] = []
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            worker = _worker(value, int(now), int(killed_at))
            if worker is None or worker.silent_seconds > _GONE_SECONDS:
                gone.append(key)
            else:
                found.append(worker)
        if gone:
            with translated(self.url):
                self.client().hdel(self._keys[1], *gone)
        return tuple(sorted(found, key=lambda worker: (worker.host, worker.pid)))

    # What the threads do.

    def client(self) -> Any:
        """The connections of this process; those of a process that it was forked from are not touched."""
        process, client = self._clients
        if process != os.getpid():
            with translated(self.url):
                client = connect(self._url)
            self._clients = (os.getpid(), client)
        return client

    def close(self) -> None:
        """Give the connections back. They are opened again when they are needed."""
        process, client = self._clients
        self._clients = (0, None)
        if process == os.getpid():
            client.close()

    def ask(self) -> None:
        """Report, write down what could not be written, and hear of what is new."""
        asked_at = self._monotonic()
        if self._unwritten is not None:
            self._write_kill(self._unwritten)
        if self._report is None:
            with translated(self.url):
                version, killed = self.client().hmget(self._keys[0], "version", "killed")
        else:
            version, killed = self._run(REPORT, *self._report)
        known = self._known
        if known.version and (_number(version), killed == b"1") == (known.version, known.killed):
            self._confirm(asked_at)
        else:
            self._fetch()

    def hear(self, message: bytes) -> None:
        """Somebody has written. A kill is obeyed before anything is asked."""
        version, _, killed = message.partition(b" ")
        if killed == b"1" and _number(version) >= self._known.version:
            with self._lock:
                self._signal[0] |= KILLED
            self._wake()
        self._fetch()

    def forget(self) -> None:
        """Say of this process that it serves no more."""
        if self._report is not None and not self.trouble:
            with translated(self.url):
                self.client().hdel(self._keys[1], self._report[0])

    def _write_kill(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        try:
            before, kills = self._fetch()
            after = replace(change(before), version=before.version + 1)
        except (Unreachable, NoStateError):
            raise
        except BaseException:
            # What stands there may be nonsense, and the bit needs none of it.
            self._write(-1, 0, None, is_kill=True)
            self._unwritten, self._is_stopped = None, False
            raise
        is_written, _ = self._write(before.version, kills, after, is_kill=True)
        self._unwritten, self._is_stopped, self._kills = None, False, kills + 1
        if not is_written:
            return self.update(change)
        self._take(after)
        return after

    def _fetch(self) -> tuple[Snapshot, int]:
        """The present state, and how often somebody killed. Begins a state where there is none."""
        deadline = self._monotonic() + _PATIENCE_SECONDS
        while True:
            asked_at, known = self._monotonic(), self._known
            with translated(self.url):
                fields = self.client().hmget(self._keys[0], "version", "killed", "kills", "state")
            version, kills = _number(fields[0]), _number(fields[2])
            if version == 0 or (version, fields[1] == b"1") < (known.version, known.killed):
                self._begin_anew(version, kills, known, is_killed=fields[1] == b"1")
            else:
                snapshot = replace(self._read(fields[3]), version=version, killed=fields[1] != b"0")
                if known.version == 0 and self._must_disarm(snapshot):
                    self._write(version, kills, self._killed(snapshot, SETTINGS, ""), is_kill=True)
                elif self._has_lost_kill(snapshot, kills, known):
                    self._kills = kills
                    self._write(version, kills, self._killed(snapshot, STORE, FORGOTTEN), is_kill=True)
                else:
                    self._kills = kills
                    self._take(snapshot)
                    self._confirm(asked_at)
                    return snapshot, kills
            if self._monotonic() >= deadline:
                raise StoreError(f"{self.url}: the state does not stay")

    def _begin_anew(self, version: int, kills: int, known: Snapshot, *, is_killed: bool) -> None:
        """There is no state, or an older one than is known here."""
        if known.version == 0 and self._initial is None:
            raise NoStateError(f"{self.url}: there is no state here")
        if known.version == 0 and self._initial is not None:
            after = replace(self._initial, killed=self._initial.killed or is_killed)
        else:
            after = self._killed(known, STORE, FORGOTTEN)
        self._write(version, kills, after)

    def _killed(self, before: Snapshot, actor: str, reason: str) -> Snapshot:
        deed = Deed(self._wall(), actor, "", "kill", reason, 0)
        return replace(killed_by(before, deed), version=before.version + 1)

    def _must_disarm(self, found: Snapshot) -> bool:
        """Whoever says off wins, but not against those who serve already."""
        is_off = self._initial is not None and self._initial.killed
        return is_off and not found.killed and found.changed_at < self._started_at and not self.workers()

    def _has_lost_kill(self, found: Snapshot, kills: int, known: Snapshot) -> bool:
        """Whether the store went back behind a kill, and others who had not heard of it have written since."""
        is_later_word = any(deed.action in ("kill", "arm") and deed.before >= known.version for deed in found.deeds)
        return not found.killed and kills < self._kills and not is_later_word

    def _read(self, content: bytes | None) -> Snapshot:
        try:
            return read_snapshot(content or b"")
        except ValueError as error:
            message = f"{self.url}: {self._keys[0]} does not hold a state ({error}): remove it to begin again"
            raise StoreError(message) from None

    def _write(self, version: int, kills: int, after: Snapshot | None, *, is_kill: bool = False) -> tuple[bool, bool]:
        """Whether it was written, and whether it is killed now."""
        marks = ("", "1", "") if after is None else (after.version, int(after.killed), write_snapshot(after))
        is_written, killed = self._run(WRITE, version, kills, *marks, self.channel, int(is_kill))
        return is_written == 1, killed == b"1"

    def _run(self, script: str, *arguments: Any) -> Any:
        with translated(self.url):
            return self.client().eval(script, len(self._keys), *self._keys, *arguments)

    def _take(self, snapshot: Snapshot) -> None:
        """Put in memory what was heard, unless something newer was."""
        with self._lock:
            if snapshot.version < self._known.version:
                return
            self._known = snapshot
            now = word(snapshot) | (KILLED if self._is_stopped else 0)
            is_news, self._signal[0] = now != self._signal[0], now
        if is_news:
            self._wake()

    def _confirm(self, asked_at: float) -> None:
        """The state that is known was the present one when it was asked for."""
        was_lost = not math.isfinite(self._heard_at) or bool(self.trouble)
        self._heard_at, self.trouble = max(self._heard_at, asked_at), ""
        if was_lost:
            self._wake()


def _worker(value: bytes, now: int, killed_at: int) -> Worker | None:
    try:
        at, since, kill, version, killed, pid, host = value.decode().split(" ", 6)
        took = (int(since) - killed_at) / 1e6 if int(since) and killed_at and int(kill) == killed_at else None
        silent = max(0.0, (now - int(at)) / 1e6)
        return Worker(host[:100], int(pid), int(version), killed == "1", silent, took)
    except ValueError:
        return None


def _leave(reach: Callable[[], RedisStore | None], process: int) -> None:
    """At the end of the process; what is not said now, silence will say."""
    store = reach()
    if store is not None and process == os.getpid():
        with suppress(StoreError):
            store.forget()


def _number(value: bytes | None) -> int:
    return int(value) if value is not None and value.isdigit() and len(value) < 19 else 0


def _nobody() -> None:
    """Nobody serves here yet."""
