"""Reading and changing rules; who has seen which version."""

from __future__ import annotations

import pytest

from faultware.telemetry.events import RulesChanged
from tests.control.kit import RULE
from tests.runtime.kit import BEGIN, names

ACTOR = "control token from 10.0.0.7"


def in_force(desk):
    return [entry.rule.name for entry in desk.injector.current().rules.live]


# Rules.


def test_the_rules_can_be_read_and_put_back(desk):
    before = desk("GET", "/rules")
    assert before.headers["etag"] == '"1"'
    assert before.data == {
        "rules": [
            {"name": "pay", "match": {"path": "/pay"}, "percentage": 10, "abort": {"status": 503}},
            {
                "name": "search",
                "match": {"path": "/search"},
                "percentage": 30,
                "delay": {"fixed": "200ms", "jitter": "50ms"},
            },
        ]
    }
    put = desk("PUT", "/rules", before.data)
    assert (put.status, put.headers["etag"]) == (200, '"2"')
    ten_minutes = {"rules": [{**rule, "for": "10m"} for rule in before.data["rules"]]}
    assert put.data == desk("GET", "/rules").data == ten_minutes
    assert desk("PUT", "/rules", put.data).data == ten_minutes
    assert desk("PUT", "/rules", put.data["rules"]).data == ten_minutes
    assert in_force(desk) == ["pay", "search"]


def test_rules_that_are_put_are_in_force_at_once_and_told(desk):
    reply = desk("PUT", "/rules", [{**RULE, "name": "new", "percentage": 100}])
    assert [rule["name"] for rule in reply.data["rules"]] == ["new"]
    assert names(desk.injector) == ["new"]
    assert desk.heard.of(RulesChanged) == [RulesChanged(BEGIN, ACTOR, 2, ("new",))]


def test_rules_in_the_one_line_form_can_be_put_too(desk):
    reply = desk("PUT", "/rules", {"rules": "POST /pay 10% abort 503 for 5m as pay; /search 30% delay 1s as search"})
    assert reply.status == 200
    assert in_force(desk) == ["pay", "search"]
    assert [rule["for"] for rule in reply.data["rules"]] == ["5m", "10m"]
    refused = desk("PUT", "/rules", {"rules": "/pay abort 503"})
    assert refused.status == 422
    assert refused.data["detail"].startswith("how often? a share is required")
    assert in_force(desk) == ["pay", "search"]


def test_an_empty_list_takes_all_rules_away(desk):
    assert desk("PUT", "/rules", []).data == {"rules": []}
    assert in_force(desk) == []


@pytest.mark.parametrize(
    ("data", "where", "detail"),
    [
        ([{**RULE, "percentage": 0.5}], "rules[0].percentage", "0.5 may be a share or a percentage"),
        ([{**RULE, "name": "a", "for": "2h"}], "a.for", "2h is longer than what arrives at run time may live"),
        ([{**RULE, "name": "a"}, {**RULE, "name": "a"}], "rules", "the name 'a' is used twice"),
        ([{**RULE, "nmae": "a"}], "rules[0]", "unknown key 'nmae'"),
        (["/pay 10% abort 503"], "rules[0]", "'/pay 10% abort 503' is not a mapping"),
        ("/pay 10% abort 503", "rules", "'/pay 10% abort 503' is not a list of rules"),
        (
            [{"name": "a", "percentage": 1, "raise": "OSError"}],
            "a.raise",
            "no exception is registered as 'OSError'",
        ),
    ],
)
def test_rules_that_are_not_possible_are_refused_as_a_whole(desk, data, where, detail):
    before = desk.state()
    reply = desk("PUT", "/rules", data)
    assert (reply.status, reply.data["where"], reply.data["detail"]) == (422, where, detail)
    assert desk.state() == before


def test_one_rule_is_put_read_and_taken_away(desk):
    put = desk("PUT", "/rules/new", RULE)
    document = {"name": "new", "match": {"path": "/pay"}, "percentage": 10, "abort": {"status": 503}, "for": "10m"}
    assert (put.status, put.headers["etag"], put.data) == (201, '"2"', document)
    assert desk("GET", "/rules/new").data == document
    assert desk("PUT", "/rules/new", {**RULE, "name": "new", "for": "5m"}).status == 200
    assert desk("GET", "/rules/new").data["for"] == "5m"
    assert in_force(desk) == ["pay", "search", "new"]
    gone = desk("DELETE", "/rules/new")
    assert (gone.status, gone.body) == (204, b"")
    assert desk("GET", "/rules/new").status == desk("DELETE", "/rules/new").status == 404
    assert in_force(desk) == ["pay", "search"]
    assert [event.names for event in desk.heard.of(RulesChanged)][-1] == ("pay", "search")


