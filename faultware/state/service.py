"""Which service this process belongs to, and where such a service keeps its state when nobody says.

All workers of one supervised server must find the same place without being told, and two services that were started
from one shell must not. So a service is named by its root process: the supervisor of a worker, or the process itself
when it has none, together with the moment that process started, since process numbers come again.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from faultware.errors import StoreError
from faultware.state.private import make_private

_PROC: Final = Path("/proc")
# Positions in /proc/PID/stat behind the command's name (proc(5)): the start time, and the layout of the address space,
# which a fork inherits and a new program does not.
_START_TIME: Final = 19
_LAYOUT: Final = slice(23, 26)
_IDENTITY: Final = re.compile(r"([0-9]{1,18})-([0-9]+)-([0-9]+)")


def embedded_directory() -> Path:
    """The directory of this service's state, below a place that only this user can write to.

    Directories of services that are gone are removed on the way.

    Raises:
        StoreError: There is no such place.
    """
    try:
        base = _base()
        make_private(base)
    except OSError as error:
        raise StoreError(f"no directory for the state: {error.strerror or error}") from error
    with suppress(OSError):
        for entry in base.iterdir():
            if not is_alive(entry.name):
                shutil.rmtree(entry, ignore_errors=True)
    return base / identity(root_process())


def root_process() -> int:
    """The process that names the service: the supervisor of this worker, or this process."""
    # Spawned and forked children of multiprocessing (uvicorn, granian, hypercorn) know their parent.
    multiprocessing = sys.modules.get("multiprocessing")
    parent = multiprocessing.parent_process() if multiprocessing else None
    if parent is not None and parent.pid is not None:
        return int(parent.pid)
    above = os.getppid()
    return above if _is_forked_from(above) or _is_reloaded_by(above) else os.getpid()


def started_at(now: float) -> float:
    """The wall-clock time at which this service's root process began; `now` where nobody can tell.

    Args:
        now: The wall-clock time, in seconds.
    """
    fields = _stat(root_process())
    try:
        running = float((_PROC / "uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return now
    return now - (running - int(fields[_START_TIME]) / os.sysconf("SC_CLK_TCK")) if fields else now


def _is_forked_from(parent: int) -> bool:
    """Whether this process is a fork of its parent (gunicorn, uWSGI) and not a program that the parent started."""
    ours, theirs = _stat(os.getpid()), _stat(parent)
    if not ours or not theirs:  # no /proc here (macOS)
        return "gunicorn.arbiter" in sys.modules
    if set(theirs[_LAYOUT]) <= {"0", "1"}:  # hidden from us, because the worker runs as another user
        return _command(os.getpid()) == _command(parent)
    return ours[_LAYOUT] == theirs[_LAYOUT]


def _is_reloaded_by(parent: int) -> bool:
    """Whether the parent starts this program again whenever a file changes (Werkzeug and Flask, Django).

    A kill has to outlive that. The variable is inherited by everything that is started here, the arguments are not.
    """
    if "true" not in (os.environ.get("WERKZEUG_RUN_MAIN"), os.environ.get("RUN_MAIN")):
        return False
    (_, *ours), (_, *theirs) = (_command(pid).split(b"\0") for pid in (os.getpid(), parent))
    return bool(ours) and ours == theirs


def _base() -> Path:
    shared_memory = Path("/dev/shm")  # noqa: S108  (the directory below it is made private and checked)
    parent = shared_memory if os.access(shared_memory, os.W_OK) else _temporary()
    return parent / f"faultware-{os.geteuid()}"


def _temporary() -> Path:
    """The directory for temporary files; not the current one, which Python takes where there is none that is writable.

    The current one may be the application's source, or lie on a volume that several hosts mount.
    """
    found = tempfile.gettempdir()
    named = (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    meant = ("/tmp", "/var/tmp", "/usr/tmp", *(os.path.abspath(name) for name in named if name))  # noqa: S108, PTH100
    if found not in meant and found == str(Path.cwd()):
        raise FileNotFoundError(errno.ENOENT, "there is none for temporary files")
    return Path(found)


def identity(pid: int) -> str:
    """What tells a process of this machine from every other one, also from those that had its number before."""
    fields = _stat(pid)
    return f"{pid}-{fields[_START_TIME] if fields else 0}-{_namespace()}"


def _namespace() -> str:
    """The process-number space: containers may share the directory and not the numbers."""
    try:
        return re.sub(r"\D", "", str((_PROC / "self" / "ns" / "pid").readlink()))
    except OSError:
        return "0"


def is_alive(name: str) -> bool:
    """Whether the process with this identity may still be there; nobody knows of those in other number spaces."""
    named = _IDENTITY.fullmatch(name)
    if named is None or named[3] != _namespace():
        return True
    pid = int(named[1])
    fields = _stat(pid)
    if fields:
        return fields[_START_TIME] == named[2]
    # No /proc here (macOS), or processes of other users do not show in it (hidepid): a signal finds them all the same.
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _stat(pid: int) -> list[str]:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _command(pid: int) -> bytes:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""
