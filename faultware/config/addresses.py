"""Where something listens: an address and a port, or a Unix socket. Loads no pydantic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from faultware.config.mistakes import holds_surrogates, shown
from faultware.errors import RuleError

# What fits into `sun_path` (unix(7)), with its end.
_MAX_SOCKET_PATH: Final = 107
_HOST_AND_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):([0-9]+)", re.ASCII)
_HINT: Final = "127.0.0.1:9901, [::1]:9901 or unix:/run/shop/chaos.sock"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.

    Args:
        host: An IP address; empty for a Unix socket.
        port: Its port.
        path: Of the Unix socket.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_any(self) -> bool:
        """Whether it stands for all addresses of this machine, and names none."""
        return bool(self.host) and ip_address(self.host).is_unspecified

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(value: object) -> Address | None:
    """An address, as `HOST:PORT` or `unix:/PATH`; a blank one is none."""
    if isinstance(value, Address):
        return value
    text = value.strip() if isinstance(value, str) else value
    if not isinstance(text, str) or holds_surrogates(text):
        raise RuleError(f"{shown(text)} is not an address", hint=_HINT)
    if not text:
        return None
    if text.startswith("unix:"):
        return _socket(text.removeprefix("unix:"))
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None:
        raise RuleError(f"{shown(text)} is not an address", hint=_HINT)
    host = "127.0.0.1" if found[2] == "localhost" else found[1] or found[2]
    try:
        host = str(ip_address(host))
    except ValueError:
        raise RuleError(f"{shown(host)} is not an IP address", hint="write 127.0.0.1, or 0.0.0.0 for all") from None
    if len(found[3]) > 5 or not 1 <= int(found[3]) <= 65535:
        raise RuleError(f"{shown(found[3][:20])} is not a port", hint="1 to 65535")
    return Address(host, int(found[3]))


def _socket(path: str) -> Address:
    if not path.startswith("/") or path.startswith("//"):
        raise RuleError("the path of the socket is not absolute", hint="write unix:/run/shop/chaos.sock")
    if "\0" in path or path.endswith("/"):
        raise RuleError(f"{shown(path)} is not the path of a socket", hint="write unix:/run/shop/chaos.sock")
    if len(path.encode()) > _MAX_SOCKET_PATH:
        raise RuleError(f"the path of the socket has {len(path.encode())} bytes", hint=f"at most {_MAX_SOCKET_PATH}")
    return Address(path=path)
