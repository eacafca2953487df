"""Rules: what they may consist of, their names, and how they print."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given

import faultware
from faultware.core.delays import Exponential
from faultware.core.faults import Abort, Delay, DelayResponse, Hang, Raise
from faultware.core.matching import Match, PathMatch, TextMatch
from faultware.core.rules import NAME, Choice, Rule
from faultware.core.sampling import SampleBy
from faultware.errors import RuleError
from tests.strategies import rules


def _refusal(**arguments):
    with pytest.raises(RuleError) as caught:
        Rule(**{"percentage": 10, "abort": Abort(503), **arguments})
    return str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"abort": None}, "a fault is missing (such as abort, delay, reset, truncate)"),
        ({"hang": Hang()}, "two faults end the request: abort and hang (write two rules; each rolls its own dice)"),
        ({"raise_": Raise("X")}, "two faults end the request: abort and raise"),
        ({"percentage": 101}, "percentage: 101 is not a percentage"),
        ({"percentage": math.nan}, "percentage: nan is not a percentage"),
        ({"percentage": "10"}, "percentage: '10' is not a percentage"),
        ({"count": 0}, "count: 0 is not a count (a whole number from 1 to 1000000000)"),
        ({"count": 1.5}, "count: 1.5 is not a count"),
        ({"count": True}, "count: True is not a count"),
        ({"count": 10**9 + 1}, "is not a count"),
        ({"every": 0}, "every: 0 is not a count"),
        ({"every": "2"}, "every: '2' is not a count"),
        ({"lifetime_seconds": 0}, "for: 0 seconds are not possible"),
        ({"lifetime_seconds": -1}, "for: -1 seconds are not possible"),
        ({"lifetime_seconds": math.nan}, "for: nan seconds are not possible"),
        ({"lifetime_seconds": math.inf}, "for: inf seconds are not possible"),
        ({"lifetime_seconds": 400 * 86400}, "for: 34560000 seconds are not possible"),
        ({"lifetime_seconds": "5m"}, "for: '5m' seconds are not possible"),
        ({"lifetime_seconds": True}, "for: True seconds are not possible"),
        ({"group": "A"}, "group: 'A' is not a group's name (lower-case letters"),
        (
            {"name": "Pay"},
            "name: 'Pay' is not a rule name (lower-case letters, digits, - and _, beginning",
        ),
        ({"name": "7up"}, "name: '7up' is not a rule name"),
        ({"name": "a" * 64}, "is not a rule name"),
        ({"name": "a\n"}, "is not a rule name"),
        ({"name": "a;b"}, "is not a rule name"),
        ({"name": 7}, "name: 7 is not a rule name"),
        ({"match": "/pay"}, "match: '/pay' is no Match (write Match(…))"),
        ({"match": None}, "match: None is no Match"),
        ({"abort": 503}, "abort: 503 is no Abort (write Abort(…))"),
        ({"delay": 0.2}, "delay: 0.2 is no Delay (write Delay(…))"),
        ({"abort": None, "raise_": "X"}, "raise_: 'X' is no Raise"),
        ({"abort": None, "hang": True}, "hang: True is no Hang"),
        ({"sample_by": "client"}, "sample_by: 'client' is no SampleBy"),
        ({"group": 7}, "group: 7 is not a group's name"),
        ({"percentage": 10**400}, "is not a percentage (a percentage lies between 0 and 100)"),
        ({"lifetime_seconds": 10**400}, "seconds are not possible"),
        ({"choose": 7}, "choose: these are no alternatives (write [Choice(1, Abort(503)), …])"),
        ({"choose": [Abort(503)]}, "choose: these are no alternatives"),
        ({"fallback": Abort(503, template=True)}, "fallback: a fallback has no gaps (leave template out)"),
    ],
)
def test_a_rule_that_is_not_possible_is_refused(arguments, message):
    assert message in _refusal(**arguments)


def test_alternatives_may_come_from_anything_that_can_be_gone_through():
    choices = [Choice(1, Abort(503)), Choice(2, Hang())]
    for several in (choices, iter(choices), tuple(choices)):
        assert Rule("a", percentage=1, choose=several).choose == tuple(choices)


def test_the_percentage_is_mandatory():
    with pytest.raises(TypeError, match="percentage"):
        Rule("a", abort=Abort(503))


def test_the_delay_acts_before_what_ends_the_request():
    rule = Rule(percentage=1, abort=Abort(503), delay=Delay(1))
    assert [fault.kind for fault in rule.faults] == ["delay", "abort"]


def test_a_name_of_63_characters_is_accepted():
    assert Rule("a" * 63, percentage=1, abort=Abort(503)).name == "a" * 63


def test_rules_with_the_same_content_are_equal():
    def build(name):
        return Rule(name, Match("/a", headers={"X-A": "1"}), percentage=10, delay=Delay(0.2, jitter_seconds=0.1))

    assert build("a") == build("a")
    assert hash(build("a")) == hash(build("a"))
    assert build("a") != build("b")
    assert build("") == build("")


CONTENT = {
    "match": Match("/pay"),
    "percentage": 10,
    "abort": Abort(503),
    "count": None,
    "every": None,
    "sample_by": None,
    "group": "",
    "lifetime_seconds": None,
    "delay": None,
}


@pytest.mark.parametrize(
    "change",
    [
        {"match": Match("/pay", methods=["GET"])},
        {"match": Match(PathMatch(exact="/pay"))},
        {"match": Match("/pay", headers={"x-a": "1"})},
        {"match": Match("/pay", headers={"x-a": TextMatch(exact="1", invert=True)})},
        {"percentage": 11},
        {"abort": Abort(504)},
        {"abort": Abort(503, percentage=50)},
        {"abort": Abort(503, headers={"retry-after": "1"})},
        {"delay": Delay(1)},
        {"count": 1},
        {"every": 2},
        {"sample_by": SampleBy("client")},
        {"group": "g"},
        {"lifetime_seconds": 60},
    ],
)
def test_a_derived_name_depends_on_everything_but_the_position(change):
    assert Rule(**CONTENT).name == Rule(**CONTENT).name
    assert Rule(**CONTENT).name != Rule(**{**CONTENT, **change}).name


@pytest.mark.parametrize(
    ("rule", "beginning"),
    [
        (Rule(match=Match("/pay/{id}"), percentage=1, abort=Abort(503)), "pay-id-abort-"),
        (Rule(percentage=1, delay=Delay(1), hang=Hang()), "delay-hang-"),
        (Rule(match=Match("/7"), percentage=1, abort=Abort(503)), "rule-7-abort-"),
        (Rule(match=Match("/日本"), percentage=1, abort=Abort(503)), "abort-"),
        (Rule(match=Match("/" + "a" * 500), percentage=1, abort=Abort(503)), "aaaaaaaa"),
        (Rule(match=Match("/\ud800"), percentage=1, abort=Abort(503)), "abort-"),
    ],
)
def test_a_derived_name_begins_with_the_path_and_the_faults(rule, beginning):
    assert rule.name.startswith(beginning)
    assert NAME.fullmatch(rule.name)


@given(rules())
def test_every_derived_name_is_a_name(rule):
    assert NAME.fullmatch(rule.derived_name())


def test_ten_thousand_derived_names_with_the_same_beginning_are_different():
    """The digest has 40 bits: a chance of 1 in 22,000 that two of 10,000 names are the same, and these are fixed."""
    prefix = "/" + "a" * 80
    names = {Rule(match=Match(f"{prefix}/{number}"), percentage=1, abort=Abort(503)).name for number in range(10_000)}
    assert len(names) == 10_000


def test_a_derived_name_is_the_same_in_every_process():
    program = """
