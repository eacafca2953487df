"""What explains and tells without changing anything: explanations, events, metrics."""

from __future__ import annotations

import os

import pytest

from faultware.core.request import Request
from faultware.core.sampling import Dice
from faultware.runtime.servers import Server
from faultware.telemetry.events import SwitchArmed
from tests.control.kit import RULE, open_desk
from tests.runtime.kit import BEGIN, ask, names

ACTOR = "control token from 10.0.0.7"


def in_force(desk):
    return [entry.rule.name for entry in desk.injector.current().rules.live]


# Explain.

EXPLAINED = """
POST /pay header:x-canary=1 query:a=1 10% abort 503 as canary
/pay 50% delay 1s + abort 504 for 5m as half
/health 100% abort 503 as health
/health/** 100% abort 503 as below-health
"""


def explained(desk, **described):
    reply = desk("POST", "/explain", {"path": "/pay", **described})
    assert reply.status == 200
    return reply.data, {rule["name"]: rule for rule in reply.data["rules"]}


def test_an_explanation_says_what_matches_and_what_would_be_rolled():
    desk = open_desk(EXPLAINED)
    data, rules = explained(desk, method="post", headers={"X-Canary": "1"}, query="a=1")
    assert data["state"] == "armed"
    assert data["request"] == {"method": "POST", "path": "/pay", "query": "a=1"}
    assert rules["canary"] == {
        "name": "canary",
        "rule": "POST /pay header:x-canary=1 query:a=1 10% abort 503 as canary",
        "matches": True,
        "failed": [],
        "hindrance": None,
        "takes_part": True,
        "rolls": ["10% for the rule"],
        "faults": ["abort"],
        "expires_in": None,
        "matched": 0,
        "rolled": 0,
        "injected": 0,
    }
    assert rules["half"]["expires_in"] == "5m"
    assert rules["half"]["faults"] == ["delay", "abort"]
    assert rules["health"]["failed"] == ["path"]
    assert data["chance_percentage"] == 55


def test_an_explanation_names_the_conditions_that_fail():
    _, rules = explained(open_desk(EXPLAINED), path="/pay?a=2")
    assert rules["canary"]["failed"] == ["methods", "headers.x-canary", "query.a"]
    assert (rules["canary"]["matches"], rules["canary"]["takes_part"]) == (False, False)


def test_a_header_may_have_several_lines():
    _, rules = explained(open_desk("/pay header:a=1 1% abort 503 as a"), headers={"a": ["0", "1"]})
    assert rules["a"]["matches"]


def test_an_explanation_says_what_is_excluded():
    desk = open_desk(EXPLAINED)
    _, rules = explained(desk, path="/health")
    assert rules["health"]["takes_part"]
    _, rules = explained(desk, path="/health/db")
    assert rules["below-health"]["matches"]
    assert rules["below-health"]["hindrance"] == "excluded: the path is exempt and the rule does not name it exactly"
    preflight = {"method": "OPTIONS", "headers": {"access-control-request-method": "POST"}}
    data, rules = explained(desk, **preflight)
    assert rules["half"]["hindrance"] == "excluded: a preflight is left alone unless the rule names OPTIONS"
    assert data["chance_percentage"] == 0


def test_an_explanation_says_what_has_expired_before_it_is_dropped():
    desk = open_desk(EXPLAINED)
    desk.time.pass_(300)
    data, rules = explained(desk)
    assert (rules["half"]["hindrance"], rules["half"]["expires_in"]) == ("expired", "0s")
    assert data["chance_percentage"] == 0


def test_an_explanation_says_which_rule_of_a_group_is_first():
    group = [{**RULE, "name": name, "group": "g"} for name in ("first", "second")]
    desk = open_desk()
    desk("PUT", "/rules", group)
    data, rules = explained(desk)
    assert rules["first"]["takes_part"]
    assert rules["second"]["hindrance"] == "another rule of the group g matches first"
    assert data["chance_percentage"] == 10


def test_an_explanation_says_which_part_of_a_group_a_rule_has():
    desk = open_desk()
    arms = {"a": {"part": [0, 10]}, "b": {"part": ["0.5%", 30]}, "c": {"part": [5, 20]}, "rest": {}}
    desk(
        "PUT", "/rules", [{**RULE, "percentage": 100, "name": name, "group": "g", **arm} for name, arm in arms.items()]
    )
    data, rules = explained(desk)
    assert rules["b"]["rolls"] == ["from 0.5% to 30% of the draw for the group g", "100% for the rule"]
    assert [rule["takes_part"] for rule in rules.values()] == [True, True, False, True]
    assert rules["c"]["hindrance"] == "another rule of the group g matches first"
    assert data["chance_percentage"] == 100


