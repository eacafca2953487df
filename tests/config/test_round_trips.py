"""What a rule prints reads back as an equal rule, in both forms, and the published schema accepts it."""

import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from faultware import (
    Abort,
    Choice,
    Delay,
    Hang,
    Match,
    PathMatch,
    Raise,
    ReplaceBody,
    RequestHeaders,
    ResponseHeaders,
    Rule,
    RuleError,
    TextMatch,
)
from faultware.config.documents import load_json, read_rules, read_text, rules_schema
from faultware.config.oneline import parse_rules
from faultware.config.quantities import parse_duration, parse_percentage, parse_rate, parse_size, read_percentage
from faultware.core.quantities import rate, size
from faultware.core.rendering import duration, number, percentage, rule_document, rule_line
from tests.strategies import rule_lists, rules

SCHEMA = Draft202012Validator(rules_schema())

slow = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
odd_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@slow
@given(rules())
def test_a_rule_reads_back_from_what_it_prints_and_the_schema_accepts_it(rule):
    assert read_text(str(rule)) == [rule]
    line = rule_line(rule)
    if line is not None:
        assert parse_rules(line) == [rule]
    document = rule_document(rule)
    assert read_rules(document) == [rule]
    assert read_rules(load_json(json.dumps(document))) == [rule]
    SCHEMA.validate(document)


@settings(slow, max_examples=30)
@given(rule_lists(max_size=4))
def test_several_rules_read_back_in_their_order(several):
    documents = {"rules": [rule_document(rule) for rule in several]}
    assert read_rules(documents) == several
    SCHEMA.validate(documents)
    lines = [rule for rule in several if rule_line(rule)]
    assert parse_rules("\n".join(map(str, lines))) == lines
    assert parse_rules(" ; ".join(map(str, lines))) == lines


