"""Real services that call each other: a fault request travels in the baggage to the one it is meant for."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from faultware.signing import sign_baggage
from tests.servers.harness import SERVERS, eventually, serve

pytestmark = pytest.mark.server
KEY = "0123456789abcdef0123456789abcdef"
FAULTED = b"503:signed-request;abort"


def chain(stack, *kinds):
    """Services of these kinds, each of which calls the next."""
    further, servers = "", []
    for kind in reversed(kinds):
        settings = {"FAULTWARE_FAULT_SIGNING_KEY": KEY, "FAULTWARE_FAULT_PROPAGATION": "true", "NEXT": further}
        app = f"tests.servers.calling:{SERVERS[kind].protocol}"
        servers.insert(0, stack.enter_context(serve(kind, {**settings, "FAULTWARE_STORE": "memory:"}, app=app)))
        further = f"http://127.0.0.1:{servers[0].port}"
    return servers


def asked(server, path="/checkout", **how):
    return server.get(path, baggage=sign_baggage(KEY, "POST", "/charge", "abort 503", **how)).body


@pytest.mark.parametrize(
    "kinds",
    [
        ("uvicorn", "gunicorn-gthread"),
        ("gunicorn-gthread", "uvicorn-h11"),
        ("hypercorn-trio", "gunicorn-gevent"),
        ("gunicorn-gevent", "granian"),
    ],
)
def test_the_service_that_is_called_does_what_the_first_one_was_asked_for(kinds):
    with ExitStack() as stack:
        first, second = chain(stack, *kinds)
        assert asked(first) == FAULTED + b" " + FAULTED, "every call of that request"
        assert first.get("/checkout").body == b"charged charged"
        assert asked(first, hops=0) == b"charged charged"

        assert second.control("POST", "kill", {}).status == 200
        assert asked(first) == b"charged charged", "the service that is to be faulted is killed"
        assert second.control("POST", "arm", {}).status == 200
        eventually(lambda: asked(first) == FAULTED + b" " + FAULTED, "faults after arming")

        assert first.control("POST", "kill", {}).status == 200
        assert asked(first) == b"charged charged", "the service in between is killed"


def test_it_goes_as_far_as_was_signed():
    with ExitStack() as stack:
        first, *_ = chain(stack, "uvicorn", "waitress", "uvicorn-h11")
        assert asked(first, "/via/checkout", hops=2) == FAULTED + b" " + FAULTED
        assert asked(first, "/via/checkout", hops=1) == b"charged charged"
