"""Status, kill and arm, from the request to what has changed."""

from __future__ import annotations

import os
import socket
from http import HTTPStatus

import pytest

from faultware.control.messages import MAX_BODY, Problem
from faultware.errors import MissingExtraError, StoreError
from faultware.state.memory import MemoryStore
from faultware.telemetry.events import InternalError, SwitchArmed, SwitchKilled
from tests.control.kit import RULE, open_desk
from tests.runtime.kit import BEGIN, BrokenStore, ask, memory, names

ACTOR = "control token from 10.0.0.7"


def in_force(desk):
    return [entry.rule.name for entry in desk.injector.current().rules.live]


# Status.


def test_new_guards_have_not_been_measured_when_they_are_answered():
    desk = open_desk(abort_when="memory > 900000MiB")
    assert desk("GET", "/guards").data["abort_when"] == ["memory > 900000MiB"]
    assert desk("PUT", "/guards", {"abort_when": "p99 > 2s"}).data == {
        "abort_when": ["p99 > 2s"],
        "measured": [{"guard": "p99 > 2s", "value": None, "shown": None}],
    }


def test_the_status_says_what_is_so(desk):
    reply = desk("GET", "/status")
    assert reply.status == 200
    assert reply.headers["etag"] == '"1"'
    assert reply.headers["content-type"] == "application/json"
    assert reply.data == {
        "state": "armed",
        "rules": 2,
        "active_faults": 0,
        "version": 1,
        "since": BEGIN,
        "by": "settings",
        "reason": "",
        "armed_until": None,
        "dry_run": False,
        "max_active_faults": 100,
        "held": 0,
        "guards": [],
        "token": {"name": "control token", "role": "control"},
        "reload_successful": True,
        "store": "memory:",
        "worker": {"host": socket.gethostname(), "pid": os.getpid()},
        "workers": [],
    }


def test_the_status_shows_every_worker_and_which_of_them_have_obeyed_the_kill(desk):
    desk.injector.tick()
    shown = {"host": socket.gethostname(), "pid": os.getpid(), "silent_seconds": 0.0}
    armed = {**shown, "state": "armed", "version": 1, "confirmed": False, "took_seconds": None}
    assert desk("GET", "/status").data["workers"] == [armed]
    assert desk("POST", "/kill").data["workers"] == [armed]
    desk.injector.tick()
    (worker,) = desk("GET", "/status").data["workers"]
    assert worker.pop("took_seconds") >= 0
    assert worker == {**shown, "state": "killed", "version": 2, "confirmed": True}


def test_the_status_of_a_store_that_does_not_answer_is_what_this_worker_knows():
    class Far(BrokenStore):
        def known(self):
            return MemoryStore.read(self)

    store = memory(kind=Far)
    desk = open_desk("/pay 10% abort 503", store=store)
    store.broken = {"read"}
    reply = desk("GET", "/status")
    assert reply.status == 200
    assert (reply.data["state"], reply.data["warning"], reply.data["workers"]) == ("armed", "cannot read", [])


def test_the_status_counts_what_is_active_and_held(desk):
    desk.injector._engine._dice.random = lambda: 0.0
    assert desk.injector.enter(ask(desk.injector))
    desk.injector.hold(lambda: None)
    data = desk("GET", "/status").data
    assert (data["active_faults"], data["held"]) == (1, 1)


def test_the_status_counts_rules_until_they_expire(desk):
    desk("PUT", "/rules/new", {**RULE, "for": "1m"})
    assert desk("GET", "/status").data["rules"] == 3
    desk.time.pass_(60)
    assert desk("GET", "/status").data["rules"] == 2


# Kill.


def test_a_kill_stops_everything_and_says_who_and_why(desk):
    released = []
    desk.injector.current()
    desk.injector.hold(lambda: released.append(1))
    desk.time.pass_(5)
    reply = desk("POST", "/kill", {"reason": "checkout is down"})
    data = reply.data
    assert (reply.status, reply.headers["etag"]) == (200, '"2"')
    assert (data["state"], data["version"], data["by"], data["reason"]) == ("killed", 2, ACTOR, "checkout is down")
    assert (data["rules"], data["since"], data["held"]) == (2, BEGIN + 5, 0)
    assert released == [1]
    assert in_force(desk) == []
    assert desk.heard.of(SwitchKilled) == [SwitchKilled(BEGIN + 5, ACTOR, "checkout is down")]
    assert desk("GET", "/status").data == data


