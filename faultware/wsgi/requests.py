"""A WSGI environment as rules see it. Nothing is decoded before a rule asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from faultware.core.request import SENT_AS_IT_IS, Request, path_of
from faultware.runtime import nesting
from faultware.runtime.view import environ_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import WSGIEnvironment

_UNPREFIXED = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}


class EnvironRequest(Request):
    """A request in a WSGI environment (PEP 3333).

    Servers have already joined the lines of a repeated header with commas, so a condition sees one value where ASGI
    shows several.

    Args:
        environ: The environment.
        path: What the application routes by.
    """

    __slots__ = ("_environ",)

    def __init__(self, environ: WSGIEnvironment, path: str) -> None:
        self._environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.path = path

    @classmethod
    def folded(cls, environ: WSGIEnvironment, path: str) -> EnvironRequest:
        """The request, for an application that does not care how a method is written."""
        request = cls(environ, path)
        request.method = request.method.upper()
        return request

    @property
    def query_string(self) -> str:
        """What follows the question mark, not decoded."""
        return str(self._environ.get("QUERY_STRING", ""))

    @property
    def raw_path(self) -> str:
        """The path as it was sent; put together again where the server does not keep it.

        gunicorn and Werkzeug keep it as RAW_URI, uWSGI, waitress and mod_wsgi as REQUEST_URI.
        """
        environ = self._environ
        raw: str | None = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        if not raw:
            path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            # The bytes stand there as Latin-1, and each is quoted for itself.
            return quote(path.encode("latin-1", "replace"), safe=SENT_AS_IT_IS)
        return path_of(raw)

    @property
    def scheme(self) -> str:
        """The scheme by which the server was asked."""
        return str(self._environ.get("wsgi.url_scheme", "http"))

    @property
    def client(self) -> str:
        """The peer's address, or an empty string."""
        return str(self._environ.get("REMOTE_ADDR", ""))

    def has_header(self, names: frozenset[str]) -> bool:
        """Whether there is a header of one of these names, given in lower case."""
        return any(map(self.header, names))

    def header(self, name: str) -> tuple[str, ...]:
        """The value of one header, whose name is given in lower case."""
        value = self._environ.get(environ_key(name))
        # A server without a type or a length to pass on may pass on an empty one.
        return () if value is None or (not value and name in _UNPREFIXED.values()) else (value,)

    def header_lines(self) -> Iterator[tuple[str, str]]:
        """Every header the server passed on."""
        for key, value in self._environ.items():
            if key.startswith("HTTP_"):
                yield key[5:].replace("_", "-"), value
            elif key in _UNPREFIXED and value:
                yield _UNPREFIXED[key], value


def path_info(environ: WSGIEnvironment) -> str:
    """PATH_INFO, whose bytes stand in it as Latin-1, read as UTF-8. SCRIPT_NAME is no part of what is routed by."""
    path: str = environ.get("PATH_INFO", "")
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")


def is_decided_outside(environ: WSGIEnvironment) -> bool:
    """Whether an ASGI middleware around this application has decided for the request; a mount takes its prefix off."""
    outer = nesting.decided()
    if outer is None or outer.method != environ["REQUEST_METHOD"] or outer.host != environ.get("HTTP_HOST", ""):
        return False
    return outer.query_string == environ.get("QUERY_STRING", "") and outer.path.endswith(path_info(environ))
