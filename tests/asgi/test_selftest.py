"""The self-test of WebSockets: the handshake that asks for a fault gets it, and the application hears of nothing."""

from __future__ import annotations

import anyio
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from tests.asgi.server import Application, http_scope, wrapped

TOKEN = "a-token-for-asgi-tests"
BEARER = {"authorization": f"Bearer {TOKEN}", "host": "localhost"}
PATH = "/_faultware/selftest?fault="


@pytest.fixture(params=["", "/ 100% websocket_refuse 418 as everything"], ids=["no rules", "with rules"])
def application(request):
    application = Application()
    application.wrapped = wrapped(application, request.param, control_token=TOKEN)
    return application


def connect(application, fault, headers=BEARER):
    return TestClient(application.wrapped, base_url="http://localhost").websocket_connect(PATH + fault, headers=headers)


def test_an_open_connection_repeats_what_it_hears_with_the_fault_that_was_asked_for(application):
    with connect(application, "websocket_messages+duplicate=100%25+of=outgoing") as talk:
        talk.send_text("one")
        assert [talk.receive_text(), talk.receive_text()] == ["one", "one"]
        talk.send_bytes(b"two")
        assert [talk.receive_bytes(), talk.receive_bytes()] == [b"two", b"two"]
    assert application.runs == 0


def test_a_handshake_is_refused_as_it_asks(application):
    with pytest.raises(WebSocketDenialResponse) as caught, connect(application, "websocket_refuse+503"):
        pass
    assert caught.value.status_code == 503
    assert application.runs == 0


def test_a_connection_is_closed_as_it_asks(application):
    with connect(application, "websocket_close+1011") as talk, pytest.raises(WebSocketDisconnect) as caught:
        talk.receive_text()
    assert caught.value.code == 1011


@pytest.mark.parametrize(
    ("fault", "headers", "status"),
    [
        ("websocket_refuse+503", {"host": "localhost"}, 401),
        ("websocket_refuse+503", {**BEARER, "host": "evil.example"}, 403),
        ("abort+503", BEARER, 422),
        ("nonsense", BEARER, 422),
    ],
)
def test_what_may_not_or_cannot_be_done_is_refused_with_the_reason(application, fault, headers, status):
    with pytest.raises(WebSocketDenialResponse) as caught, connect(application, fault, headers):
        pass
    assert caught.value.status_code == status
    assert caught.value.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/_faultwares/selftest", "/other/_faultware/selftest"])
def test_other_handshakes_are_the_applications(application, path):
    async def main():
        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        scope = {**http_scope(path, headers=BEARER.items(), query="fault=websocket_refuse"), "type": "websocket"}
        await application.wrapped(scope, receive, send)
        return sent

    application.wrapped._injector.switch.replace_rules([])
    assert anyio.run(main) == []
    assert application.runs == 1
