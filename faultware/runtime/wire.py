"""The TCP connection of one request, held beside the server, so that a fault can hurt it.

No server offers to drop a connection. So its descriptor is looked up in this process and duplicated; what is then done
to the duplicate happens to the connection in the kernel, and the server, whose own descriptor stays as it is, finds the
connection ended as if the peer had ended it. Linux only.

No socket object is ever made of a descriptor that is not ours: `socket.socket(fileno=…)` alone may switch the server's
own socket to non-blocking (a default timeout, gevent). Calls go to the C library instead. Nothing here waits.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import ipaddress
import os
import socket
import stat
import struct
import sys
import termios
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from faultware.core.request import Request
    from faultware.core.shaping.effects import By

# Address and port of a connection's client, as it dialled in.
Client: TypeAlias = tuple[str, int]

IS_LINUX: Final = sys.platform == "linux"

# Each of these is added by proxies, and by nothing else (RFC 7239; RFC 9110, section 7.6.3; nginx's manual).
_PROXY_HEADERS: Final = frozenset({"forwarded", "via", "x-forwarded-for", "x-real-ip"})

# How often it is looked whether the peer's kernel has everything. Twice nothing is needed: the server's own buffer is
# not counted, and is emptied into the kernel's in between.
LOOK_SECONDS: Final = 0.005
LOOKS: Final = 2

_DESCRIPTORS: Final = "/proc/self/fd"
# How TCP_INFO begins (tcp(7)): TCP_ESTABLISHED and TCP_CLOSE of the kernel's tcp_states.h.
_ESTABLISHED: Final = b"\x01"
_CLOSED: Final = b"\x07"
# tcp_disconnect(): whoever connects a socket to no family resets its connection (connect(2)).
_NOWHERE: Final = struct.pack("H14x", socket.AF_UNSPEC)
_MAPPED: Final = bytes(10) + b"\xff\xff"

# Here and not when a fault acts: loading a library takes time.
_libc: Final = ctypes.CDLL(None, use_errno=True) if IS_LINUX else None


class Handle(Protocol):
    """What has a descriptor: a socket, or what a server hands out in its place."""

    def fileno(self) -> int:
        """The descriptor; negative once it is closed."""
        ...


class Wire:
    """A connection, by a duplicate of its descriptor. Leave the block, and the duplicate is closed.

    As long as it is open the connection stays open, too, even if the server closes its own descriptor.

    Args:
        descriptor: Of a TCP socket; this object owns it.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the duplicate up, which does nothing to the connection."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def reset(self) -> None:
        """End the connection with a RST. The peer can still read what has reached it."""
        _call("connect", self._descriptor, _NOWHERE, len(_NOWHERE))

    def finish(self) -> None:
        """End the connection with a FIN, in both directions. What was written before still goes out."""
        try:
            _call("shutdown", self._descriptor, socket.SHUT_RDWR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # the peer was faster
                raise

    def end(self, by: By) -> None:
        """End the connection in one of these ways."""
        if by == "reset":
            self.reset()
        else:
            self.finish()

    def unacknowledged(self) -> int:
        """How many bytes that the server has written the peer's kernel does not have yet.

        What the server still keeps to itself does not count: give it time before asking for the first time.
        """
        # SIOCOUTQ (tcp(7)), which has the number of TIOCOUTQ.
        waiting = int(struct.unpack("i", fcntl.ioctl(self._descriptor, termios.TIOCOUTQ, bytes(4)))[0])
        # Of a connection that the peer has reset the kernel goes on telling what it will never send.
        return 0 if waiting and self._state() == _CLOSED else waiting

    def is_established(self) -> bool:
        """Whether the connection is whole. A client that has closed its sending half counts as gone."""
        return self._state() == _ESTABLISHED

    def write(self, data: bytes) -> int:
        """Write past the server, as much as fits without waiting; how many bytes that was."""
        try:
            return _call("send", self._descriptor, data, ctypes.c_size_t(len(data)), _FLAGS)
        except BlockingIOError:
            return 0

    def _state(self) -> bytes:
        state = ctypes.create_string_buffer(1)
        size = ctypes.byref(ctypes.c_uint32(1))
        _call("getsockopt", self._descriptor, socket.IPPROTO_TCP, socket.TCP_INFO, state, size)
        return state.raw


def find(client: Client | None, local_port: int | None) -> Wire | None:
    """The connection between a client and a port of ours, looked for among all descriptors of this process.

    It takes a third of a millisecond with a hundred of them, and six with a thousand.

    Args:
        client: As the server names it; ports as numbers.
        local_port: The server's.

    Returns:
        None where it is not certain: no port (a proxy's word for the client), none or several such connections.
    """
    if not IS_LINUX or client is None or not client[1] or not local_port:
        return None
    found: dict[int, int] = {}
    try:
        for name in os.listdir(_DESCRIPTORS):  # noqa: PTH208  (names are numbers, and there may be thousands)
            descriptor = int(name)
            try:
                status = os.fstat(descriptor)
                # By inode: the descriptor of the listing itself is free again, and a duplicate may have got its number.
                if not stat.S_ISSOCK(status.st_mode) or status.st_ino in found:
                    continue
                if _is_between(descriptor, client, local_port):
                    own = os.dup(descriptor)
                    found[_inode(own)] = own
            except OSError:  # closed meanwhile, or no connection
                continue
    except OSError:  # no /proc
        return None
    wires = [Wire(own) for own in found.values()]
    # Between the look and the copy a number may have changed hands: only what is known of the copy counts.
    if len(wires) == 1 and _is_certainly_between(next(iter(found.values())), client, local_port):
        return wires[0]
    for wire in wires:
        wire.close()
    return None


def adopt(handle: Handle | int | None, client: Client | None, local_port: int | None) -> Wire | None:
    """The connection whose socket the server has handed out for this very request.

    Args:
        handle: The socket, or its descriptor.
        client: As the server names it. None, where the server does not name it at all: the handle is believed.
        local_port: The server's; None: not known.

    Returns:
        None, if there is none, it is closed, is no TCP socket, or is somebody else's.
    """
    if not IS_LINUX or handle is None or (client is not None and not client[1]):
        return None
    try:
        own = os.dup(handle if isinstance(handle, int) else handle.fileno())
    except (OSError, RuntimeError):  # closed; uvloop says so by a RuntimeError
        return None
    if _is_certainly_between(own, client, local_port):
        return Wire(own)
    os.close(own)
    return None


def is_proxied(request: Request, client_port: int | None) -> bool:
    """Whether a request came through a proxy: the connection is the proxy's then, and other clients' requests use it.

    Args:
        request: Its headers are looked at.
        client_port: As the server names it; 0 is what servers say once they have taken a proxy's word for the address.
    """
    return client_port == 0 or request.has_header(_PROXY_HEADERS)


_FLAGS: Final = getattr(socket, "MSG_DONTWAIT", 0) | getattr(socket, "MSG_NOSIGNAL", 0)


def _call(name: str, descriptor: int, *arguments: object) -> int:
    """A function of the C library on a descriptor; raises `OSError` as Python does."""
    result: int = getattr(_libc, name)(descriptor, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _inode(descriptor: int) -> int:
    return os.fstat(descriptor).st_ino


def _is_certainly_between(descriptor: int, client: Client | None, local_port: int | None) -> bool:
    try:
        return _is_between(descriptor, client, local_port)
    except OSError:
        return False


def _is_between(descriptor: int, client: Client | None, local_port: int | None) -> bool:
    """Whether this is a TCP socket that is connected so; raises `OSError` if it is not connected at all."""
    peer, local = _address("getpeername", descriptor), _address("getsockname", descriptor)
    if peer is None or local is None or not _is_stream(descriptor):
        return False
    is_client = client is None or peer == (_plain(client[0]), client[1])
    return is_client and (local_port is None or local[1] == local_port)


def _address(name: str, descriptor: int) -> Client | None:
    """One end of a connection over IP; None: it is of another family (sockaddr_in, sockaddr_in6: ip(7), ipv6(7))."""
    buffer = ctypes.create_string_buffer(128)
    _call(name, descriptor, buffer, ctypes.byref(ctypes.c_uint32(len(buffer))))
    family, port = struct.unpack_from("=H", buffer)[0], struct.unpack_from("!H", buffer, 2)[0]
    if family == socket.AF_INET:
        return str(ipaddress.IPv4Address(buffer.raw[4:8])), port
    if family == socket.AF_INET6:
        host = buffer.raw[8:24]
        if host.startswith(_MAPPED):
            return str(ipaddress.IPv4Address(host[12:])), port
        return str(ipaddress.IPv6Address(host)), port
    return None


def _plain(host: str) -> str:
    """An address in its shortest form, as above. A zone (fe80::1%eth0) and what IPv6 puts before IPv4 are left out."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _is_stream(descriptor: int) -> bool:
    kind = ctypes.c_int()
    size = ctypes.byref(ctypes.c_uint32(ctypes.sizeof(kind)))
    _call("getsockopt", descriptor, socket.SOL_SOCKET, socket.SO_TYPE, ctypes.byref(kind), size)
    return kind.value == socket.SOCK_STREAM
