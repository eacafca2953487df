"""Faults that requests ask for themselves: which are heard, which are ignored, and what bounds them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from faultware.core.exemptions import Exemptions
from faultware.core.matching import PathMatch
from faultware.core.request import Request
from faultware.core.ruleset import RuleSet
from faultware.runtime import build, signed
from faultware.runtime.signed import MAX_NONCES, NAME, SignedRequests
from faultware.signing import HEADER, sign
from tests.runtime.kit import BEGIN

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def time(built_time):
    return built_time


@pytest.fixture
def signed_requests(time):
    return SignedRequests(KEY.encode, lambda rule: None, time.clocks.wall)


def request(faults="abort 503", *, method="GET", path="/pay", value=None, **how):
    value = sign(KEY, method, path, faults, **{"now": BEGIN, **how}) if value is None else value
    return Request(method, path, headers=[(HEADER, value)])


def kinds(live):
    return [] if live is None else [fault.kind for fault in live.rule.faults]


def ignored(signed_requests):
    return +signed_requests.live.tally.suppressed


def test_a_signed_request_gets_what_it_asks_for(signed_requests):
    live = signed_requests.find(request("delay 200ms±50ms + abort 503"))
    assert kinds(live) == ["delay", "abort"]
    assert (live.rule.name, live.rule.percentage, live.rule.match.path) == (NAME, 100, PathMatch(exact="/pay"))
    assert ignored(signed_requests) == {}


def test_a_request_without_the_header_is_no_attempt(signed_requests):
    assert signed_requests.find(Request()) is None
    assert signed_requests.live.tally.matched == 0


def test_a_path_may_be_anything(signed_requests):
    for path in ("/a b;c", "/ö", "/a*/{b}", "/" + "x" * 500, "/a\n"):
        assert kinds(signed_requests.find(request(path=path))) == ["abort"]


def test_a_header_is_good_for_its_time_and_no_longer(signed_requests, time):
    late = request(lifetime_seconds=60)
    time.jump(60)
    assert signed_requests.find(late) is None
    assert ignored(signed_requests) == {"stale": 1}
    assert kinds(signed_requests.find(request(now=BEGIN + 60))) == ["abort"]


def test_a_header_that_would_be_good_for_long_is_ignored(signed_requests, time):
    early = request(lifetime_seconds=300, now=BEGIN + 1)
    assert signed_requests.find(early) is None
    assert ignored(signed_requests) == {"long_lived": 1}
    time.jump(1)
    assert kinds(signed_requests.find(early)) == ["abort"]


def test_a_header_is_good_once(signed_requests, time):
    again = request(lifetime_seconds=300)
    assert kinds(signed_requests.find(again)) == ["abort"]
    for _ in range(3):
        time.jump(99)
        assert signed_requests.find(again) is None
    time.jump(99)
    assert signed_requests.find(again) is None
    assert ignored(signed_requests) == {"replayed": 3, "stale": 1}


def test_a_header_that_is_sent_again_is_not_read_again(signed_requests, monkeypatch):
    signed_requests.find(again := request())
    monkeypatch.setattr(signed, "parse_rules", None)
    assert signed_requests.find(again) is None
    assert ignored(signed_requests) == {"replayed": 1}


@pytest.mark.parametrize("value", ["", "x", "v1.2.3.4.5", "é" * 100])
def test_what_is_not_signed_is_ignored(signed_requests, value):
    assert signed_requests.find(request(value=value)) is None
    assert ignored(signed_requests) == {"unsigned": 1}


def test_two_headers_are_as_good_as_none(signed_requests):
    value = sign(KEY, "GET", "/pay", "abort 503", now=BEGIN)
    for headers in ([(HEADER, value), (HEADER, value)], [(HEADER, f"{value},{value}")]):
        assert signed_requests.find(Request("GET", "/pay", headers=headers)) is None
    assert ignored(signed_requests) == {"unsigned": 2}


@pytest.mark.parametrize(
    "faults",
    [
        "explode",
        "abort",
        "10% abort 503",
        "3x abort 503",
        "10% 3x abort 503",
        "abort 503 for 5m",
        "abort 503 as other",
        "abort 503; / 100% hang",
        "abort 503\n/ 100% hang",
        "abort 503 + hang",
        "websocket_refuse",
        "kill",
        "block 1s",
        "cpu 50%",
        "memory 1MB 10s",
        ";",
        " ",
    ],
)
def test_what_is_more_than_faults_of_one_request_is_ignored(signed_requests, faults):
    assert signed_requests.find(request(faults)) is None
    assert ignored(signed_requests) == {"unreadable": 1}


def test_nonces_are_forgotten_when_their_time_is_over_and_not_before(signed_requests, time):
    signed_requests._nonces = {str(number): int(BEGIN) + 10 for number in range(MAX_NONCES)}
    assert signed_requests.find(request()) is None, "rather none than one for the second time"
    assert ignored(signed_requests) == {"replayed": 1}
    time.jump(10)
    assert kinds(signed_requests.find(request(now=BEGIN + 10))) == ["abort"]
    assert len(signed_requests._nonces) == 1


# In a rule set.


def test_what_a_request_asks_for_comes_before_the_rules_for_all(signed_requests):
    rules = RuleSet(asking=signed_requests)
    assert rules.header_names == {HEADER}
    (asked,) = rules.candidates(request())
    assert (asked.rule.name, asked.is_simple) == (NAME, False)  # it can expire
    assert rules.candidates(Request("GET", "/pay")) == ()


def test_excluded_paths_are_left_alone_whoever_asks(signed_requests):
    rules = RuleSet((), Exemptions(excluded=(PathMatch(segments="/pay"),)), asking=signed_requests)
    assert rules.candidates(request()) == ()
    assert [live.rule.name for live in rules.candidates(request(path="/healthz"))] == [NAME]


# In a service.


def service(time, **options):
    given = {"enabled": True, "store": "memory:", "environ": {}, "registry": CollectorRegistry()}
    return build.build({**given, "clock": time.clocks.monotonic, "fault_signing_key": KEY, **options})


def plan(injector, asking):
    view = injector.current()
    if HEADER not in view.rules.header_names:
        return None
    return injector.decide(view, view.rules.candidates(asking), asking)


def names(planned):
    return [injection.kind for injection in planned.injections]


def ask(faults="abort 503", **how):
    return request(faults, now=BEGIN, **how)


def test_a_service_with_a_key_and_without_rules_does_what_is_asked(time):
    injector = service(time).injector
    assert injector.current().header_names
    assert names(plan(injector, ask())) == ["abort"]


def test_without_a_key_nothing_looks_at_the_header(time):
    injector = service(time, fault_signing_key=None).injector
    view = injector.current()
    assert not view.rules.counted
    assert (view.header_names, view.raw_header_names, view.rules.header_names) == (frozenset(),) * 3


def test_no_key_changes_what_the_index_remembers(time):
    with_key, without = (
        service(time, fault_signing_key=key, rules="/pay 1% abort 503").injector for key in (KEY, None)
    )
    assert with_key.current().raw_header_names == {HEADER.encode()}
    assert without.current().raw_header_names == frozenset()
    without.current().rules.find("/pay")
    assert without.current().known


def test_while_killed_nobody_is_heard_and_nothing_is_read(time):
    injector = service(time).injector
    injector.switch.kill("me")
    assert not injector.current().rules.counted
    assert injector.view.is_off
    assert plan(injector, ask()) is None
    assert injector.readings().live[-1].tally.matched == 0


def test_what_was_armed_for_a_time_ends_for_signed_requests_too(time):
    injector = service(time).injector
    injector.current()
    injector.switch.arm("me", 60)
    injector.refresh()
    assert plan(injector, ask()) is not None
    time.now += 60
    assert plan(injector, ask()) is None


def test_the_bounds_of_the_service_hold(time):
    injector = service(time, max_delay="1s").injector
    assert plan(injector, ask("delay 30s")).delay_seconds == 1
    assert plan(service(time, max_percentage="0%").injector, ask()) is None
    assert plan(service(time, dry_run=True).injector, ask()) is None


def test_only_registered_exceptions_are_raised(time):
    assert plan(service(time).injector, ask("raise TimeoutError")) is None
    assert plan(service(time, exceptions=[TimeoutError]).injector, ask("raise TimeoutError")) is not None


def test_what_is_ignored_and_what_is_done_is_counted(time):
    injector = service(time).injector
    done = plan(injector, ask())
    injector.injected(done.injections[0], ask())
    plan(injector, request(value="x"))
    text = injector.metrics.render("")[0].decode()
    assert f'faultware_faults_injected_total{{fault="abort",rule="{NAME}"}} 1.0' in text
    assert f'faultware_faults_suppressed_total{{reason="unsigned",rule="{NAME}"}} 1.0' in text
    assert f'faultware_rule_matches_total{{rule="{NAME}"}} 2.0' in text
    assert injector.readings().rules == 0


def test_a_key_in_a_file_is_read_again(time, tmp_path):
    file = tmp_path / "key"
    file.write_text("x" * 40 + "\n")
    injector = service(time, fault_signing_key=None, fault_signing_key_file=file).injector
    assert plan(injector, ask()) is None
    file.write_text(KEY + "\n")
    injector.tick()
    assert names(plan(injector, ask())) == ["abort"]
    file.write_text("short")
    injector.tick()
    assert names(plan(injector, ask())) == ["abort"]
    assert injector.internal_errors == {"keys": 1}


def test_the_key_is_shown_nowhere(time):
    built = service(time)
    plan(built.injector, request(value="x"))
    said = [repr(built), repr(built.settings), str(built.settings.model_dump()), str(built.events.since(0))]
    assert not [text for text in said if KEY in text]