def test_a_kill_needs_no_body_and_may_be_repeated(desk):
    assert [desk("POST", "/kill").data["version"] for _ in range(3)] == [2, 3, 4]
    assert desk("POST", "/kill", {}).data["reason"] == ""


def test_a_reason_is_cut_and_the_client_is_named_where_it_is_known(desk):
    assert desk("POST", "/kill", {"reason": "x" * 1000}).data["reason"] == "x" * 200


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ({"because": "x"}, "unknown field 'because'; known: reason"),
        ({"reason": 5}, "reason must be a text"),
        ({"reason": None}, "reason must be a text"),
    ],
)
def test_a_kill_that_says_nonsense_is_told_so_and_kills(desk, data, detail):
    reply = desk("POST", "/kill", data)
    assert (reply.status, reply.data["detail"]) == (422, f"{detail}; faults are stopped all the same")
    assert desk.switch.killed
    assert desk.heard.of(SwitchKilled) == [SwitchKilled(BEGIN, ACTOR, "")]


@pytest.mark.parametrize("body", [b"{", b"reason=x", b"\xff", b"[]", b"5"])
def test_a_kill_whose_body_cannot_be_read_kills(desk, body):
    reply = desk("POST", "/kill", body=body)
    assert reply.status in (400, 422)
    assert reply.data["detail"].endswith("; faults are stopped all the same")
    assert desk.switch.killed


def test_a_kill_whose_body_has_no_content_type_kills(desk):
    reply = desk("POST", "/kill", {"reason": "x"}, content_type="application/x-www-form-urlencoded")
    assert reply.status == 415
    assert reply.data["detail"].endswith("; faults are stopped all the same")
    assert desk.switch.killed


def test_a_kill_whose_body_is_too_large_kills(desk):
    reply = desk("POST", "/kill", body=b"{}".ljust(MAX_BODY + 1))
    detail = "a body has at most 1048576 bytes; faults are stopped all the same"
    assert (reply.status, reply.data["detail"]) == (413, detail)
    assert desk.switch.killed


@pytest.mark.parametrize("broken", ["read", "update"])
def test_a_kill_works_and_says_how_far_it_got_when_the_store_fails(broken):
    store = memory(kind=BrokenStore)
    desk = open_desk("/pay 100% abort 503 as pay", store=store)
    released = []
    assert names(desk.injector) == ["pay"]
    desk.injector.hold(lambda: released.append(1))
    store.broken = {broken}
    reply = desk("POST", "/kill", {"reason": "x"})
    assert reply.status == 200
    assert reply.data == {
        "state": "killed",
        "rules": 1,
        "active_faults": 0,
        "version": 1,
        "warning": f"cannot {'read' if broken == 'read' else 'update'}",
    }
    assert desk.switch.killed
    assert released == [1]
    assert names(desk.injector) == []
    assert desk.heard.of(SwitchKilled) == [SwitchKilled(BEGIN, ACTOR, "x")]
    assert [event.stage for event in desk.heard.of(InternalError)] == ["store"]


def test_a_kill_does_not_wait_for_those_who_are_told(desk):
    seen = []

    class Slow:
        def notice(self, event):
            seen.append((type(event), desk.switch.killed))

    desk.injector.observers = (Slow(),)
    desk("POST", "/kill")
    assert seen == [(SwitchKilled, True)]


def test_a_kill_releases_even_if_a_bug_shows(desk, monkeypatch):
    released = []
    desk.injector.current()
    desk.injector.holding.add(lambda: released.append(1))
    monkeypatch.setattr(desk.injector, "refresh", lambda: 1 / 0)
    assert desk("POST", "/kill").status == 500
    assert released == [1]
    assert desk.switch.killed


