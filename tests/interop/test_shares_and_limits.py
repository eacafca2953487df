"""How often, how many at once, and what goes out: a real Envoy and both middlewares, many requests each.

A count is compared with the share that is configured, and with that of the other. What is right fails one comparison in
a hundred million; all comparisons together fail less than once in a million runs.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from faultware.config.oneline import parse_rules
from faultware.core.engine import Engine, Limits
from faultware.core.faults import Abort
from faultware.core.matching import Match, PathMatch, TextMatch
from faultware.core.request import Request
from faultware.core.rules import Rule
from faultware.core.ruleset import LiveRule, RuleSet
from faultware.core.sampling import Dice
from faultware.interop.envoyexport import export_envoy
from faultware.telemetry.envoystyle import PREFIX, EnvoyStyle
from tests.interop.asked import HTTP, SHARE
from tests.interop.asking import ENVOYS_PART, Ask, Client
from tests.interop.chance import DOUBT, is_chance, may_differ_by
from tests.interop.families import ALWAYS, alone, override
from tests.interop.kit import envoy
from tests.interop.mesh import bootstrap, completed, running
from tests.interop.routes import ANY, host, route, table
from tests.interop.services import TALLY
from tests.servers.harness import eventually, serve

pytestmark = pytest.mark.server

TRIES = 1500
TENTH = {"numerator": 10}
QUARTER_OF_A_TENTH = {"numerator": 250, "denominator": "TEN_THOUSAND"}
SHORT = {"fixed_delay": "0.001s", "percentage": {"numerator": 30}}
SHARES = {
    "tenth": alone(abort={"http_status": 503, "percentage": TENTH}),
    "fortieth": alone(abort={"http_status": 503, "percentage": QUARTER_OF_A_TENTH}),
    "both": alone(delay=SHORT, abort={"http_status": 503, "percentage": {"numerator": 20}}),
    "asked": alone(abort={"header_abort": {}, "percentage": {"numerator": 80}}),
}
# Three clusters with faults of their own, and one without; all lead to the same service.
ARMS = {
    10: {"abort": {"http_status": 501, "percentage": {"numerator": 50}}},
    20: {
        "delay": {"fixed_delay": "0.001s", "percentage": ALWAYS},
        "abort": {"http_status": 502, "percentage": ALWAYS},
    },
    30: {"abort": {"http_status": 503, "percentage": ALWAYS}, "headers": [{"name": "x-h"}]},
    40: {},
}
CLUSTERS = [{"name": "app", "weight": weight, "typed_per_filter_config": override(**ARMS[weight])} for weight in ARMS]
DRAWN = {"drawn": table(host(route(ANY, None, route={"weighted_clusters": {"clusters": CLUSTERS}})))}
PARTS = {501: (0, 5), 502: (5, 25), 503: (25, 55)}
OUT = {"drawn": [Rule(f"r{n}", percentage=100, abort=Abort(n), group="g", part=part) for n, part in PARTS.items()]}
HELD = {"fixed_delay": "2s", "percentage": ALWAYS}
CROWDED = {
    "crowded-delay": alone(delay=HELD, max_active_faults=2),
    "crowded-both": alone(delay=HELD, abort={"http_status": 503, "percentage": ALWAYS}, max_active_faults=2),
}
RULES = {
    "paths": "/a 100% abort 501; /b/** 100% abort 502; /c/{id} 100% abort 503; /d* 100% abort 504",
    "methods": "POST /a 100% abort 501; GET,PUT / 100% abort 502",
    "fields": "/a header:x-h=1 100% abort 501; /a query:q=2 100% abort 502; / host=shop.test 100% abort 503",
    "first": "/ 0% abort 501; /a 100% abort 502; / 100% abort 503",
}
GROUP = [
    Rule("a", Match(raw_path=TextMatch(prefix="/a/free")), percentage=100, group="g"),
    *[
        Rule(
            f"r{status}",
            Match(path, headers=headers),
            percentage=100,
            abort=parse_rules(f"/ 1% abort {status}")[0].abort,
            group="g",
        )
        for status, path, headers in (
            (501, PathMatch(regex="/a(/.*)?"), {"x-h": TextMatch(exact="1", invert=True)}),
            (502, PathMatch(suffix="/b"), {}),
            (
                503,
                PathMatch(contains="c", invert=True),
                {"x-h": [TextMatch(present=True), TextMatch(prefix="2", invert=True)]},
            ),
        )
    ],
]
EXPORTED = {**{name: list(parse_rules(text)) for name, text in RULES.items()}, "group": GROUP}
TARGETS = (
    "/",
    "/a",
    "/a/",
    "/ab",
    "/a/b",
    "/a/free/x",
    "/b",
    "/b/x/y",
    "/c/7",
    "/c/7/",
    "/d",
    "/dx/y",
    "/e?q=2",
    "/a?q=2",
    "/a?p=1&q=2",
)


@pytest.fixture(scope="module")
def everybody(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shares")
    exported = {f"out-{name}": export_envoy(rules).documents[0] for name, rules in (EXPORTED | OUT).items()}
    documents = {**SHARES, **DRAWN, **CROWDED, **exported}
    file = directory / "cases.json"
    file.write_text(json.dumps({name: json.dumps(completed(document)) for name, document in documents.items()}))
    settings = {"INTEROP_CASES": str(file), "FAULTWARE_ENABLED": "false"}
    with (
        serve("uvicorn", settings, app="tests.interop.asgi_service:app") as asgi,
        serve("gunicorn-gthread", settings, app="tests.interop.wsgi_service:app") as wsgi,
        running(bootstrap(documents, asgi.port), directory) as mesh,
    ):
        yield mesh, {"asgi": asgi.port, "wsgi": wsgi.port}


def observed(port, name, *headers):
    """How often a request was aborted, of so many."""
    client = Client(port)
    try:
        return sum(not client.send(Ask("/x", headers), name)[0].reached for _ in range(TRIES))
    finally:
        client.close()


def of_everybody(everybody, name, do):
    """What comes of something that is done with Envoy's port and with ours, at the same time."""
    mesh, ports = everybody
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(do, (mesh.ports[name], *ports.values())))