from faultware import Abort, Delay, Match, Rule
match = Match("/pay", methods=["POST", "GET", "PUT"], headers={"x-b": "1", "x-a": "2"}, query={"q": "1"})
print(Rule(match=match, percentage=10, abort=Abort(503), delay=Delay(1)).name)
"""
    names = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout
        for seed in ("1", "2", "77")
    }
    assert len(names) == 1


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (Rule("a", Match("/pay"), percentage=10, abort=Abort(503)), "/pay 10% abort 503 as a"),
        (
            Rule("a", Match("/pay", methods=["POST", "GET"]), percentage=0.5, delay=Delay(0.2, jitter_seconds=0.05)),
            "GET,POST /pay 0.5% delay 200ms±50ms as a",
        ),
        (
            Rule("a", Match("/pay/**", headers={"X-Canary": "1"}), percentage=5, delay=Delay(1), abort=Abort(504)),
            "/pay/** header:x-canary=1 5% delay 1s + abort 504 as a",
        ),
        (Rule("a", Match("/pay"), percentage=100, count=3, abort=Abort(503)), "/pay 3x abort 503 as a"),
        (Rule("a", Match("/pay"), percentage=10, count=3, abort=Abort(503)), "/pay 10% 3x abort 503 as a"),
        (Rule("a", Match("/"), percentage=1, hang=Hang()), "/ 1% hang as a"),
        (Rule("a", Match("/"), percentage=1, hang=Hang(90)), "/ 1% hang 1m30s as a"),
        (Rule("a", Match("/"), percentage=1, raise_=Raise("X"), lifetime_seconds=300), "/ 1% raise X for 5m as a"),
        (
            Rule(
                "a",
                Match("/a", query={"q": "1"}, cookies={"c": "2"}, host="h.example", client="10.0.0.0/8"),
                percentage=1,
                hang=Hang(),
            ),
            "/a query:q=1 cookie:c=2 host=h.example client=10.0.0.0/8 1% hang as a",
        ),
    ],
)
def test_a_rule_prints_itself_in_one_line(rule, line):
    assert str(rule) == line


def test_a_derived_name_is_not_printed():
    assert str(Rule(match=Match("/pay"), percentage=10, abort=Abort(503))) == "/pay 10% abort 503"


@pytest.mark.parametrize(
    "rule",
    [
        Rule("a", percentage=1, abort=Abort(503)),
        Rule("a", Match(PathMatch(regex="/a.*")), percentage=1, abort=Abort(503)),
        Rule("a", Match("/a b"), percentage=1, abort=Abort(503)),
        Rule("a", Match("/a;b"), percentage=1, abort=Abort(503)),
        Rule("a", Match("/a", headers={"x": "a b"}), percentage=1, abort=Abort(503)),
        Rule("a", Match("/a", headers={"x": TextMatch(prefix="a")}), percentage=1, abort=Abort(503)),
        Rule("a", Match("/a", client=["10.0.0.1", "10.0.0.2"]), percentage=1, abort=Abort(503)),
        Rule("a", Match("/a"), percentage=1, abort=Abort(503, body="x")),
        Rule("a", Match("/a"), percentage=1, abort=Abort(503, percentage=50)),
        Rule("a", Match("/a"), percentage=1, delay=Delay(Exponential(1, 9))),
        Rule("a", Match("/a"), percentage=1, every=2, abort=Abort(503)),
        Rule("a", Match("/a"), percentage=1, group="g", abort=Abort(503)),
        Rule("a", Match("/a"), percentage=1, sample_by=SampleBy("client"), abort=Abort(503)),
    ],
)
def test_what_one_line_cannot_say_is_printed_as_a_document(rule):
    document = json.loads(str(rule))
    assert document["name"] == "a"
    assert document["percentage"] == 1


@given(rules())
def test_a_printed_rule_is_one_line_or_json_and_holds_its_name(rule):
    text = str(rule)
    if text.startswith("{"):
        assert json.loads(text)["name"] == rule.name
    else:
        assert "\n" not in text
        assert ";" not in text
        assert re.search(rf" as {re.escape(rule.name)}$", text) or rule.name == rule.derived_name()


@given(rules())
def test_a_rule_prints_itself_in_python_as_it_could_be_written(rule):
    assert eval(repr(rule), vars(faultware)) == rule


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Match(), "Match()"),
        (Match("/pay"), "Match('/pay')"),
        (Match(PathMatch(exact="/pay", invert=True)), "Match(PathMatch(exact='/pay', invert=True))"),
        (
            Match("/pay", methods=["POST", "GET"], headers={"X-A": "1", "b": TextMatch(present=False)}, host="shop"),
            "Match('/pay', methods=['GET', 'POST'], headers={'b': TextMatch(present=False), 'x-a': '1'}, host='shop')",
        ),
        (Delay(0.2), "Delay(0.2)"),
        (
            Delay(Exponential(1, 9), percentage=5),
            "Delay(Exponential(mean_seconds=1.0, max_seconds=9.0), percentage=5.0)",
        ),
        (DelayResponse(1), "DelayResponse(1.0)"),
        (Abort(503), "Abort(503)"),
        (Abort(503, body={}), "Abort(503, body=b'{}', content_type='application/json')"),
        (Abort(503, body="", headers={"x": "1"}), "Abort(503, body=b'', headers=(('x', '1'),))"),
        (
            Rule("a", Match("/pay"), percentage=10, abort=Abort(503)),
            "Rule('a', match=Match('/pay'), percentage=10.0, abort=Abort(503))",
        ),
    ],
    ids=str,
)
def test_what_is_printed_in_python_says_nothing_that_goes_without_saying(value, text):
    assert repr(value) == text
