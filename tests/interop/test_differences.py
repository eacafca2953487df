"""Every difference from Envoy that is accepted: here it is, on both sides. The table in docs/reference/interop.md."""

from __future__ import annotations

import json
import socket

import pytest

from tests.interop.asking import Ask, Client
from tests.interop.families import ABORT, ALWAYS, Case, alone
from tests.interop.mesh import bootstrap, completed, running
from tests.servers.harness import PATIENCE_SECONDS, ROOT, serve

pytestmark = pytest.mark.server

CASES = {
    case.name: case.document
    for case in (
        Case("any", alone(abort=ABORT), ()),
        Case("no-content", alone(abort={"http_status": 204, "percentage": ALWAYS}), ()),
        Case("query", alone(abort=ABORT, headers=[{"name": ":path", "string_match": {"exact": "/?"}}]), ()),
        Case("proto", alone(abort=ABORT, headers=[{"name": "x-forwarded-proto", "present_match": True}]), ()),
        Case("te", alone(abort=ABORT, headers=[{"name": "te", "present_match": True}]), ()),
        Case("referer", alone(abort=ABORT, headers=[{"name": "referer", "present_match": True}]), ()),
        Case("host", alone(abort=ABORT, headers=[{"name": ":authority", "string_match": {"exact": "shop.test"}}]), ()),
        Case("agent", alone(abort=ABORT, headers=[{"name": "user-agent", "string_match": {"exact": "b"}}]), ()),
        Case(
            "long",
            alone(abort=ABORT, headers=[{"name": "x-h", "string_match": {"safe_regex": {"regex": "x+"}}}]),
            (),
        ),
    )
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    directory = tmp_path_factory.mktemp("differences")
    file = directory / "cases.json"
    file.write_text(json.dumps({name: json.dumps(completed(document)) for name, document in CASES.items()}))
    with (
        serve(
            "uvicorn", {"INTEROP_CASES": str(file), "FAULTWARE_ENABLED": "false"}, app="tests.interop.asgi_service:app"
        ) as asgi,
        running(bootstrap(CASES, asgi.port), directory) as mesh,
    ):
        yield lambda name: (mesh.ports[name], asgi.port)


def statuses(ports, name, ask):
    found = []
    for port in ports(name):
        client = Client(port)
        try:
            found.append(client.send(ask, name)[0])
        finally:
            client.close()
    return found


def everything(port, ask, name):
    """Every byte that comes."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        connection.sendall(ask.data(name).replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_answers_that_may_have_no_body_have_none(both):
    envoy, ours = (everything(port, Ask(), "no-content") for port in both("no-content"))
    assert envoy.endswith(b"\r\n\r\nfault filter abort")
    assert b"content-length: 18" in envoy
    assert ours.endswith(b"\r\n\r\n")
    assert b"content-length" not in ours.lower()


def test_an_injected_response_carries_a_mark(both):
    envoy, ours = (everything(port, Ask(), "any").lower() for port in both("any"))
    assert b"faultware-fault: " in ours
    assert b"faultware-fault" not in envoy


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
def test_health_and_metrics_are_spared(both, path):
    assert [outcome.reached for outcome in statuses(both, "any", Ask(path))] == [False, True]


def test_preflights_are_spared(both):
    ask = Ask("/", (("origin", "http://a.test"), ("access-control-request-method", "POST")), "OPTIONS")
    assert [outcome.reached for outcome in statuses(both, "any", ask)] == [False, True]


def test_a_question_mark_behind_which_nothing_stands_is_not_seen(both):
    assert [outcome.reached for outcome in statuses(both, "query", Ask("/?"))] == [False, True]


def test_lines_of_a_few_headers_are_not_joined(both):
    ask = Ask("/", (("user-agent", "a"), ("user-agent", "b")))
    assert [outcome.reached for outcome in statuses(both, "agent", ask)] == [True, False]


def test_a_text_of_more_than_a_thousand_characters_matches_no_regex(both):
    short, long = (Ask("/", (("x-h", "x" * length),)) for length in (1024, 1025))
    assert [outcome.reached for outcome in statuses(both, "long", short)] == [False, False]
    assert [outcome.reached for outcome in statuses(both, "long", long)] == [False, True]


def test_grpc_web_is_answered_in_its_own_terms(both):
    ask = Ask("/pkg.Service/Call", (("content-type", "application/grpc-web"),), "POST")
    envoy, ours = statuses(both, "any", ask)
    assert (envoy.status, envoy.grpc[0]) == (503, "")
    assert (ours.status, ours.grpc[0]) == (200, "14")


@pytest.mark.parametrize("kind", ["Application/gRPC", "application/grpc; a=b"])
def test_a_content_type_of_grpc_may_be_written_otherwise(both, kind):
    envoy, ours = statuses(both, "any", Ask("/pkg.Service/Call", (("content-type", kind),), "POST"))
    assert (envoy.status, envoy.grpc[0]) == (503, "")
    assert (ours.status, ours.grpc[0]) == (200, "14")


def test_a_head_for_grpc_is_answered_with_a_message(both):
    ask = Ask("/pkg.Service/Call", (("content-type", "application/grpc"),), "HEAD")
    assert [outcome.grpc for outcome in statuses(both, "any", ask)] == [("14", ""), ("14", "fault filter abort")]


def test_grpc_has_no_message_from_a_status_without_body(both):
    ask = Ask("/pkg.Service/Call", (("content-type", "application/grpc"),), "POST")
    assert [outcome.grpc for outcome in statuses(both, "no-content", ask)] == [("2", "fault filter abort"), ("2", "")]


@pytest.mark.parametrize(
    ("name", "lines", "reached"),
    [
        ("proto", (), [False, True]),
        ("te", (("te", "gzip"),), [True, False]),
        ("te", (("te", "trailers"),), [False, False]),
        ("referer", (("referer", "a b"),), [True, False]),
        ("referer", (("referer", "http://a.test/"),), [False, False]),
    ],
)
def test_headers_that_a_proxy_adds_or_takes_away_are_compared_as_they_were_sent(both, name, lines, reached):
    assert [outcome.reached for outcome in statuses(both, name, Ask("/", lines))] == reached


def test_the_host_of_a_request_target_is_not_compared(both):
    ask = Ask("http://other.test/", (("host", "shop.test"),))
    assert [outcome.reached for outcome in statuses(both, "host", ask)] == [True, False]


def test_handshakes_of_websockets_are_left_to_faults_of_websockets(both):
    key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    upgrade = (("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-version", "13"), key)
    # The application here has no WebSockets: uvicorn says so with 500.
    assert [outcome.status for outcome in statuses(both, "any", Ask("/ws", upgrade))] == [503, 500]


@pytest.mark.parametrize(
    "words",
    [
        "204",
        "faultware-fault",
        "/healthz",
        "preflight",
        "`/?`",
        "user-agent",
        "1,024",
        "application/grpc-web",
        "`application/grpc` in capitals",
        "`HEAD`",
        "for gRPC no message",
        "`x-forwarded-proto`",
        "`te`",
        "`referer`",
        "`GET http://shop/`",
        "WebSocket",
    ],
)
def test_the_page_tells_every_difference_that_is_tried_here(words):
    page = (ROOT / "docs" / "reference" / "interop.md").read_text(encoding="utf-8")
    assert words in page.partition("## What is different from Envoy")[2]
