"""Starts real servers on free loopback ports, talks to them over sockets, and stops them, whatever happens.

A server is named by its kind (`SERVERS`). It runs in a session of its own in a clean environment, writes its output to
a file, and is stopped by its process group, at the latest when the interpreter ends. Nobody waits for one whose end no
test looks at: some take two seconds.
"""

from __future__ import annotations

import atexit
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).parents[2]
# Long enough for a machine that does something else at the same time: tests wait for conditions, not for times.
PATIENCE_SECONDS = 120.0
STOP_SECONDS = 15.0
# How long a server keeps a connection on which nothing happens: a machine that stands still is no reason to end it.
KEPT = str(int(PATIENCE_SECONDS))
# For a fault that only what is tested can end: far longer than anybody waits.
ENDLESS = {"FAULTWARE_MAX_DELAY": "10m"}
# Runs a program that is asked to stop when this process ends, however it ends (prctl(2), Linux).
TETHERED = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
os.execv(sys.argv[1], sys.argv[1:])
"""
TOKEN = "a-token-for-the-server-tests"


def _python(*words: str) -> list[str]:
    return [sys.executable, "-m", *words]


def _uvicorn(app: str, port: int, *more: str) -> list[str]:
    words = ("--port", str(port), "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", KEPT)
    return [*_python("uvicorn", app, *words), *more]


def _hypercorn(app: str, port: int, *more: str) -> list[str]:
    return [*_python("hypercorn", "--bind", f"127.0.0.1:{port}", "--keep-alive", KEPT, *more), app]


def _granian(app: str, port: int, *more: str) -> list[str]:
    return [*_python("granian", "--host", "127.0.0.1", "--port", str(port), *more), app]


def _gunicorn(app: str, port: int, *more: str) -> list[str]:
    words = ("--bind", f"127.0.0.1:{port}", "--graceful-timeout", "5", "--keep-alive", KEPT, "--log-level", "warning")
    return [*_python("gunicorn", *words), *more, app]


def _waitress(app: str, port: int, *more: str) -> list[str]:
    # The script and not the module, which loses the exit status.
    script = str(Path(sys.executable).with_name("waitress-serve"))
    return [sys.executable, script, "--listen", f"127.0.0.1:{port}", "--threads", "8", *more, app]


def _daphne(app: str, port: int, *more: str) -> list[str]:
    return [*_python("daphne", "-b", "127.0.0.1", "-p", str(port), "-v", "0", *more), app]


def _werkzeug(app: str, port: int, *more: str) -> list[str]:
    return _python("tests.servers.run_werkzeug", app, str(port), *more)


def _cheroot(app: str, port: int, *more: str) -> list[str]:
    return [*_python("cheroot", "--bind", f"127.0.0.1:{port}", *more), app]


def _uwsgi(app: str, port: int, *more: str) -> list[str]:
    script = str(Path(sys.executable).with_name("pyuwsgi"))
    way, *rest = more
    words = ("--module", app, "--die-on-term", "--need-app", "--disable-logging", "--threads", "8")
    return [sys.executable, script, way, f"127.0.0.1:{port}", *words, *rest]


@dataclass(frozen=True)
class Kind:
    """A way to serve an application.

    Args:
        protocol: `asgi` or `wsgi`.
        command: The program, for an application (`module:name`) and a port.
        options: Its arguments.
    """

    protocol: str
    command: Callable[..., list[str]]
    options: tuple[str, ...] = ()


SERVERS = {
    "uvicorn": Kind("asgi", _uvicorn, ("--http", "httptools", "--loop", "uvloop")),
    "uvicorn-h11": Kind("asgi", _uvicorn, ("--http", "h11", "--loop", "asyncio")),
    # It replaces a worker that has not answered in time; and waits as long for one that is killed while it is asked.
    "uvicorn-4": Kind("asgi", _uvicorn, ("--workers", "4", "--timeout-worker-healthcheck", "20")),
    "hypercorn": Kind("asgi", _hypercorn),
    "hypercorn-trio": Kind("asgi", _hypercorn, ("--worker-class", "trio")),
    "granian": Kind("asgi", _granian, ("--interface", "asgi", "--no-ws")),
    "granian-ws": Kind("asgi", _granian, ("--interface", "asgi", "--ws")),
    # A worker that is told to stop while it starts does not hear it, and granian waits for it without end.
    "granian-4": Kind(
        "asgi", _granian, ("--interface", "asgi", "--no-ws", "--workers", "4", "--workers-kill-timeout", "1")
    ),
    "daphne": Kind("asgi", _daphne),
    "gunicorn-asgi": Kind("asgi", _gunicorn, ("-k", "asgi")),
    "gunicorn-uvicorn": Kind("asgi", _gunicorn, ("-k", "uvicorn_worker.UvicornWorker")),
    "gunicorn-sync": Kind("wsgi", _gunicorn, ("-k", "sync", "-w", "2")),
    "gunicorn-gthread": Kind("wsgi", _gunicorn, ("-k", "gthread", "--threads", "8")),
    "gunicorn-gevent": Kind("wsgi", _gunicorn, ("-k", "gevent")),
    "gunicorn-4": Kind("wsgi", _gunicorn, ("-w", "4")),
    "gunicorn-4-preload": Kind("wsgi", _gunicorn, ("-w", "4", "--preload")),
    "granian-wsgi": Kind("wsgi", _granian, ("--interface", "wsgi", "--no-ws", "--blocking-threads", "8")),
    "waitress": Kind("wsgi", _waitress),
    "werkzeug": Kind("wsgi", _werkzeug),
    "cheroot": Kind("wsgi", _cheroot),
    "uwsgi-http-socket": Kind("wsgi", _uwsgi, ("--http-socket",)),
    # With a router process between the client and the application.
    "uwsgi-http": Kind("wsgi", _uwsgi, ("--http",)),
}


@dataclass(frozen=True)
class Reply:
    """One response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def mark(self) -> str:
        """What faultware says it did."""
        return self.headers.get("faultware-fault", "")

    def json(self):
        assert self.body, self
        return json.loads(self.body)


