"""Harms the process that serves, as Chaos Monkey has it: burns a processor, holds memory, blocks, ends it.

Nothing here outlives the kill switch: whoever takes something looks at the switch fifty times a second, and gives
everything back. Of each kind only one is at work at a time. The ways to wait and to end a process
come in through the constructor, so that no test waits or dies.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, assert_never, cast

from faultware.core.faults import Block, Cpu, Descriptors, Instance, Kill, Memory

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_SECONDS: Final = 0.02
_MAX_DESCRIPTORS: Final = 100_000
_PAGE: Final = 4096
_BLOCK: Final = 256 * _PAGE


class Ender(Protocol):
    """Ends this process."""

    def __call__(self, by: str, /) -> None:
        """`term`, `kill` or `exit`."""
        ...


def end_process(by: str) -> None:
    """End this process. Exit codes 3 and 4 would stop a whole gunicorn or uvicorn, and are never used."""
    if by == "exit":
        os._exit(0)
    os.kill(os.getpid(), signal.SIGTERM if by == "term" else signal.SIGKILL)


def true_sleep() -> Callable[[float], None]:
    """A sleep that blocks the thread, also under gevent, which has put its own in that place."""
    if "gevent" in sys.modules:
        from gevent.monkey import get_original  # noqa: PLC0415  (it is there)

        return cast("Callable[[float], None]", get_original("time", "sleep"))
    return time.sleep


class Instances:
    """Does what faults of the process say.

    Args:
        is_over: Whether the switch has been killed, also by a file of which nobody else knows yet.
        most_seconds: The longest that anything is held.
        clock: Monotonic seconds.
        ender: Ends the process.
        sleep: Blocks the thread; left out: `true_sleep`.
    """

    def __init__(
        self,
        is_over: Callable[[], bool],
        most_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        ender: Ender = end_process,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.is_killed = is_over
        # Whether all that is at work is to end, although the switch may be armed again by its next look.
        self._is_stopping = False
        self._most_seconds = most_seconds
        self._clock = clock
        self._ender = ender
        self._sleep = sleep
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        # What a fork would hand down to a child, which has no thread to give it back.
        self._held: list[int] = []
        self._taken = bytearray()

    @property
    def busy(self) -> frozenset[str]:
        """The kinds that are at work now."""
        return frozenset(self._busy)

    def reserve(self, fault: Instance) -> bool:
        """Claim the one place there is for a kind; `run` gives it back."""
        # Not under the lock: the kill file may be on a disk that does not answer, and a kill is not to wait for that.
        if self.is_killed():
            return False
        with self._lock:
            if fault.kind in self._busy or self._is_stopping:
                return False
            self._busy.add(fault.kind)
            return True

    def stop(self) -> None:
        """End all that is at work. Until it has ended, nothing else begins."""
        with self._lock:
            self._is_stopping = bool(self._busy)

    def run(self, fault: Instance) -> None:
        """Do it: `block` and `kill` here and now, everything else in a thread of its own."""
        match fault:
            case Block(duration_seconds=seconds):
                try:
                    self._wait(seconds, self._sleep or true_sleep())
                finally:
                    self._free(fault)
            case Kill(by=by):
                self._free(fault)
                self._ender(by)
            case Cpu() | Memory() | Descriptors():
                thread = threading.Thread(target=self._take, args=(fault,), name=f"faultware-{fault.kind}", daemon=True)
                try:
                    thread.start()
                except BaseException:  # the system may have none left
                    self._free(fault)
                    raise
            case _ as unknown:
                assert_never(unknown)

    def after_fork(self) -> None:
        """In a forked child: no thread of these runs here, and what they opened is not wanted."""
        self._lock = threading.Lock()
        self._busy = set()
        self._is_stopping = False
        self._taken.clear()
        self._close()

    def _is_over(self) -> bool:
        return self._is_stopping or self.is_killed()

    def _take(self, fault: Cpu | Memory | Descriptors) -> None:
        try:
            sleep = self._sleep or time.sleep
            match fault:
                case Cpu(share=share, duration_seconds=seconds):
                    self._burn(share / 100, seconds, sleep)
                case Memory(size_bytes=size, duration_seconds=seconds):
                    self._hold_memory(size, seconds, sleep)
                case Descriptors(left=left, duration_seconds=seconds):
                    self._hold_descriptors(left, seconds, sleep)
                case _ as unknown:
                    assert_never(unknown)
        finally:
            self._free(fault)

    def _burn(self, share: float, seconds: float, sleep: Callable[[float], None]) -> None:
        ends_at = self._clock() + min(seconds, self._most_seconds)
        while (now := self._clock()) < ends_at and not self._is_over():
            rest_at = now + LOOK_SECONDS * share
            while self._clock() < rest_at:
                pass
            # Also for no time: under gevent nobody else has a turn before.
            sleep(LOOK_SECONDS * (1 - share))

    def _hold_memory(self, size: int, seconds: float, sleep: Callable[[float], None]) -> None:
        try:
            self._taken = taken = bytearray(size)
        except MemoryError:  # as much as that is not to be had, which is what was asked for
            return
        try:
            # Memory that nobody has written to is not taken yet.
            for start in range(0, size, _BLOCK):
                if self._is_over():
                    return
                end = min(start + _BLOCK, size)
                taken[start:end:_PAGE] = b"\1" * len(range(start, end, _PAGE))
            self._wait(seconds, sleep)
        finally:
            taken.clear()

    def _hold_descriptors(self, left: int, seconds: float, sleep: Callable[[float], None]) -> None:
        import fcntl  # noqa: PLC0415  (POSIX only, like the stores)

        wanted = min(_free_descriptors() - left, _MAX_DESCRIPTORS)
        try:
            if wanted > 0:
                # The low numbers are left to the service: whoever waits by select() has no use for those above 1023.
                lowest = _above(left + 1)
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
                for _ in range(wanted - 1):
                    self._held.append(fcntl.fcntl(self._held[0], fcntl.F_DUPFD_CLOEXEC, lowest))
        except OSError:  # the service has opened more meanwhile: there are none left, which is what was asked for
            pass
        try:
            self._wait(seconds, sleep)
        finally:
            self._close()

    def _close(self) -> None:
        # One by one, and off the list first: a fork in between is to find there what is still open, and nothing else.
        while self._held:
            with suppress(OSError):
                os.close(self._held.pop())

    def _wait(self, seconds: float, sleep: Callable[[float], None]) -> None:
        ends_at = self._clock() + min(seconds, self._most_seconds)
        while (left := ends_at - self._clock()) > 0 and not self._is_over():
            sleep(min(left, LOOK_SECONDS))

    def _free(self, fault: Instance) -> None:
        with self._lock:
            self._busy.discard(fault.kind)
            self._is_stopping = self._is_stopping and bool(self._busy)


def _free_descriptors() -> int:
    """How many more files this process may open."""
    import resource  # noqa: PLC0415  (POSIX only, like the stores)

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = _MAX_DESCRIPTORS * 2 if limit == resource.RLIM_INFINITY else limit
    try:
        # One of them is the listing's own.
        used = sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1
    except OSError:
        used = 3
    return most - used


def _above(free: int) -> int:
    """The first number for a descriptor that has so many free ones below it."""
    used: set[int] = set()
    with suppress(OSError):
        used = {int(path.name) for path in Path("/proc/self/fd").iterdir()}
    numbers = (number for number in count() if number not in used)
    return next(islice(numbers, free - 1, None)) + 1
