"""A store for all workers of one host: a directory with a memory-mapped switch and a file of rules.

`switch` is mapped by every worker; its first eight bytes are the signal, so that a kill is seen by the next request of
every worker without a system call. `state.json` is replaced as a whole and read again when the signal changes. The
mapped file is never truncated or replaced while it is in use: the first would end every worker by SIGBUS, the second
would leave old workers on the old file. Writers take turns by `flock`. The directory must be on a local file system.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import stat
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from faultware.errors import StoreError
from faultware.state.store import KILLED, Snapshot, StoredRule, word

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from faultware.state.store import Signal

_SIZE: Final = mmap.PAGESIZE
_MAX_STATE: Final = 16 * 1024 * 1024
# How long a writer waits for another one. A process that was stopped in the middle of a write must not hold up a kill.
_PATIENCE_SECONDS: Final = 2.0


class FileStore:
    """Keeps the state in a directory.

    Args:
        directory: Made, with mode 0700, when it is missing. It must belong to this user and be closed to others.
        initial: The state to begin with when the directory holds none.

    Raises:
        StoreError: The directory cannot be used.
    """

    def __init__(self, directory: Path, initial: Snapshot) -> None:
        self._directory = directory
        self._inode = 0
        # What was read or written last: if somebody cleans the directory away, the state begins again from here.
        self._last = initial
        try:
            _make_private(directory)
            with self._turn():
                self._signal = self._map()
                if not self._state_path.exists():
                    self._write(initial)
                    self._signal[0] = word(initial)
                elif not self._signal[0]:
                    # The state outlived the switch (somebody cleaned up): what it says holds.
                    self._signal[0] = word(self._read_state())
        except OSError as error:
            raise StoreError(f"{self.url}: {error.strerror or error}") from error
        self.signal: Signal = self._signal

    @property
    def url(self) -> str:
        """Where the state is."""
        return f"file:{self._directory}"

    @property
    def _state_path(self) -> Path:
        return self._directory / "state.json"

    @property
    def _switch_path(self) -> Path:
        return self._directory / "switch"

    def follow(self) -> None:
        """Map the switch anew if its file was removed or replaced, so that all workers look at the same one."""
        try:
            present = self._switch_path.stat().st_ino if self._switch_path.exists() else 0
            if present == self._inode:
                return
            _make_private(self._directory)
            with self._turn():
                last, self._signal = self._signal[0], self._map()
                if not self._state_path.exists():
                    self._write(self._last)
                self._signal[0] = self._signal[0] or last
        except OSError as error:
            raise StoreError(f"{self.url}: {error.strerror or error}") from error
        self.signal = self._signal

    def read(self) -> Snapshot:
        """The present state. What the switch says about killing holds, whatever stands in the file."""
        snapshot = self._read_state()
        if self._signal[0] & KILLED:
            snapshot = replace(snapshot, killed=True)
        self._last = snapshot
        return snapshot

    def update(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Replace the state by what `change` makes of it."""
        with self._turn():
            before = self.read()
            after = replace(change(before), version=max(before.version, self._signal[0] >> 1) + 1)
            try:
                self._write(after)
            except OSError as error:
                raise StoreError(f"{self.url}: {error.strerror or error}") from error
            self._last = after
            self._signal[0] = word(after)
            return after

    def kill(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Raise the killed bit at once, waiting for nobody, and then `update`."""
        self._signal[0] |= KILLED
        return self.update(change)

    def _map(self) -> memoryview:
        descriptor = os.open(self._switch_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            status = os.fstat(descriptor)
            if status.st_size < _SIZE:
                os.ftruncate(descriptor, _SIZE)
            self._inode = status.st_ino
            return memoryview(mmap.mmap(descriptor, _SIZE)).cast("Q")
        finally:
            os.close(descriptor)

    def _read_state(self) -> Snapshot:
        try:
            with self._state_path.open("rb") as file:
                content = file.read(_MAX_STATE + 1)
            if len(content) > _MAX_STATE:
                raise StoreError(f"{self.url}: state.json is larger than {_MAX_STATE} bytes")
            return _snapshot(json.loads(content))
        except OSError as error:
            raise StoreError(f"{self.url}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(f"{self.url}: state.json does not hold a state ({type(error).__name__})") from error

    def _write(self, snapshot: Snapshot) -> None:
        content = json.dumps(asdict(snapshot), allow_nan=False).encode()
        if len(content) > _MAX_STATE:
            raise StoreError(f"the rules take {len(content)} bytes; {_MAX_STATE} are the most that can be kept")
        draft = self._directory / f"state.{os.getpid()}.tmp"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.replace(self._state_path)

    @contextmanager
    def _turn(self) -> Generator[None, None, None]:
        # A descriptor of its own for every turn: locks of one process exclude each other, and a fork inherits none.
        try:
            descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StoreError(f"{self.url}: {error.strerror or error}") from error
        try:
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise StoreError(f"{self.url}: another process has been writing for too long") from None
                    time.sleep(0.001)
            yield
        finally:
            os.close(descriptor)


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise StoreError(f"file:{directory}: must be a directory of this user that nobody else may write to")


def _snapshot(data: dict[str, Any]) -> Snapshot:
    rules = data["rules"]
    stored = None if rules is None else tuple(StoredRule(rule["document"], rule["expires_at"]) for rule in rules)
    return Snapshot(
        version=int(data["version"]),
        killed=bool(data["killed"]),
        created_at=float(data["created_at"]),
        rules=stored,
        armed_until=data["armed_until"],
        changed_at=float(data["changed_at"]),
        actor=str(data["actor"]),
        reason=str(data["reason"]),
    )
