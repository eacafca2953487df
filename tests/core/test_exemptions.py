"""Paths that faults do not reach."""

from __future__ import annotations

from dataclasses import replace

import pytest

from faultware.core.exemptions import CUSTOMARY, Exemptions
from faultware.core.faults import Abort
from faultware.core.matching import Match, PathMatch, TextMatch
from faultware.core.rules import Rule


def _rule(path):
    return Rule("a", Match(path), percentage=100, abort=Abort(503))


@pytest.mark.parametrize("path", [match.value for match in CUSTOMARY])
def test_health_readiness_and_metrics_are_never_touched_by_a_wide_rule(path):
    for wide in (None, "/", "/**", "/*", PathMatch(prefix="/"), PathMatch(regex=".*"), PathMatch(contains="e")):
        assert not Exemptions().allow(_rule(wide), path)


@pytest.mark.parametrize("path", ["/health/db", "/healthz/", "/metrics/x"])
def test_what_lies_below_them_is_not_touched_either(path):
    assert not Exemptions().allow(_rule("/"), path)
    assert not Exemptions().allow(_rule("/health"), path)


@pytest.mark.parametrize("path", ["/healthy", "/Health", "/a/health", "/live-stream", "/", "/metricsx"])
def test_other_paths_are_ordinary(path):
    assert Exemptions().allow(_rule("/"), path)


@pytest.mark.parametrize("match", ["/health", PathMatch(exact="/health"), PathMatch(prefix="/health")])
def test_a_rule_that_names_one_exactly_reaches_it(match):
    assert Exemptions().allow(_rule(match), "/health")


@pytest.mark.parametrize("text", [TextMatch(exact="/health"), TextMatch(prefix="/health")])
def test_a_rule_that_names_one_as_it_is_sent_reaches_it(text):
    rules = [
        Rule(match=match, percentage=1, abort=Abort(503))
        for match in (Match(raw_path=text), Match(headers={":path": text}))
    ]
    assert all(Exemptions().allow(rule, "/health") for rule in rules)
    assert not any(Exemptions().allow(rule, "/healthz") for rule in rules)
    inverted = Rule(match=Match(raw_path=replace(text, invert=True)), percentage=1, abort=Abort(503))
    assert not Exemptions().allow(inverted, "/health")


@pytest.mark.parametrize("match", [PathMatch(regex="/health"), PathMatch(glob="/healt*"), PathMatch(suffix="/health")])
def test_a_pattern_names_nothing_exactly(match):
    assert not Exemptions().allow(_rule(match), "/health")


@pytest.mark.parametrize("match", ["/admin", PathMatch(exact="/admin"), "/admin/x", None])
def test_what_the_operator_excluded_always_wins(match):
    exemptions = Exemptions(excluded=(PathMatch(segments="/admin"),))
    assert not exemptions.allow(_rule(match), "/admin")
    assert not exemptions.allow(_rule(match), "/admin/x")
    assert exemptions.allow(_rule(match), "/administration")


def test_excluding_a_customary_path_takes_it_from_rules_that_name_it():
    exemptions = Exemptions(excluded=(PathMatch(exact="/health"),))
    assert not exemptions.allow(_rule("/health"), "/health")


def test_no_customary_path_is_left_when_none_is_given():
    assert Exemptions(customary=()).allow(_rule("/"), "/health")