ASKED = [
    ("tenth", (), 0.1),
    ("fortieth", (), 0.025),
    ("both", (), 0.2),
    ("asked", ((HTTP, "503"),), 0.8),
    ("asked", ((HTTP, "503"), (HTTP + SHARE, "30")), 0.3),
    ("asked", ((HTTP, "503"), (HTTP + SHARE, "90")), 0.8),
]


@pytest.mark.parametrize(("name", "headers", "share"), ASKED)
def test_everybody_aborts_the_same_share(everybody, name, headers, share):
    theirs, *each = of_everybody(everybody, name, lambda port: observed(port, name, *headers))
    assert is_chance(theirs, TRIES, share)
    for ours in each:
        assert is_chance(ours, TRIES, share)
        assert may_differ_by(ours - theirs, TRIES, share)


def injected(port, name):
    client = Client(port)
    try:
        return Counter(json.loads(client.send(Ask(TALLY), name)[0].body))
    finally:
        client.close()


def test_delay_and_abort_roll_for_themselves(everybody):
    mesh, ports = everybody
    before = mesh.counters()["both"]
    observed(mesh.ports["both"], "both")
    after = mesh.counters()["both"]
    assert is_chance(after["delays_injected"] - before.get("delays_injected", 0), TRIES, 0.3)
    before = injected(ports["asgi"], "both")
    observed(ports["asgi"], "both")
    more = injected(ports["asgi"], "both") - before
    assert is_chance(more["delay"], TRIES, 0.3)
    assert is_chance(more["abort"], TRIES, 0.2)


DRAWN_SHARES = {
    (): {501: 0.05, 502: 0.2},
    (("x-h", "1"),): {501: 0.05, 502: 0.2, 503: 0.3},
}


@pytest.mark.parametrize("headers", DRAWN_SHARES, ids=str)
def test_a_request_belongs_to_one_of_several_clusters_and_meets_its_faults_alone(everybody, headers):
    mesh, ports = everybody
    shares = DRAWN_SHARES[headers]

    def statuses(port):
        client = Client(port)
        try:
            return Counter(client.send(Ask("/x", headers), "drawn")[0].status for _ in range(TRIES))
        finally:
            client.close()

    before = mesh.counters()["drawn"].get("delays_injected", 0)
    delays = [injected(port, "drawn")["delay"] for port in ports.values()]
    theirs, *each = of_everybody(everybody, "drawn", statuses)
    assert theirs.keys() == {200, *shares}
    # No other cluster has a delay, and of that one every request has both.
    assert mesh.counters()["drawn"]["delays_injected"] - before == theirs[502]
    for port, earlier, ours in zip(ports.values(), delays, each, strict=True):
        assert ours.keys() == {200, *shares}
        assert injected(port, "drawn")["delay"] - earlier == ours[502]
        for status, share in shares.items():
            assert is_chance(ours[status], TRIES, share)
            assert may_differ_by(ours[status] - theirs[status], TRIES, share)
    for status, share in shares.items():
        assert is_chance(theirs[status], TRIES, share)


def test_arms_that_are_exported_have_their_shares_in_envoy(everybody):
    mesh, _ = everybody
    client = Client(mesh.ports["out-drawn"])
    found = Counter(client.send(Ask("/x"), "x")[0].status for _ in range(TRIES))
    client.close()
    assert found.keys() == {200, *PARTS}
    for status, (begin, end) in PARTS.items():
        assert is_chance(found[status], TRIES, (end - begin) / 100)


def test_chance_fails_these_comparisons_less_than_once_in_a_million_runs():
    compared = len(ASKED) + sum(map(len, DRAWN_SHARES.values()))
    assert (compared * 5 + 3 + len(PARTS)) * DOUBT < 1e-6


