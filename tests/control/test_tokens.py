"""Several tokens: what each may do, whose name is told, and files that change while the service runs."""

from __future__ import annotations

import json
import logging
import os

import pytest

from faultware.config.tokens import Role, read_tokens
from faultware.control.attempts import FREE, MAX_ORIGINS, MOST_SECONDS, Attempts
from faultware.control.messages import ControlRequest
from faultware.control.routes import ROUTES
from faultware.telemetry.events import AccessRefused, InternalError
from faultware.telemetry.logs import LogObserver
from tests.control.kit import RULE, TOKEN, open_desk
from tests.runtime.kit import Time

VIEWER, KILLER, OPERATOR = "the-token-of-a-viewer", "the-token-of-a-killer", "the-token-of-an-operator"
TOKENS = f"grafana:view:{VIEWER}, alerts:kill:{KILLER}, ops:control:{OPERATOR}"


@pytest.fixture
def desk():
    return open_desk("/pay 10% abort 503 as pay", control_token=None, control_tokens=TOKENS)


# Roles.

BODIES = {
    "/rules": [RULE],
    "/rules/{name}": RULE,
    "/guards": {"abort_when": ""},
    "/parse": {"rules": "/a 1% abort 503"},
    "/explain": {},
}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_token_may_do_what_its_role_may_and_nothing_else(desk, route):
    path, body = route.path.replace("{name}", "pay"), BODIES.get(route.path)
    for role, token in ((Role.VIEW, VIEWER), (Role.KILL, KILLER), (Role.CONTROL, OPERATOR)):
        before = desk.state()
        reply = desk(route.method, path, None if route.method == "DELETE" else body, token=token)
        if role >= route.needs:
            assert reply.status in (200, 201, 204)
        else:
            assert reply.status == 403
            assert reply.headers["www-authenticate"] == (
                f'Bearer realm="faultware", error="insufficient_scope", scope="{route.needs}"'
            )
            assert desk.state() == before


def test_only_reading_needs_no_more_than_the_least_role_and_only_a_kill_the_next():
    needs = {(route.method, route.path): route.needs for route in ROUTES}
    reading = {key for key, role in needs.items() if role is Role.VIEW}
    assert reading == {key for key in needs if key[0] == "GET"} | {("POST", "/parse"), ("POST", "/explain")}
    assert {key for key, role in needs.items() if role is Role.KILL} == {("POST", "/kill")}


def test_the_refusal_names_both_roles(desk):
    reply = desk("POST", "/arm", token=KILLER)
    assert reply.data["detail"] == "this needs a token with the role control; that of alerts has the role kill"
    assert desk.heard.of(AccessRefused)[0].actor == "alerts"
    assert desk.injector.refusals == {"role": 1}


def test_the_name_of_the_token_is_told_wherever_it_is_told_who_did_something(desk):
    desk("POST", "/kill", {"reason": "x"}, token=KILLER)
    assert desk("GET", "/status", token=VIEWER).data["by"] == "alerts from 10.0.0.7"
    desk("PUT", "/rules/new", RULE, token=OPERATOR)
    trail = desk("GET", "/audit", token=VIEWER).data["entries"]
    assert [(deed["actor"], deed["origin"]) for deed in trail] == [("alerts", "10.0.0.7"), ("ops", "10.0.0.7")]
    assert [event.actor for event in desk.heard.events] == ["alerts from 10.0.0.7", "ops from 10.0.0.7"]


def test_the_single_token_goes_on_meaning_everything_beside_the_others():
    desk = open_desk(control_tokens=TOKENS)
    assert desk("POST", "/arm").data["by"] == "control token from 10.0.0.7"
    assert desk("POST", "/arm", token=OPERATOR).status == 200