class Server:
    """A server that is running."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log_path: Path) -> None:
        self.port = port
        self.process = process
        self._log_path = log_path
        self._last_log = ""
        self._is_leaving = False
        self._gone_by = 0.0

    @property
    def log(self) -> str:
        """What the server has written so far."""
        if self._log_path.exists():
            self._last_log = self._log_path.read_text(errors="replace")
        return self._last_log

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """One request on a connection of its own."""
        return self._ask(PATIENCE_SECONDS, method, path, body, headers)

    def is_up(self) -> bool:
        """Whether it answers. Some servers listen before they have a worker, and such a connection may be lost."""
        try:
            return self._ask(5.0, "GET", "/healthz", None, {}).status < 500
        except (OSError, http.client.HTTPException):
            return False

    def _ask(self, patience: float, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            lines = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, lines, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, **headers)

    def post(self, path: str, data: object, **headers: str) -> Reply:
        return self.ask("POST", path, json.dumps(data).encode(), content_type="application/json", **headers)

    def control(self, method: str, path: str, data: object = None) -> Reply:
        """One request to the control endpoint, with the token."""
        headers = {"authorization": f"Bearer {TOKEN}"}
        if data is None:
            return self.ask(method, f"/_faultware/{path}", **headers)
        body = json.dumps(data).encode()
        return self.ask(method, f"/_faultware/{path}", body, content_type="application/json", **headers)

    def status(self) -> dict:
        reply = self.control("GET", "status")
        assert reply.status == 200, (reply, self.log)
        return reply.json()

    def leave(self) -> None:
        """Ask it to stop; whoever starts another server, or the end of the interpreter, sees to it that it does."""
        if not self._is_leaving:
            self._is_leaving, self._gone_by = True, time.monotonic() + STOP_SECONDS
            self.process.terminate()

    @property
    def has_left(self) -> bool:
        """Whether it has stopped, or had its time for it, since it was asked to."""
        return self._is_leaving and (self.process.poll() is not None or time.monotonic() > self._gone_by)

    def stop(self) -> str:
        """Stop it and everything it started; what it wrote."""
        self.leave()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, self._gone_by - time.monotonic()))
        # The group has the number of its first process, which nobody else can get while one of its members lives.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        _running.discard(self)
        log = self.log
        self._log_path.unlink(missing_ok=True)
        return log


_running: set[Server] = set()


@atexit.register
def _stop_all() -> None:
    for server in _running:
        server.leave()
    for server in list(_running):
        server.stop()


def environment(settings: Mapping[str, str], *paths: Path) -> dict[str, str]:
    """This process's environment without a trace of faultware's settings, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAULTWARE_", "PROMETHEUS_"))}
    places = [*map(str, paths), str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(places), "PYTHONUNBUFFERED": "1", **settings}


