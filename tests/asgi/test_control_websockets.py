"""WebSockets below the control path: nobody serves them, least of all the application."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from tests.asgi.server import wrapped

TOKEN = "a-token-for-asgi-tests"
LOCAL = {"host": "localhost"}
BEARER = {"authorization": f"Bearer {TOKEN}", **LOCAL}
PATHS = ["/_faultware", "/_faultware/", "/_faultware/kill", "/_faultware/status", "/_faultware/selftest/more"]


@pytest.fixture
def seen():
    return []


@pytest.fixture(params=["", "/** 100% websocket_refuse 418 as all"], ids=["no rules", "with rules"])
def service(request, seen):
    async def anything(websocket):
        seen.append(websocket.url.path)
        await websocket.accept()
        await websocket.close()

    application = Starlette(routes=[WebSocketRoute("/{path:path}", anything)])
    return wrapped(application, request.param, control_token=TOKEN)


def answered(service, path, headers):
    connecting = TestClient(service).websocket_connect(path, headers=headers)
    with pytest.raises(WebSocketDenialResponse) as caught, connecting:
        pass
    return caught.value.status_code, caught.value.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/_faultware", "/_faultware/", "/_faultware/kill", "/_faultware/status", "/_faultware/x"]
)
@pytest.mark.parametrize("is_killed", [False, True])
def test_a_handshake_is_refused_and_the_application_does_not_see_it(service, seen, path, is_killed):
    if is_killed:
        service._injector.kill("me")
    assert answered(service, path, BEARER) == (404, "there are no WebSockets here")
    assert answered(service, path, LOCAL)[0] == 401
    assert answered(service, path, {**BEARER, "host": "evil.example"})[0] == 403
    assert seen == []


def test_a_server_that_cannot_answer_a_handshake_closes_it(service, seen):
    async def bare(scope, receive, send):
        await service({**scope, "extensions": {}}, receive, send)

    with pytest.raises(WebSocketDisconnect), TestClient(bare).websocket_connect("/_faultware/kill", headers=BEARER):
        pass
    assert seen == []


def test_other_paths_are_the_applications(service, seen):
    service._injector.kill("me")
    with TestClient(service).websocket_connect("/_faultwares/kill"):
        pass
    assert seen == ["/_faultwares/kill"]
