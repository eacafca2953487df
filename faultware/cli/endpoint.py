"""A small client of the control endpoint: one connection for each question, no proxies, no redirects."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote, urlsplit

from faultware.cli.ending import NoAnswerError, RefusedError, StrangerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_DEFAULT_PATH: Final = "/_faultware"
_MAX_ANSWER: Final = 16 * 1024 * 1024
_HINT: Final = "is faultware enabled there, with a token, and is this the path?"
_STATUS: Final = ("state", "rules", "version")
_PROBLEM: Final = "application/problem+json"
# A socket, and where the endpoint is on it if not in the usual place.
_UNIX: Final = re.compile(r"unix:(?P<socket>/[^\0]+?)(?::(?P<path>/[^?#\s]*))?")


_WRITTEN: Final = re.compile(r"[^\x00-\x20\x7f]+")


class Endpoint:
    """The control endpoint of a service.

    Args:
        url: Of the endpoint, or of the service: then it is at the default path. `unix:` and a path: its own socket.
        token: Opens it.
        host: The name to call it by; empty: the one in the URL.
        timeout_seconds: How long to wait for it.

    `headers` are sent with every request; the token is among them.

    Raises:
        UsageError: The URL or the name is none.
    """

    def __init__(self, url: str, token: str, *, host: str = "", timeout_seconds: float = 5.0) -> None:
        self.socket = ""
        if (found := _UNIX.fullmatch(url)) is not None:
            self.socket, path = found["socket"], found["path"] or ""
            self.scheme, self.host, self.port, self.path = "http", "localhost", None, path.rstrip("/") or _DEFAULT_PATH
            self.url = f"unix:{self.socket}:{self.path}"
        else:
            self.scheme, self.host, self.port, self.path = _parts(url)
            netloc = f"[{self.host}]" if ":" in self.host else self.host
            self.url = f"{self.scheme}://{netloc}{f':{self.port}' if self.port else ''}{self.path}"
        if not self.path.isascii():
            raise UsageError("the path in the URL is not plain", hint="it is FAULTWARE_CONTROL_PATH of the service")
        # A header's bytes are written as Latin-1; in UTF-8 they hold every token.
        sent = token.encode("utf-8", "surrogatepass").decode("latin-1")
        self.headers = {"authorization": f"Bearer {sent}", "accept": "application/json"}
        if host:
            if not (host.isascii() and _WRITTEN.fullmatch(host)):
                raise UsageError("the name to call the service by is not one", hint="such as --host localhost")
            self.headers["host"] = host
        self.timeout_seconds = timeout_seconds

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def status(self) -> dict[str, Any]:
        """The state of the switch, and of the worker that answers."""
        return self.ask("GET", "/status", holds=_STATUS)

    def kill(self, reason: str = "") -> dict[str, Any]:
        """Stop all faults."""
        return self.ask("POST", "/kill", {"reason": reason} if reason else None, holds=_STATUS)

    def arm(self, duration: str = "") -> dict[str, Any]:
        """Let faults happen."""
        return self.ask("POST", "/arm", {"for": duration} if duration else None, holds=_STATUS)

    def rules(self) -> dict[str, Any]:
        """The rules in force."""
        return self.ask("GET", "/rules", holds=("rules",))

    def put_rules(self, documents: list[dict[str, Any]]) -> dict[str, Any]:
        """Put these rules in the place of all others."""
        return self.ask("PUT", "/rules", documents, holds=("rules",))

    def delete_rule(self, name: str) -> None:
        """Take one rule away."""
        self.ask("DELETE", f"/rules/{quote(name, safe='')}")

    def explain(self, described: Mapping[str, Any]) -> dict[str, Any]:
        """What would become of a request."""
        return self.ask("POST", "/explain", described, holds=("state", "request", "rules"))

    def events(self, since: int) -> dict[str, Any]:
        """What happened in the worker that answers."""
        return self.ask("GET", f"/events?since={since}", holds=("events",))

    def ask(self, method: str, path: str, data: object = None, *, holds: Collection[str] = ()) -> dict[str, Any]:
        """One request, and the object that answers it; empty where there is nothing to say.

        Args:
            method: In capitals.
            path: Below that of the endpoint.
            data: What is sent as JSON; None: nothing.
            holds: What the object has at least, if the endpoint has answered and nobody else.

        Raises:
            RefusedError: The endpoint says no.
            NoAnswerError: Nobody answers, or it is not the endpoint.
        """
        status, headers, body = self._exchange(method, self.path + path, data)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == _PROBLEM:
            raise RefusedError(f"{self.url}: {_told(body)}")
        if status == HTTPStatus.NO_CONTENT:
            return {}
        if status >= HTTPStatus.MULTIPLE_CHOICES or kind != "application/json":
            place = headers.get("location", "")
            what = f"status {status}" + (f", see {place}" if place else "")
            # A proxy may have nobody behind it for now.
            sort = NoAnswerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else StrangerError
            raise sort(f"{self.url}: this is not the control endpoint: {what}", hint=_HINT)
        answer = _object(body)
        if answer is None:
            raise NoAnswerError(f"{self.url}: the answer is not JSON")
        if not answer.keys() >= set(holds):
            raise StrangerError(f"{self.url}: this is not the control endpoint: it answers something else", hint=_HINT)
        return answer

    def _exchange(self, method: str, target: str, data: object) -> tuple[int, Mapping[str, str], bytes]:
        headers, body = self.headers, None
        if data is not None:
            headers, body = {**headers, "content-type": "application/json"}, json.dumps(data).encode()
        connection = self._connection()
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            lines = {name.lower(): value for name, value in response.getheaders()}
            return response.status, lines, response.read(_MAX_ANSWER)
        except TimeoutError:
            raise NoAnswerError(f"{self.url}: no answer within {self.timeout_seconds:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NoAnswerError(f"{self.url}: no answer: {reason}") from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.socket:
            return _UnixConnection(self.socket, self.timeout_seconds)
        if self.scheme == "http":
            return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_seconds)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout_seconds, context=context)


class _UnixConnection(http.client.HTTPConnection):
    """A connection to the endpoint's own socket."""

    def __init__(self, path: str, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path
        self._timeout_seconds = timeout_seconds

    def connect(self) -> None:
        """Connect; a socket that somebody else has put there is not told the token."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_seconds)
        self.sock.connect(self._path)
        if hasattr(socket, "SO_PEERCRED"):
            _, user, _ = struct.unpack("3i", self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if os.geteuid() not in (0, user):
                raise RefusedError(f"unix:{self._path}: user {user} listens here", hint="the service's user has to")


def _parts(url: str) -> tuple[str, str, int | None, str]:
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError as error:  # UnicodeError is one
        if "@" in url:  # what is no port may be half of a password
            raise _too_much() from None
        raise UsageError(f"the URL is not possible: {error}") from None
    if not _WRITTEN.fullmatch(url):
        raise UsageError("the URL holds a blank or a control character")
    if scheme not in ("http", "https") or not host:
        raise UsageError("the URL is not that of a service", hint="such as http://127.0.0.1:8000")
    if parts.username is not None or parts.query or parts.fragment:
        raise _too_much()
    return scheme, host, port, parts.path.rstrip("/") or _DEFAULT_PATH


def _too_much() -> UsageError:
    return UsageError("the URL has more than a host and a path", hint="the token has its own place")


def _told(body: bytes) -> str:
    """What a problem document (RFC 9457) says, in one line."""
    problem = _object(body) or {}
    where, hint = str(problem.get("where", "")), str(problem.get("hint", ""))
    text = str(problem.get("detail", "")) or "refused without a reason"
    return (f"{where}: " if where else "") + text + (f" ({hint})" if hint else "")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None
