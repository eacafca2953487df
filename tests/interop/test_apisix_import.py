"""APISIX's `fault-injection` plugin as rules, and what they do."""

from __future__ import annotations

import json

import pytest

from faultware import Abort, Delay, Match, Rule
from faultware.core.request import Request
from faultware.interop.load import import_text, recognise
from faultware.interop.tree import read_tree
from tests.interop.kit import said

DOWN = {"http_status": 503, "percentage": 20}
SLOW = {"duration": 0.5, "percentage": 30}
ON = ["http_x_chaos", "==", "on"]
OLD = ["arg_age", ">", 17]
LOST, UNKNOWN = "not carried over: the variable", "is not known in process"
HOSTS = "not carried over: the hosts of the service are not known: name them in the route"
SHEET = {
    "abort": {
        "http_status": 503,
        "body": "down for ${http_x_user ?? anonymous}",
        "headers": {"retry-after": 5},
        "percentage": 20,
        "vars": [[ON, OLD], [["uri", "~~", "^/pay"]]],
    },
    "delay": {"duration": 0.5},
}


def apisix(document, origin="apisix"):
    return import_text(json.dumps(document), "f.json", is_json=True, origin=origin)


def route(plugin=None, **given):
    return {"plugins": {"fault-injection": plugin or {"abort": DOWN}}, **given}


def hit(rules, *, share=100, **asked):
    """The names of the rules that act on a request, if every one of a group that matches does."""
    request = Request(**asked)
    groups, found = set(), []
    for rule in rules:
        if rule.match.accepts(request) and (not rule.group or rule.group not in groups):
            groups.add(rule.group)
            found += [f"{rule.name}:{fault.kind}" for fault in rule.faults if rule.percentage]
    return found


def test_a_delay_and_an_abort_with_other_conditions_are_two_rules():
    imported = apisix(SHEET)
    assert imported.rules == (
        Rule(percentage=100, delay=Delay(0.5)),
        Rule(
            match=Match(where=[["OR", [ON, OLD], ["uri", "~~", "^/pay"]]]),
            percentage=20,
            abort=Abort(503, body="down for ${http_x_user ?? anonymous}", headers={"retry-after": "5"}, template=True),
        ),
    )
    assert said(imported) == ["f.json, line 1: delay: without a percentage it always acts"]


def test_a_delay_and_an_abort_with_the_same_conditions_are_one_rule():
    imported = apisix({"abort": {**DOWN, "vars": [[ON]]}, "delay": {**SLOW, "vars": [[ON]]}})
    (rule,) = imported.rules
    assert rule == Rule(
        match=Match(where=[ON]),
        percentage=100,
        delay=Delay(0.5, percentage=30),
        abort=Abort(503, body="", percentage=20),
    )
    assert imported.remarks == ()


@pytest.mark.parametrize(
    "document",
    [
        {"abort": DOWN},
        {"fault-injection": {"abort": DOWN}},
        {"plugins": {"fault-injection": {"abort": DOWN}}},
        {"value": route()},
        {"list": [{"value": route()}]},
        {"routes": [route()]},
        {"global_rules": [route()]},
        {"routes": [{"uri": "/a", "plugins": {}}], "global_rules": [route()]},
    ],
)
def test_the_plugin_is_found_wherever_it_stands(document):
    (rule,) = apisix(document).rules
    assert rule == Rule(percentage=20, abort=Abort(503, body=""))
    found = recognise(read_tree(json.dumps(document), "f.json", is_json=True))
    assert found == (None if "abort" in document else "apisix")


def test_a_document_without_the_plugin_is_not_apisixs():
    assert apisix({"routes": [{"uri": "/a", "plugins": {"limit-req": {}}}]}, origin=None) is None


