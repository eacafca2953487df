"""Guards kill the switch with a reason, and stay quiet where nothing is proved."""

from __future__ import annotations

import http.server
import json
import math
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.config.guardlines import read_guards
from faultware.core.guards import Answered, Guard, measure
from faultware.errors import RuleError
from faultware.runtime import guard as module
from faultware.runtime.guard import Elsewhere, Watch
from faultware.runtime.refresher import IDLE_SECONDS
from faultware.telemetry.events import SwitchKilled
from tests.runtime.kit import BEGIN, BrokenStore, Heard, Time, ask, make_injector, memory

ROWS = (Path(__file__).parents[1] / "config/refused/guards.txt").read_text(encoding="utf-8").split("\n")


@pytest.mark.parametrize(("text", "message"), list(zip(ROWS[::2], ROWS[1::2], strict=False)))
def test_a_wrong_guard_is_told_with_what_would_be_right(text, message):
    with pytest.raises(RuleError) as caught:
        read_guards(text)
    assert f"→ {caught.value}" == message


@pytest.mark.parametrize(
    "text",
    [
        "error_share > 5%",
        "p99 > 2s",
        "p50 of all > 200ms over 1m min 100",
        "p95 of injected > 1s500ms",
        "lag > 250ms",
        "lag > 0.05ms",
        "error_share > 0.001%",
        "memory > 512MiB",
        "memory > 1001B",
        "in_flight > 200",
        "health",
        'query sum(rate(x{a="b"}[1m])) > 0.5',
        "query up < 1",
    ],
)
def test_what_is_printed_reads_back_as_the_same_guard(text):
    (guard,) = read_guards(text)
    assert str(guard) == text
    assert read_guards([guard]) == (guard,)


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("error_share > 5%", 1.08695, "1.09%"),
        ("p99 > 2s", 0.0123456, "12.3ms"),
        ("memory > 512MiB", 75_468_800, "72MiB"),
        ("memory > 512MiB", 75_400_000, "71.9MiB"),
        ("in_flight > 9", 12, "12"),
        ("health", 1, "unhealthy"),
        ("query up < 1", math.nan, "no number"),
    ],
)
def test_a_value_is_told_as_people_read_it(text, value, shown):
    assert read_guards(text)[0].shown(value) == shown


@given(st.text(max_size=40))
def test_no_text_makes_anything_but_guards_or_our_own_error(text):
    try:
        guards = read_guards(text)
    except RuleError:
        return
    assert read_guards("; ".join(map(str, guards))) == guards


def answers(*seconds: float, errors: int = 0, injected: bool = False) -> list[Answered]:
    return [Answered(0.0, value, index < errors, injected) for index, value in enumerate(seconds)]


def test_quantiles_are_those_of_the_nearest_rank():
    hundred = answers(*(number / 100 for number in range(1, 101)))
    values = [measure(Guard(metric, 1.0), hundred) for metric in ("p50", "p95", "p99")]
    assert values == [0.5, 0.95, 0.99]


def test_few_answers_prove_nothing():
    assert measure(Guard("p99", 1.0, min_samples=3), answers(9, 9)) is None
    assert measure(Guard("p99", 1.0, min_samples=2), answers(9, 9)) == 9


def test_injected_answers_are_counted_apart():
    mixed = answers(*[0.1] * 20, errors=2) + answers(*[0.5] * 30, errors=30, injected=True)
    shares = [measure(Guard("error_share", 5, counts=counts), mixed) for counts in ("own", "injected", "all")]
    assert shares == [10, 100, 64]


class Service:
    """A process with a rule, and guards."""

    def __init__(self, guards: str, *, store=None, **options) -> None:
        self.time, self.heard = Time(), Heard()
        self.injector = make_injector("/pay 100% abort 503", time=self.time, heard=self.heard, store=store)
        self.watch = Watch(read_guards(guards), read=read_guards, **options)
        self.injector.chores.append(self.watch.tick)
        ask(self.injector)
        self.injector.tick()
        ask(self.injector)

    def note(self, *seconds: float, status: int = 200, is_injected: bool = False) -> None:
        for value in seconds:
            self.injector.traffic.note(value, status, is_injected=is_injected)

    def tick(self) -> None:
        self.injector.tick()

    @property
    def reason(self) -> str:
        """Why the switch is killed; empty: it is not."""
        snapshot = self.injector.switch.store.read()
        assert not snapshot.killed or snapshot.actor == "guard"
        return snapshot.reason


def test_a_guard_kills_the_switch_with_a_reason_and_tells_everybody():
    service = Service("p99 > 2s")
    service.note(*[3.1] * 20)
    service.tick()
    assert service.reason == "p99 > 2s: 3s100ms"
    assert service.heard.of(SwitchKilled) == [SwitchKilled(BEGIN, "guard", "p99 > 2s: 3s100ms")]
    assert service.injector.readings().trips == {"p99": 1}
    assert ask(service.injector) is None


def test_requests_that_are_held_are_let_go():
    service, released = Service("error_share > 5%"), []
    service.injector.hold(lambda: released.append(1))
    service.note(*[0.1] * 20, status=500)
    service.time.pass_(IDLE_SECONDS)  # guards keep to their pace while requests are held
    service.tick()
    assert released


def test_what_faults_do_themselves_is_no_reason_unless_somebody_says_so():
    service = Service("error_share > 5%; error_share of all > 90%")
    service.note(*[0.1] * 100, status=503, is_injected=True)
    service.note(*[0.1] * 30)
    service.tick()
    assert service.reason == ""
    service.note(*[0.1] * 1000, status=503, is_injected=True)
    service.tick()
    assert service.reason.startswith("error_share of all > 90%: ")