@pytest.mark.parametrize(
    "document",
    [
        {"percentage": 0.5, "abort": 503},
        {"percentage": 101, "abort": 503},
        {"abort": 503},
        {"percentage": 10},
        {"percentage": 10, "abort": 700},
        {"percentage": 10, "abort": {"statsu": 503}},
        {"percentage": 10, "hang": "5"},
        {"percentage": 10, "delay": {"distribution": "nrmal"}},
        {"percentage": 10, "hang": {}, "name": "A B"},
        {"rules": [], "more": 1},
        7,
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(document):
    assert not SCHEMA.is_valid(document)
    with pytest.raises(RuleError):
        read_rules(document)


@slow
@given(path=odd_text, key=odd_text, value=odd_text, host=odd_text)
def test_texts_of_any_letters_read_back(path, key, value, host):
    try:
        match = Match(
            PathMatch(segments=f"/{path}"), query={key: value}, cookies={key: TextMatch(exact=value)}, host=host
        )
    except RuleError:
        return
    rule = Rule("odd", match, percentage=10, abort=Abort(503, body=value))
    assert read_text(str(rule)) == [rule]


@pytest.mark.parametrize(
    "rule",
    [
        Rule("a", Match(PathMatch(segments="/a{b")), percentage=1, hang=Hang()),
        Rule("a", Match(PathMatch(suffix=".js")), percentage=1, hang=Hang()),
        Rule("a", Match(PathMatch(glob="/no-star")), percentage=1, hang=Hang()),
        Rule("a", Match(PathMatch(template="/no-braces")), percentage=1, hang=Hang()),
        Rule("a", Match("/a", methods=["PRONE"]), percentage=1, hang=Hang()),
        Rule("a", Match("/a", headers={"B": "1", "a": "2"}), percentage=1, hang=Hang()),
        Rule("a", Match("/a", host=TextMatch(exact="Shop.Example.")), percentage=1, hang=Hang()),
        Rule("a", Match("/a", query={"a=b": "1"}), percentage=1, hang=Hang()),
        Rule("a", Match("/a", query={"a": "x;y"}), percentage=1, hang=Hang()),
        Rule("a", Match("/a b"), percentage=1, hang=Hang()),
        Rule("a", Match("/a"), percentage=5e-324, hang=Hang()),
        Rule("a", Match("/a"), percentage=1.5e-30, hang=Hang(), lifetime_seconds=0.000_001),
        Rule("a", percentage=1, abort=Abort(503, headers=[("set-cookie", "a"), ("set-cookie", "b"), ("x", "1")])),
        Rule("a", percentage=1, abort=Abort(503, body={}, headers={"Content-Type": "application/problem+json"})),
        Rule("a", percentage=1, abort=Abort(204)),
        Rule("a", percentage=1, abort=Abort(503, body={}, headers={"Content-Type": ""})),
        Rule("a", percentage=1, abort=Abort(503, body="")),
        Rule("a", percentage=1, abort=Abort(503, body=b"\xff\x00")),
        Rule("a", percentage=1, abort=Abort(503, body={"message": None})),
        Rule("a", percentage=1, delay=Delay(0), raise_=Raise("x.Y-1")),
        *(Rule("a", Match("/a"), percentage=1, raise_=Raise(name)) for name in ("for", "or", "as")),
        Rule("a", Match("/a"), percentage=1, choose=[Choice(1, Raise("or")), Choice(2, Hang())]),
        *(
            Rule("a", Match("/a"), percentage=1, replace_body=ReplaceBody(text))
            for text in ("", "a=b", "A=b", "text=x", "content_type=x", "merge_patch={}", "*3", "->", "+", "for", "|")
        ),
        *(
            Rule("a", Match("/a"), percentage=1, response_headers=ResponseHeaders(set={name: "1"}, add={name: "2"}))
            for name in ("+a", "-a", "+", "a+b")
        ),
        *(
            Rule("a", Match("/a"), percentage=1, request_headers=RequestHeaders(set={name: "1"}, remove=[name]))
            for name in ("+a", "-a", "-")
        ),
    ],
    ids=str,
)
def test_rules_at_the_edge_of_either_form_read_back(rule):
    assert read_text(str(rule)) == [rule]
    assert read_rules(rule_document(rule)) == [rule]


def test_the_two_inner_forms_of_a_spread_are_equal():
    (first,) = parse_rules("/a 1% delay 200ms±50ms as a")
    for other in ("200ms+-50ms", "150ms..250ms", "200ms ± 50ms", "0.2s +- 0.05s", "150ms .. 250ms"):
        assert parse_rules(f"/a 1% delay {other} as a") == [first]
    for value in ("200ms±50ms", "150ms..250ms", {"fixed": "200ms", "jitter": "50ms"}, {"min": "150ms", "max": "250ms"}):
        assert read_rules({"name": "a", "match": {"path": "/a"}, "percentage": 1, "delay": value}) == [first]


def test_long_and_short_forms_of_a_document_are_equal():
    short = {"match": {"path": "/a", "headers": {"x": "1"}}, "percentage": "50%", "abort": 503}
    long = {
        "match": {"path": {"segments": "/a"}, "headers": {"X": {"exact": "1"}}},
        "percentage": 50,
        "abort": {"status": 503, "percentage": 100, "after": False},
    }
    assert read_rules(short) == read_rules(long)
    assert read_rules({"count": 1, "raise": "E"}) == read_rules({"count": 1, "raise": {"exception": "E"}})
    assert read_rules({"every": 2, "hang": "5s"}) == read_rules({"every": 2, "hang": {"duration": "5s"}})


@pytest.mark.parametrize(
    ("delay", "quantile"),
    [
        ({"distribution": "uniform", "min": "1s", "max": "3s"}, 2),
        ({"distribution": "normal", "mean": "2s", "deviation": "100ms", "max": "9s"}, 2),
        ({"distribution": "lognormal", "median": "2s", "sigma": 1, "max": "9s"}, 2),
        ({"distribution": "exponential", "mean": "2s", "max": "9s"}, 1.386),
        ({"distribution": "pareto", "scale": "2s", "shape": 1, "max": "9s"}, 4),
    ],
)
def test_each_distribution_has_a_document(delay, quantile):
    (rule,) = read_rules({"percentage": 100, "delay": {**delay, "percentage": 50}})
    assert rule.delay.distribution.at(0.5) == pytest.approx(quantile, abs=0.001)
    assert rule.delay.percentage == 50


@slow
@given(st.integers(min_value=1, max_value=366 * 86_400_000_000))
def test_a_duration_reads_back_to_the_microsecond(microseconds):
    seconds = round(microseconds / 1_000_000, 6)
    assert parse_duration(duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("0.25s", 0.25),
        ("1m", 60),
        ("1h", 3600),
        ("1m30s", 90),
        ("1h1m1s1ms", 3661.001),
        ("0s", 0),
        ("0.001ms", 0.000001),
        ("007s", 7),
        ("0.1s0.2s", 0.3),
    ],
)
def test_durations_are_sums_in_four_units(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "count"), [("32.2kB", 32_200), ("1.001MB", 1_001_000), ("0.5KiB", 512)])
def test_sizes_with_a_fraction_are_counted_exactly(text, count):
    assert parse_size(text) == count
    assert parse_rate(f"{text}/s") == count
    with pytest.raises(RuleError, match=r"no whole number of bytes \(such as 1B\)"):
        parse_size("0.0001kB")


@slow
@given(st.integers(0, 2**40))
def test_a_size_reads_back(count):
    assert parse_size(size(count)) == count
    assert parse_rate(rate(count)) == count


@slow
@given(st.floats(min_value=0, max_value=100))
def test_a_percentage_reads_back(value):
    assert parse_percentage(f"{number(value)}%") == value
    assert parse_percentage(f"{number(value)}pct") == value
    assert read_percentage(percentage(value)) == value


@pytest.mark.parametrize(
    "text", ["", " ", "1", "1.5", "s", "1x", "1 s", "1s ", " 1s", "١s", "1s\n", "1µ", "--1s", "1s1", "1h-1m"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(RuleError):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "%", "1", "-1%", "1 %", "١%", "1%\n", "1%%", "100.1%", "1e1%", "nan%", "1,5%", "pct"]
)
def test_what_is_no_percentage_is_refused(text):
    with pytest.raises(RuleError):
        parse_percentage(text)


def test_the_one_line_form_is_read_without_pydantic_and_without_asyncio():
    code = (
        "import sys, faultware.config.oneline, faultware.config.quantities\n"
        "print([name for name in ('pydantic', 'pydantic_settings', 'asyncio', 'yaml') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_documents_are_read_without_pydantic_settings_and_without_asyncio():
    code = (
        "import sys, faultware.config.documents, faultware.config.files\n"
        "print([name for name in ('pydantic_settings', 'asyncio', 'yaml') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
