"""Scenarios: what is done to the head of a request and of its response, to a body as a whole, and to the connection."""

from __future__ import annotations

from faultware import Abort, Match, Rule
from faultware.core import faults as kinds
from faultware.core.faults import Bytes
from tests.parity.scenario import DOWN, Ask, Want, aborts, get, leaves, passes, raises, scenario

LOST = raises("InjectedDisconnect: [Errno 104] connection ended by faultware")
GRPC = "application/grpc+proto"


def rule(*, name: str = "r", fallback: Abort | None = None, delay: kinds.Delay | None = None, **faults) -> Rule:
    return Rule(name, Match("/pay"), percentage=100, fallback=fallback, delay=delay, **faults)


def answers(mark: str, body: bytes = b"GET /pay ", status: int = 200, held: float = 0.0, **headers: str) -> Want:
    """The application has answered, and something was done to its answer; an empty header is left out."""
    lines = {"content-type": "text/plain", "x-app": "yes", **{key.replace("_", "-"): headers[key] for key in headers}}
    return Want(status, mark, body, {name: value for name, value in lines.items() if value}, held=held)


def in_process(line: str, **headers: str) -> Ask:
    """A request of a client that is no more than a function call away."""
    return Ask(
        line, headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()), client="testclient"
    )


def proxied(path: str) -> Ask:
    return get(path, x_forwarded_for="192.0.2.1")


ENDINGS = {
    "reset": kinds.Reset(),
    "close": kinds.Close(),
    "garbage": kinds.Garbage(),
    "partial_head": kinds.PartialHead(),
}