def test_a_name_may_have_several_tokens_while_one_takes_the_place_of_the_other():
    desk = open_desk(control_token=None, control_tokens=["ops:control:an-old-token-of-ops", f"ops:control:{OPERATOR}"])
    for token in ("an-old-token-of-ops", OPERATOR):
        assert desk("POST", "/kill", token=token).data["by"] == "ops from 10.0.0.7"


def test_tokens_are_kept_as_digests_and_described_by_name_and_role(desk):
    tokens = read_tokens(TOKENS)
    assert [str(token) for token in tokens] == ["grafana:view", "alerts:kill", "ops:control"]
    settings = desk.service.settings
    said = [
        repr(tokens),
        repr(settings),
        str(settings.model_dump()),
        settings.model_dump_json(include={"control_tokens"}),
    ]
    said += [repr(desk.control._keyring), str(vars(desk.control))]
    assert not [text for text in said for token in (VIEWER, KILLER, OPERATOR) if token in text]
    assert json.loads(said[3]) == {"control_tokens": ["grafana:view", "alerts:kill", "ops:control"]}


# Files.


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tokens"


def write(file, text):
    """As a deployment replaces a file; its times may be the same to the nanosecond where a test is quick."""
    draft = file.with_suffix(".new")
    draft.write_text(text)
    before = file.stat().st_mtime_ns if file.exists() else 0
    draft.replace(file)
    os.utime(file, ns=(before + 1, before + 1))


def test_a_file_of_tokens_is_read_again_by_the_refresher_and_by_nobody_else(file):
    write(file, f"# who may\n\nops:control:{OPERATOR}\n")
    desk = open_desk(control_token=None, control_tokens_file=file)
    write(file, f"new:view:{VIEWER}\n")
    assert desk("POST", "/arm", token=OPERATOR).status == 200
    assert desk("GET", "/status", token=VIEWER).status == 401
    desk.injector.tick()
    assert desk("POST", "/arm", token=OPERATOR).status == 401
    assert desk("GET", "/status", token=VIEWER).status == 200
    assert desk("POST", "/kill", token=VIEWER).status == 403


def test_the_file_of_the_single_token_is_read_again_too(file):
    write(file, f"{OPERATOR}\n")
    desk = open_desk(control_token=None, control_token_file=file)
    assert desk("POST", "/arm", token=OPERATOR).data["by"] == "control token from 10.0.0.7"
    write(file, f"{TOKEN}\r\n")
    desk.injector.tick()
    assert desk("POST", "/arm", token=OPERATOR).status == 401
    assert desk("POST", "/arm").status == 200


