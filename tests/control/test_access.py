"""Who gets in, and what those who do not are told."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.config.tokens import Role, Token, digest
from faultware.control import auth
from faultware.control.auth import Keyring
from faultware.control.messages import ControlRequest
from faultware.control.mounting import mount
from faultware.runtime.build import Service
from tests.control.kit import TOKEN, open_desk

TOKEN_IS_SENT = "send the control token as authorization: Bearer …"
ROUTES = (
    "/status",
    "/kill",
    "/arm",
    "/rules",
    "/rules/pay",
    "/parse",
    "/explain",
    "/events",
    "/audit",
    "/capabilities",
    "/metrics",
    "/openapi.json",
    "/series",
    "/recent",
    "/nothing",
    "/nothing/",
)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_without_the_token_nothing_is_answered_and_nothing_changes(desk, method, path):
    before = desk.state()
    for token in (None, "", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper()):
        reply = desk(method, path, token=token)
        assert reply.status == 401
        assert reply.headers["www-authenticate"] == 'Bearer realm="faultware"'
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.data["detail"] == ("the control token is wrong" if token else TOKEN_IS_SENT)
    assert desk.state() == before


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_case_of_the_scheme_does_not_count(desk, scheme):
    assert desk("GET", "/status", token=None, authorization=f"{scheme} {TOKEN}").status == 200
    assert desk("GET", "/status", token=None, authorization=f"  {scheme}   {TOKEN} ").status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer{TOKEN}",
        f"Bearer\t{TOKEN}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Bearer {TOKEN} x",
        f'Bearer "{TOKEN}"',
        f"Bearer\u00a0{TOKEN}",
        "Bearer",
        "Bearer ",
        " ",
        "\ud800",
        "Bearer \ud800",
        "Bearer " + "x" * 30_000,
    ],
)
def test_what_only_resembles_the_right_header_does_not_let_in(desk, authorization):
    assert desk("GET", "/status", token=None, authorization=authorization).status == 401


@pytest.mark.parametrize(
    "token", ["sésame-öffne-dich", "пароль-пароль-пароль", "开门开门开门开门开门开门开门开门", "ÿ" * 16]
)
def test_a_token_need_not_be_ascii(token):
    """Its bytes come as Latin-1, whatever the client meant by them: UTF-8, or Latin-1 where that can say it."""
    desk = open_desk(control_token=token)
    assert desk("GET", "/status", token=token.encode().decode("latin-1")).status == 200
    if max(token) < "\u0100":
        assert desk("GET", "/status", token=token).status == 200
    assert desk("GET", "/status", token=token[:-1] + "?").status == 401
    assert desk("GET", "/status", token=token.encode("latin-1", "replace").decode("latin-1") + "?").status == 401


def test_tokens_are_compared_in_constant_time_whatever_is_sent(desk, monkeypatch):
    compared = []
    real = auth.hmac.compare_digest

    class Spying:
        @staticmethod
        def compare_digest(one, other):
            compared.append((one, other))
            return real(one, other)

    monkeypatch.setattr(auth, "hmac", Spying)
    for authorization in (
        "",
        "Bearer",
        "Basic x",
        "Bearer x",
        f"Bearer {TOKEN}",
        "Bearer \u1234",
        "Bearer " + "x" * 5000,
    ):
        compared.clear()
        desk("GET", "/status", token=None, authorization=authorization)
        assert len(compared) == 2, "as many comparisons as for any other"
        assert {(type(text), len(text)) for pair in compared for text in pair} == {(bytes, 32)}


LETTERS = st.characters(codec="utf-8", exclude_categories=["C", "Z"])


@given(st.text(LETTERS, min_size=16), st.text() | st.none())
def test_only_the_token_lets_in(token, other):
    sent = token.encode().decode("latin-1") if other is None else other
    mine = Token("ops", Role.VIEW, digest(token))
    assert Keyring([mine]).find(f"Bearer {sent}") == (mine if _means(sent, token) else None)


def _means(sent, token):
    """Whether bytes that were sent are the token, in one of the two spellings."""
    sent = sent.strip()
    return sent == token or sent.encode("latin-1", "replace").decode("utf-8", "replace") == token


# Hosts.


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost:8000",
        "localhost.",
        "localhost.:1",
        "127.0.0.1",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:80",
        "[0:0:0:0:0:0:0:1]:80",
        "[0000::0001]",
        " localhost ",
    ],
)
def test_the_names_of_this_machine_are_allowed(desk, host):
    assert desk("GET", "/status", host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "localhost.evil.example",
        "localhost, localhost",
        "127.0.0.2",
        "localhost@evil",
        "[::2]",
        "\ud800",
        "localhost:80:80",
        "localhost:x",
        "localhost:",
        "localhost..",
        ".localhost",
        "localhost/",
        "localhost\\",
        "localhost\n",
        "local host",
        "%6cocalhost",
        "user@localhost",
        "localhost:80@evil.example",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0",
        "[::1",
        "::1",
        "[::1%25lo]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:0:0:0:1]",
        "localhost,localhost",
        "ｌocalhost",
        "localhost:123456",
    ],
)
def test_other_names_are_not_allowed_so_that_no_web_page_gets_in_by_rebinding(desk, host):
    reply = desk("POST", "/kill", host=host)
    assert reply.status == 403
    assert "FAULTWARE_CONTROL_HOSTS names those that are" in reply.data["detail"]
    assert not desk.switch.killed


def test_a_forwarded_host_counts_for_nothing(desk):
    assert desk("GET", "/status", host="evil.example", x_forwarded_host="localhost").status == 403


def test_names_that_the_settings_allow_are_allowed_besides():
    desk = open_desk(control_hosts="Chaos.Example, [fd00::7]")
    for host in ("chaos.example", "CHAOS.example:8443", "chaos.example.", "[fd00::7]:80", "localhost"):
        assert desk("GET", "/status", host=host).status == 200, host
    assert desk("GET", "/status", host="sub.chaos.example").status == 403


def test_a_star_allows_every_name():
    desk = open_desk(control_hosts="*")
    for host in ("evil.example", None, ""):
        assert desk("GET", "/status", host=host).status == 200


@pytest.mark.parametrize("host", ["localhost, localhost", "a b", "a@b", "[::1"])
def test_a_star_allows_names_and_not_what_is_none(host):
    assert open_desk(control_hosts="*")("GET", "/status", host=host).status == 403


def test_who_has_no_token_does_not_learn_which_names_are_allowed(desk):
    assert desk("GET", "/status", token=None, host="evil.example").status == 401


# Where it stands.


def test_without_a_token_there_is_no_endpoint():
    desk = open_desk()
    settings = desk.service.settings.model_copy(update={"control_token": None})
    assert mount(Service(settings, desk.injector, desk.service.events, desk.service.watch)) is None


@pytest.mark.parametrize(
    ("path", "is_ours"),
    [
        ("/_faultware", True),
        ("/_faultware/", True),
        ("/_faultware/status", True),
        ("/_faultware//status", True),
        ("/_faultwares", False),
        ("/_Faultware/status", False),
        ("//_faultware/status", False),
        ("/x/_faultware/status", False),
        ("/", False),
        ("", False),
    ],
)
def test_the_endpoint_owns_its_path_and_what_is_below_and_nothing_else(desk, path, is_ours):
    assert desk.control.owns(path) is is_ours
    if is_ours:
        assert desk.control.below(path) == path[len("/_faultware") :]


def test_the_endpoint_stands_where_the_settings_say():
    control = open_desk(control_path="/ops/chaos").control
    assert control.owns("/ops/chaos/status")
    assert not control.owns("/_faultware/status")
    assert control.below("/ops/chaos/status") == "/status"


# The secret.


def test_the_token_is_in_no_answer_event_log_line_or_description(desk, caplog):
    caplog.set_level(logging.DEBUG)
    bodies = [None, {}, {"reason": "x"}, {"rules": []}, {"rules": "/x 1% abort 503"}, [], "x", {"for": "1h"}]
    for path in ROUTES:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
            for data in bodies:
                desk(method, path, data)
                desk(method, path, data, token=TOKEN + "x")
                desk(method, path, data, host=f"{TOKEN}.example", token="wrong")
    said = [json.dumps(reply.headers) + reply.body.decode() for reply in desk.replies]
    said += [str(event) for event in desk.heard.events] + [caplog.text]
    said += [
        repr(thing)
        for thing in (desk.control, desk.service, desk.service.settings, desk.control._keyring, desk.control._door)
    ]
    said += [str(desk.service.settings.model_dump()), str(vars(desk.control))]
    assert not [text for text in said if TOKEN in text]


def test_a_bug_is_counted_and_its_answer_says_nothing_of_it(desk, monkeypatch):
    def breaks():
        raise RuntimeError(f"{TOKEN} and other secrets")

    monkeypatch.setattr(desk.switch.store, "read", breaks)
    reply = desk("GET", "/status")
    assert reply.status == 500
    assert reply.data["detail"] == "this is a bug in faultware; it was counted"
    assert desk.injector.internal_errors == {"control": 1}


@pytest.mark.parametrize("path", ["\ud800", "/\udcff", "/rules/\ud800", "/status\x00", "/rules/" + "x" * 8_000, "/é"])
def test_a_path_that_is_hardly_text_is_refused_like_any_other(desk, path):
    for method in ("GET", "PUT", "DELETE"):
        reply = desk.send(
            ControlRequest(
                method,
                path,
                headers={"authorization": f"Bearer {TOKEN}", "host": "localhost", "content-type": "application/json"},
                body=json.dumps({"percentage": 1, "abort": 503}).encode() if method == "PUT" else b"",
            )
        )
        assert reply.status in (404, 422)
        assert len(reply.body) < 2000
        json.loads(reply.body)
