"""Scenarios: what is done to a request once a rule acts on it."""

from __future__ import annotations

from faultware import Abort, Delay, Exponential, Match, Raise, Rule
from tests.parity.scenario import DOWN, Ask, aborts, aborts_bodiless, get, leaves, passes, raises, rule, scenario


class DeclinedError(Exception):
    """Registered by the application under test."""


def declined() -> Exception:
    return DeclinedError("made by a function")


SLOW = "/pay 100% delay 250ms as r"

ACTING = (
    # Aborts.
    scenario("an abort answers in the application's place", DOWN, (get("/pay"), aborts(503)), (get("/ok"), passes())),
    scenario(
        "a plain path is a prefix on segment borders",
        DOWN,
        (get("/pay/7"), aborts(503)),
        (get("/pay/"), aborts(503)),
        (get("/payments"), passes()),
        (get("/"), passes()),
    ),
    scenario("a rule on / is a rule on everything", "/ 100% abort 500 as r", (get("/a/b"), aborts(500))),
    scenario(
        "an abort with a text is UTF-8",
        rule(Abort(500, body="kaputt: ß")),
        (get("/pay"), aborts(500, body="kaputt: ß".encode())),
    ),
    scenario(
        "an abort with an object is JSON",
        rule(Abort(502, body={"error": "down", "tries": [1, None]})),
        (get("/pay"), aborts(502, body=b'{"error":"down","tries":[1,null]}', kind="application/json")),
    ),
    scenario("an abort with bytes", rule(Abort(500, body=b"\x00\xff")), (get("/pay"), aborts(500, body=b"\x00\xff"))),
    scenario("an abort with an empty text", rule(Abort(500, body="")), (get("/pay"), aborts(500, body=b""))),
    scenario(
        "an abort with headers",
        rule(Abort(429, headers={"Retry-After": "30", "x-note": "ü"})),
        (get("/pay"), aborts(429, headers={"retry-after": "30", "x-note": "ü"})),
    ),
    scenario(
        "an abort with a content type",
        rule(Abort(503, body="<p>down</p>", content_type="text/html")),
        (get("/pay"), aborts(503, body=b"<p>down</p>", kind="text/html")),
    ),
    scenario(
        "an abort whose content type stands among its headers",
        rule(Abort(503, body={"a": 1}, headers={"Content-Type": "application/problem+json"})),
        (get("/pay"), aborts(503, body=b'{"a":1}', kind="application/problem+json")),
    ),
    scenario(
        "an abort whose body and headers have gaps",
        rule(Abort(503, body="no ${http_x_user ?? nobody} at $uri", headers={"x-who": "$arg_who"}, template=True)),
        (get("/pay?who=a%0D%0Ab", x_user="7"), aborts(503, body=b"no 7 at /pay", headers={"x-who": "a??b"})),
        (get("/pay"), aborts(503, body=b"no nobody at /pay", headers={"x-who": ""})),
    ),
    scenario(
        "an abort after the application loses its answer",
        rule(Abort(503, after=True)),
        (Ask("POST /pay", body=b"money"), aborts(503, runs=1)),
    ),
    scenario("an abort with 200", "/pay 100% abort 200 as r", (get("/pay"), aborts(200))),
    scenario("an abort with a status that has no name", "/pay 100% abort 599 as r", (get("/pay"), aborts(599))),
    scenario("an abort of an upload", DOWN, (Ask("POST /pay", body=b"x" * 100_000), aborts(503))),
    scenario("an answer to HEAD has the length of a body, and none", DOWN, (Ask("HEAD /pay"), aborts(503))),
    scenario(
        "an answer to HEAD after the application",
        rule(Abort(503, after=True, body="gone")),
        (Ask("HEAD /pay"), aborts(503, body=b"gone", runs=1)),
    ),
    scenario("204 has neither type nor length", "/pay 100% abort 204 as r", (get("/pay"), aborts_bodiless(204))),
    scenario(
        "205 has a length of nothing", "/pay 100% abort 205 as r", (get("/pay"), aborts_bodiless(205, has_length=True))
    ),
    scenario(
        "304 has the headers it was given, and no body",
        rule(Abort(304, headers={"etag": '"7"'})),
        (get("/pay"), aborts_bodiless(304, headers={"etag": '"7"'})),
        (Ask("HEAD /pay"), aborts_bodiless(304, headers={"etag": '"7"'})),
    ),
    # Delays.
    scenario(
        "a delay holds the request and marks the answer",
        SLOW,
        (get("/pay"), passes("r;delay", held=0.25)),
        (get("/ok"), passes()),
    ),
    scenario(
        "an upload arrives whole behind a delay",
        SLOW,
        (Ask("POST /pay", body=b"x" * 200_000), passes("r;delay", held=0.25)),
    ),
    scenario(
        "a delay with jitter is drawn evenly from its range",
        "/pay 100% delay 200ms±50ms as r",
        (get("/pay"), passes("r;delay", held=0.15)),
        (get("/pay"), passes("r;delay", held=0.2)),
        (get("/pay"), passes("r;delay", held=0.225)),
        draws=(0.9, 0.0, 0.9, 0.5, 0.9, 0.75),
    ),
    scenario(
        "a delay with two ends is drawn evenly between them",
        "/pay 100% delay 1s..3s as r",
        (get("/pay"), passes("r;delay", held=1.5)),
        draws=(0.9, 0.25),
    ),
    scenario(
        "a delay from a distribution is at most its bound",
        Rule("r", Match("/pay"), percentage=100, delay=Delay(Exponential(1.0, max_seconds=2.0))),
        (get("/pay"), passes("r;delay", held=2.0)),
        draws=(0.9, 0.999999),
    ),
    scenario("a delay of nothing", "/pay 100% delay 0s as r", (get("/pay"), passes("r;delay"))),
    scenario(
        "a delay stands before the abort of its rule",
        "/pay 100% delay 1s + abort 504 as r",
        (get("/pay"), aborts(504, "r;delay, r;abort", held=1.0)),
    ),
    scenario(
        "the delays of several rules add up",
        "/pay 100% delay 1s as a; / 100% delay 500ms as b",
        (get("/pay"), passes("a;delay, b;delay", held=1.5)),
        (get("/other"), passes("b;delay", held=0.5)),
    ),
    scenario(
        "all delays together are at most the longest that is allowed",
        "/pay 100% delay 4s as a; /pay 100% delay 4s as b",
        (get("/pay"), passes("a;delay, b;delay", held=5.0)),
        max_delay="5s",
    ),
    # Exceptions.
    scenario(
        "an exception can be tried without any registration",
        "/pay 100% raise InjectedFault as r",
        (get("/pay"), raises("InjectedFault: injected by faultware")),
        (get("/ok"), passes()),
    ),
    scenario(
        "an exception that the application registered",
        "/pay 100% raise DeclinedError as r",
        (get("/pay"), raises("DeclinedError: ")),
        exceptions=[DeclinedError],
    ),
    scenario(
        "an exception that a function makes, behind a delay",
        Rule("r", Match("/pay"), percentage=100, delay=Delay(1), raise_=Raise("no-money")),
        (get("/pay"), raises("DeclinedError: made by a function", held=1.0)),
        exceptions={"no-money": declined},
    ),
    # Hangs.
    scenario("a hang that ends", "/pay 100% hang 2s as r", (get("/pay"), aborts(504, "r;hang", held=2.0))),
    scenario(
        "a hang that would never end",
        "/pay 100% hang as r",
        (get("/pay"), aborts(504, "r;hang", held=7.0)),
        (Ask("HEAD /pay"), aborts(504, "r;hang", held=7.0)),
        max_delay="7s",
    ),
    scenario(
        "a hang is no longer than a delay", "/pay 100% hang 1h as r", (get("/pay"), aborts(504, "r;hang", held=30.0))
    ),
    scenario(
        "a hang behind a delay",
        "/pay 100% delay 1s + hang 2s as r",
        (get("/pay"), aborts(504, "r;delay, r;hang", held=3.0)),
    ),
    # The switch.
    scenario(
        "a kill releases a delay, and the application runs",
        "/pay 100% delay 20s as r",
        (Ask("POST /pay", body=b"money", kill_after=1.0), passes("r;delay", held=1.0)),
        (get("/pay"), passes()),
    ),
    scenario(
        "a kill during a delay calls off the abort behind it",
        "/pay 100% delay 20s + abort 503 as r",
        (Ask("GET /pay", kill_after=1.0), passes("r;delay", held=1.0)),
    ),
    scenario(
        "a kill releases a hang, and the application runs",
        "/pay 100% hang 20s as r",
        (Ask("GET /pay", kill_after=1.5), passes("r;hang", held=1.5)),
        (get("/pay"), passes()),
    ),
    scenario("a switch that is killed at the start", DOWN, (get("/pay"), passes()), armed=False),
    scenario("a middleware that is not enabled", DOWN, (get("/pay"), passes()), enabled=False),
    # Clients that leave.
    scenario(
        "a client that leaves ends its delay",
        "/pay 100% delay 20s as r",
        (Ask("GET /pay", leave_after=1.0), leaves(1.0)),
    ),
    scenario(
        "a client that leaves ends its hang", "/pay 100% hang as r", (Ask("GET /pay", leave_after=1.0), leaves(1.0))
    ),
    scenario(
        "a client that leaves gets no abort",
        "/pay 100% delay 20s + abort 503 as r",
        (Ask("GET /pay", leave_after=1.0), leaves(1.0)),
    ),
)