def test_answers_leave_the_window():
    service = Service("p50 > 1s over 10s")
    service.note(*[5.0] * 19)
    service.time.pass_(11)
    service.note(5.0)
    service.tick()
    assert service.reason == ""


def test_it_stays_killed_until_somebody_arms_and_begins_anew_then():
    service = Service("p99 > 2s")
    service.note(*[3.1] * 20)
    service.tick()
    for _ in range(3):
        service.tick()
    assert len(service.heard.of(SwitchKilled)) == 1
    service.injector.switch.arm("me")
    service.tick()
    service.tick()
    assert not service.injector.switch.killed
    assert ask(service.injector) is not None


def test_a_store_that_cannot_write_down_why_does_not_keep_the_guard_from_killing():
    store = memory(kind=BrokenStore)
    service = Service("p99 > 2s", store=store)
    service.note(*[3.1] * 20)
    store.broken = {"update"}
    service.tick()
    assert service.injector.switch.killed
    assert service.injector.internal_errors["store"]


def test_guards_that_arrive_at_run_time_replace_those_of_the_start_in_every_process():
    service = Service("p99 > 2s")
    service.injector.switch.replace_guards(read_guards("memory > 1B"), actor="me")
    service.tick()
    service.tick()
    assert service.reason.startswith("memory > 1B: ")


def test_memory_and_requests_in_flight_are_single_numbers():
    service = Service("in_flight > 2; memory > 1000000MiB")
    for _ in range(3):
        service.injector.traffic.begin()
    service.tick()
    assert service.reason == "in_flight > 2: 3"


def test_a_loop_that_does_not_come_to_what_it_is_given_is_late():
    service = Service("lag > 250ms")
    waiting = []
    service.injector.pulse = waiting.append
    service.tick()
    service.time.pass_(0.2)
    waiting.pop()()
    service.tick()
    assert service.reason == ""
    service.time.pass_(0.3)
    service.tick()
    assert service.reason == "lag > 250ms: 300ms"


def test_what_was_measured_is_shown():
    service = Service("p99 > 2s; in_flight > 5")
    assert service.watch.document() == [
        {"guard": "p99 > 2s", "value": None, "shown": None},
        {"guard": "in_flight > 5", "value": 0.0, "shown": "0"},
    ]
    service.note(*[0.25] * 20)
    service.tick()
    assert service.watch.document()[0] == {"guard": "p99 > 2s", "value": 0.25, "shown": "250ms"}


@pytest.mark.parametrize(
    ("guard", "message"),
    [
        ("lag > 1s", "lag > 1s: WSGI has no event loop that could be late"),
        ("health", "health: the application has given no health check"),
        ("query up < 1", "query up < 1: nobody knows where Prometheus is"),
    ],
)
def test_a_guard_that_can_never_be_measured_is_refused(guard, message):
    with pytest.raises(RuleError) as caught:
        Watch(read_guards(guard), read=read_guards, has_loop=False)
    assert str(caught.value).startswith(message)


# What others are asked.


@pytest.mark.parametrize(("health", "value"), [(lambda: True, 0.0), (lambda: False, 1.0), (lambda: 1 / 0, 1.0)])
def test_a_health_check_that_says_no_or_fails_is_beyond(health, value):
    elsewhere, (guard,) = Elsewhere(health, ""), read_guards("health")
    elsewhere._asked = (guard,)
    elsewhere.ask()
    assert elsewhere.value(guard) == value
    assert guard.is_beyond(value) is bool(value)


def test_silence_counts_as_tripped_and_not_before_it_is_long(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    elsewhere, (guard,) = Elsewhere(lambda: True, ""), read_guards("health")
    elsewhere.forget()
    assert elsewhere.value(guard) is None
    now[0] += 16
    assert math.isnan(elsewhere.value(guard))
    assert guard.is_beyond(math.nan)
    assert guard.shown(math.nan) == "no number"


PROMETHEUS = {
    "one": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "0.75"]}]},
    "scalar": {"resultType": "scalar", "result": [1, "3"]},
    "none": {"resultType": "vector", "result": []},
    "two": {"resultType": "vector", "result": [{"value": [1, "1"]}, {"value": [1, "2"]}]},
}


@pytest.fixture
def prometheus():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.partition("query=")[2]
            body = json.dumps({"status": "success", "data": PROMETHEUS[name]}).encode() if name in PROMETHEUS else b"?"
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("query", "value"), [("one", 0.75), ("scalar", 3.0), ("none", math.nan), ("two", math.nan), ("nonsense", math.nan)]
)
def test_a_query_gives_one_number_or_counts_as_tripped(prometheus, query, value):
    elsewhere, (guard,) = Elsewhere(None, prometheus), read_guards(f"query {query} > 0.5")
    elsewhere._asked = (guard,)
    elsewhere.ask()
    assert elsewhere.value(guard) == pytest.approx(value, nan_ok=True)


def test_a_thread_asks_on_until_its_owner_is_gone(prometheus, monkeypatch):
    monkeypatch.setattr(module, "_ASK_SECONDS", 0.001)
    elsewhere, guards = Elsewhere(None, prometheus), read_guards("query one > 5")
    elsewhere.watch(guards)
    thread = elsewhere._thread
    while elsewhere.value(guards[0]) is None:
        threading.Event().wait(0.001)
    assert elsewhere.value(guards[0]) == 0.75
    elsewhere.watch(guards)
    assert elsewhere._thread is thread
    del elsewhere
    thread.join(30)
    assert not thread.is_alive()