@pytest.mark.parametrize(
    ("plugin", "rules", "remarks"),
    [
        ({"abort": {**DOWN, "vars": []}}, 0, ["abort.vars: without an expression nothing can hold, so it never acts"]),
        ({"abort": {**DOWN, "vars": [[]]}}, 1, []),
        ({"abort": {**DOWN, "vars": [[ON], []]}}, 1, []),
        ({"abort": {**DOWN, "percentage": 0}}, 0, ["abort.percentage: its percentage is 0, so it never acts"]),
        ({"abort": {"http_status": 503}}, 1, ["abort: without a percentage it always acts"]),
        ({"delay": {**SLOW, "duration": 0}}, 0, ["delay.duration: a delay of 0 does nothing"]),
        ({"abort": DOWN, "_meta": {"disable": True}}, 0, ["_meta.disable: the plugin is switched off"]),
        ({"abort": DOWN, "_meta": {"disable": False, "filter": [ON]}}, 1, []),
        (
            {"abort": DOWN, "_meta": {"priority": 7}},
            1,
            ["_meta.priority: not carried over: it concerns the gateway"],
        ),
        (
            {"abort": DOWN, "_meta": {"filter": [["consumer_name", "a"]]}},
            0,
            [
                f"_meta.filter[0]: {LOST} consumer_name {UNKNOWN}; so its faults are left out",
            ],
        ),
        (
            {"abort": {**DOWN, "vars": [[ON], [["post_arg_a", "==", "1"]]]}},
            1,
            [
                f"abort.vars[1][0]: {LOST} post_arg_a {UNKNOWN}; the other expressions stay",
            ],
        ),
        (
            {"abort": {**DOWN, "vars": [[["consumer_name", "==", "1"]]]}},
            0,
            [
                f"abort.vars[0][0]: {LOST} consumer_name {UNKNOWN}; so the abort is left out",
            ],
        ),
        (
            {"abort": {**DOWN, "body": "$consumer_name and ${route_id ?? none}"}},
            1,
            [
                "abort.body: not carried over: the variable consumer_name is not known in process; it counts as absent",
                "abort.body: not carried over: the variable route_id is not known in process; it counts as absent",
            ],
        ),
        (
            {"abort": {**DOWN, "http_status": 204, "body": "x"}},
            1,
            ["abort.body: an answer with 204 has no body"],
        ),
        (
            {"abort": {**DOWN, "wait": 1}, "x": 1},
            1,
            [
                "x: not carried over: the plugin has no such field, and APISIX overlooks it",
                "abort.wait: not carried over: the plugin has no such field, and APISIX overlooks it",
            ],
        ),
    ],
)
def test_what_there_is_to_know_is_said(plugin, rules, remarks):
    imported = apisix(plugin)
    assert (len(imported.rules), said(imported)) == (rules, [f"f.json, line 1: {remark}" for remark in remarks])


@pytest.mark.parametrize(
    ("abort", "expected"),
    [
        ({}, Abort(503, body="")),
        ({"body": "plain"}, Abort(503, body="plain")),
        ({"body": "a $consumer_name b"}, Abort(503, body="a  b")),
        ({"body": r"cost: \$uri"}, Abort(503, body=r"cost: \$uri")),
        ({"body": "$uri"}, Abort(503, body="$uri", template=True)),
        ({"headers": {"x": 5, "y": 1.5, "z": 2.0}}, Abort(503, body="", headers={"x": "5", "y": "1.5", "z": "2"})),
        ({"headers": {"x": "${arg_x}"}}, Abort(503, body="", headers={"x": "${arg_x}"}, template=True)),
        (
            {"body": "{}", "headers": {"content-type": "application/json"}},
            Abort(503, body="{}", content_type="application/json"),
        ),
        ({"http_status": 304, "headers": {"etag": "a"}}, Abort(304, headers={"etag": "a"})),
    ],
)
def test_an_abort_has_its_body_and_headers(abort, expected):
    (rule,) = apisix({"abort": {**DOWN, **abort}}).rules
    assert rule.abort.response_headers() == expected.response_headers()
    assert (rule.abort.body, rule.abort.template) == (expected.body, expected.template)


@pytest.mark.parametrize(
    ("scope", "asked", "others"),
    [
        ({"uri": "/pay"}, [{"path": "/pay"}], [{"path": "/pay/"}, {"path": "/payments"}]),
        ({"uri": "/pay*"}, [{"path": "/pay"}, {"path": "/payments"}], [{"path": "/Pay"}, {"path": "/a/pay"}]),
        ({"uri": "/pa.*"}, [{"path": "/pa.y"}], [{"path": "/pay"}]),
        ({"uris": ["/a", "/b/*", "/c"]}, [{"path": "/a"}, {"path": "/b/1"}, {"path": "/c"}], [{"path": "/b"}]),
        ({"uri": "/*"}, [{"path": "/"}, {"path": "/a"}], []),
        ({"methods": ["GET", "PUT"]}, [{"method": "PUT"}], [{"method": "POST"}]),
        (
            {"host": "Shop.Example"},
            [{"headers": [("host", "shop.example:8080")]}],
            [{"headers": [("host", "a.shop.example")]}, {}],
        ),
        (
            {"hosts": ["*.shop.example", "pay.example"]},
            [{"headers": [("host", "a.shop.example")]}, {"headers": [("host", "pay.example")]}],
            [{"headers": [("host", "shop.example")]}, {"headers": [("host", "a.shop.example.org")]}],
        ),
        ({"remote_addr": "10.0.0.0/8"}, [{"client": "10.1.1.1"}], [{"client": "127.0.0.1"}, {}]),
        ({"remote_addrs": ["::1", "10.0.0.1"]}, [{"client": "::1"}], [{"client": "10.0.0.2"}]),
        (
            {"vars": [ON, OLD]},
            [{"headers": [("x-chaos", "on")], "query_string": "age=18"}],
            [{"query_string": "age=18"}],
        ),
        ({"vars": ["OR", ON, OLD]}, [{"query_string": "age=18"}], [{}]),
    ],
)
def test_a_route_narrows_its_plugin(scope, asked, others):
    (rule,) = apisix(route(**scope)).rules
    assert [rule.match.accepts(Request(**one)) for one in asked] == [True] * len(asked)
    assert [rule.match.accepts(Request(**one)) for one in others] == [False] * len(others)


