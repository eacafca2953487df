"""A socket that one of a service's workers listens on, and the next one when that has ended.

A port is taken by whoever binds it first. A Unix socket is a file, which its owner leaves behind when it ends: so who
listens there holds a lock beside it, and only who gets the lock may put the file away. Both end with the process,
however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from faultware.config.addresses import Address

_BACKLOG: Final = 64


class Place:
    """A socket that listens, and what it holds.

    Args:
        listening: The socket.
        lock: The descriptor of the lock beside a Unix socket.
    """

    __slots__ = ("_lock", "listening")

    def __init__(self, listening: socket.socket, lock: int | None = None) -> None:
        self.listening = listening
        self._lock = lock

    def close(self) -> None:
        """Give it up. In a forked child this takes nothing from the parent."""
        self.listening.close()
        if self._lock is not None:
            with suppress(OSError):
                os.close(self._lock)
            self._lock = None


def claim(address: Address) -> Place | None:
    """Listen there; None: somebody else does.

    Raises:
        OSError: Nobody could.
    """
    try:
        return _claim_path(Path(address.path)) if address.path else _claim_port(address.host, address.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        raise


def _claim_port(host: str, port: int) -> Place:
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        # So that a port is free again at once when its worker has ended. It does not let two listen.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return Place(listening)


def _claim_path(path: Path) -> Place | None:
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise FileExistsError(errno.EEXIST, "there is something that is no socket")
            path.unlink()
        # On Linux the file gets the mode of the socket, so that there is no moment at which others may connect.
        with suppress(OSError):
            os.fchmod(listening.fileno(), 0o600)
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        os.close(lock)
        raise
    return Place(listening, lock)
