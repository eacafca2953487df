"""Rules as configurations of a mesh: what is imported and exported again means the same, and nothing becomes wider."""

from __future__ import annotations

import json
import re

import pytest
import re2
from hypothesis import assume, given
from hypothesis import strategies as st

from faultware import Abort, Delay, Exponential, Match, PathMatch, Rule, TextMatch, Uniform
from faultware.config.oneline import parse_rules
from faultware.core.asking import ByHeaders
from faultware.core.faults import Throttle, WebsocketClose
from faultware.core.request import Request
from faultware.core.ruleset import LiveRule, RuleSet
from faultware.interop.envoyexport import export_envoy
from faultware.interop.istioexport import export_istio
from faultware.interop.load import import_text
from faultware.interop.patterns import steps
from faultware.interop.writing import written
from tests.interop.families import cases
from tests.interop.kit import service
from tests.interop.mesh import completed
from tests.strategies import matches, requests

CASES = {case.name: case for case in cases()}
EXPORTS = {"envoy": export_envoy, "istio": export_istio}


def back(exported, name="f.yaml"):
    """What an exported document becomes; nothing, if there is none."""
    return import_text(written(exported.documents), name).rules if exported.documents else ()


@pytest.mark.parametrize("name", CASES)
def test_what_was_imported_from_envoy_and_exported_again_imports_as_equal_rules(name):
    imported = import_text(json.dumps(completed(CASES[name].document)), "f.json", is_json=True)
    exported = export_envoy(imported.rules, max_active_faults=imported.settings.get("max_active_faults"))
    again = import_text(written(exported.documents), "f.yaml") if imported.rules else imported
    assert again.rules == imported.rules
    assert again.settings == imported.settings or not imported.rules
    assert exported.losses == ()


FAULT = (
    "fault: {delay: {fixedDelay: 150ms, percentage: {value: 30}}, abort: {httpStatus: 503, percentage: {value: 0.57}}}"
)
BLOCKS = (
    "{uri: {exact: /api}, ignoreUriCase: true}",
    "{uri: {prefix: /api}, method: {exact: GET}}",
    "{uri: {regex: '/a(?i)b|/c'}, method: {regex: 'GET|POST'}}",
    "{scheme: {exact: http}, authority: {prefix: shop}}",
    "{headers: {x-a: {exact: b}, x-b: {}, x-c: {prefix: c}}}",
    "{headers: {x-a: {regex: 'b+'}}, withoutHeaders: {x-a: {exact: bb}, x-d: {}}}",
    "{withoutHeaders: {x-a: {regex: b*}}}",
    "{queryParams: {a: {exact: '1'}, b: {}, c: {regex: x+}}}",
    "{headers: {x-a: {exact: é}}, uri: {exact: /é}}",
)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("to", EXPORTS)
def test_what_was_imported_from_istio_and_exported_again_imports_as_equal_rules(block, to):
    text = service(
        f"{{{FAULT}, match: [{block}, {{uri: {{prefix: /z}}}}]}}", "{match: [{uri: {prefix: /y}}]}", f"{{{FAULT}}}"
    )
    imported = import_text(text, "f.yaml")
    exported = EXPORTS[to](imported.rules)
    assert len(imported.rules) == 4
    assert back(exported) == imported.rules
    assert exported.losses == ()


def documents(line):
    return list(parse_rules(line))


def test_a_rule_in_one_line_becomes_a_filter():
    exported = export_envoy(documents("POST /pay 10% abort 503 as pay-down"))
    (document,) = exported.documents
    assert document["http_filters"][0] == {
        "name": "pay-down",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            "abort": {"http_status": 503, "percentage": {"numerator": 10, "denominator": "HUNDRED"}},
            "headers": [
                {"name": ":method", "string_match": {"exact": "POST"}},
                {"name": ":path", "string_match": {"safe_regex": {"regex": r"/pay(?:/.*)?(?:\?.*)?"}}},
            ],
        },
    }
    assert exported.remarks == ()


def test_a_rule_in_one_line_becomes_a_virtual_service():
    exported = export_istio(documents("POST /pay 0.57% delay 1500ms as pay-slow"), host="pay")
    assert exported.documents == (
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "faultware"},
            "spec": {
                "hosts": ["pay"],
                "http": [
                    {
                        "name": "pay-slow",
                        "match": [{"uri": {"regex": "/pay(?:/.*)?"}, "method": {"exact": "POST"}}],
                        "fault": {"delay": {"percentage": {"value": 0.57005}, "fixedDelay": "1500ms"}},
                        "route": [{"destination": {"host": "pay"}}],
                    },
                    {"route": [{"destination": {"host": "pay"}}]},
                ],
            },
        },
    )
    assert exported.remarks == ()


