"""A file whose content is kept in memory and read again, by the refresher's thread, when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from faultware.errors import ConfigurationError
from faultware.telemetry.events import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faultware.runtime.injector import Injector

T = TypeVar("T")

_NEVER: Final = (-1, -1, -1)


class WatchedFile(Generic[T]):
    """What a file holds. If it cannot be used any more, what it held last stays.

    Args:
        path: The file.
        value: What it held when the settings were read.
        read: Reads it; raises a `ConfigurationError`.
        what: What it holds, in plural; names the stage of the failure in the metrics.
    """

    __slots__ = ("_complaint", "_path", "_read", "_seen", "_what", "value")

    def __init__(self, path: Path, value: T, read: Callable[[Path], T], what: str) -> None:
        self.value = value
        self._path = path
        self._read = read
        self._what = what
        # Not the file's signature: it may have changed since the settings were read.
        self._seen: tuple[int, int, int] | None = _NEVER
        self._complaint = ""

    def tend(self, injector: Injector) -> None:
        """Look at the file, and read it if it has changed or could not be used before."""
        signature = _signature(self._path)
        if signature == self._seen and not self._complaint:
            return
        complaint = ""
        try:
            self.value = self._read(self._path)
        except ConfigurationError as error:
            complaint = f"{error} (the last good {self._what} stay)"
        else:
            self._seen = signature
        if complaint and complaint != self._complaint:
            injector.internal_errors[self._what] += 1
            injector.tell(InternalError(injector.clocks.wall(), self._what, complaint))
        self._complaint = complaint


def _signature(path: Path) -> tuple[int, int, int] | None:
    """What tells a changed file, also where a link to its directory is swapped, as Kubernetes does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
