"""The endpoint through Starlette and through Werkzeug: the same answers, whatever happens to the service."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import anyio
import httpx2
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from werkzeug.test import Client
from werkzeug.wrappers import Response

from faultware.asgi import FaultMiddleware as AsgiFaultMiddleware
from faultware.control.messages import MAX_BODY
from faultware.runtime import build
from faultware.wsgi import FaultMiddleware as WsgiFaultMiddleware
from tests.control.kit import RULE, TOKEN
from tests.runtime.kit import BEGIN

PAY = "/pay 100% abort 503 as pay"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}", "host": "localhost:8000"}
# What answers must agree on; the rest is the server's.
HEADERS = ("content-type", "cache-control", "x-content-type-options", "etag", "allow", "www-authenticate", "location")


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch):
    monkeypatch.setattr(build, "time", SimpleNamespace(monotonic=lambda: 500.0, time=lambda: BEGIN))


def options(rules):
    return {
        "enabled": True,
        "rules": rules,
        "store": "memory:",
        "control_token": TOKEN,
        "environ": {},
        "registry": CollectorRegistry(),
    }


class AsgiService:
    """A Starlette application behind the middleware."""

    def __init__(self, rules) -> None:
        async def hello(request):
            return PlainTextResponse("hello")

        routes = [Route("/{rest:path}", hello, methods=["GET", "POST", "PUT", "DELETE", "KILL"])]
        self.app = Starlette(routes=routes)
        self.app.add_middleware(AsgiFaultMiddleware, **options(rules))

    def ask(self, method, target, headers, body=b""):
        """Status, headers and body; a body that is a list comes in chunks, without its length."""

        async def chunks():
            for chunk in body:
                yield chunk

        async def main():
            transport = httpx2.ASGITransport(app=self.app, client=("10.0.0.7", 5000))
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
                content = chunks() if isinstance(body, list) else body
                return await client.request(method, target, headers=headers, content=content)

        reply = anyio.run(main)
        return reply.status_code, reply.headers, reply.content


class WsgiService:
    """A WSGI application behind the middleware."""

    def __init__(self, rules) -> None:
        def hello(environ, start_response):
            return Response("hello")(environ, start_response)

        self.app = WsgiFaultMiddleware(hello, **options(rules))

    def ask(self, method, target, headers, body=b""):
        client = Client(self.app)
        given = dict(headers)
        overrides = {"REMOTE_ADDR": "10.0.0.7"}
        # The client knows the type by a name of its own, and would take the host from it.
        content_type = given.pop("content-type", None)
        host = given.pop("host", None)
        if host is not None:
            overrides["HTTP_HOST"] = host
        how = {"data": body}
        if isinstance(body, list):
            # As gunicorn and waitress hand on a chunked body: without a length, but with an end.
            how = {"input_stream": io.BytesIO(b"".join(body))}
            overrides["wsgi.input_terminated"] = True
        reply = client.open(
            target, method=method, headers=given, content_type=content_type, environ_overrides=overrides, **how
        )
        return reply.status_code, reply.headers, reply.data


SERVICES = {"asgi": AsgiService, "wsgi": WsgiService}


@pytest.fixture(params=SERVICES)
def make(request):
    return SERVICES[request.param]


def asking(data=None, **headers):
    """Headers and body of a request whose body is JSON."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    if data is None:
        return {**AUTHORIZED, **more}, b""
    return {**AUTHORIZED, "content-type": "application/json", **more}, json.dumps(data).encode()


def control(service, method, path, data=None, **headers):
    status, _, body = service.ask(method, f"/_faultware{path}", *asking(data, **headers))
    return status, json.loads(body) if body else None


# One service is asked all of this, in this order.
CONVERSATION = [
    ("GET", "/_faultware/status", asking()),
    ("HEAD", "/_faultware/status", asking()),
    ("GET", "/_faultware/status", ({"host": "localhost"}, b"")),
    ("GET", "/_faultware/status", ({**AUTHORIZED, "authorization": "Bearer wrong"}, b"")),
    ("GET", "/_faultware/status", asking(authorization=f"bEARER {TOKEN}")),
    ("GET", "/_faultware/status", asking(host="evil.example")),
    ("GET", "/_faultware", asking()),
    ("GET", "/_faultware/", asking()),
    ("GET", "/_faultware/nothing", asking()),
    ("GET", "/_faultware/n%C3%A4chster/%2F%ff", asking()),
    ("GET", "/_faultware/%73tatus", asking()),
    ("GET", "/_faultware/kill", asking()),
    ("DELETE", "/_faultware/status", asking()),
    ("KILL", "/_faultware/kill", asking()),
    ("PUT", "/_faultware/rules/new", asking(RULE)),
    ("PUT", "/_faultware/rules/new", asking(RULE, if_match='"1"')),
    ("PUT", "/_faultware/rules/new", asking(RULE, if_match='W/"2"')),
    ("PUT", "/_faultware/rules/new", asking({**RULE, "percentage": 0.5})),
    ("PUT", "/_faultware/rules/New", asking(RULE)),
    ("PUT", "/_faultware/rules", asking([RULE], content_type="text/plain")),
    ("PUT", "/_faultware/rules", (asking()[0] | {"content-type": "application/json"}, b"{")),
    ("PUT", "/_faultware/rules", (asking()[0] | {"content-type": "application/json"}, b"\xff")),
    ("GET", "/_faultware/rules", asking()),
    ("GET", "/_faultware/rules/new", asking()),
    ("DELETE", "/_faultware/rules/new", asking()),
    ("DELETE", "/_faultware/rules/new", asking()),
    ("POST", "/_faultware/parse", asking({"rules": "/pay 10% delay 200ms±50ms"})),
    ("POST", "/_faultware/parse", asking({"rules": "/pay"})),
    ("POST", "/_faultware/explain", asking({"path": "/pay?a=1", "headers": {"x": "ä"}})),
    ("POST", "/_faultware/kill", asking({"reason": "Schluß"})),
    ("GET", "/_faultware/status", asking()),
    ("POST", "/_faultware/arm", asking({"for": "5m"})),
    ("POST", "/_faultware/arm", asking({"for": "5h"})),
    ("PUT", "/_faultware/rules", asking({"rules": [{**RULE, "name": "a"}]})),
    ("GET", "/_faultware/events", asking()),
    ("GET", "/_faultware/events?since=2", asking()),
    ("GET", "/_faultware/events?since=x", asking()),
    ("POST", "/_faultware/kill", (AUTHORIZED, b"")),
]