@pytest.mark.parametrize("millionths", [1, 2, 3, 5699, 5700, 5701, 123_456, 333_333, 999_999, 1_000_000])
def test_istio_makes_of_an_exported_percentage_just_these_millionths(millionths):
    (rule,) = back(export_istio([Rule(percentage=millionths / 10_000, abort=Abort(503))]))
    assert rule.percentage == millionths / 10_000


@pytest.mark.parametrize(
    ("rule", "losses"),
    [
        (Rule("a", percentage=10, delay=Delay(0.2, jitter_seconds=0.05)), ["delay.jitter"]),
        (Rule("a", percentage=10, delay=Delay(Exponential(0.2, 5))), ["delay.distribution"]),
        (Rule("a", percentage=10, delay=Delay(0.0015)), ["delay"]),
        (Rule("a", percentage=10.00001, abort=Abort(503)), ["percentage"]),
        (Rule("a", percentage=10, delay=Delay(1), abort=Abort(503)), ["percentage"]),
        (Rule("a", percentage=100, delay=Delay(1, percentage=3), abort=Abort(503, percentage=4)), []),
        (Rule("a", percentage=10, abort=Abort(503, headers={"retry-after": "1"})), ["abort.headers"]),
        (Rule("a", percentage=10, abort=Abort(503, body={"a": 1})), ["abort.content_type"]),
        (Rule("a", percentage=10, abort=Abort(503, body=b"\xff")), ["abort.body"]),
        (Rule("a", percentage=10, abort=Abort(503, body="")), ["abort.body"]),
        (Rule("a", percentage=10, abort=Abort(503, grpc_status=14)), []),
        (Rule("a", percentage=10, abort=Abort(503, grpc_status=5)), ["abort.grpc_status"]),
        (Rule("a", percentage=10, abort=Abort(grpc_status=5)), []),
        (Rule("a", percentage=10, throttle=Throttle(5000)), ["throttle.rate"]),
        (Rule("a", percentage=10, throttle=Throttle(5120)), []),
        (Rule("a", percentage=10, throttle=Throttle(1000)), ["throttle"]),
        (Rule("a", percentage=10, throttle=Throttle(5120, "request")), ["throttle"]),
        *[(rule, [rule.faults[0].kind]) for rule in parse_rules("/ 10% hang; / 10% reset; / 10% raise InjectedFault")],
    ],
)
def test_what_envoy_cannot_do_is_told(rule, losses):
    assert [remark.what for remark in export_envoy([rule]).losses] == losses


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("/ 3x abort 503", "count"),
        ("/ 10% abort 503 for 5m", "for"),
        ("/ client=10.0.0.0/8 10% abort 503", "match.client"),
        ("/ cookie:a=b 10% abort 503", "match.cookies"),
        ("/ query:a=b/c 10% abort 503", "match.query.a"),
    ],
)
@pytest.mark.parametrize("to", EXPORTS)
def test_a_rule_whose_bounds_the_mesh_does_not_know_is_left_out(line, what, to):
    exported = EXPORTS[to](documents(line))
    assert exported.documents == ()
    assert [remark.what for remark in exported.losses] == [what]
    assert exported.losses[0].reason.endswith("; the rule is left out")


def test_rules_that_may_meet_are_told_where_the_first_wins():
    rules = documents("/a 10% abort 503; /b 10% abort 503; /a/b 10% abort 500 as third; POST / 10% abort 500 as fourth")
    losses = export_istio(rules).losses
    assert [(remark.where, remark.what) for remark in losses] == [("rule third", "match"), ("rule fourth", "match")]
    assert not export_envoy(rules).losses


def test_a_rule_of_a_group_that_cannot_be_said_lets_nothing_behind_it_be_hit():
    rules = [
        Rule("a", Match("/a"), percentage=1, abort=Abort(503), group="g"),
        Rule("b", Match(client="10.0.0.1"), percentage=1, abort=Abort(503), group="g"),
        Rule("c", percentage=1, abort=Abort(503), group="g"),
    ]
    for to, export in EXPORTS.items():
        exported = export(rules)
        assert [rule.name for rule in back(exported)] == ["a"], to
        assert [remark.where for remark in exported.losses] == ["rule b"]


@pytest.mark.parametrize(
    ("match", "asked"),
    [
        (Match("/a"), Request(path="/a", raw_path="/%61")),
        (Match(PathMatch(exact='/"')), Request(path='/"', raw_path='/"')),
        (Match(host="a.b"), Request(headers=[("host", "[a.b]")])),
        (Match(query={"q": "1"}), Request(query_string="q=%31")),
        (Match(query={"q": "1"}), Request(query_string="q=1&%71=1")),
    ],
)
def test_what_the_mesh_may_miss_of_a_rule_does_not_fall_to_the_rules_behind_it(match, asked):
    rules = [
        Rule("a", match, percentage=100, abort=Abort(503), group="g"),
        Rule("b", percentage=100, abort=Abort(500), group="g"),
    ]
    for export in EXPORTS.values():
        assert "b" not in hits(back(export(rules)), asked)
    assert hits(rules, asked) == ["a"]
    others = Request("GET", "/other", query_string="q=2", headers=[("host", "other")])
    assert hits(back(EXPORTS["envoy"](rules)), others) == ["b"]


