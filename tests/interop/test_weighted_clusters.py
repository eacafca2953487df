"""Parts of a group in the mesh, which draws between the clusters of a route."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faultware import Abort, Match, Rule, SampleBy
from faultware.core.request import Request
from faultware.core.ruleset import LiveRule, RuleSet
from faultware.interop.envoyexport import export_envoy
from faultware.interop.istioexport import export_istio
from faultware.interop.load import import_text
from faultware.interop.writing import written


def arm(name, part, path="/a", **more):
    return Rule(name, Match(raw_path=path), percentage=100, abort=Abort(503), group="g", part=part, **more)


A, B, REST, BEHIND = arm("a", (0, 10)), arm("b", (10, 30)), arm("c", None), arm("d", None, "/b")


def losses(exported):
    return [(remark.where, remark.what) for remark in exported.losses]


def back(exported):
    return import_text(written(exported.documents), "f.yaml").rules


def weights(exported):
    (document,) = exported.documents
    routes = document["route_config"]["virtual_hosts"][0]["routes"]
    drawn = [route["route"].get("weighted_clusters", {"clusters": []})["clusters"] for route in routes]
    return [[one["weight"] for one in clusters] for clusters in drawn if clusters]


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ([A, B, REST, BEHIND], [[1, 2, 7]]),
        # What no arm has, has a cluster without faults.
        ([A, B], [[1, 2, 7]]),
        ([arm("a", (0, 100))], [[1]]),
        ([A, arm("b", (10, 100)), arm("e", (0, 50), "/e"), arm("f", (50, 100), "/e"), BEHIND], [[1, 9], [1, 1]]),
        ([arm("a", (0, 0.001)), arm("b", (0.001, 100))], [[1, 99_999]]),
    ],
)
def test_arms_that_are_a_whole_are_clusters_of_a_route(rules, found):
    exported = export_envoy(rules)
    assert losses(exported) == []
    assert weights(exported) == found


@given(st.lists(st.integers(1, 99_999), min_size=1, max_size=5, unique=True).map(sorted), st.booleans())
@example([1], True)
def test_arms_come_back_as_they_were(ends, has_rest):
    ends = [0.0, *(end / 1000 for end in ends)]
    rules = [arm(f"a{number}", ends[number : number + 2]) for number in range(len(ends) - 1)]
    statuses = range(500, 500 + len(rules) + 1)
    rules = [
        Rule("", rule.match, percentage=100, abort=Abort(status), group="g", part=rule.part)
        for rule, status in zip([*rules, *[REST] * has_rest], statuses, strict=False)
    ]
    exported = export_envoy(rules)
    assert losses(exported) == []
    # A single part and nothing else is a share.
    found = [(rule.part or (0, rule.percentage), rule.abort.status) for rule in back(exported)]
    whole = [(rule.part or (0, 100), rule.abort.status) for rule in rules]
    assert found == whole


@pytest.mark.parametrize(
    "rules",
    [
        [A, arm("b", (20, 30)), REST],
        [A, arm("b", (10, 30), "/e"), REST],
        [A, arm("b", (5, 30)), REST],
        # Who is in none of them falls to another rule.
        [A, B, BEHIND],
        [arm("a", (0, 10.123456789012345)), arm("b", (10.123456789012345, 100))],
    ],
    ids=["a gap", "different conditions", "an overlap", "no rest", "no whole weights"],
)
def test_arms_that_are_no_whole_are_left_out_of_envoy(rules):
    assert losses(export_envoy(rules)) == [("rule a", "part"), ("rule b", "part")]


@pytest.mark.parametrize("rules", [[A, B, REST, BEHIND], [A, BEHIND]])
def test_arms_are_left_out_of_istio_and_what_they_match_is_spared(rules):
    exported = export_istio(rules)
    assert set(losses(exported)) == {(f"rule {rule.name}", "part") for rule in rules if rule.part}
    assert exported.losses[0].reason.endswith("; the rule is left out, and spares what it matches")
    again = RuleSet(map(LiveRule, back(exported)))
    assert [
        next((bool(live.rule.faults) for live in again.candidates(request) if live.rule.match.accepts(request)), False)
        for request in (Request(path=path, raw_path=path) for path in ("/a", "/b"))
    ] == [False, True]


def test_what_a_cluster_cannot_do_is_told_and_the_others_are_carried():
    exported = export_envoy([arm("a", (0, 10), count=3), arm("b", (10, 30), sample_by=SampleBy("client"))])
    assert losses(exported) == [("rule a", "count"), ("rule b", "sample_by")]
    assert [(rule.part, rule.percentage) for rule in back(exported)] == [(None, 20)]


def test_arms_whose_conditions_the_mesh_does_not_know_end_their_group():
    match = Match(client="10.0.0.1")
    rules = [Rule(name, match, percentage=100, abort=Abort(503), group="g", part=part) for name, part in PARTS.items()]
    exported = export_envoy([*rules, BEHIND])
    assert losses(exported)[:2] == [("rule a", "match.client"), ("rule b", "match.client")]
    assert weights(exported) == []


PARTS = {"a": (0, 10), "b": (10, 100)}
