"""Plays a WSGI server for one request, behind Werkzeug's lint on both sides of the middleware; and an application."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from werkzeug.middleware.lint import HTTPWarning, LintMiddleware, WSGIWarning

from faultware import Match, Rule
from faultware.wsgi import FaultMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterable

REGISTRY = CollectorRegistry()


def wrapped(app, rules="", time=None, *, lint: bool = True, **options):
    """The middleware with rules, a store of its own, and nothing from the environment.

    Args:
        app: What is wrapped, inside the lint.
        rules: As the middleware takes them.
        time: The clock.
        lint: False: the application itself is wrapped, without anything between.
        options: As the middleware takes them.
    """
    given = {} if time is None else {"clock": time}
    defaults = {"enabled": True, "store": "memory:", "environ": {}, "registry": REGISTRY}
    return FaultMiddleware(LintMiddleware(app) if lint else app, **{**defaults, **given, "rules": rules, **options})


def environment(
    path: str = "/",
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (),
    query: str = "",
    root: str = "",
    client: str = "127.0.0.1",
    body: bytes = b"",
    **more: Any,
) -> dict[str, Any]:
    """An environment as gunicorn makes it.

    Args:
        path: Decoded, as text; its UTF-8 bytes stand in PATH_INFO as Latin-1.
        method: In capitals.
        headers: Repeated ones are joined by commas, cookies by semicolons.
        query: Not decoded.
        root: The SCRIPT_NAME.
        client: The peer's address; empty: there is none.
        body: Of the request.
        more: Further entries.
    """
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": root,
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **({"CONTENT_LENGTH": str(len(body))} if body else {}),
        **({"REMOTE_ADDR": client} if client else {}),
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        separator = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = environ[key] + separator + value if key in environ else value
    return {**environ, **more}


@dataclass
class Answer:
    """What a server got."""

    status: int
    lines: list[tuple[str, str]]
    body: bytes
    written: list[bytes] = field(default_factory=list)
    excused: list[Any] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name, each of which must stand there once."""
        lines = [(name.lower(), value) for name, value in self.lines]
        assert len({name for name, _ in lines}) == len(lines), lines
        return dict(lines)

    @property
    def mark(self) -> str | None:
        """What faultware says it did."""
        return self.headers.get("faultware-fault")


def ask(app, path: str = "/", *, lint: bool = True, **how) -> Answer:
    """One request, from its environment to the closing of the answer."""
    return serve(app, environment(path, **how), lint=lint)


def serve(app, environ: dict[str, Any], *, lint: bool = True) -> Answer:
    """One request. What the application raises passes through, after its answer was closed."""
    started: list[Any] = []
    written: list[bytes] = []
    excused: list[Any] = []

    def start_response(status, headers, exc_info=None, /):
        if exc_info is not None:
            excused.append(exc_info)
        assert not started or exc_info is not None, "start_response was called twice"
        started[:] = [status, headers]
        return written.append

    with warnings.catch_warnings():
        _overlook(environ["REQUEST_METHOD"])
        iterable = (LintMiddleware(app) if lint else app)(environ, start_response)
        try:
            body = b"".join(iterable)
        finally:
            if hasattr(iterable, "close"):
                iterable.close()
    assert started, "nothing was answered"
    status, lines = started
    return Answer(int(status[:3]), lines, b"".join(written) + body, written, excused)


def _overlook(method: str) -> None:
    """Where the lint is wrong: HEAD has the length of what GET would send, and 204 has none (RFC 9110, 8.6)."""
    warnings.filterwarnings("ignore", "204 responses must have an empty content length", HTTPWarning)
    if method == "HEAD":
        warnings.filterwarnings("ignore", "Content-Length and the number of bytes", WSGIWarning)


class Application:
    """Reads the body and answers with it; remembers how often it ran and what it was given."""

    def __init__(self) -> None:
        self.environs: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []

    def __call__(self, environ, start_response):
        self.environs.append(environ)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        self.bodies.append(environ["wsgi.input"].read(length))
        body = b"application " + self.bodies[-1]
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    @property
    def runs(self) -> int:
        """How often it was called."""
        return len(self.environs)


def rules(**faults) -> list[Rule]:
    """One rule for each request for /pay."""
    return [Rule("r", Match("/pay"), percentage=100, **faults)]


def tally(app):
    """What was injected, and what was not."""
    (live,) = app._injector.live_rules()
    return dict(live.tally.injected), dict(live.tally.suppressed)


def kill(app) -> None:
    """What the control endpoint does."""
    app._injector.switch.kill("a test")
    app._injector.refresh()


def assert_nothing_is_left(app) -> None:
    assert (app._injector.active_faults, len(app._injector.holding), app._injector.internal_errors) == (0, 0, {})
