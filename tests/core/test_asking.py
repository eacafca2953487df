"""Faults that a request asks for by Envoy's headers: which numbers count, how often, and whose."""

from __future__ import annotations

import math
import random

import pytest

from faultware.core.asking import ByHeaders
from faultware.core.engine import Engine, Limits
from faultware.core.faults import Abort, Delay, Throttle
from faultware.core.matching import Match
from faultware.core.request import Request
from faultware.core.rules import Rule
from faultware.core.ruleset import LiveRule, RuleSet
from faultware.core.sampling import Dice
from faultware.errors import RuleError

ABORT = "x-envoy-fault-abort-request"
GRPC = "x-envoy-fault-abort-grpc-request"
DELAY = "x-envoy-fault-delay-request"
LIMIT = "x-envoy-fault-throughput-response"
EVERYTHING = ByHeaders(100, 100, 100)


def asked(by_headers, *headers):
    return list(by_headers.asked(Request(headers=headers)))


def chosen(plan):
    return [injection.kind for injection in plan.injections] if plan else []


def decide(rule, *headers, may_ask=None, client="", dice=None):
    engine = Engine(Dice(dice or random.Random(7).random), Limits(), may_ask)
    return engine.decide(RuleSet([LiveRule(rule)]).live, Request(headers=headers, client=client), 0.0)


def test_a_request_asks_for_a_delay_an_abort_and_a_limit():
    down = Abort(503, body="fault filter abort", content_type="text/plain")
    found = asked(EVERYTHING, (ABORT, "503"), (DELAY, "1500"), (LIMIT, "10"))
    assert found == [Delay(1.5), down, Throttle(10_240)]


@pytest.mark.parametrize("value", ["429", " 429\t", "+429", "0429"])
def test_these_are_numbers(value):
    (abort,) = asked(EVERYTHING, (ABORT, value))
    assert abort.status == 429


@pytest.mark.parametrize(
    "value",
    ["", "-1", "429abc", "429.0", "0x1ad", "4_29", "1e2", "٤٢٩", "429,500", "199", "600", str(2**64 + 429), "9" * 99],
)
def test_these_are_none_and_the_request_passes(value):
    assert asked(EVERYTHING, (ABORT, value)) == []


@pytest.mark.parametrize(
    ("name", "value"), [(DELAY, "0"), (DELAY, "60ms"), (LIMIT, "0"), (LIMIT, "-1"), (DELAY, str(2**64))]
)
def test_nothing_is_no_delay_and_no_limit(name, value):
    assert asked(EVERYTHING, (name, value)) == []


def test_the_first_line_counts_and_is_good_or_bad_for_all():
    assert asked(EVERYTHING, (ABORT, "503"), (ABORT, "404"))[0].status == 503
    assert asked(EVERYTHING, (ABORT, "x"), (ABORT, "404")) == []


@pytest.mark.parametrize(("value", "status"), [("0", 0), ("14", 14), ("17", 17), (str(2**32), 0), (str(2**32 + 5), 5)])
def test_a_grpc_status_is_passed_on_as_32_bits(value, status):
    (abort,) = asked(EVERYTHING, (GRPC, value))
    assert (abort.status, abort.grpc_status) == (200, status)


def test_a_status_of_http_beats_one_of_grpc_unless_it_is_none():
    assert asked(EVERYTHING, (ABORT, "503"), (GRPC, "5"))[0].grpc_status is None
    assert asked(EVERYTHING, (ABORT, "x"), (GRPC, "5"))[0].grpc_status == 5


def test_a_status_without_body_gets_none():
    assert asked(EVERYTHING, (ABORT, "204"))[0].body == b""
    assert asked(ByHeaders(abort=100, body="gone"), (ABORT, "500"))[0].body == b"gone"


def test_what_is_not_allowed_is_not_heeded():
    assert asked(ByHeaders(delay=100), (ABORT, "503"), (LIMIT, "1")) == []
    assert asked(ByHeaders(abort=100), (DELAY, "5")) == []


