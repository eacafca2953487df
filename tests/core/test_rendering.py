"""How rules, numbers and lengths of time are written down."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.core.delays import Exponential, LogNormal, Normal, Pareto, Uniform
from faultware.core.faults import Abort, Delay, Hang, Raise
from faultware.core.matching import Match, PathMatch, TextMatch
from faultware.core.rendering import duration, fault_document, match_document, number, percentage, rule_document
from faultware.core.rules import Rule
from faultware.core.sampling import SampleBy
from tests.strategies import rules


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.2, "200ms"),
        (0.0005, "0.5ms"),
        (0.000001, "0.001ms"),
        (1, "1s"),
        (1.5, "1s500ms"),
        (60, "1m"),
        (90, "1m30s"),
        (3600, "1h"),
        (5400.25, "1h30m250ms"),
        (86400, "24h"),
    ],
)
def test_a_length_of_time_is_written_in_units(seconds, text):
    assert duration(seconds) == text


_UNITS = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1000}


@given(st.integers(0, 86_400_000_000))
def test_what_is_written_is_exact_to_the_microsecond(microseconds):
    text = duration(microseconds / 1_000_000)
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", text)
    assert "".join(map("".join, parts)) == text
    assert sum(round(float(value) * _UNITS[unit]) for value, unit in parts) == microseconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (10.0, "10"), (0.5, "0.5"), (1e-7, "0.0000001"), (1e-25, "0." + "0" * 24 + "1"), (33.3, "33.3")],
)
def test_a_number_is_written_in_plain_decimals(value, text):
    assert number(value) == text


@given(st.floats(0, 100))
def test_a_written_number_reads_back_as_the_same_number(value):
    assert float(number(value)) == value
    assert re.fullmatch(r"\d+(\.\d+)?", number(value))


@pytest.mark.parametrize(
    ("value", "written"), [(0, 0), (0.5, "0.5%"), (0.001, "0.001%"), (1, 1), (12.5, 12.5), (100, 100)]
)
def test_a_percentage_below_one_is_written_with_its_sign(value, written):
    assert percentage(float(value)) == written
    assert isinstance(percentage(float(value)), type(written))


@pytest.mark.parametrize(
    ("fault", "document"),
    [
        (Delay(0.2), {"fixed": "200ms"}),
        (Delay(0.2, jitter_seconds=0.05), {"fixed": "200ms", "jitter": "50ms"}),
        (Delay(Uniform(0.1, 0.100001)), {"min": "100ms", "max": "100.001ms"}),
        (Delay(1, percentage=50), {"fixed": "1s", "percentage": 50}),
        (Delay(Normal(1, 0.5, 9)), {"distribution": "normal", "mean": "1s", "deviation": "500ms", "max": "9s"}),
        (Delay(LogNormal(1, 0.5, 9)), {"distribution": "lognormal", "median": "1s", "sigma": 0.5, "max": "9s"}),
        (Delay(Exponential(1, 9)), {"distribution": "exponential", "mean": "1s", "max": "9s"}),
        (Delay(Pareto(1, 2, 9)), {"distribution": "pareto", "scale": "1s", "shape": 2.0, "max": "9s"}),
        (Abort(503), {"status": 503}),
        (Abort(204), {"status": 204}),
        (Abort(503, percentage=0.5), {"status": 503, "percentage": "0.5%"}),
        (Abort(503, body="x"), {"status": 503, "body": "x"}),
        (Abort(503, body=""), {"status": 503, "body": ""}),
        (Abort(503, body={"a": 1}), {"status": 503, "body": '{"a":1}', "content_type": "application/json"}),
        (Abort(503, body=b"\xff"), {"status": 503, "body_base64": "/w=="}),
        (Abort(503, headers={"Retry-After": "1"}), {"status": 503, "headers": {"Retry-After": "1"}}),
        (Abort(503, headers={"Content-Type": "a/b"}), {"status": 503, "headers": {"Content-Type": "a/b"}}),
        (
            Abort(503, headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")]),
            {"status": 503, "headers": [["set-cookie", "a=1"], ["set-cookie", "b=2"]]},
        ),
        (Abort(503, content_type="text/html", after=True), {"status": 503, "content_type": "text/html", "after": True}),
        (Raise("X"), {"exception": "X"}),
        (Hang(), {}),
        (Hang(5, percentage=1), {"duration": "5s", "percentage": 1}),
    ],
)
def test_a_fault_is_written_without_what_is_default(fault, document):
    assert fault_document(fault) == document


@pytest.mark.parametrize(
    ("match", "document"),
    [
        (Match(), {}),
        (Match("/pay"), {"path": "/pay"}),
        (Match("/pay/*"), {"path": "/pay/*"}),
        (Match(PathMatch(exact="/pay")), {"path": {"exact": "/pay"}}),
        (Match(PathMatch(segments="/a*")), {"path": {"segments": "/a*"}}),
        (
            Match(PathMatch(segments="/pay", ignore_case=True, invert=True)),
            {"path": {"segments": "/pay", "ignore_case": True, "invert": True}},
        ),
        (Match(methods=["POST", "GET"]), {"methods": ["GET", "POST"]}),
        (Match(headers={"X-A": "1"}), {"headers": {"x-a": "1"}}),
        (Match(query={"q": TextMatch(present=True)}), {"query": {"q": {"present": True}}}),
        (Match(query={"q": TextMatch(present=False)}), {"query": {"q": {"present": False}}}),
        (
            Match(cookies={"c": TextMatch(regex="a+", ignore_case=True)}),
            {"cookies": {"c": {"regex": "a+", "ignore_case": True}}},
        ),
        (Match(host="H.example"), {"host": "h.example"}),
        (Match(client=["10.0.0.1", "10.0.0.0/8"]), {"client": ["10.0.0.1/32", "10.0.0.0/8"]}),
    ],
)
def test_a_match_is_written_without_what_is_default(match, document):
    assert match_document(match) == document


def test_a_rule_is_written_with_all_it_says():
    rule = Rule(
        "a",
        Match("/pay"),
        percentage=10,
        delay=Delay(1),
        abort=Abort(503),
        count=3,
        every=2,
        sample_by=SampleBy("header", "X-User"),
        group="g",
        lifetime_seconds=90,
    )
    assert rule_document(rule) == {
        "name": "a",
        "match": {"path": "/pay"},
        "percentage": 10,
        "delay": {"fixed": "1s"},
        "abort": {"status": 503},
        "count": 3,
        "every": 2,
        "sample_by": "header:x-user",
        "group": "g",
        "for": "1m30s",
    }
    assert "name" not in rule_document(rule, with_name=False)


@given(rules())
def test_every_rule_is_written_as_plain_json(rule):
    document = rule_document(rule)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert math.isfinite(rule.percentage)
