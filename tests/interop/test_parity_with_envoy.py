"""The same configuration and the same request, to a real Envoy, to ASGI under uvicorn and to WSGI under gunicorn."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.interop.asking import BODILESS, ENVOYS_PART, Ask, Client
from tests.interop.families import cases
from tests.interop.mesh import bootstrap, completed, running
from tests.interop.services import TALLY
from tests.servers.harness import serve

pytestmark = pytest.mark.server

CASES = {case.name: case for case in cases()}
_COUNTERS = {"abort": "aborts_injected", "delay": "delays_injected", "throttle": "response_rl_injected"}


class Three:
    """All three that are compared."""

    def __init__(self, mesh, asgi, wsgi):
        self.mesh, self.asgi, self.wsgi = mesh, asgi, wsgi
        self.clients = {"asgi": Client(asgi.port), "wsgi": Client(wsgi.port)}
        self.envoys = {name: Client(port) for name, port in mesh.ports.items()}
        self.pool = ThreadPoolExecutor(3)

    def send(self, ask, name):
        """The outcome, and the seconds it took, of each: they are asked at the same time."""
        kinds = ("asgi",) if ask.only_asgi else ("asgi", "wsgi")
        clients = {"envoy": self.envoys[name], **{kind: self.clients[kind] for kind in kinds}}
        return dict(zip(clients, self.pool.map(lambda client: client.send(ask, name), clients.values()), strict=True))

    def injected(self, name):
        """What Envoy and the ASGI middleware have injected so far, by kind."""
        theirs = self.mesh.counters()[name]
        outcome, _ = self.clients["asgi"].send(Ask(TALLY), name)
        ours = json.loads(outcome.body)
        return (
            Counter({kind: theirs.get(key, 0) for kind, key in _COUNTERS.items()}),
            Counter({kind: ours.get(kind, 0) for kind in _COUNTERS}),
        )


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
        everybody.pool.shutdown()
        for client in (*everybody.clients.values(), *everybody.envoys.values()):
            client.close()


def test_there_are_enough_pairs_of_configuration_and_request():
    assert sum(len(case.asks) for case in CASES.values()) >= 300


@pytest.mark.parametrize("name", CASES)
def test_everybody_does_the_same_and_counts_it(three, name):
    case = CASES[name]
    before = three.injected(name)
    differences = []
    for ask in case.asks:
        seen = three.send(ask, name)
        expected, took = seen.pop("envoy")
        assert took >= ask.delay_seconds * ENVOYS_PART
        for kind, (outcome, took) in seen.items():
            if outcome != expected:
                differences.append(f"{ask}\n  envoy {expected}\n  {kind}  {outcome}")
            assert took >= ask.delay_seconds
    assert not differences, "\n".join(differences)

    theirs, ours = (after - earlier for after, earlier in zip(three.injected(name), before, strict=True))
    if name == "limit-abort":
        # An abort leaves no response of the application to limit, and nothing to count.
        del theirs["throttle"]
    assert ours == theirs


def test_bodiless_statuses_are_the_ones_of_http():
    assert BODILESS == (204, 205, 304)
