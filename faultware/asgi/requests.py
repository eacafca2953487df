"""An ASGI scope as rules see it. Nothing is decoded before a rule asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faultware.core.request import Request, as_sent, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.types import Scope


class ScopeRequest(Request):
    """A request in an ASGI scope (ASGI specification, HTTP connection scope).

    Args:
        scope: Of type `http`.
        path: What the application routes by.
    """

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope, path: str) -> None:  # leaves to properties what the base class is given
        self._scope = scope
        self.method = scope["method"]
        self.path = path

    @classmethod
    def folded(cls, scope: Scope, path: str) -> ScopeRequest:
        """The request, for an application that does not care how a method is written."""
        request = cls(scope, path)
        request.method = request.method.upper()
        return request

    @property
    def query_string(self) -> str:
        """What follows the question mark, not decoded."""
        raw: bytes = self._scope.get("query_string", b"")
        return raw.decode("latin-1")

    @property
    def raw_path(self) -> str:
        """The path as it was sent; put together again where the server does not keep it."""
        raw: bytes | None = self._scope.get("raw_path")
        return as_sent(self._scope["path"]) if raw is None else path_of(raw.decode("latin-1"))

    @property
    def scheme(self) -> str:
        """The scheme by which the server was asked."""
        return str(self._scope.get("scheme", "http"))

    @property
    def client(self) -> str:
        """The peer's address, or an empty string."""
        client = self._scope.get("client")
        return str(client[0]) if client else ""

    def has_header(self, names: frozenset[str]) -> bool:
        """Whether there is a header of one of these names, given in lower case."""
        return any(line[0].decode("latin-1") in names for line in self._scope["headers"])

    def header(self, name: str) -> tuple[str, ...]:
        """The lines of one header, whose name is given in lower case."""
        raw = name.encode("latin-1")
        # uvicorn's httptools leaves the blanks behind a value, which are no part of it (RFC 9110, section 5.5).
        lines = self._whole_lines() if raw == b"cookie" else self._scope["headers"]
        return tuple([line[1].rstrip(b" \t").decode("latin-1") for line in lines if line[0] == raw])

    def header_lines(self) -> Iterator[tuple[str, str]]:
        """Every header line, in the order of the wire."""
        for name, value in self._whole_lines():
            yield name.decode("latin-1"), value.rstrip(b" \t").decode("latin-1")

    def _whole_lines(self) -> Iterable[tuple[bytes, bytes]]:
        """The lines, with cookies joined that HTTP/2 and HTTP/3 have cut (RFC 9113, section 8.2.3)."""
        lines: Iterable[tuple[bytes, bytes]] = self._scope["headers"]
        if self._scope.get("http_version", "1.1").startswith("1"):
            return lines
        pieces = [value for name, value in lines if name == b"cookie"]
        if len(pieces) < 2:
            return lines
        return [*(line for line in lines if line[0] != b"cookie"), (b"cookie", b"; ".join(pieces))]
