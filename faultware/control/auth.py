"""Who may use the control endpoint: whoever shows a token, through a name that is allowed, and not from another site.

Where a request comes from is never a credential: behind a proxy every client looks like loopback.
"""

from __future__ import annotations

import hmac
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from faultware.config.tokens import UNNAMED, Role, Token, digest, read_token_file, read_tokens_file
from faultware.runtime.watching import WatchedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from faultware.config.settings import Settings
    from faultware.runtime.injector import Injector

_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# RFC 9110, section 7.2, and RFC 3986, section 3.2.2, without what no browser sends: percent-encoding and user names.
_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)\.?)(?::[0-9]{1,5})?", re.ASCII)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class Keyring:
    """The tokens, as digests. Those that stand in files are read again when the files change.

    Args:
        tokens: Those that stand in the settings themselves.
        files: Those that hold the others.
    """

    __slots__ = ("_files", "_fixed", "_tokens")

    def __init__(self, tokens: Iterable[Token], files: Iterable[WatchedFile[tuple[Token, ...]]] = ()) -> None:
        self._fixed = tuple(tokens)
        self._files = tuple(files)
        self._tokens = self._all()

    @classmethod
    def of(cls, settings: Settings) -> Keyring | None:
        """The tokens of a service; None: there are none."""
        tokens: list[Token] = []
        files: list[WatchedFile[tuple[Token, ...]]] = []
        if settings.control_token is not None:
            unnamed = _unnamed(settings.control_token.get_secret_value())
            if settings.control_token_file is None:
                tokens.append(unnamed)
            else:
                files.append(WatchedFile(settings.control_token_file, (unnamed,), _whole, "tokens"))
        if settings.control_tokens_file is None:
            tokens += settings.control_tokens
        else:
            file = WatchedFile(settings.control_tokens_file, settings.control_tokens, read_tokens_file, "tokens")
            files.append(file)
        return cls(tokens, files) if tokens or files else None

    def find(self, authorization: str) -> Token | None:
        """The token that an `Authorization` header carries (RFC 6750, section 2.1), compared in constant time."""
        scheme, _, text = authorization.strip().partition(" ")
        # A header's bytes arrive as Latin-1. Clients write what is not ASCII in that, or in UTF-8.
        latin = text.strip()
        shown = (digest(latin), digest(latin.encode("latin-1", "replace").decode("utf-8", "replace")))
        found: Token | None = None
        # All of them, to the end: how long it takes tells nothing about which is nearly right.
        for token in self._tokens:
            if hmac.compare_digest(shown[0], token.digest) | hmac.compare_digest(shown[1], token.digest):
                found = token
        return found if scheme.lower() == "bearer" else None

    def tend(self, injector: Injector) -> None:
        """Read files that have changed; what the refresher's thread does each time.

        If a file cannot be used, its last good tokens stay: a mistake in it must not take away the means to kill.
        """
        for file in self._files:
            file.tend(injector)
        self._tokens = self._all()

    def _all(self) -> tuple[Token, ...]:
        return (*self._fixed, *(token for file in self._files for token in file.value))


class Door:
    """Checks the name by which the endpoint is called, and that no other site calls it.

    Args:
        hosts: Names that are allowed, besides those of this machine; `*`: any.
        own: The address of the endpoint's own socket.
    """

    __slots__ = ("_any_host", "_hosts")

    def __init__(self, hosts: Iterable[str] = (), own: str = "") -> None:
        hosts = list(hosts)
        self._any_host = "*" in hosts
        self._hosts = _LOCAL | {own} - {""} | {name for name in map(_host_name, hosts) if name}

    def allows_host(self, host: str) -> bool:
        """Whether a `Host` header is allowed: a web page that rebinds its own name to this machine is not.

        A header that comes twice arrives as one with a comma, and is no name.
        """
        name = _host_name(host)
        return (name is not None or not host) if self._any_host else name in self._hosts

    @staticmethod
    def is_foreign(headers: Mapping[str, str]) -> bool:
        """Whether a browser says that another site has made it send this (Fetch Metadata; else `Origin` and `Host`)."""
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site.strip().lower() not in ("same-origin", "none")
        origin = headers.get("origin")
        if origin is None:
            return False
        try:
            parts = urlsplit(origin.strip().lower())
        except ValueError:
            return True
        port = _DEFAULT_PORTS.get(parts.scheme, "")
        host = headers.get("host", "").strip().lower()
        return not parts.netloc or parts.netloc.removesuffix(port) != host.removesuffix(port)


def _host_name(host: str) -> str | None:
    """The name in a `Host` header: lower case, without port, brackets and one final dot; None: it is none."""
    found = _HOST.fullmatch(host.strip(" \t").lower())
    if found is None:
        return None
    if found[1] is None:
        return found[2]
    try:
        return str(ip_address(found[1]))
    except ValueError:
        return None


def _whole(path: Path) -> tuple[Token, ...]:
    return (_unnamed(read_token_file(path)),)


def _unnamed(token: str) -> Token:
    return Token(UNNAMED, Role.CONTROL, digest(token))
