"""Which server runs this process.

Neither `sys.argv` nor the environment says it for certain: servers are started by scripts, by supervisors and by other
servers. But whoever calls the application stands on the call stack, while the application is imported as well as while
it serves a request, however many middlewares stand between. uWSGI, whose frames are not Python's, leaves a module
behind.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Protocol: TypeAlias = Literal["asgi", "wsgi", ""]

IN_PROCESS: Final = "in-process client"


@dataclass(frozen=True, slots=True)
class Server:
    """What serves the application.

    Args:
        protocol: How it calls the application; empty: not known.
        name: As its project writes it, or `IN_PROCESS`; empty: not known.
        worker: Gunicorn's worker class; the way in that uWSGI was given: `http`, `http-socket` or `socket`.
    """

    protocol: Protocol = ""
    name: str = ""
    worker: str = ""

    def __str__(self) -> str:
        name = f"{self.name} ({self.worker})" if self.worker else self.name or "an unknown server"
        return f"{name}, {self.protocol.upper()}" if self.protocol else name

    @property
    def version(self) -> str:
        """Of the installed package; empty where there is none."""
        if self.name == "uWSGI":
            return _text(getattr(sys.modules.get("uwsgi"), "version", b""))
        try:
            return version(self.name) if self.name and self.name != IN_PROCESS else ""
        except PackageNotFoundError:
            return ""


def running(protocol: Protocol) -> Server:
    """The server that is calling now.

    Args:
        protocol: Of the middleware that asks.
    """
    uwsgi = sys.modules.get("uwsgi")
    options: Mapping[Any, Any] | None = getattr(uwsgi, "opt", None)
    return recognise(protocol, _callers(), None if options is None else map(_text, options))


def recognise(protocol: Protocol, callers: Iterable[str], uwsgi_options: Iterable[str] | None = None) -> Server:
    """The server that a call stack belongs to.

    Args:
        protocol: Of the middleware that asks.
        callers: The names of the modules on the stack.
        uwsgi_options: The options of the uWSGI that runs this process; None: it is not uWSGI.
    """
    modules = set(callers)
    packages = {module.partition(".")[0] for module in modules}
    if "gunicorn" in packages:
        return Server(protocol, "gunicorn", next((worker for sign, worker in _WORKERS if _has(sign, modules)), ""))
    for sign, name in _SERVERS:
        if _has(sign, modules):
            return Server(protocol, name)
    if uwsgi_options is not None:
        options = set(uwsgi_options)
        # A router may serve sockets of its own beside; requests by way of it are the ones that cannot be told apart.
        router = "http" if options & {"http", "https", "http2"} else ""
        direct = "http-socket" if options & {"http-socket", "https-socket"} else "socket"
        return Server(protocol, "uWSGI", router or direct)
    if any(_has(sign, modules) for sign in _CLIENTS):
        return Server(protocol, IN_PROCESS)
    return Server(protocol)


# Whose modules are on the stack, and what that means. The first that is found counts.
_SERVERS: Final = (
    ("uvicorn", "uvicorn"),
    ("hypercorn", "hypercorn"),
    ("granian", "granian"),
    ("daphne", "daphne"),
    ("waitress", "waitress"),
    ("cheroot", "cheroot"),
    ("werkzeug.serving", "werkzeug"),
)
_WORKERS: Final = (
    ("uvicorn", "uvicorn"),
    ("uvicorn_worker", "uvicorn"),
    ("gunicorn.asgi", "asgi"),
    ("gunicorn.workers.gasgi", "asgi"),
    ("gunicorn.workers.ggevent", "gevent"),
    ("gunicorn.workers.gthread", "gthread"),
    ("gunicorn.workers.geventlet", "eventlet"),
    ("gunicorn.workers.gtornado", "tornado"),
    ("gunicorn.workers.sync", "sync"),
)
_CLIENTS: Final = (
    "starlette.testclient",
    "werkzeug.test",
    "httpx._transports",
    "httpx2._transports",
    "django.test",
    "asgiref.testing",
    "webtest",
)


def _has(sign: str, modules: Iterable[str]) -> bool:
    return any(module == sign or module.startswith(f"{sign}.") for module in modules)


def _callers() -> Iterator[str]:
    frame = inspect.currentframe()
    while frame is not None:
        yield str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