def test_a_file_behind_a_link_that_is_swapped_is_read_again(tmp_path):
    """As Kubernetes mounts a Secret."""
    for name, token in (("one", OPERATOR), ("two", TOKEN)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(token)
    (tmp_path / "data").symlink_to("one")
    desk = open_desk(control_token=None, control_token_file=tmp_path / "data/token")
    assert desk("GET", "/status", token=OPERATOR).status == 200
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(tmp_path / "data")
    desk.injector.tick()
    assert desk("GET", "/status").status == 200
    assert desk("GET", "/status", token=OPERATOR).status == 401


@pytest.mark.parametrize(
    "content", ["", "# nobody\n", "ops:root:aaaaaaaaaaaaaaaaaaaaa\n", "ops:kill:short\n", "\xff", None]
)
def test_a_file_that_cannot_be_used_any_more_takes_the_kill_switch_from_nobody(file, content):
    write(file, f"ops:control:{OPERATOR}\n")
    desk = open_desk(control_token=None, control_tokens_file=file)
    if content is None:
        file.unlink()
    else:
        write(file, content)
    for _ in range(3):
        desk.injector.tick()
    assert desk("POST", "/kill", token=OPERATOR).status == 200
    (told,) = desk.heard.of(InternalError)
    assert told.stage == "tokens"
    assert told.message.endswith("(the last good tokens stay)")
    assert desk.injector.internal_errors == {"tokens": 1}
    write(file, f"ops:control:{TOKEN}\n")
    desk.injector.tick()
    assert desk("POST", "/kill", token=OPERATOR).status == 401
    assert desk("POST", "/kill").status == 200


def test_what_is_told_of_a_file_does_not_show_what_stands_in_it(file):
    write(file, f"ops:control:{OPERATOR}\n")
    desk = open_desk(control_token=None, control_tokens_file=file)
    for content in (f"ops:contrl:{VIEWER}", f"{VIEWER}:view:ops", f"view:{VIEWER}", f"ops:view:{VIEWER} {KILLER}"):
        write(file, content)
        desk.injector.tick()
    said = " ".join(str(event) for event in desk.heard.events)
    assert said.count("InternalError") == 4
    assert not [token for token in (VIEWER, KILLER, OPERATOR) if token in said]


# Failures.


def test_who_fails_again_and_again_is_told_to_slow_down_and_by_and_by_forgiven(desk):
    replies = [desk("GET", "/status", token=f"wrong-{number}") for number in range(FREE + 9)]
    assert [reply.status for reply in replies] == [401] * FREE + [429] * 9
    waits = [int(reply.headers["retry-after"]) for reply in replies[FREE:]]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert replies[-1].data["detail"] == (
        "too many wrong tokens; a right one is let in at once, a wrong one not before 60 s"
    )
    assert replies[-1].headers["www-authenticate"] == 'Bearer realm="faultware"'
    desk.time.pass_(301)
    assert desk("GET", "/status", token="wrong").status == 401


def test_a_right_token_is_let_in_whatever_came_before_and_clears_the_score(desk):
    for number in range(1000):
        desk("POST", "/kill", token=f"wrong-{number}")
    assert desk("POST", "/kill", token=KILLER).status == 200
    assert desk("GET", "/status", token="wrong").status == 401


def test_others_do_not_pay_for_who_fails(desk):
    for _ in range(FREE + 1):
        desk("GET", "/status", token="wrong")
    request = ControlRequest("GET", "/status", headers={"authorization": "Bearer x"}, client="10.9.9.9")
    assert desk.send(request).status == 401


def test_who_shows_no_token_does_not_guess(desk):
    assert {desk("GET", "/status", token=None).status for _ in range(50)} == {401}
    assert desk.injector.refusals == {"token": 50}
    assert desk.heard.of(AccessRefused) == []


def test_failures_are_counted_and_told_in_the_log_ever_more_seldom_and_without_the_token(desk, caplog):
    caplog.set_level(logging.DEBUG)
    desk.injector.observers = (*desk.injector.observers, LogObserver(desk.time.clocks.monotonic))
    for number in range(200):
        desk("GET", "/status", token=f"guess-number-{number}")
    assert desk.injector.refusals == {"token": 200}
    assert [event.failures for event in desk.heard.of(AccessRefused)] == [1, 10, 100]
    assert caplog.messages == [
        f'refused actor="" origin=10.0.0.7 reason=token failures={failures}' for failures in (1, 10, 100)
    ]
    assert "guess-number" not in caplog.text + str(desk.heard.events)
    assert desk("GET", "/events", token=VIEWER).data["events"] == []


def test_refusals_are_in_the_metrics(desk):
    desk("GET", "/status", token="wrong")
    desk("GET", "/status", token=VIEWER, host="evil.example")
    text = desk("GET", "/metrics", token=VIEWER).body.decode()
    assert 'faultware_refusals_total{reason="token"} 1.0' in text
    assert 'faultware_refusals_total{reason="host"} 1.0' in text


def test_no_more_is_remembered_than_there_is_room_for():
    time = Time()
    attempts = Attempts(time.clocks.monotonic)
    for number in range(10 * MAX_ORIGINS):
        attempts.failed(f"10.0.0.{number}")
    assert len(attempts._records) == MAX_ORIGINS
    last = [attempts.failed("10.0.0.1") for _ in range(3000)][-1]
    assert last == (3000, MOST_SECONDS)
