"""Faults that the baggage of a request asks for: here, or further on, and what bounds them on their way."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from faultware.core.request import Request
from faultware.runtime import build
from faultware.runtime.signed import NAME, SignedRequests
from faultware.signing import HEADER, check_errand, sign, sign_baggage
from tests.runtime.kit import BEGIN

KEY = "0123456789abcdef0123456789abcdef"
OTHER_KEY = "fedcba9876543210fedcba9876543210"


@pytest.fixture
def time(built_time):
    return built_time


@pytest.fixture
def worker(time):
    return a_worker(time)


def a_worker(time):
    return SignedRequests(KEY.encode, lambda rule: None, time.clocks.wall, carries=True)


def baggage(faults="abort 503", **how):
    return sign_baggage(KEY, "POST", "/charge", faults, **{"now": BEGIN, **how})


def request(value, *, method="POST", path="/charge", headers=()):
    return Request(method, path, headers=[("baggage", value), *headers])


def on_the_way(value, **how):
    return request(value, **{"method": "GET", "path": "/checkout", **how})


def kinds(live):
    return [] if live is None else [fault.kind for fault in live.rule.faults]


def ignored(worker):
    return dict(+worker.live.tally.suppressed)


def carried(worker, asking):
    """As middlewares do it."""
    return worker.find(asking), worker.carry(asking)


# One process.


def test_who_is_meant_does_it_and_passes_nothing_on(worker):
    live, current = carried(worker, request(baggage("delay 200ms + abort 503", hops=3)))
    assert kinds(live) == ["delay", "abort"]
    assert current is None
    assert ignored(worker) == {}


def test_who_is_on_the_way_passes_it_on_with_one_hop_less_and_does_nothing(worker):
    live, current = carried(worker, on_the_way(baggage(hops=2)))
    assert live is None
    errand = check_errand(KEY.encode(), current())
    assert (errand.hops, errand.method, errand.path, errand.asked.expires_at) == (1, "POST", "/charge", BEGIN + 60)
    assert ignored(worker) == {}


@pytest.mark.parametrize("other", [{"method": "GET"}, {"path": "/charge/7"}])
def test_method_and_path_say_who_is_meant(worker, other):
    assert worker.find(request(baggage(), **other)) is None
    assert worker.carry(request(baggage(), **other)) is not None


def test_a_chain_is_as_long_as_was_signed_and_no_longer(time):
    value, passed = baggage(hops=2), 0
    while (current := a_worker(time).carry(on_the_way(value))) is not None:
        value, passed = f"faultware-request={current()}", passed + 1
    assert passed == 2
    assert kinds(a_worker(time).find(request(value))) == ["abort"]


def test_each_call_is_heard_and_none_of_them_twice(time, worker):
    _, current = carried(worker, on_the_way(baggage()))
    further = a_worker(time)
    calls = [request(f"faultware-request={current()}") for _ in range(3)]
    assert [kinds(further.find(call)) for call in calls] == [["abort"]] * 3
    assert [kinds(further.find(call)) for call in calls] == [[]] * 3
    assert ignored(further) == {"replayed": 3}


def test_what_is_sent_again_is_not_passed_on_again(worker):
    again = on_the_way(baggage())
    assert carried(worker, again)[1] is not None
    assert carried(worker, again) == (None, None)
    assert ignored(worker) == {"replayed": 1}


def test_it_ends_for_all_when_it_was_signed_to_end(time, worker):
    _, current = carried(worker, on_the_way(baggage(lifetime_seconds=60)))
    time.jump(30)
    passed = request(f"faultware-request={current()}")
    time.jump(30)
    assert current() == ""
    assert carried(worker, passed) == (None, None)
    assert carried(worker, on_the_way(baggage(lifetime_seconds=60))) == (None, None)
    assert ignored(worker) == {"stale": 2}


def test_what_would_be_good_for_long_is_ignored(worker):
    assert carried(worker, on_the_way(baggage(lifetime_seconds=300, now=BEGIN + 1))) == (None, None)
    assert ignored(worker) == {"long_lived": 1}


@pytest.mark.parametrize("where", [request, on_the_way])
def test_what_is_not_signed_is_ignored_wherever_it_comes(worker, where):
    forged = sign_baggage(OTHER_KEY, "POST", "/charge", "abort 503", now=BEGIN)
    header = "faultware-request=" + sign(KEY, "POST", "/charge", "abort 503", now=BEGIN)
    values = ["faultware-request=x", forged, header, f"{baggage()},{baggage()}"]
    for value in values:
        assert carried(worker, where(value)) == (None, None)
    assert ignored(worker) == {"unsigned": len(values)}


@pytest.mark.parametrize("value", ["", "a=b", ",;=,", "faultware-request", "x=faultware-request;p"])
def test_other_baggage_is_no_attempt(worker, value):
    assert carried(worker, on_the_way(value)) == (None, None)
    assert worker.live.tally.matched == 0


@pytest.mark.parametrize("faults", ["explode", "10% abort 503", "abort 503 for 5m", "kill", "abort 503; / 100% hang"])
@pytest.mark.parametrize("where", [request, on_the_way])
def test_what_is_more_than_faults_of_one_request_is_neither_done_nor_passed_on(worker, where, faults):
    assert carried(worker, where(baggage(faults))) == (None, None)
    assert ignored(worker) == {"unreadable": 1}


def test_what_is_not_possible_here_is_passed_on_since_it_may_be_further_on(time):
    def impossible(rule):
        raise AssertionError(rule)

    worker = SignedRequests(KEY.encode, impossible, time.clocks.wall, carries=True)
    assert carried(worker, on_the_way(baggage("raise TimeoutError")))[1] is not None


def test_a_header_and_baggage_may_come_together(worker):
    own = (HEADER, sign(KEY, "GET", "/checkout", "delay 1s", now=BEGIN))
    live, current = carried(worker, on_the_way(baggage(), headers=[own]))
    assert kinds(live) == ["delay"]
    assert current is not None
    mine = (HEADER, sign(KEY, "POST", "/charge", "delay 1s", now=BEGIN))
    assert kinds(worker.find(request(baggage(), headers=[mine]))) == ["delay"], "its own header comes first"
    assert kinds(worker.find(request(baggage(), headers=[(HEADER, "x")]))) == ["abort"]
    assert ignored(worker) == {"unsigned": 1}


def test_the_baggage_of_those_who_do_not_carry_is_not_looked_at(time):
    worker = SignedRequests(KEY.encode, lambda rule: None, time.clocks.wall)
    assert worker.headers == {HEADER}
    assert worker.find(request(baggage())) is None
    assert worker.live.tally.matched == 0


# In a service.


def service(time, **options):
    given = {"enabled": True, "store": "memory:", "environ": {}, "registry": CollectorRegistry()}
    given |= {"clock": time.clocks.monotonic, "fault_signing_key": KEY, "fault_propagation": True}
    return build.build({**given, **options}).injector


def passed_on(injector, asking):
    """As middlewares do it: what calls carry at first; None: nothing was ever to be passed on."""
    view = injector.current()
    if not view.rules.carries:
        return None
    view.rules.candidates(asking)
    return injector.carry(view, asking)


def planned(injector, asking):
    view = injector.current()
    plan = injector.decide(view, view.rules.candidates(asking), asking)
    return [] if plan is None else [injection.kind for injection in plan.injections]


def test_a_service_passes_on_and_another_one_does_it(time):
    current = passed_on(service(time), on_the_way(baggage()))
    assert planned(service(time), request(f"faultware-request={current()}")) == ["abort"]


def test_nobody_passes_anything_on_unless_asked_to(time):
    injector = service(time, fault_propagation=False)
    assert not injector.current().rules.carries
    assert injector.current().header_names == {"HTTP_FAULTWARE_REQUEST"}
    assert planned(injector, request(baggage())) == []


def test_requests_without_baggage_keep_their_fast_way(time):
    injector = service(time, rules="/pay 1% abort 503")
    view = injector.current()
    view.rules.find("/quiet")
    assert "/quiet" in view.nearly_quiet
    assert view.raw_header_names == {b"baggage", HEADER.encode()}


def test_a_kill_ends_what_is_being_passed_on(time):
    injector = service(time)
    current = passed_on(injector, on_the_way(baggage()))
    assert current()
    injector.switch.kill("me")
    assert current() == ""
    assert passed_on(injector, on_the_way(baggage())) is None
    injector.switch.arm("me")
    assert current(), "the same request goes on, and its fault request with it"


def test_what_was_armed_for_a_time_passes_nothing_on_afterwards(time):
    injector = service(time)
    injector.current()
    injector.switch.arm("me", 60)
    injector.refresh()
    current = passed_on(injector, on_the_way(baggage(lifetime_seconds=300)))
    assert current()
    time.now += 60
    assert current() == ""


def test_in_a_dry_run_nothing_is_passed_on(time):
    assert passed_on(service(time, dry_run=True), on_the_way(baggage())) is None


@pytest.mark.parametrize(("path", "is_carried"), [("/checkout", False), ("/healthz", False), ("/other", True)])
def test_paths_that_faults_never_reach_pass_nothing_on(time, path, is_carried):
    injector = service(time, exclude="/checkout")
    assert (passed_on(injector, on_the_way(baggage(), path=path)) is not None) is is_carried


def test_each_service_holds_it_to_its_own_bounds(time):
    asking = request(baggage("delay 30s"))
    injector = service(time, max_delay="1s")
    view = injector.current()
    assert injector.decide(view, view.rules.candidates(asking), asking).delay_seconds == 1
    assert planned(service(time, max_percentage="0%"), request(baggage())) == []
    assert planned(service(time), request(baggage("raise TimeoutError"))) == []
    assert planned(service(time, exclude="/charge"), request(baggage())) == []
    assert planned(service(time, fault_signing_key=OTHER_KEY), request(baggage())) == []


def test_a_bug_on_the_way_lets_the_request_pass_and_is_counted(time, monkeypatch):
    injector = service(time)
    monkeypatch.setattr(SignedRequests, "carry", lambda *_: 1 / 0)
    assert passed_on(injector, on_the_way(baggage())) is None
    assert injector.internal_errors == {"decide": 1}


def test_what_is_ignored_is_counted_under_the_name_of_signed_requests(time):
    injector = service(time)
    passed_on(injector, on_the_way("faultware-request=x"))
    text = injector.metrics.render("")[0].decode()
    assert f'faultware_faults_suppressed_total{{reason="unsigned",rule="{NAME}"}} 1.0' in text


def test_a_bug_while_a_call_is_made_passes_nothing_on_and_is_counted(time, monkeypatch):
    injector = service(time)
    current = passed_on(injector, on_the_way(baggage()))
    monkeypatch.setattr("faultware.signing.Errand.passed_on", lambda *_: 1 / 0)
    assert current() == ""
    assert injector.internal_errors == {"decide": 1}