@pytest.mark.parametrize(
    ("given", "remark"),
    [
        ({"status": 0}, "status: the route is switched off"),
        (
            {"filter_func": "function(vars) return true end"},
            "filter_func: not carried over: a function of Lua is decided by the gateway; so its faults are left out",
        ),
        (
            {"uri": "/a/*/b"},
            "uri: not carried over: a * inside a URI is decided by the gateway's router; so its faults are left out",
        ),
        (
            {"vars": [["consumer_name", "==", "a"]]},
            "vars[0]: not carried over: the variable consumer_name is not known in process; so its faults are left out",
        ),
        (
            {"service_id": 7},
            f"service_id: {HOSTS}; so its faults are left out",
        ),
    ],
)
def test_a_condition_that_cannot_be_decided_leaves_the_fault_out(given, remark):
    imported = apisix(route(**given))
    assert (imported.rules, said(imported)) == ((), [f"f.json, line 1: {remark}"])


def test_of_several_routes_one_takes_part_as_the_router_has_it():
    rules = apisix(
        {
            "routes": [
                route({"abort": {"http_status": 500}}, id="all", uri="/*"),
                route({"abort": {"http_status": 501}}, id="pay", uri="/pay/*"),
                route({"abort": {"http_status": 502}}, id="one", uri="/pay/1"),
                {"id": "spared", "uri": "/pay/2", "plugins": {}},
                route({"abort": {"http_status": 503}}, id="first", uri="/pay/3", priority=1, methods=["PUT"]),
                route({"abort": {"http_status": 504}}, id="last", uri="/pay/3"),
                route({"abort": {"http_status": 505}}, id="host", uri="/*", host="shop.example"),
                route({"abort": {"http_status": 506}}, id="lua", uri="/lua/*", filter_func="return true"),
            ]
        }
    ).rules
    assert hit(rules, path="/a") == ["all:abort"]
    assert hit(rules, path="/pay/7") == ["pay:abort"]
    assert hit(rules, path="/pay/1") == ["one:abort"]
    assert hit(rules, path="/pay/2") == []
    assert hit(rules, path="/pay/3") == ["last:abort"]
    assert hit(rules, path="/pay/3", method="PUT") == ["first:abort"]
    assert hit(rules, path="/pay/1", headers=[("host", "shop.example")]) == ["host:abort"]
    assert hit(rules, path="/lua/1") == []


def test_of_several_routes_a_delay_and_an_abort_have_conditions_of_their_own():
    plugin = {"abort": {**DOWN, "vars": [[ON]]}, "delay": {**SLOW, "vars": [[OLD]]}}
    rules = apisix({"routes": [route(plugin, id="a", uri="/a"), route(id="all", uri="/*")]}).rules
    on, old = {"headers": [("x-chaos", "on")]}, {"query_string": "age=18"}
    assert hit(rules, path="/a", **on, **old) == ["a:delay", "a:abort"]
    assert [name.partition(":")[2] for name in hit(rules, path="/a", **on)] == ["abort"]
    assert [name.partition(":")[2] for name in hit(rules, path="/a", **old)] == ["delay"]
    assert hit(rules, path="/a") == []
    assert hit(rules, path="/b") == ["all:abort"]


def test_a_global_rule_acts_beside_the_routes():
    document = {
        "global_rules": [route({"delay": SLOW}, id=1)],
        "routes": [route(uri="/a", name="Pay me!"), {"uri": "/b", "plugins": {}}],
    }
    rules = apisix(document).rules
    assert hit(rules, path="/a") == ["r-1:delay", "pay-me:abort"]
    assert hit(rules, path="/b") == ["r-1:delay"]


def test_a_route_has_the_hosts_of_its_service():
    document = {"services": [{"id": 7, "hosts": ["a.example"]}], "routes": [route(service_id=7)]}
    (rule,) = apisix(document).rules
    assert rule.match == Match(where=[["host", "==", "a.example"]])


@pytest.mark.parametrize("section", ["services", "plugin_configs", "consumers", "consumer_groups"])
def test_a_plugin_that_routes_refer_to_is_reported(section):
    imported = apisix({section: [route()]})
    place = f"f.json, line 1: {section}[0].plugins.fault-injection"
    assert said(imported) == [f"{place}: not carried over: it acts on routes that refer to it: put it on them"]
    assert imported.rules == ()