def free_port() -> int:
    """A port that nobody else is given in the next minute, and that a server may take.

    The end of a connection that was closed first stays in TIME_WAIT: the system hands such a port to nobody who asks
    for any (Linux), and lets a socket with SO_REUSEADDR, which all servers set, listen there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        probe.listen(1)
        port = probe.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = probe.accept()
            accepted.close()
            client.recv(1)
    return port


def launch(kind: str, settings: Mapping[str, str], *more: str, app: str = "", cwd: Path = ROOT) -> Server:
    """Start a server without waiting for it."""
    for left in [server for server in _running if server.has_left]:
        left.stop()
    port, app = free_port(), app or f"tests.servers.{SERVERS[kind].protocol}_app:app"
    descriptor, name = tempfile.mkstemp(prefix=f"faultware-{kind}-", suffix=".log")
    command = SERVERS[kind].command(app, port, *SERVERS[kind].options, *more)
    variables = environment(settings, cwd)
    if "-4" in kind:
        # Five processes would measure what one of the other kinds does as well.
        variables.pop("COVERAGE_PROCESS_CONFIG", None)
    with os.fdopen(descriptor, "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", TETHERED, *command],
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(port, process, Path(name))
    _running.add(server)
    return server


@contextmanager
def serve(kind: str, settings: Mapping[str, str], *more: str, app: str = "", cwd: Path = ROOT) -> Iterator[Server]:
    """A server that answers, for as long as the block runs.

    Args:
        kind: One of `SERVERS`.
        settings: Environment variables, in addition to those that enable faults and set the control token.
        more: Further arguments of the server.
        app: `module:name`, importable from `cwd` or from the top of the repository; left out: the plain application.
        cwd: Where it runs.
    """
    settings = {"FAULTWARE_ENABLED": "true", "FAULTWARE_CONTROL_TOKEN": TOKEN, **settings}
    for attempt in range(3):
        server = launch(kind, settings, *more, app=app, cwd=cwd)
        if _answers(server):
            break
        # Where a port does not stay free for who asked for it, somebody else may have taken it.
        log = server.stop()
        if attempt == 2 or "in use" not in log.lower():
            pytest.fail(f"{kind} did not start:\n{log[-4000:]}")
    try:
        yield server
    finally:
        server.leave()


def _answers(server: Server) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        if server.is_up():
            return True
        time.sleep(0.05)
    return False


def eventually(condition: Callable[[], object], what: str, *, pause: float = 0.02):
    """The first true value of a condition; a failure if there is none in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(pause)
    pytest.fail(f"waited {PATIENCE_SECONDS:.0f} s in vain: {what}")


def ask_every_worker(server: Server, workers: int, path: str = "/who") -> list[Reply]:
    """Ask on new connections, several at once, until so many processes have answered; all their replies."""
    replies: list[Reply] = []

    def round_of_questions() -> bool:
        with ThreadPoolExecutor(12) as pool:
            replies.extend(pool.map(lambda _: server.get(path), range(12)))
        return len({reply.headers["x-pid"] for reply in replies}) >= workers

    eventually(round_of_questions, f"answers of {workers} workers")
    return replies
