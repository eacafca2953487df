"""Scenarios: what is done to a request that the application sees, and to its response."""

from __future__ import annotations

from faultware import Abort, Match, Rule
from faultware.core.faults import RateLimit, ReplaceBody, ReplaceStatus
from faultware.core.sampling import SampleBy
from tests.parity.scenario import INJECTED, TEXT, Ask, Want, aborts, get, passes, scenario

APP = {"content-type": "text/plain", "x-app": "yes"}
GRPC = (("content-type", "application/grpc+proto"),)


def answers(
    status: int,
    mark: str,
    body: bytes = b"GET /pay ",
    *,
    headers: dict[str, str] | None = None,
    has_length: bool = True,
    held: float = 0.0,
) -> Want:
    """The application answers, and something is done to it."""
    return Want(status, mark, body, APP if headers is None else headers, has_length=has_length, held=held)


def budget(limit: int, per_seconds: float) -> Rule:
    return Rule("r", Match("/pay"), percentage=100, rate_limit=RateLimit(limit, per_seconds, SampleBy("client")))


def too_many(limit: int, seconds: int) -> Want:
    told = {"retry-after": seconds, "ratelimit-limit": limit, "ratelimit-remaining": 0, "ratelimit-reset": seconds}
    return aborts(429, "r;rate_limit", headers={name: str(value) for name, value in told.items()})


SHAPING = (
    # The head.
    scenario(
        "another status keeps the application's body",
        "/pay 100% replace_status 503 as r",
        (get("/pay"), answers(503, "r;replace_status")),
        (get("/ok"), passes()),
    ),
    scenario(
        "a status without a body loses it",
        Rule("r", Match("/pay"), percentage=100, replace_status=ReplaceStatus(204)),
        (get("/pay"), answers(204, "r;replace_status", b"", has_length=False)),
    ),
    scenario(
        "headers are removed, set and added",
        "/pay 100% response_headers content-type=a/b +x-new=1 -x-app as r",
        (get("/pay"), answers(200, "r;response_headers", headers={"content-type": "a/b", "x-new": "1"})),
    ),
    # The body.
    scenario(
        "another body has its own length",
        Rule("r", Match("/pay"), percentage=100, replace_body=ReplaceBody("gone", content_type="text/html")),
        (get("/pay"), answers(200, "r;replace_body", b"gone", headers={**APP, "content-type": "text/html"})),
    ),
    scenario(
        "a body that is no JSON is not patched",
        '/pay 100% replace_body merge_patch={"a":1} as r',
        (get("/pay"), answers(200, "r;replace_body")),
    ),
    scenario(
        "every byte of a body is damaged, and its length stays",
        "/pay 100% corrupt 100% as r",
        (get("/pay"), answers(200, "r;corrupt", bytes.fromhex("bce5fe3d629a8ad695"))),
        draws=(0.0, 0.25),
    ),
    # Time.
    scenario(
        "a delay behind the handler",
        "/pay 100% delay_response 3s as r",
        (get("/pay"), answers(200, "r;delay_response", held=3.0)),
    ),
    scenario(
        "a throttled response takes its time",
        "/pay 100% throttle 3B/s as r",
        (get("/pay"), passes("r;throttle", held=3.0)),
    ),
    scenario(
        "a throttled upload takes its time",
        "/pay 100% throttle 100B/s of=request as r",
        (Ask("POST /pay", body=b"x" * 250), passes("r;throttle", held=2.5)),
    ),
    scenario("pieces with pauses", "/pay 100% slice 3B pause=1s as r", (get("/pay"), passes("r;slice", held=3.0))),
    scenario("a body that dribbles", "/pay 100% dribble 4s as r", (get("/pay"), passes("r;dribble", held=4.0))),
    scenario("a body that stalls", "/pay 100% stall 50% duration=5s as r", (get("/pay"), passes("r;stall", held=5.0))),
    scenario("a slow end", "/pay 100% slow_close 6s as r", (get("/pay"), passes("r;slow_close", held=6.0))),
    scenario(
        "delays before and behind the handler, of two rules",
        "/pay 100% delay 1s as a; / 100% delay_response 2s + slow_close 3s as b",
        (get("/pay"), passes("a;delay, b;delay_response, b;slow_close", held=6.0)),
    ),
    scenario(
        "an answer to HEAD has no body that could be slow",
        "/pay 100% throttle 1B/s + slice 1B pause=1s + slow_close 5s as r",
        (Ask("HEAD /pay"), passes("r;slice, r;throttle, r;slow_close")),
    ),
    # The switch.
    *(
        scenario(
            f"a kill releases {fault}",
            f"/pay 100% {fault} as r",
            (Ask("GET /pay", kill_after=1.05), passes(f"r;{fault.partition(' ')[0]}", held=1.05)),
            (get("/pay"), passes()),
        )
        for fault in (
            "delay_response 20s",
            "throttle 1B/s",
            "slice 1B pause=20s",
            "dribble 20s",
            "stall 4B duration=20s",
            "slow_close 20s",
        )
    ),
    scenario(
        "a kill releases an upload",
        "/pay 100% throttle 1B/s of=request as r",
        (Ask("POST /pay", body=b"money", kill_after=1.5), passes("r;throttle", held=1.5)),
    ),
    # Without a connection of its own.
    *(
        scenario(
            f"{fault} is left out behind a proxy",
            f"/pay 100% {fault} as r; /other 100% {fault} or abort 503 as r2",
            (get("/pay", x_forwarded_for="10.0.0.1"), passes()),
            (get("/other", x_forwarded_for="10.0.0.1"), aborts(503, "r2;abort")),
        )
        for fault in ("reset", "close", "partial_head", "garbage", "truncate 3B", "limit_data 3B", "malformed_chunk")
    ),
    scenario(
        "what is possible is done beside what is not",
        "/pay 100% truncate 3B + response_headers x-a=1 as r",
        (get("/pay", via="1.1 proxy"), answers(200, "r;response_headers", headers={**APP, "x-a": "1"})),
    ),
    # Answers in its place.
    scenario(
        "a budget that is used up fills again",
        budget(2, 10.0),
        (get("/pay"), passes()),
        (get("/pay"), passes()),
        (get("/pay"), too_many(2, 5)),
        (Ask("GET /pay", client="10.0.0.1"), passes()),
        (Ask("GET /pay", after=5.0), passes()),
        (get("/pay"), too_many(2, 5)),
    ),
    scenario(
        "a request of gRPC is answered in its own terms",
        Rule("r", Match("/pay"), percentage=100, abort=Abort(503)),
        (
            Ask("POST /pay", headers=GRPC),
            Want(
                200,
                "r;abort",
                headers={
                    "content-type": "application/grpc+proto",
                    "grpc-status": "14",
                    "grpc-message": INJECTED.decode().strip(),
                },
                runs=0,
            ),
        ),
        (Ask("POST /pay", headers=(("content-type", TEXT),)), aborts(503)),
    ),
)