def test_one_table_of_routes_holds_one_group():
    rules = [Rule(name, Match(f"/{name}"), percentage=1, abort=Abort(503), group=name) for name in ("a", "b")]
    assert [(remark.where, remark.what) for remark in export_envoy(rules).losses] == [("rule b", "group")]
    assert len(export_istio(rules).documents) == 2
    assert [(remark.where, remark.what) for remark in export_istio(rules).losses] == [("rule b", "group")]


def test_a_filter_and_a_group_of_one_name_stay_apart():
    rules = [
        Rule("a", Match("/x"), percentage=50, abort=Abort(503)),
        Rule("b", Match("/x"), percentage=100, abort=Abort(500), group="a"),
        Rule("c", percentage=100, abort=Abort(501), group="a"),
    ]
    (document,) = export_envoy(rules).documents
    assert [entry["name"] for entry in document["http_filters"][:2]] == ["a", "a-2"]
    overrides = [
        route.get("typed_per_filter_config", {}) for route in document["route_config"]["virtual_hosts"][0]["routes"]
    ]
    assert {name for found in overrides for name in found} == {"a-2"}
    request = Request(path="/x", raw_path="/x")
    again = back(export_envoy(rules))
    assert len(hits(again, request)) == len(hits(rules, request)) == 2
    assert back(export_envoy(again)) == again


def test_what_a_second_group_would_let_a_request_ask_for_is_told():
    asked = Rule("b", percentage=100, by_headers=ByHeaders(abort=100), group="h")
    exported = export_envoy([Rule("a", Match("/a"), percentage=1, abort=Abort(503), group="g"), asked])
    assert [(remark.where, remark.what) for remark in exported.losses] == [("rule b", "group")]


def test_of_many_virtual_services_all_but_the_first_are_told():
    rules = [Rule(name, Match(f"/{name}"), percentage=1, abort=Abort(503), group=name) for name in ("a", "b", "c")]
    assert [remark.where for remark in export_istio(rules).losses] == ["rule b", "rule c"]


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (("a_b_",), ["a-b"]),
        (("a_b", "a-b", "a-b-"), ["a-b", "a-b-2", "a-b-3"]),
        (("", "faultware"), ["faultware", "faultware-2"]),
    ],
)
def test_virtual_services_have_names_that_kubernetes_takes_and_none_twice(groups, names):
    rules = [
        Rule(f"r{index}", Match("/a"), percentage=1, abort=Abort(503), group=group)
        for index, group in enumerate(groups)
    ]
    assert [document["metadata"]["name"] for document in export_istio(rules).documents] == names


def test_a_rule_that_never_acts_is_told():
    for rule in (Rule("a", percentage=0, abort=Abort(503)), Rule("a", percentage=10, delay=Delay(1, percentage=0))):
        for export in EXPORTS.values():
            remarks = [str(one) for one in export([rule]).remarks]
            assert remarks == ["rule a: percentage: it is 0, so the rule never acts"]


def test_a_rule_for_handshakes_alone_is_left_out():
    rule = Rule("a", percentage=100, delay=Delay(1), websocket_close=WebsocketClose(1011))
    for export in EXPORTS.values():
        exported = export([rule])
        assert exported.documents == ()
        assert [remark.what for remark in exported.losses] == ["websocket"]


def test_a_path_that_never_is_becomes_no_path_that_always_is():
    never = Rule("a", Match(PathMatch(segments="/", invert=True)), percentage=100, abort=Abort(503))
    for export in EXPORTS.values():
        assert hits(back(export([never])), Request(path="/a", raw_path="/a")) == []


@pytest.mark.parametrize(("length", "remarks"), [(85, []), (86, ["101"]), (200, ["215"])])
def test_a_pattern_that_envoy_would_not_load_by_itself_is_told(length, remarks):
    rules = [Rule("a", Match("/" + "a" * length), percentage=1, abort=Abort(503), group=group) for group in ("", "g")]
    for rule in rules:
        exported = export_envoy([rule])
        reason = "Envoy refuses this pattern unless its runtime key re2.max_program_size.error_level is {} or more"
        assert [str(one) for one in exported.remarks] == [f"rule a: match: {reason.format(size)}" for size in remarks]
    assert export_istio(rules[:1]).remarks == ()