def test_the_chances_of_the_parts_of_a_group_add_up():
    desk = open_desk()
    arms = {"a": {"part": [0, 10]}, "b": {"part": [10, 30], "sample_by": "header:x-user"}}
    desk(
        "PUT", "/rules", [{**RULE, "percentage": 100, "name": name, "group": "g", **arm} for name, arm in arms.items()]
    )
    assert explained(desk, headers={"x-user": "7"})[0]["chance_percentage"] == 30
    data, rules = explained(desk)
    assert data["chance_percentage"] == 10
    assert rules["b"]["hindrance"] == "the request has no header:x-user for the decision to stick to"


def test_a_rule_of_a_group_that_cannot_act_leaves_its_place_to_the_next():
    desk = open_desk()
    desk(
        "PUT", "/rules", [{**RULE, "name": "short", "group": "g", "for": "1m"}, {**RULE, "name": "long", "group": "g"}]
    )
    desk.time.pass_(60)
    _, rules = explained(desk)
    assert (rules["short"]["hindrance"], rules["long"]["hindrance"]) == ("expired", None)
    desk(
        "PUT",
        "/rules",
        [{**RULE, "name": name, "group": "g", "match": {"path": path}} for name, path in GROUP_ON_HEALTH],
    )
    _, rules = explained(desk, path="/health/db")
    assert rules["wide"]["hindrance"].startswith("excluded")
    assert rules["exact"]["hindrance"].startswith("excluded")


GROUP_ON_HEALTH = (("wide", "/health/**"), ("exact", "/health"))


def test_an_explanation_says_when_a_sticky_rule_has_nothing_to_stick_to():
    desk = open_desk()
    desk("PUT", "/rules/sticky", {**RULE, "sample_by": "header:x-user-id"})
    data, rules = explained(desk)
    assert rules["sticky"]["hindrance"] == "the request has no header:x-user-id for the decision to stick to"
    assert data["chance_percentage"] == 0
    data, rules = explained(desk, headers={"x-user-id": "7"})
    assert rules["sticky"]["rolls"] == ["10% for the rule", "sticks to header:x-user-id"]
    assert data["chance_percentage"] == 10


def test_an_explanation_leaves_out_what_no_such_request_can_bring_about():
    desk = open_desk(allow_instance_faults=True)
    hourly = {"name": "hourly", "kill": True, "recurring": {"mtbf": "1h"}}
    socket = {"name": "socket", "match": {"path": "/pay"}, "percentage": 100, "websocket_refuse": 503}
    desk("PUT", "/rules", [hourly, socket, {**RULE, "name": "pay"}])
    data, rules = explained(desk)
    assert rules["hourly"]["hindrance"] == "it comes by itself, and no request brings it about"
    assert rules["socket"]["hindrance"] == "it concerns WebSockets"
    assert (rules["pay"]["hindrance"], data["chance_percentage"]) == (None, 10)
    data, rules = explained(desk, headers={"Upgrade": "WebSocket"})
    assert (rules["socket"]["hindrance"], data["chance_percentage"]) == (None, 100)
    assert rules["pay"]["hindrance"] == "it does not concern WebSockets"


def test_an_explanation_knows_rules_without_a_fault_and_shares_that_change():
    desk = open_desk()
    spared = {"name": "spared", "group": "g", "percentage": 100, "match": {"path": "/pay", "headers": {"x-vip": "1"}}}
    later = {**RULE, "name": "later", "group": "g", "percentage": 50, "schedule": {"start_after": "1m", "ramp": "1m"}}
    desk("PUT", "/rules", [spared, later])
    data, rules = explained(desk, headers={"x-vip": "1"})
    assert (rules["spared"]["takes_part"], data["chance_percentage"]) == (True, 0)
    assert rules["later"]["hindrance"] == "another rule of the group g matches first"
    data, rules = explained(desk)
    assert (rules["later"]["rolls"], data["chance_percentage"]) == (["0% for the rule"], 0)
    desk.time.pass_(75)
    data, rules = explained(desk)
    assert (rules["later"]["rolls"], data["chance_percentage"]) == (["12.5% for the rule"], 12.5)


def test_an_explanation_says_when_the_first_requests_are_over():
    desk = open_desk()
    desk("PUT", "/rules", [{**RULE, "name": "two", "percentage": 0, "first": 2}])
    for hindrance in (None, None, "the first 2 matches in this worker are over"):
        assert explained(desk)[1]["two"]["hindrance"] == hindrance
        names(desk.injector)


def test_an_explanation_says_what_is_counted_and_when_the_count_is_used_up():
    desk = open_desk("/pay 100% 1x abort 503 as once")
    desk("PUT", "/rules/third", {**RULE, "percentage": 60, "every": 3})
    data, rules = explained(desk)
    assert rules["once"]["rolls"] == ["100% for the rule", "at most 1 times in this worker"]
    assert rules["third"]["rolls"] == ["one of every 3 matches in this worker", "60% for the rule"]
    assert data["chance_percentage"] == 100
    assert names(desk.injector) == ["once"]
    ask(desk.injector)
    data, rules = explained(desk)
    assert rules["once"]["hindrance"] == "its count is used up in this worker"
    assert data["chance_percentage"] == 20