def answers(service):
    for method, target, (headers, body) in CONVERSATION:
        status, given, content = service.ask(method, target, headers, body)
        kept = {name: given[name] for name in HEADERS if name in given}
        is_json = given.get("content-type", "").endswith("json")
        yield method, target, status, kept, json.loads(content) if is_json and content else content


def test_starlette_and_werkzeug_give_the_same_answers():
    asgi, wsgi = list(answers(AsgiService(PAY))), list(answers(WsgiService(PAY)))
    for one, other in zip(asgi, wsgi, strict=True):
        assert one == other
    assert {status for _, _, status, _, _ in asgi} >= {200, 201, 204, 400, 401, 403, 404, 405, 412, 415, 422}


def test_metrics_come_through(make):
    status, headers, body = make(PAY).ask("GET", "/_faultware/metrics", *asking())
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    assert b"faultware_armed 1.0" in body


@pytest.mark.parametrize("body", [b"{}".ljust(MAX_BODY + 1), [b"{}", b" " * MAX_BODY], [b" " * 1000] * 3000])
def test_a_body_of_more_than_a_mebibyte_is_refused_with_and_without_its_length_and_a_kill_holds(make, body):
    headers = {**AUTHORIZED, "content-type": "application/json"}
    service = make(PAY)
    for path, ending, state in (("arm", "", "armed"), ("kill", "; faults are stopped all the same", "killed")):
        status, _, answered = service.ask("POST", f"/_faultware/{path}", headers, body)
        assert status == 413
        assert json.loads(answered)["detail"] == f"a body has at most 1048576 bytes{ending}"
        assert control(service, "GET", "/status")[1]["state"] == state


@pytest.mark.parametrize("body", [b"{}".ljust(MAX_BODY), [b"{}", b" " * (MAX_BODY - 2)]])
def test_a_body_of_a_mebibyte_is_read(make, body):
    headers = {**AUTHORIZED, "content-type": "application/json"}
    assert make(PAY).ask("POST", "/_faultware/kill", headers, body)[0] == 200


@pytest.mark.parametrize(
    "rules",
    [
        "/** 100% abort 503",
        "/ 100% abort 503; /_faultware 100% abort 503; /_faultware/** 100% delay 30s",
        "/** 100% delay 30s",
        "/** 100% hang",
        "/** 100% raise InjectedFault",
        "/_faultware/kill 100% abort 503; /** header:host=localhost:8000 100% abort 503",
    ],
)
def test_no_rule_reaches_the_endpoint(make, rules):
    """Were one to, a delay or a hang would take half a minute here, and not be answered at all by this clock."""
    service = make(rules)
    for _ in range(2):
        assert control(service, "GET", "/status")[0] == 200
    assert control(service, "POST", "/kill")[1]["state"] == "killed"
    assert control(service, "GET", "/status")[0] == 200
    assert service.ask("GET", "/anything", AUTHORIZED)[2] == b"hello"
    assert control(service, "POST", "/arm")[1]["state"] == "armed"


def test_a_kill_lets_the_next_request_pass_and_arming_faults_again(make):
    service = make(PAY)
    paying = lambda: service.ask("GET", "/pay", AUTHORIZED)[0]  # noqa: E731
    assert paying() == 503
    control(service, "POST", "/kill")
    assert paying() == 200
    control(service, "POST", "/arm")
    assert paying() == 503
    control(service, "PUT", "/rules/pay", {**RULE, "percentage": 0})
    assert paying() == 200
    control(service, "PUT", "/rules/pay", {**RULE, "percentage": 100, "abort": 418})
    assert paying() == 418
    control(service, "DELETE", "/rules/pay")
    assert paying() == 200


def test_without_a_token_the_application_sees_the_request(make, monkeypatch):
    real = options
    monkeypatch.setitem(globals(), "options", lambda rules: {**real(rules), "control_token": None})
    assert make(PAY).ask("POST", "/_faultware/kill", AUTHORIZED)[2] == b"hello"


@pytest.mark.parametrize("path", ["/_faultwares", "/_Faultware/status", "/x/_faultware/status", "/status"])
def test_what_is_not_below_its_path_belongs_to_the_application(make, path):
    assert make(PAY).ask("GET", path, AUTHORIZED)[2] == b"hello"