@pytest.mark.parametrize(
    ("name", "status", "counted"),
    [
        ("crowded-delay", 200, {"delay": 2, "overflow": 4}),
        # A delay and an abort that are refused count twice; who was delayed is aborted, however many there are.
        ("crowded-both", 503, {"delay": 2, "abort": 2, "overflow": 8}),
    ],
)
def test_what_is_too_much_at_one_time_passes_and_is_counted(everybody, name, status, counted):
    mesh, ports = everybody

    def crowd(port):
        began = time.monotonic()

        def one(_):
            client = Client(port)
            try:
                outcome, took = client.send(Ask("/x"), name)
                return outcome.status, took >= 1.9, time.monotonic() - began
            finally:
                client.close()

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(one, range(6)))
        # All have to come before the first of them goes.
        is_crowd = sum(at < 1.9 for *_, at in answers) == 4
        return is_crowd, Counter((status, was_held) for status, was_held, _ in answers)

    def counts():
        return [Counter(mesh.counters()[name]), *(injected(port, name) for port in ports.values())]

    counts()  # the first request of a case makes its middleware
    for _ in range(10):
        before = counts()
        crowds = of_everybody(everybody, name, crowd)
        more = [now - earlier for now, earlier in zip(counts(), before, strict=True)]
        if all(is_crowd for is_crowd, _ in crowds):
            break
    assert crowds == [(True, {(status, True): 2, (200, False): 4})] * 3
    delays, aborts, overflow = (counted.get(kind, 0) for kind in ("delay", "abort", "overflow"))
    theirs = Counter(delays_injected=delays, aborts_injected=aborts, faults_overflow=overflow)
    assert more == [theirs, *[Counter(counted)] * 2]


def test_envoys_names_of_counters_are_ours(everybody):
    mesh, _ = everybody
    style = EnvoyStyle()
    style.set_active(0)
    ours = {(sample.name, *sample.labels) for family in style.collect() for sample in family.samples}
    text = eventually(lambda: mesh._get("/stats/prometheus?filter=fault").decode(), "Envoy's metrics")
    theirs = set(re.findall(rf'^({PREFIX}\w+){{(\w+)="[^"]*"}} ', text, re.MULTILINE))
    assert ours == theirs
    assert len(ours) == 5


@pytest.mark.parametrize(
    "keys",
    [
        {"abort.abort_percent": 100, "delay.fixed_delay_percent": 0},
        {"abort.abort_percent": 0, "delay.fixed_delay_percent": 100, "delay.fixed_duration_ms": 30},
        {"abort.abort_percent": 4000, "abort.http_status": 504, "delay.fixed_delay_percent": 0},
        {"abort.abort_percent": 100, "delay.fixed_delay_percent": 100, "delay.fixed_duration_ms": 0},
    ],
)
def test_runtime_keys_do_here_at_the_start_what_they_do_in_envoy_at_once(everybody, keys):
    mesh, _ = everybody
    keys = {f"fault.http.{key}": value for key, value in keys.items()}
    before = mesh.counters()["both"]
    mesh.set_runtime(**keys)
    client = Client(mesh.ports["both"])
    outcome, took = client.send(Ask("/x"), "both")
    client.close()
    after = mesh.counters()["both"]
    mesh.set_runtime(**dict.fromkeys(keys, ""))
    rules = envoy(completed(SHARES["both"]), runtime=keys).rules
    plan = Engine(Dice(lambda: 0.5), Limits()).decide(tuple(map(LiveRule, rules)), Request(), 0.0)
    assert outcome.status == (plan.ending.fault.status if plan.ending else 200)
    # Envoy counts from when it last looked at the clock.
    assert took >= plan.delay_seconds * ENVOYS_PART
    kinds = {injection.fault.kind for injection in plan.injections}
    for kind in ("delay", "abort"):
        assert after[f"{kind}s_injected"] - before[f"{kind}s_injected"] == (kind in kinds)


@pytest.mark.parametrize("name", EXPORTED)
def test_what_is_exported_does_in_envoy_what_the_rules_do_here(everybody, name):
    mesh, _ = everybody
    live = RuleSet(map(LiveRule, EXPORTED[name]))
    engine = Engine(Dice(lambda: 0.5), Limits())
    client = Client(mesh.ports[f"out-{name}"])
    for target in TARGETS:
        for method, headers in (("GET", ()), ("POST", (("x-h", "1"),)), ("PUT", (("x-h", "2"), ("host", "b.test:80")))):
            ask = Ask(target, headers, method)
            path, _, query = target.partition("?")
            lines = [*headers, *([] if headers[1:] else [("host", "shop.test")])]
            request = Request(method, path, query_string=query, headers=lines)
            plan = engine.decide(live.candidates(request), request, 0.0)
            status = plan.ending.fault.status if plan else 200
            assert client.send(ask, "x")[0].status == status, ask
    client.close()
