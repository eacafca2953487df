"""The index: it finds what a linear scan finds, its cost does not grow with the rules, its memory is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faultware.core.delays import Uniform
from faultware.core.exemptions import Exemptions
from faultware.core.faults import Abort, Delay, Hang
from faultware.core.matching import Match, PathMatch, TextMatch
from faultware.core.request import Request
from faultware.core.rules import Rule
from faultware.core.ruleset import MAX_REMEMBERED, MAX_REMEMBERED_LENGTH, LiveRule, RuleSet, Tally
from faultware.errors import RuleError
from tests.strategies import requests, rule_lists


def _rule_set(*matches, exemptions=None):
    rules = [Rule(f"r{number}", match, percentage=100, abort=Abort(503)) for number, match in enumerate(matches)]
    return RuleSet(map(LiveRule, rules), exemptions)


def _names(entries):
    return [entry.rule.name for entry in entries]


def _scan(rule_set, request):
    """What the index has to find, the slow way."""
    allow = rule_set.exemptions.allow
    of_requests = [entry for entry in rule_set.live if not (entry.rule.is_websocket or entry.rule.recurring)]
    return [entry for entry in of_requests if entry.rule.match.accepts(request) and allow(entry.rule, request.path)]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_index_finds_exactly_what_a_linear_scan_finds(data):
    rules = data.draw(rule_lists(max_size=10))
    exemptions = data.draw(st.sampled_from((None, Exemptions((PathMatch(segments="/pay"),)), Exemptions(customary=()))))
    rule_set = RuleSet(map(LiveRule, rules), exemptions)
    for _ in range(2):
        request = data.draw(requests(rules))
        # Asked twice: the second answer comes from memory.
        for _ in range(2):
            candidates = rule_set.candidates(request)
            found = [entry for entry in candidates if entry.rule.match.accepts_rest(request)]
            assert found == _scan(rule_set, request)
            assert all(
                entry.rule.match.path is None or entry.rule.match.path.accepts(request.path) for entry in candidates
            )
            assert [entry.order for entry in candidates] == sorted({entry.order for entry in candidates})


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_rule_matches_on_a_quiet_path_unless_a_field_brings_it_in(data):
    rules = data.draw(rule_lists(max_size=6))
    rule_set = RuleSet(map(LiveRule, rules))
    drawn = [data.draw(requests(rules)) for _ in range(3)]
    for request in drawn:
        rule_set.candidates(request)
    for path in rule_set.quiet:
        for model in drawn:
            request = Request(
                model.method,
                path,
                query_string=model.query_string,
                headers=list(model.header_lines()),
                client=model.client,
            )
            has_field = request.has_header(rule_set.header_names) or (rule_set.has_query and request.query_string)
            has_field = has_field or rule_set.has_raw
            assert has_field or not _scan(rule_set, request)
    assert not rule_set.quiet.keys() & rule_set.known.keys()


@settings(max_examples=100, deadline=None)
@given(rule_lists(max_size=6), st.data())
def test_what_is_known_of_a_path_are_all_rules_that_are_filed_under_no_field(rules, data):
    rule_set = RuleSet(map(LiveRule, rules))
    request = data.draw(requests(rules))
    found = rule_set.find(request.path)
    for entry in _scan(rule_set, request):
        match = entry.rule.match
        assert entry in found or match.headers or match.query or match.cookies or match.raw_path


MANY = 1000

FILED = {
    "segments": (lambda n: Match(f"/shop/{n:05d}"), lambda n: Request(path=f"/shop/{n:05d}/x")),
    "exact": (lambda n: Match(PathMatch(exact=f"/shop/{n:05d}")), lambda n: Request(path=f"/shop/{n:05d}")),
    "prefix": (lambda n: Match(PathMatch(prefix=f"/shop/{n:05d}")), lambda n: Request(path=f"/shop/{n:05d}xyz")),
    "suffix": (lambda n: Match(PathMatch(suffix=f"{n:05d}")), lambda n: Request(path=f"/shop/{n:05d}")),
    "glob": (lambda n: Match(f"/shop/**/{n:05d}/*"), lambda n: Request(path=f"/shop/a/{n:05d}/b")),
    "template": (lambda n: Match(f"/{{shop}}/{n:05d}/{{id}}"), lambda n: Request(path=f"/shop/{n:05d}/7")),
    "header": (
        lambda n: Match(headers={"x-user": f"{n:05d}"}),
        lambda n: Request(headers=[("x-user", f"{n:05d}")]),
    ),
    "header on a shared path": (
        lambda n: Match("/shop", headers={"x-user": f"{n:05d}"}),
        lambda n: Request(path="/shop", headers=[("x-user", f"{n:05d}")]),
    ),
    "regex with a header": (
        lambda n: Match(PathMatch(regex="/s.*"), headers={f"x-{n:05d}": TextMatch(present=True)}),
        lambda n: Request(path="/shop", headers=[(f"x-{n:05d}", "1")]),
    ),
    "raw path": (lambda n: Match(raw_path=f"/shop/%{n:05d}"), lambda n: Request(raw_path=f"/shop/%{n:05d}")),
    "raw prefix": (
        lambda n: Match(raw_path=TextMatch(prefix=f"/shop/%{n:05d}")),
        lambda n: Request(raw_path=f"/shop/%{n:05d}/x"),
    ),
    "target": (
        lambda n: Match(headers={":path": f"/shop/{n:05d}?a=%20"}),
        lambda n: Request(path=f"/shop/{n:05d}", query_string="a=%20"),
    ),
    "target prefix": (
        lambda n: Match(headers={":path": TextMatch(prefix=f"/shop/{n:05d}")}),
        lambda n: Request(path=f"/shop/{n:05d}xyz"),
    ),
    "target prefix with query": (
        lambda n: Match(headers={":path": TextMatch(prefix=f"/shop/{n:05d}?a")}),
        lambda n: Request(path=f"/shop/{n:05d}", query_string="abc"),
    ),
    "query": (lambda n: Match(query={"user": f"{n:05d}"}), lambda n: Request(query_string=f"user={n:05d}")),
    "cookie": (
        lambda n: Match(cookies={"user": f"{n:05d}"}),
        lambda n: Request(headers=[("cookie", f"a=b; user={n:05d}")]),
    ),
}


@pytest.fixture
def comparisons(monkeypatch):
    """How often a path or a text was compared with a condition."""
    counted = [0]
    for kind in (PathMatch, TextMatch):
        original = kind.accepts

        def counting(self, value, original=original):
            counted[0] += 1
            return original(self, value)

        monkeypatch.setattr(kind, "accepts", counting)
    return counted


@pytest.mark.parametrize("filed", FILED)
def test_the_cost_of_a_request_does_not_depend_on_the_number_of_rules(filed, comparisons):
    match, request = FILED[filed]
    costs = []
    for number in (10, MANY):
        rule_set = _rule_set(*map(match, range(number)))
        comparisons[0] = 0
        assert _names(rule_set.candidates(request(7))) == ["r7"]
        hit = comparisons[0]
        assert rule_set.candidates(request(99_999)) == ()
        costs.append((hit, comparisons[0] - hit))
        assert rule_set.scanned == []
    assert costs[0] == costs[1]
    assert costs[1][1] == 0


@pytest.mark.parametrize("filed", ["segments", "exact", "prefix", "suffix", "glob", "template"])
def test_a_path_seen_before_costs_no_comparison(filed, comparisons):
    match, request = FILED[filed]
    rule_set = _rule_set(*map(match, range(100)))
    first = rule_set.candidates(request(7))
    comparisons[0] = 0
    assert rule_set.candidates(request(7)) is first
    assert rule_set.candidates(request(7)) is first
    assert comparisons[0] == 0


@pytest.mark.parametrize(
    ("match", "path"),
    [
        (Match("/a/"), "/a/"),
        (Match("//"), "//x"),
        (Match("//a"), "//a/b"),
        (Match("/a//"), "/a//b"),
        (Match("/"), "/anything"),
        (Match("/**"), "/"),
        (Match("/a/**"), "/a"),
        (Match("/**/a"), "/a"),
        (Match(PathMatch(glob="/a/")), "/a/"),
        (Match(PathMatch(glob="/a//b*")), "/a//bc"),
        (Match(PathMatch(glob="//x*")), "//xy"),
        (Match(PathMatch(glob="/a")), "/a"),
        (Match("/{a}/b"), "/x/b"),
        (Match(PathMatch(exact="/A", ignore_case=True)), "/a"),
        (Match(PathMatch(exact="/b", invert=True)), "/a"),
        (Match(PathMatch(suffix="/very/long/suffix")), "/very/long/suffix"),
        (Match(PathMatch(prefix="/")), "/"),
        (Match(PathMatch(contains="a")), "/a"),
        (Match(headers={"x": TextMatch(present=False)}), "/a"),
        (Match(headers={"x": TextMatch(present=True, invert=True)}), "/a"),
    ],
)
def test_a_rule_is_found_wherever_it_is_filed(match, path):
    assert _names(_rule_set(match).candidates(Request(path=path))) == ["r0"]


@pytest.mark.parametrize(
    "text",
    [
        TextMatch(exact="1"),
        TextMatch(exact="0", invert=True),
        TextMatch(exact="1", ignore_case=True),
        TextMatch(regex="[12]"),
        TextMatch(present=True),
        TextMatch(present=False, invert=True),
    ],
)
def test_a_rule_without_a_path_is_found_by_any_condition_on_a_field_that_must_be_there(text):
    for match, request in (
        (Match(headers={"x": text}), Request(headers=[("X", "0"), ("x", "1")])),
        (Match(query={"x": text}), Request(query_string="x=1")),
        (Match(cookies={"x": text}), Request(headers=[("Cookie", "x=1")])),
    ):
        rule_set = _rule_set(match)
        assert _names(rule_set.candidates(request)) == ["r0"]
        assert rule_set.candidates(Request()) == ()
        assert rule_set.quiet == {"/": True}


def test_rules_are_tried_in_the_order_in_which_they_are_written():
    matches = [
        Match("/a"),
        Match(headers={"x": "1"}),
        Match(PathMatch(regex="/.*")),
        Match("/**"),
        Match(query={"q": "1"}),
    ]
    request = Request(path="/a", query_string="q=1", headers=[("x", "1")])
    assert _names(_rule_set(*matches).candidates(request)) == ["r0", "r1", "r2", "r3", "r4"]
    assert _names(_rule_set(*matches[::-1]).candidates(request)) == ["r0", "r1", "r2", "r3", "r4"]


def test_rules_without_a_literal_are_named_as_scanned():
    rule_set = _rule_set(
        Match(PathMatch(regex="/a.*")),
        Match(PathMatch(contains="a")),
        Match(PathMatch(exact="/a", invert=True)),
        Match("/*/{id}"),
        Match("/"),
        Match("/**"),
        Match(),
        Match("/a"),
        Match(PathMatch(regex="/a.*"), headers={"x": "1"}),
    )
    assert rule_set.scanned == ["r0", "r1", "r2", "r3"]


def test_what_is_remembered_is_bounded():
    rule_set = _rule_set(Match("/a"))
    for number in range(3 * MAX_REMEMBERED):
        rule_set.find(f"/a/{number}")
        rule_set.find(f"/b/{number}")
        assert len(rule_set.known) <= MAX_REMEMBERED
        assert len(rule_set.quiet) <= MAX_REMEMBERED
    assert f"/a/{3 * MAX_REMEMBERED - 1}" in rule_set.known
    assert f"/b/{3 * MAX_REMEMBERED - 1}" in rule_set.quiet


@pytest.mark.parametrize(
    "path", ["/a/" + "x" * MAX_REMEMBERED_LENGTH, "/b/" + "x" * MAX_REMEMBERED_LENGTH, "/a/é", "/b\n"]
)
def test_a_long_path_or_one_that_is_not_plain_is_not_remembered(path):
    rule_set = _rule_set(Match("/a"))
    assert _names(rule_set.find(path)) == (["r0"] if path.startswith("/a/") else [])
    assert not rule_set.known
    assert not rule_set.quiet


def test_an_empty_rule_set_is_quiet_everywhere():
    rule_set = RuleSet()
    assert rule_set.candidates(Request(path="/a", headers=[("x", "1")])) == ()
    assert rule_set.quiet == {"/a": True}
    assert not rule_set.needs_time


def test_exempt_paths_are_quiet_for_wide_rules():
    rule_set = _rule_set(Match(), Match("/"), Match(PathMatch(exact="/healthz")))
    assert _names(rule_set.find("/healthz")) == ["r2"]
    assert rule_set.find("/livez") == ()
    assert "/livez" in rule_set.quiet
    assert _names(rule_set.find("/a")) == ["r0", "r1"]


def test_exempt_paths_are_out_of_reach_for_rules_filed_under_a_field_too():
    rule_set = _rule_set(Match(headers={"x": "1"}))
    assert rule_set.candidates(Request(path="/healthz", headers=[("x", "1")])) == ()
    assert _names(rule_set.candidates(Request(path="/a", headers=[("x", "1")]))) == ["r0"]


def test_two_rules_of_one_name_are_refused():
    rule = Rule("a", percentage=1, abort=Abort(503))
    with pytest.raises(RuleError, match=r"a: the name 'a' is used twice \(a name is unique"):
        RuleSet([LiveRule(rule), LiveRule(rule)])


def test_a_set_with_a_deadline_needs_the_time():
    rule = Rule("a", percentage=1, abort=Abort(503))
    assert RuleSet([LiveRule(rule, 5.0)]).needs_time
    assert not RuleSet([LiveRule(rule)]).needs_time


def test_a_tally_is_kept_when_it_is_handed_on():
    rule, tally = Rule("a", percentage=1, abort=Abort(503)), Tally()
    assert LiveRule(rule, tally=tally).tally is tally
    assert LiveRule(rule).tally is not LiveRule(rule).tally


@pytest.mark.parametrize(
    ("faults", "is_whole"),
    [
        ({"abort": Abort(503)}, True),
        ({"hang": Hang()}, True),
        ({"abort": Abort(503, percentage=50)}, False),
        ({"delay": Delay(1)}, True),
        ({"delay": Delay(Uniform(1, 2))}, False),
        ({"delay": Delay(1, percentage=50)}, False),
        ({"delay": Delay(1), "abort": Abort(503)}, False),
    ],
)
def test_only_a_rule_that_leaves_nothing_to_chance_has_its_plan_made_beforehand(faults, is_whole):
    live = LiveRule(Rule("a", percentage=1, **faults))
    assert (live.whole is not None) is is_whole
    if live.whole is not None:
        assert [injection.fault for injection in live.whole.injections] == list(live.rule.faults)
        assert [injection.live for injection in live.whole.injections] == [live]