HEADS = (
    # Connections.
    *(
        scenario(
            f"a client in this process meets a {kind} as an exception",
            rule(**{kind: fault}),
            (in_process("GET /pay"), LOST),
        )
        for kind, fault in ENDINGS.items()
    ),
    *(
        scenario(f"a {kind} is not done to a proxy's connection", rule(**{kind: fault}), (proxied("/pay"), passes()))
        for kind, fault in {**ENDINGS, "truncate": kinds.Truncate(Bytes(1))}.items()
    ),
    *(
        scenario(
            f"a fallback stands in for a {kind}",
            rule(**{kind: fault}, fallback=Abort(502), delay=kinds.Delay(1)),
            (proxied("/pay"), aborts(502, "r;delay, r;abort", held=1.0)),
        )
        for kind, fault in {**ENDINGS, "truncate": kinds.Truncate(Bytes(1))}.items()
    ),
    scenario(
        "what else a rule does is done where one fault is not possible",
        rule(limit_data=kinds.LimitData(1), replace_status=kinds.ReplaceStatus(201)),
        (proxied("/pay"), answers("r;replace_status", status=201)),
    ),
    scenario(
        "a body that ends before its cut passes whole",
        rule(truncate=kinds.Truncate(Bytes(1000))),
        (in_process("GET /pay"), passes("r;truncate")),
    ),
    # Answers.
    scenario(
        "a request of gRPC is answered in its own terms",
        DOWN,
        (
            get("/pay", content_type=GRPC),
            Want(
                200,
                "r;abort",
                headers={"content-type": GRPC, "grpc-status": "14", "grpc-message": "fault injected"},
                runs=0,
            ),
        ),
    ),
    scenario(
        "a budget that is used up",
        rule(rate_limit=kinds.RateLimit(2, 60)),
        (get("/pay"), passes()),
        (get("/pay"), passes()),
        (
            get("/pay"),
            aborts(
                429,
                "r;rate_limit",
                headers={
                    "retry-after": "30",
                    "ratelimit-limit": "2",
                    "ratelimit-remaining": "0",
                    "ratelimit-reset": "30",
                },
            ),
        ),
        (Ask("GET /pay", client="192.0.2.7"), passes()),
        (Ask("GET /pay", after=30.0), passes()),
    ),
    # Heads of requests.
    scenario(
        "request headers are set and removed for the application",
        rule(request_headers=kinds.RequestHeaders(set=(("X-Token", "new"),), remove=("X-Gone",))),
        (get("/pay", x_token="old"), answers("r;request_headers", x_token_seen="new")),
        (get("/pay"), answers("r;request_headers", x_token_seen="new")),
        (get("/other", x_token="old"), Want(200, "", b"GET /other ", {**answers("").headers, "x-token-seen": "old"})),
    ),
    scenario(
        "a request header is removed",
        rule(request_headers=kinds.RequestHeaders(remove=("x-TOKEN",))),
        (get("/pay", x_token="old"), answers("r;request_headers")),
    ),
    # Heads of responses.
    scenario(
        "response headers are removed, set and added",
        rule(
            response_headers=kinds.ResponseHeaders(
                set=(("Content-Type", "text/html"),), add=(("x-more", "1"),), remove=("X-App",)
            )
        ),
        (get("/pay"), answers("r;response_headers", content_type="text/html", x_more="1", x_app="")),
        (Ask("HEAD /pay"), Want(200, "r;response_headers", b"", {"content-type": "text/html", "x-more": "1"})),
    ),
    scenario(
        "another status stands in for the application's",
        rule(replace_status=kinds.ReplaceStatus(503)),
        (get("/pay"), answers("r;replace_status", status=503)),
        (Ask("POST /pay", body=b"money"), answers("r;replace_status", b"POST /pay money", status=503)),
    ),
    scenario(
        "another body stands in for the application's",
        rule(replace_body=kinds.ReplaceBody("gone", content_type="text/html")),
        (get("/pay"), answers("r;replace_body", b"gone", content_type="text/html")),
    ),
    scenario(
        "marks follow the order of the rules",
        [
            rule(name="a", response_headers=kinds.ResponseHeaders(set=(("x-by", "a"),))),
            rule(name="b", request_headers=kinds.RequestHeaders(set=(("x-token", "b"),))),
            rule(name="c", response_headers=kinds.ResponseHeaders(set=(("x-by", "c"),))),
        ],
        (
            get("/pay"),
            answers("a;response_headers, b;request_headers, c;response_headers", x_by="c", x_token_seen="b"),
        ),
    ),
    # Time.
    scenario(
        "an answer is delayed behind the application",
        rule(delay_response=kinds.DelayResponse(2)),
        (get("/pay"), passes("r;delay_response", held=2.0)),
        (Ask("HEAD /pay"), passes("r;delay_response", held=2.0)),
        (Ask("GET /pay", kill_after=1.0), passes("r;delay_response", held=1.0)),
        (get("/pay"), passes()),
    ),
    scenario(
        "a delay in front and one behind",
        rule(delay=kinds.Delay(1), delay_response=kinds.DelayResponse(2)),
        (get("/pay"), passes("r;delay, r;delay_response", held=3.0)),
        (Ask("GET /pay", leave_after=0.5), leaves(0.5)),
        (Ask("GET /pay", kill_after=0.5), passes("r;delay", held=0.5)),
    ),
    scenario(
        "a response keeps a rate",
        rule(throttle=kinds.Throttle(3)),
        (get("/pay"), passes("r;throttle", held=3.0)),
        (Ask("HEAD /pay"), passes("r;throttle")),
        (Ask("GET /pay", kill_after=1.5), passes("r;throttle", held=1.5)),
    ),
    scenario(
        "an upload keeps a rate",
        rule(throttle=kinds.Throttle(10_000, of="request")),
        (Ask("POST /pay", body=b"x" * 20_000), passes("r;throttle", held=2.0)),
        (Ask("POST /pay", body=b"x" * 20_000, kill_after=1.0), passes("r;throttle", held=1.0)),
    ),
    scenario(
        "a body stalls, and its end is held",
        rule(stall=kinds.Stall(Bytes(4), 3), slow_close=kinds.SlowClose(2)),
        (get("/pay"), passes("r;stall, r;slow_close", held=5.0)),
        (Ask("GET /pay", kill_after=4.0), passes("r;stall, r;slow_close", held=4.0)),
    ),
)