@given(matches())
def test_the_steps_of_a_pattern_are_those_of_re2(match):
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    for document in export_envoy([Rule("a", match, percentage=1, abort=Abort(503))]).documents:
        for pattern in re.findall(r'"regex": ("(?:[^"\\\\]|\\\\.)*")', json.dumps(document)):
            text = json.loads(pattern)
            size = re2.compile(text.encode("latin-1"), options).programsize
            assert size <= steps(text) <= 1.5 * size


def test_nothing_is_written_as_an_alias():
    assert "&id" not in written(export_istio(documents("/a 1% abort 503; /b 1% abort 503")).documents)


def test_without_pyyaml_documents_are_json(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    text = written(({"a": [1]}, {"b": 2}))
    assert [json.loads(part) for part in text.split("---\n")] == [{"a": [1]}, {"b": 2}]


def hits(rules, request):
    """Which rules match a request, as the engine asks them: of a group the first."""
    groups, found = set(), []
    for live in RuleSet(map(LiveRule, rules)).candidates(request):
        rule = live.rule
        if rule.match.accepts_rest(request) and not (rule.group and rule.group in groups):
            groups.add(rule.group)
            found += [rule.name] if rule.faults else []
    return found


plain_rules = st.lists(
    st.builds(lambda match, name, group: Rule(name, match, percentage=100, abort=Abort(503), group=group),
              matches(), st.from_regex(r"\Ar[0-9]{1,3}\Z"), st.sampled_from(("", "", "g"))),
    min_size=1, max_size=3, unique_by=lambda rule: rule.name,
)  # fmt: skip


@pytest.mark.parametrize("to", EXPORTS)
@given(data=st.data())
def test_nothing_is_hit_in_the_mesh_that_is_not_hit_here(to, data):
    rules = data.draw(plain_rules)
    again = back(EXPORTS[to](rules))
    for _ in range(3):
        request = data.draw(requests(rules))
        # Paths are compared as they were sent: a service below a mount prefix is another matter.
        assume(request.raw_path.startswith("/") and not request.raw_path.startswith("/mount"))
        # Servers refuse requests with two hosts (RFC 9112, section 3.2).
        assume(len(request.header("host")) <= 1)
        assert set(hits(again, request)) <= set(hits(rules, request))


@pytest.mark.parametrize(
    ("path", "hit", "missed"),
    [
        (PathMatch(segments="/a b"), ["/a%20b", "/a%20b/c"], ["/a%20bc"]),
        (PathMatch(exact="/a/"), ["/a/"], ["/a", "/a/b"]),
        (PathMatch(prefix="/a"), ["/a", "/ab"], ["/b"]),
        (PathMatch(suffix=".png"), ["/a.png"], ["/a.png/", "/%2E.png"]),
        (PathMatch(contains="70"), ["/70"], ["/%70"]),
        (PathMatch(regex="/[^/]*"), ["/a"], ["/a/b", "/a%2Fb"]),
        (PathMatch(glob="/a/**/b*"), ["/a/b", "/a/x/y/bc"], ["/a", "/a/x"]),
        (PathMatch(template="/u/{id}/x"), ["/u/7/x"], ["/u//x", "/u/7/x/"]),
        (PathMatch(exact="/A", ignore_case=True), ["/a", "/A"], ["/ab"]),
        (PathMatch(segments="/a", invert=True), ["/b"], ["/a", "/a/b", "/%61"]),
    ],
)
def test_paths_are_spelled_as_clients_send_them(path, hit, missed):
    from urllib.parse import unquote

    from faultware.core.request import Request

    (rule,) = back(export_envoy([Rule(match=Match(path), percentage=1, abort=Abort(503))]))
    for raw in hit + missed:
        for query in ("", "x=/a"):
            request = Request(path=unquote(raw), raw_path=raw, query_string=query)
            assert rule.match.accepts(request) is (raw in hit), (raw, query)


def test_conditions_that_are_no_plain_texts_are_patterns():
    texts = [
        TextMatch(one_of=("a", "b.c")),
        TextMatch(exact="\xe9"),
        TextMatch(suffix="x", invert=True, absent_is_empty=True),
        TextMatch(range=(1, 5)),
    ]
    for text in texts:
        rule = Rule(match=Match(headers={"x-a": text}), percentage=1, abort=Abort(503))
        (again,) = back(export_envoy([rule]))
        ((_, found),) = again.match.headers
        for value in ("a", "b.c", "bxc", "\xe9", "x", "3", ""):
            assert found.accepts((value,)) is text.accepts((value,))
        assert found.accepts(()) is text.accepts(())


def test_delays_of_a_range_become_their_middle():
    exported = export_envoy([Rule("a", percentage=10, delay=Delay(Uniform(0.1, 0.2)))])
    assert exported.documents[0]["http_filters"][0]["typed_config"]["delay"]["fixed_delay"] == "0.15s"