# Arm.


def test_arming_undoes_a_kill(desk):
    desk("POST", "/kill", {"reason": "x"})
    desk.time.pass_(1)
    reply = desk("POST", "/arm")
    data = reply.data
    assert (reply.status, data["state"], data["version"], data["armed_until"]) == (200, "armed", 3, None)
    assert (data["by"], data["reason"], data["since"]) == (ACTOR, "", BEGIN + 1)
    assert in_force(desk) == ["pay", "search"]
    assert desk.heard.of(SwitchArmed) == [SwitchArmed(BEGIN + 1, ACTOR, None)]


def test_arming_for_a_time_ends_by_itself(desk):
    data = desk("POST", "/arm", {"for": "1m30s"}).data
    assert data["armed_until"] == BEGIN + 90
    assert desk.heard.of(SwitchArmed) == [SwitchArmed(BEGIN, ACTOR, BEGIN + 90)]
    desk.time.pass_(90)
    desk.injector.tick()
    data = desk("GET", "/status").data
    assert (data["state"], data["by"], data["armed_until"]) == ("killed", "clock", None)
    assert data["reason"] == "the time for which it was armed is over"


@pytest.mark.parametrize(
    ("data", "detail", "hint"),
    [
        ({"for": "2h"}, "2h is longer than what arrives at run time may live", "at most 1h"),
        ({"for": "0s"}, "0s is no time at all", "such as 5m"),
        ({"for": "90"}, "a duration needs its unit", "write 90ms or 90s"),
        ({"for": "soon"}, "'soon' is not a duration", "such as 250ms, 1.5s, 1m30s"),
    ],
)
def test_arming_for_an_impossible_time_is_refused(desk, data, detail, hint):
    desk("POST", "/kill")
    reply = desk("POST", "/arm", data)
    assert reply.status == 422
    assert {key: reply.data[key] for key in ("detail", "where", "hint")} == {
        "detail": detail,
        "where": "for",
        "hint": hint,
    }
    assert desk.switch.killed


@pytest.mark.parametrize(
    ("data", "detail"),
    [({"for": 5}, "for must be a text"), ({"until": "5m"}, "unknown field 'until'; known: for")],
)
def test_arming_with_nonsense_is_refused(desk, data, detail):
    reply = desk("POST", "/arm", data)
    assert (reply.status, reply.data["detail"]) == (422, detail)


def test_nobody_can_arm_while_the_kill_file_exists(tmp_path):
    desk = open_desk(kill_file=tmp_path / "kill")
    (tmp_path / "kill").touch()
    desk("POST", "/kill")
    reply = desk("POST", "/arm")
    assert (reply.status, reply.data["title"]) == (409, "Conflict")
    assert reply.data["detail"] == f"the kill file {tmp_path}/kill exists: remove it first"


# A store that fails.


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("GET", "/status", None),
        ("GET", "/rules", None),
        ("GET", "/rules/pay", None),
        ("POST", "/arm", None),
        ("PUT", "/rules", []),
        ("PUT", "/rules/new", RULE),
        ("DELETE", "/rules/pay", None),
    ],
)
def test_a_store_that_fails_is_said_to(method, path, data):
    store = memory(kind=BrokenStore)
    desk = open_desk("/pay 10% abort 503 as pay", store=store)
    store.broken = {"read", "update"}
    reply = desk(method, path, data)
    assert (reply.status, reply.data["title"]) == (503, "Service Unavailable")
    assert reply.data["detail"] in ("cannot read", "cannot update")


def test_what_was_written_is_answered_even_if_it_cannot_be_put_in_force_yet(desk, monkeypatch):
    def fails():
        raise StoreError("not now")

    monkeypatch.setattr(desk.injector, "refresh", fails)
    assert desk("POST", "/arm").data["version"] == 2
    assert desk("PUT", "/rules/new", RULE).status == 201


def test_every_error_of_ours_has_its_status():
    assert Problem.of(MissingExtraError("YAML", "yaml")).status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert Problem.of(StoreError("x")).status == HTTPStatus.SERVICE_UNAVAILABLE
