"""The same configuration and the same request, to a real Envoy, to ASGI under uvicorn and to WSGI under gunicorn."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.interop.asking import BODILESS, Ask, Client
from tests.interop.families import cases
from tests.interop.mesh import bootstrap, completed, running
from tests.interop.services import TALLY
from tests.servers.harness import serve

pytestmark = pytest.mark.server

# Envoy's timers were seen ending so much too early.
EARLY_SECONDS = 0.005
CASES = {case.name: case for case in cases()}
_COUNTERS = {"abort": "aborts_injected", "delay": "delays_injected", "throttle": "response_rl_injected"}


class Three:
    """All three that are compared."""

    def __init__(self, mesh, asgi, wsgi):
        self.mesh, self.asgi, self.wsgi = mesh, asgi, wsgi
        self.clients = {"asgi": Client(asgi.port), "wsgi": Client(wsgi.port)}
        self.envoys = {name: Client(port) for name, port in mesh.ports.items()}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    directory = tmp_path_factory.mktemp("interop")
    file = directory / "cases.json"
    documents = {name: completed(case.document) for name, case in CASES.items()}
    file.write_text(json.dumps({name: json.dumps(document) for name, document in documents.items()}))
    settings = {"INTEROP_CASES": str(file), "FAULTWARE_ENABLED": "false"}
    with (
        serve("uvicorn", settings, app="tests.interop.asgi_service:app") as asgi,
        serve("gunicorn-gthread", settings, app="tests.interop.wsgi_service:app") as wsgi,
        running(bootstrap({name: case.document for name, case in CASES.items()}, asgi.port), directory) as mesh,
    ):
        everybody = Three(mesh, asgi, wsgi)
        yield everybody
        for client in (*everybody.clients.values(), *everybody.envoys.values()):
            client.close()


def tally(client, name):
    outcome, _ = client.send(Ask(TALLY), name)
    return Counter(json.loads(outcome.body))


def test_there_are_enough_pairs_of_configuration_and_request():
    assert sum(len(case.asks) for case in CASES.values()) >= 300


@pytest.mark.parametrize("name", CASES)
def test_everybody_does_the_same(three, name):
    case = CASES[name]
    differences = []
    for ask in case.asks:
        expected, took = three.envoys[name].send(ask, name)
        assert took >= ask.delay_seconds - EARLY_SECONDS
        for kind, client in three.clients.items():
            if kind == "wsgi" and ask.only_asgi:
                continue
            outcome, took = client.send(ask, name)
            if outcome != expected:
                differences.append(f"{ask}\n  envoy {expected}\n  {kind}  {outcome}")
            assert took >= ask.delay_seconds
    assert not differences, "\n".join(differences)


def test_everybody_has_counted_the_same(three):
    counted = three.mesh.counters()
    for name, case in CASES.items():
        for ask in case.asks:
            three.envoys[name].send(ask, name)
    after = three.mesh.counters()
    for name, case in CASES.items():
        expected = {kind: after[name].get(key, 0) - counted[name].get(key, 0) for kind, key in _COUNTERS.items()}
        before = tally(three.clients["asgi"], name)
        for ask in case.asks:
            three.clients["asgi"].send(ask, name)
        ours = tally(three.clients["asgi"], name)
        if name == "limit-abort":
            # An abort leaves no response of the application to limit, and nothing to count.
            expected["throttle"] = 0
        assert {kind: ours[kind] - before[kind] for kind in expected} == expected, name


def test_bodiless_statuses_are_the_ones_of_http():
    assert BODILESS == (204, 205, 304)
