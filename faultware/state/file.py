"""A store for all workers of one host: a directory with a memory-mapped switch and a file of rules.

`switch` is mapped by every worker; its first eight bytes are the signal, so that a kill is seen by the next request of
every worker without a system call; the next eight count kills, so that no writer undoes one. `state.json` is replaced
as a whole and read again when the signal changes. The mapped file is never truncated or replaced while it is in use:
the first would end every worker by SIGBUS, the second would leave old workers on the old file. Writers take turns by
`flock`. The directory must be on a local file system.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from faultware.errors import StoreError
from faultware.state.documents import read_snapshot, write_snapshot
from faultware.state.private import make_private
from faultware.state.roster import Roster
from faultware.state.store import KILLED, MOST_VERSIONS, flag_of, version_of, word

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from faultware.state.store import Signal, Snapshot, Worker

_SIZE: Final = mmap.PAGESIZE
_KILLS: Final = 1
_MOST_KILLS: Final = 2**64
# What systems say of a file system that cannot keep room for a file.
_NO_ROOM_KEPT: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
_MAX_STATE: Final = 16 * 1024 * 1024
# How long a writer waits for another one. A process that was stopped in the middle of a write must not hold up a kill.
_PATIENCE_SECONDS: Final = 2.0


class FileStore:
    """Keeps the state in a directory.

    Args:
        directory: Made, with mode 0700, when it is missing. It must belong to this user; nobody else may write to it.
        initial: The state to begin with when the directory holds none.

    Raises:
        StoreError: The directory cannot be used.
    """

    def __init__(self, directory: Path, initial: Snapshot) -> None:
        self._directory = directory
        self._inode = 0
        # What was read or written last: if somebody cleans the directory away, the state begins again from here.
        self._last = initial
        self._roster = Roster(directory / "workers")
        self._wake: Callable[[], object] | None = None
        # What cannot be done, and since when on the monotonic clock.
        self._failing: dict[str, float] = {}
        with self._turn(), self._translated():
            self._signal = self._map()
            if self._state_path.exists():
                self._last = self._read_state()
            else:
                self._write(initial)
            # Where the state has outlived the switch (somebody cleaned up), what it says holds.
            told = _told(self._signal)
            self._signal[0] = told if version_of(told) else told | word(self._last)
        self._publish()

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

    @property
    def age_seconds(self) -> float:
        """Nothing, unless the directory cannot be used: shared memory is always up to date."""
        # At one go: another thread may fail meanwhile.
        since = min(list(self._failing.values()), default=None)
        return 0.0 if since is None else time.monotonic() - since

    def begin(self, wake: Callable[[], object]) -> None:
        """Have this process woken when somebody else writes, from its first report on.

        Whoever begins is a request, and does not wait for a disk.
        """
        self._wake = wake

    def follow(self) -> None:
        """Map the switch anew if its file was removed or replaced, so that all workers look at the same one."""
        with self._noted("follow"):
            if not self._is_complete():
                with self._turn():
                    self._renew()

    def known(self) -> Snapshot:
        """The present state, which is no network away."""
        return self.read()

    def read(self) -> Snapshot:
        """The present state. What the switch says about killing holds, whatever stands in the file."""
        with self._noted("read"):
            snapshot = self._read_state()
        if self._signal[0] & KILLED:
            snapshot = replace(snapshot, killed=True)
        self._last = snapshot
        return snapshot

    def update(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Replace the state by what `change` makes of it."""
        with self._turn():
            if not self._is_complete():
                self._renew()
            kills = self._signal[_KILLS]
            before = self.read()
            after = replace(change(before), version=max(before.version, version_of(_told(self._signal))) + 1)
            with self._translated():
                self._write(after)
            self._last = after
            # A kill that came meanwhile waits for its turn to be written down, perhaps in vain. It holds all the same.
            self._signal[0] = word(after) | (KILLED if self._signal[_KILLS] != kills else 0)
            # Asked again: one may have come between the question and the answer, which has undone it then.
            if self._signal[_KILLS] != kills:
                self._signal[0] |= KILLED
        self._roster.ring()
        return after

    def stop(self) -> None:
        """Raise the killed bit at once, waiting for nobody, and wake everybody."""
        self._signal[_KILLS] = (self._signal[_KILLS] + 1) % _MOST_KILLS
        # The byte alone: the number may be another writer's next one by now, and must not go back.
        self.flag.value = True
        self._roster.ring()

    def kill(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """`stop`, and then `update`."""
        self.stop()
        try:
            return self.update(change)
        except BaseException:
            # Who wrote at the same moment may have missed it, and nobody else will make up for that.
            self.stop()
            raise

    def report(self, version: int, *, killed: bool, switched_at: float) -> None:
        """Say what is in force in this process."""
        wake, self._wake = self._wake, None
        if wake is not None:
            self._roster.join(wake)
        self._roster.report(version, killed=killed, switched_at=switched_at)

    def workers(self) -> tuple[Worker, ...]:
        """The processes of this host that serve, and of others that share the directory."""
        return self._roster.workers(self.read().changed_at)

    def _is_complete(self) -> bool:
        """Whether the switch in the directory is the one that is mapped, and the state is there."""
        with self._translated():
            try:
                return self._switch_path.lstat().st_ino == self._inode and self._state_path.exists()
            except FileNotFoundError:
                return False

    def _renew(self) -> None:
        """Map the switch that is in the directory now, and carry over what the old one says. Needs a turn."""
        with self._translated():
            old, self._signal = self._signal, self._map()
            if not self._state_path.exists():
                self._write(self._last)
        # The higher version is the later word; of one version, the killed one.
        self._signal[0] = max(_told(self._signal), _told(old))
        self._publish()

    def _publish(self) -> None:
        self.signal: Signal = self._signal
        self.flag = flag_of(self._signal)

    def _map(self) -> memoryview:
        descriptor = os.open(self._switch_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            status = os.fstat(descriptor)
            _allot(descriptor, status.st_size)
            self._inode = status.st_ino
            return memoryview(mmap.mmap(descriptor, _SIZE)).cast("Q")
        finally:
            os.close(descriptor)

    def _read_state(self) -> Snapshot:
        try:
            # What is no file, such as a pipe that nobody writes to, is not waited for.
            with os.fdopen(os.open(self._state_path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise StoreError(f"{self.url}: state.json is no file: remove it to begin again")
                content = file.read(_MAX_STATE + 1)
            if len(content) > _MAX_STATE:
                raise StoreError(f"{self.url}: state.json is larger than {_MAX_STATE} bytes")
            return read_snapshot(content)
        except OSError as error:
            raise StoreError(f"{self.url}: {error.strerror or error}") from error
        except ValueError as error:
            message = f"{self.url}: state.json does not hold a state ({type(error).__name__}): remove it to begin again"
            raise StoreError(message) from error

    def _write(self, snapshot: Snapshot) -> None:
        content = write_snapshot(snapshot)
        if len(content) > _MAX_STATE:
            raise StoreError(f"the rules take {len(content)} bytes; {_MAX_STATE} are the most that can be kept")
        draft = self._directory / f"state.{os.getpid()}.tmp"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.replace(self._state_path)

    @contextmanager
    def _turn(self) -> Generator[None, None, None]:
        """While somebody has a turn, nobody else has one."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        with self._translated():
            while (descriptor := self._try_to_lock()) is None:
                if time.monotonic() >= deadline:
                    raise StoreError(f"{self.url}: another process has been writing for too long")
                time.sleep(0.001)
        _turns.add(descriptor)
        try:
            yield
        finally:
            _turns.discard(descriptor)
            # Not by closing alone: a process that was forked meanwhile has had the lock open, too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _try_to_lock(self) -> int | None:
        # A descriptor of its own for every turn, so that threads of one process exclude each other, too.
        make_private(self._directory)
        path = self._directory / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Somebody may have cleaned up in between: a lock that nobody else can find locks nothing.
            if path.lstat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    @contextmanager
    def _noted(self, what: str) -> Generator[None, None, None]:
        """What goes wrong here makes the state old, until it goes well again."""
        try:
            yield
        except StoreError:
            self._failing.setdefault(what, time.monotonic())
            raise
        self._failing.pop(what, None)

    @contextmanager
    def _translated(self) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self.url}: {error.strerror or error}") from error


def _told(signal: memoryview) -> int:
    """What a signal says; where something else has been written over it, only whether it is killed."""
    return signal[0] if version_of(signal[0]) < MOST_VERSIONS else signal[0] & KILLED


def _allot(descriptor: int, size: int) -> None:
    """Have the file system keep room for a switch, what stands in it stays.

    A hole in a mapped file has no room of its own: on a full disk, whoever touched it would end by SIGBUS.
    """
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, _SIZE)
            return
    except OSError as error:
        # ZFS and some network file systems keep none, and only glibc makes up for that (posix_fallocate(3)).
        if error.errno not in _NO_ROOM_KEPT:
            raise
    if size < _SIZE:
        os.ftruncate(descriptor, _SIZE)


# The locks that this process holds.
_turns: Final[set[int]] = set()


def _after_fork() -> None:
    """In a forked child: a turn is the parent's, and ends with it, also if it is killed in the middle of one."""
    while _turns:
        with suppress(OSError):
            os.close(_turns.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