@pytest.mark.parametrize(
    ("most", "of", "header", "percentage"),
    [
        (100, 100, None, 100),
        (30, 100, None, 30),
        (30, 100, "10", 10),
        (30, 100, "50", 30),
        (30, 100, "x", 30),
        (30, 100, "", 30),
        (30, 100, str(2**32), 30),
        (30, 100, "0", 0),
        (500_000, 1_000_000, "50", 0.005),
        (500_000, 1_000_000, None, 50),
        (400, 100, None, 100),
        (400, 100, "4000", 100),
        (7, 10_000, None, 0.07),
    ],
)
def test_a_header_lowers_a_percentage_and_never_raises_it(most, of, header, percentage):
    headers = [(ABORT, "503")] + ([] if header is None else [(f"{ABORT}-percentage", header)])
    (abort,) = asked(ByHeaders(abort=most, abort_of=of), *headers)
    assert abort.percentage == pytest.approx(percentage)
    grpc = [(GRPC, "5"), *headers[1:]]
    assert asked(ByHeaders(abort=most, abort_of=of), *grpc)[0].percentage == abort.percentage


def test_nobody_may_ask_unless_the_engine_is_told_who():
    rule = Rule("a", percentage=100, by_headers=EVERYTHING)
    assert decide(rule, (ABORT, "503")) is None
    here = Match(client="10.0.0.0/8").accepts_rest
    assert decide(rule, (ABORT, "503"), may_ask=here, client="192.168.0.1") is None
    assert decide(rule, (ABORT, "503"), may_ask=here, client="") is None
    assert chosen(decide(rule, (ABORT, "503"), may_ask=here, client="10.1.2.3")) == ["abort"]


def test_what_is_asked_for_comes_in_addition_to_what_a_rule_does_anyway():
    rule = Rule("a", percentage=100, delay=Delay(1), by_headers=ByHeaders(abort=100))
    assert chosen(decide(rule, may_ask=lambda _: True)) == ["delay"]
    plan = decide(rule, (ABORT, "404"), may_ask=lambda _: True)
    assert (chosen(plan), plan.ending.fault.status, plan.delay_seconds) == (["delay", "abort"], 404, 1)


@pytest.mark.parametrize(
    ("most", "header", "share"), [(100, "30", 0.3), (30, None, 0.3), (30, "90", 0.3), (100, "0", 0)]
)
def test_the_observed_share_is_the_lower_one(most, header, share):
    rule = Rule("a", percentage=100, by_headers=ByHeaders(abort=most))
    headers = [(ABORT, "503")] + ([] if header is None else [(f"{ABORT}-percentage", header)])
    dice, tries = random.Random(3).random, 5000
    hits = sum(decide(rule, *headers, may_ask=lambda _: True, dice=dice) is not None for _ in range(tries))
    assert abs(hits - tries * share) <= 5 * math.sqrt(tries * share * (1 - share))


def test_a_bound_on_the_share_of_faults_counts_what_may_be_asked_for():
    rule = Rule("a", percentage=100, by_headers=ByHeaders(abort=100))
    engine = Engine(Dice(random.Random(5).random), Limits(max_percentage=20), lambda _: True)
    live = RuleSet([LiveRule(rule)]).live
    hits = sum(engine.decide(live, Request(headers=[(ABORT, "503")]), 0.0) is not None for _ in range(5000))
    assert abs(hits - 1000) <= 5 * math.sqrt(5000 * 0.2 * 0.8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing may be asked for (such as {abort: 100})"),
        ({"abort": -1}, "abort: -1 is not a possible number"),
        ({"abort": 1, "abort_of": 1000}, "abort_of: 1000 is not possible (100, 10000 or 1000000)"),
        ({"abort": 1, "body": 7}, "body: 7 is not a text"),
    ],
)
def test_what_cannot_be_is_refused(given, message):
    with pytest.raises(RuleError) as caught:
        ByHeaders(**given)
    assert message in str(caught.value)


def test_a_rule_aborts_either_way_but_not_both():
    with pytest.raises(RuleError, match="two faults end the request: abort and abort by headers"):
        Rule(percentage=1, abort=Abort(503), by_headers=ByHeaders(abort=1))
    with pytest.raises(RuleError, match="by_headers: 7 is no ByHeaders"):
        Rule(percentage=1, abort=Abort(503), by_headers=7)
