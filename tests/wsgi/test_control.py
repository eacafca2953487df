"""The control endpoint inside the WSGI middleware: what only a server's side of it can show."""

from __future__ import annotations

import io

import pytest

from tests.wsgi.server import ask, wrapped

TOKEN = "a-token-for-wsgi-tests"
HEADERS = [("host", "localhost"), ("authorization", f"Bearer {TOKEN}"), ("content-type", "application/json")]


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


@pytest.mark.parametrize(("path", "is_killed"), [("kill", True), ("arm", False)])
def test_a_client_that_leaves_while_it_sends_has_killed_or_has_asked_for_nothing(path, is_killed):
    app = wrapped(hello, control_token=TOKEN)
    cut = {"wsgi.input": io.BytesIO(b'{"reas'), "CONTENT_LENGTH": "20"}
    assert ask(app, f"/_faultware/{path}", method="POST", headers=HEADERS, **cut).status == 400
    assert (app._injector.switch.killed, app._injector.switch.store.read().version) == (is_killed, 1 + is_killed)


def test_who_is_not_let_in_has_no_body_read():
    class Untouched(io.BytesIO):
        def read(self, *_):
            raise AssertionError("nobody reads this")

    app = wrapped(hello, control_token=TOKEN)
    headers = [("host", "localhost"), ("authorization", "Bearer wrong")]
    unread = {"wsgi.input": Untouched(), "CONTENT_LENGTH": "1000000"}
    assert ask(app, "/_faultware/kill", method="POST", headers=headers, **unread).status == 401


@pytest.mark.parametrize(
    "path",
    ["//_faultware/kill", "/x/../_faultware/kill", "/_faultware;x/kill", "/_FAULTWARE/kill", "/_faultwares/kill"],
)
def test_a_path_that_only_resembles_the_endpoints_is_the_applications(path):
    app = wrapped(hello, control_token=TOKEN)
    assert ask(app, path, method="POST", headers=HEADERS, REQUEST_URI=path).body == b"hello"
    assert not app._injector.switch.killed
