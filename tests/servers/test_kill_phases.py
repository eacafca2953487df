"""One kill while requests are in every phase in which a fault holds them: each goes on at once, and comes whole."""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.servers import bodies_app, streams
from tests.servers.harness import ENDLESS, PATIENCE_SECONDS, eventually, serve
from tests.servers.wire import Wire, request

pytestmark = pytest.mark.server

LONG = "10m"
SIZE = bodies_app.SIZE
UPLOAD = bodies_app.BODY[:200_000]
# What each does, and how much of the answer comes all the same.
PHASES = {
    "delay": ({"delay": LONG}, 0),
    "hang": ({"hang": LONG}, 0),
    "upload": ({"throttle": {"rate": "1kB/s", "of": "request"}}, 0),
    "head": ({"delay_response": LONG}, 0),
    "start": ({"stall": {"at": "0B", "duration": LONG}}, 0),
    "middle": ({"stall": {"at": "1MB", "duration": LONG}}, 1_000_000),
    "end": ({"slow_close": LONG}, SIZE),
    "crawl": ({"throttle": {"rate": "1kB/s"}}, 200),
    "slices": ({"slice": {"size": "1kB", "pause": LONG}}, 1000),
    "dribble": ({"dribble": {"duration": LONG, "pieces": 1000}}, 0),
    "cut": ({"stall": {"at": "5kB", "duration": LONG}, "truncate": {"at": "6kB"}}, 5000),
    "aborted": ({"delay": LONG, "abort": 503}, 0),
    "replaced": ({"delay": LONG, "replace_body": {"text": "other"}}, 0),
}
WITH_BODY = ("delay", "hang", "upload")
SERVERS = {
    "uvicorn": (),
    "uvicorn-h11": (),
    "hypercorn": (),
    "granian": (),
    "gunicorn-gthread": ("--threads", "40"),
    "gunicorn-gevent": (),
    "waitress": ("--threads", "40"),
    "cheroot": ("--threads", "40"),
}
ASGI = ("uvicorn", "uvicorn-h11", "hypercorn", "granian")


class Counted(Wire):
    """Counts what has come."""

    count = 0

    def _more(self) -> bool:
        before = len(self.ahead)
        is_more = super()._more()
        self.count += len(self.ahead) - before
        return is_more


def asked(kind: str, name: str) -> bytes:
    if name in WITH_BODY:
        return request("POST", f"/upload/{name}/upload", UPLOAD)
    # Where the end is held up, it has to be one that the client waits for.
    way, last = ("chunked", "chunked") if name == "end" else ("sized", "big")
    return request("GET", f"/{way}/{name}/{SIZE if kind in ASGI else last}")


@pytest.mark.parametrize("kind", SERVERS)
def test_a_kill_releases_requests_in_every_phase(kind):
    written = [
        {"name": name, "match": {"path": {"glob": f"/*/{name}/*"}}, "percentage": 100, **fault}
        for name, (fault, _) in PHASES.items()
    ]
    settings = {**ENDLESS, "FAULTWARE_RULES": json.dumps({"rules": written})}
    app = f"tests.servers.{'streams' if kind in ASGI else 'bodies_app'}:app"
    told = f"{len(UPLOAD)} {hashlib.sha256(UPLOAD).hexdigest()}".encode()
    body = streams.content(SIZE) if kind in ASGI else bodies_app.BODY
    with serve(kind, settings, *SERVERS[kind], app=app) as server, ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in PHASES]
        wires = dict(zip(PHASES, map(Counted, connections), strict=True))
        pool = stack.enter_context(ThreadPoolExecutor(len(PHASES)))
        stack.callback(server.stop)  # and with it whoever still reads
        for name, wire in wires.items():
            wire.send(asked(kind, name))
        answers = {name: pool.submit(wire.read) for name, wire in wires.items()}
        eventually(lambda: server.status()["active_faults"] == len(PHASES), "every fault acts")
        eventually(lambda: all(wires[name].count >= least for name, (_, least) in PHASES.items()), "it holds them")
        assert not any(answer.done() for answer in answers.values())

        server.control("POST", "kill")
        began = time.monotonic()
        for name, answer in answers.items():
            message = answer.result(PATIENCE_SECONDS)
            assert message is not None, name
            assert (message.status, message.body == (told if name in WITH_BODY else body)) == (200, True), name
        assert time.monotonic() - began < PATIENCE_SECONDS / 4
        # The connections are still open.
        eventually(lambda: server.status()["active_faults"] == 0, "nothing active")
        for connection in connections:
            connection.close()
        log = server.log
    assert "Traceback" not in log, log
