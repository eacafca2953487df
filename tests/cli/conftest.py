from __future__ import annotations

import threading
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from prometheus_client import CollectorRegistry

from faultware.cli.main import main
from faultware.wsgi import FaultMiddleware

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "a-token-for-the-command-line"
RULES = "POST /pay 10% abort 503 as pay; /search 30% delay 200ms as slow"


class Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


@dataclass
class Shop:
    """A service that listens, and what it was made of."""

    url: str
    directory: Path
    kill_file: Path
    middleware: FaultMiddleware


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the application"]


def listening(app):
    """A server on a free port, and the thread that it runs in."""
    server = make_server("127.0.0.1", 0, app, Threads, Silent)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    return server, thread


@pytest.fixture
def serve():
    """Serves applications until the test ends; gives the URL of each."""
    running = []

    def start(app):
        running.append(listening(app))
        return f"http://127.0.0.1:{running[-1][0].server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def shop(serve, tmp_path):
    directory, kill_file = tmp_path / "state", tmp_path / "no-faults"
    middleware = FaultMiddleware(
        application,
        enabled=True,
        rules=RULES,
        store=f"file:{directory}",
        kill_file=kill_file,
        control_token=TOKEN,
        environ={},
        registry=CollectorRegistry(),
    )
    return Shop(serve(middleware), directory, kill_file, middleware)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("URL", "TOKEN", "TOKEN_FILE"):
        monkeypatch.delenv(f"FAULTWARE_CONTROL_{name}", raising=False)
    for name in ("STORE", "KILL_FILE"):
        monkeypatch.delenv(f"FAULTWARE_{name}", raising=False)


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys):
    """Runs a command line in this process."""

    def run_words(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run_words


@pytest.fixture
def ask(run, shop, monkeypatch):
    """Runs a command line against the shop."""
    monkeypatch.setenv("FAULTWARE_CONTROL_URL", shop.url)
    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN", TOKEN)
    return run