def test_a_rule_that_has_expired_is_not_there_any_more(desk):
    desk("PUT", "/rules/new", {**RULE, "for": "1m"})
    desk.time.pass_(60)
    assert desk("GET", "/rules/new").status == desk("DELETE", "/rules/new").status == 404
    assert desk("PUT", "/rules/new", RULE).status == 201


def test_putting_one_rule_keeps_the_tallies_of_the_others(desk):
    tally = desk.injector.live_rules()[0].tally
    desk("PUT", "/rules/new", RULE)
    assert desk.injector.live_rules()[0].tally is tally


@pytest.mark.parametrize(
    ("name", "data", "where", "detail"),
    [
        ("New", RULE, "name", "'New' is not a rule name"),
        ("a/b", RULE, "name", "'a/b' is not a rule name"),
        ("x" * 64, RULE, "name", f"'{'x' * 64}' is not a rule name"),
        ("new", {**RULE, "name": "other"}, "new", "the names in the path and in the body differ"),
        ("new", {**RULE, "name": 5}, "new", "the names in the path and in the body differ"),
        ("new", {"rules": []}, "rules", "unknown key 'name' beside rules"),
        ("new", {}, "new", "how often? a percentage is required"),
    ],
)
def test_a_rule_that_is_not_possible_is_refused(desk, name, data, where, detail):
    reply = desk("PUT", f"/rules/{name}", data)
    assert reply.status == 422
    assert reply.data.get("where", where) == where
    assert detail in reply.data["detail"]
    assert desk.switch.store.read().version == 1


# Versions.


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', "1", '"7", "1"', ' "1" ', '"7",W/"1"', "*"])
def test_a_writer_who_has_seen_the_present_version_may_write(desk, tag):
    assert desk("PUT", "/rules/new", RULE, if_match=tag).status == 201


@pytest.mark.parametrize(
    "tag", ['"0"', '"2"', 'W/"2"', '"x"', '""', "", '"1" x', '"7", "8"', "²", '"' + "1" * 5000 + '"']
)
def test_a_writer_who_has_seen_another_version_is_refused_and_changes_nothing(desk, tag):
    before = desk.state()
    for method, path, data in (
        ("PUT", "/rules", []),
        ("PUT", "/rules/new", RULE),
        ("DELETE", "/rules/pay", None),
    ):
        reply = desk(method, path, data, if_match=tag)
        assert reply.status == 412, (method, path)
        assert reply.data["detail"].startswith('the rules have version "1", and the request is meant for ')
        assert len(reply.body) < 500
    assert desk.state() == before


def test_two_writers_who_have_seen_the_same_version_do_not_both_win(desk):
    tag = desk("GET", "/rules").headers["etag"]
    assert desk("PUT", "/rules/one", RULE, if_match=tag).status == 201
    assert desk("PUT", "/rules/two", RULE, if_match=tag).status == 412
    assert desk("PUT", "/rules/two", RULE, if_match=desk("GET", "/rules").headers["etag"]).status == 201


def test_a_writer_who_is_overtaken_between_the_check_and_the_write_is_refused(desk, monkeypatch):
    real = desk.switch.put_rule

    def overtaken(rule, **how):
        desk.switch.kill("somebody")
        return real(rule, **how)

    monkeypatch.setattr(desk.switch, "put_rule", overtaken)
    reply = desk("PUT", "/rules/new", RULE, if_match='"1"')
    assert (reply.status, reply.data["detail"]) == (409, "the rules have version 2, not 1: read them again")


# Parse.


def test_lines_become_documents_and_lines_again(desk):
    reply = desk("POST", "/parse", {"rules": "/pay 10% abort 503; GET /search 30% delay 200ms+-50ms for 5m as slow"})
    assert reply.status == 200
    assert [rule["percentage"] for rule in reply.data["rules"]] == [10, 30]
    assert reply.data["lines"] == ["/pay 10% abort 503", "GET /search 30% delay 200ms±50ms for 5m as slow"]
    again = desk("POST", "/parse", {"rules": "; ".join(reply.data["lines"])})
    assert again.data == reply.data
    assert desk("PUT", "/rules", {"rules": reply.data["rules"]}).status == 200


def test_parsing_changes_nothing(desk):
    before = desk.state()
    desk("POST", "/parse", {"rules": "/x 1% abort 500 as pay"})
    assert desk.state() == before


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ({}, 'send {"rules": "/payments 10% abort 503"}'),
        ({"rules": ["/pay"]}, "rules must be a text"),
        ({"rule": "/pay"}, "unknown field 'rule'; known: rules"),
    ],
)
def test_parsing_nonsense_is_refused(desk, data, detail):
    reply = desk("POST", "/parse", data)
    assert (reply.status, reply.data["detail"]) == (422, detail)


def test_a_line_that_is_not_possible_is_explained(desk):
    reply = desk("POST", "/parse", {"rules": "/pay abort 503"})
    assert reply.status == 422
    assert "share" in reply.data["detail"] + reply.data.get("hint", "")