def test_the_chance_takes_the_faults_own_shares_and_the_cap_into_account():
    desk = open_desk(max_percentage="30%")
    half = {"percentage": 80, "match": {"path": "/pay"}, "abort": {"status": 503, "percentage": 25}}
    desk("PUT", "/rules/half", half)
    data, rules = explained(desk)
    assert data["chance_percentage"] == 20
    assert rules["half"]["rolls"] == ["80% for the rule", "25% for abort"]
    desk("PUT", "/rules/more", {**RULE, "percentage": 90})
    assert explained(desk)[0]["chance_percentage"] == 30


def test_while_killed_there_is_no_chance_and_the_rules_are_explained_all_the_same():
    desk = open_desk(EXPLAINED)
    desk("POST", "/kill")
    data, rules = explained(desk)
    assert (data["state"], data["chance_percentage"]) == ("killed", 0)
    assert rules["half"]["takes_part"]


def test_explaining_counts_nothing_and_uses_nothing_up():
    desk = open_desk("/pay 100% 1x abort 503 as once")
    before = desk.state()
    for _ in range(3):
        explained(desk)
    assert desk.state() == before
    assert names(desk.injector) == ["once"]


def test_an_explanation_agrees_with_what_happens():
    desk = open_desk(EXPLAINED)
    desk.injector._engine._dice = Dice(lambda: 0.0)
    for path in ("/pay", "/health", "/health/db", "/other"):
        _, rules = explained(desk, path=path)
        expected = [name for name, rule in rules.items() if rule["takes_part"]]
        view = desk.injector.current()
        request = Request("GET", path)
        plan = desk.injector.decide(view, view.rules.candidates(request), request)
        assert sorted({one.live.rule.name for one in plan.injections} if plan else []) == expected


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ({"path": "pay"}, "path begins with /"),
        ({"path": 5}, "path must be a text"),
        ({"headers": []}, "headers must be an object"),
        ({"headers": {"a": 5}}, "headers.a must be a text or a list of texts"),
        ({"headers": {"a": ["x", None]}}, "headers.a must be a text or a list of texts"),
        ({"body": "x"}, "unknown field 'body'; known: method, path, query, headers, client"),
    ],
)
def test_a_request_that_is_described_wrongly_is_refused(desk, data, detail):
    reply = desk("POST", "/explain", data)
    assert (reply.status, reply.data["detail"]) == (422, detail)


def test_what_the_server_cannot_do_is_explained(desk):
    desk = open_desk(
        "/pay 10% reset as broken; /pay 10% reset or abort 502 as replaced; /pay 10% reset + delay 1s as late"
    )
    desk.switch.capabilities.server = Server("wsgi", "granian")
    _, rules = explained(desk)
    assert rules["broken"]["hindrance"].startswith("not possible here: granian does not say which connection")
    assert rules["replaced"]["hindrance"] is None
    assert rules["late"]["hindrance"] is None


# Events and metrics.


def test_events_are_told_since_a_number(desk):
    desk("POST", "/kill", {"reason": "x"})
    desk("POST", "/arm")
    desk("PUT", "/rules/new", RULE)
    data = desk("GET", "/events").data
    assert [(event["sequence"], event["type"]) for event in data["events"]] == [
        (1, "switch_killed"),
        (2, "switch_armed"),
        (3, "rules_changed"),
    ]
    assert (data["lost"], data["worker"]["pid"]) == (0, os.getpid())
    assert [event["sequence"] for event in desk("GET", "/events", query="since=2").data["events"]] == [3]
    assert desk("GET", "/events", query="since=3").data["events"] == []


def test_events_that_were_lost_are_counted(desk):
    for _ in range(300):
        desk.injector.tell(SwitchArmed(BEGIN, "me", None))
    data = desk("GET", "/events", query="since=10").data
    assert (len(data["events"]), data["lost"]) == (256, 34)


@pytest.mark.parametrize("query", ["since=", "since=x", "since=-1", "since=1.5", "since=²", "since=" + "9" * 19])
def test_an_event_number_that_is_none_is_refused(desk, query):
    reply = desk("GET", "/events", query=query)
    assert (reply.status, reply.data["detail"]) == (400, "since is the number of the last event that was seen")


def test_the_last_of_several_numbers_counts(desk):
    assert desk("GET", "/events", query="since=x&since=0&other=1").status == 200


def test_metrics_are_those_of_faultware_in_the_form_that_is_asked_for(desk):
    ask(desk.injector)
    reply = desk("GET", "/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain")
    text = reply.body.decode()
    assert 'faultware_rule_matches_total{rule="pay"} 1.0' in text
    assert all(line.startswith(("#", "faultware_")) for line in text.splitlines())
    open_metrics = desk("GET", "/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert open_metrics.body.decode().rstrip().endswith("# EOF")
