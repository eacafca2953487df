"""Scenarios: which rules act on which request, and what they leave alone."""

from __future__ import annotations

from faultware import Abort, Delay, Match, PathMatch, Rule, SampleBy, TextMatch
from tests.parity.scenario import DOWN, Ask, aborts, get, passes, scenario

PREFLIGHT = (("origin", "http://shop.example"), ("access-control-request-method", "POST"))

CHOOSING = (
    # Which rules act.
    scenario(
        "the first fault that ends a request ends the search",
        "/pay 100% delay 1s as a; /pay 100% abort 503 as b; /pay 100% delay 5s as c; /pay 100% abort 500 as d",
        (get("/pay"), aborts(503, "a;delay, b;abort", held=1.0)),
    ),
    scenario(
        "of a group the first rule that matches takes part, whether it acts or not",
        [
            Rule("a", Match("/pay", methods=["POST"]), percentage=0, abort=Abort(500), group="g"),
            Rule("b", Match("/pay"), percentage=100, abort=Abort(503), group="g"),
            Rule("c", Match("/pay"), percentage=100, delay=Delay(1)),
        ],
        (Ask("POST /pay"), passes("c;delay", held=1.0)),
        (get("/pay"), aborts(503, "b;abort")),
    ),
    scenario(
        "a rule of a group without a fault spares what it matches the rest of the group",
        [
            Rule("a", Match(PathMatch(prefix="/pay/free")), percentage=100, group="g"),
            Rule("b", Match("/pay"), percentage=100, abort=Abort(503), group="g"),
        ],
        (get("/pay/free"), passes()),
        (get("/pay"), aborts(503, "b;abort")),
    ),
    scenario(
        "a path as it was sent",
        [
            Rule("a", Match(raw_path=TextMatch(prefix="/sent/%C3")), percentage=100, abort=Abort(503)),
            Rule("b", Match(headers={":path": "/both?a=%20"}), percentage=100, abort=Abort(500)),
            Rule("c", Match(raw_query={"a": "%20"}, headers={":method": "POST"}), percentage=100, abort=Abort(502)),
        ],
        (get("/sent/é"), aborts(503, "a;abort")),
        (get("/sent/e"), passes()),
        (Ask("GET /both?a=%20"), aborts(500, "b;abort")),
        (Ask("GET /both?a=+"), passes()),
        (Ask("POST /other?a=%20&a=1"), aborts(502, "c;abort")),
        (Ask("POST /other?a=1&a=%20"), passes()),
    ),
    scenario(
        "conditions on variables",
        [
            Rule(
                "a",
                Match(
                    where=[
                        ["arg_age", ">", 17],
                        ["OR", ["http_x_chaos", "==", "on"], ["remote_addr", "ipmatch", "::1"]],
                    ]
                ),
                percentage=100,
                abort=Abort(503),
            )
        ],
        (get("/pay?age=18", x_chaos="on"), aborts(503, "a;abort")),
        (Ask("GET /pay?age=18", client="::1"), aborts(503, "a;abort")),
        (get("/pay?age=18"), passes()),
        (get("/pay?age=9", x_chaos="on"), passes()),
    ),
    scenario(
        "a fault rolls its own percentage after its rule's",
        Rule("r", Match("/pay"), percentage=50, delay=Delay(1, percentage=30), abort=Abort(503, percentage=10)),
        (get("/pay"), passes()),
        (get("/pay"), aborts(503, "r;delay, r;abort", held=1.0)),
        (get("/pay"), aborts(503)),
        (get("/pay"), passes("r;delay", held=1.0)),
        draws=(0.5, *(0.49, 0.29, 0.09, 0.0), *(0.49, 0.3, 0.09), *(0.49, 0.29, 0.1, 0.0)),
    ),
    scenario("0 % never acts", "/pay 0% abort 503 as r", (get("/pay"), passes()), draws=(0.0,)),
    scenario("100 % always acts", DOWN, (get("/pay"), aborts(503)), draws=(1 - 2**-53,)),
    scenario(
        "10 % act on a tenth of the draws",
        "/pay 10% abort 503 as r",
        (get("/pay"), aborts(503)),
        (get("/pay"), passes()),
        draws=(0.0999, 0.1),
    ),
    scenario(
        "a count of three",
        "/pay 3x abort 503 as r",
        *[(get("/pay"), aborts(503))] * 3,
        *[(get("/pay"), passes())] * 2,
    ),
    scenario(
        "a count falls only on a hit",
        "/pay 10% 2x abort 503 as r",
        (get("/pay"), passes()),
        (get("/pay"), aborts(503)),
        (get("/pay"), passes()),
        (get("/pay"), aborts(503)),
        (get("/pay"), passes()),
        draws=(0.5, 0.05, 0.5, 0.05, 0.05),
    ),
    scenario(
        "every third",
        Rule("r", Match("/pay"), percentage=100, every=3, abort=Abort(503)),
        *[(get("/pay"), passes()), (get("/pay"), passes()), (get("/pay"), aborts(503))] * 2,
    ),
    scenario(
        "a decision that sticks to a header",
        Rule("half", Match("/pay"), percentage=50, sample_by=SampleBy("header", "X-User"), abort=Abort(503)),
        *[(get("/pay", x_user="bob"), passes())] * 2,
        *[(get("/pay", x_user="ann"), aborts(503, "half;abort"))] * 2,
        (get("/pay"), passes()),
    ),
    scenario(
        "a decision that sticks to a cookie",
        Rule("half", Match("/pay"), percentage=50, sample_by=SampleBy("cookie", "user"), abort=Abort(503)),
        *[(get("/pay", cookie="a=b; user=bob"), passes())] * 2,
        *[(get("/pay", cookie="user=ann"), aborts(503, "half;abort"))] * 2,
        (get("/pay", cookie="a=b"), passes()),
    ),
    scenario(
        "a decision that sticks to a query field",
        Rule("half", Match("/pay"), percentage=50, sample_by=SampleBy("query", "user"), abort=Abort(503)),
        *[(get("/pay?user=bob&n=1"), passes())] * 2,
        *[(get("/pay?n=2&user=ann"), aborts(503, "half;abort"))] * 2,
        (get("/pay"), passes()),
    ),
    scenario(
        "a decision that sticks to the client",
        Rule("half", Match("/pay"), percentage=50, sample_by=SampleBy("client"), abort=Abort(503)),
        *[(Ask("GET /pay", client="10.0.0.1"), passes())] * 2,
        *[(Ask("GET /pay", client="10.0.0.3"), aborts(503, "half;abort"))] * 2,
        (Ask("GET /pay", client=""), passes()),
    ),
    scenario(
        "with a seed a decision depends on the request alone",
        "/pay 50% abort 503 as half",
        *[
            (get(f"/pay/{number}"), aborts(503, "half;abort") if number in (4, 7) else passes())
            for number in (*range(8), *range(8))
        ],
        seed=7,
    ),
    # What is left alone.
    scenario(
        "health and metrics are left alone by rules that do not name them",
        "/ 100% abort 503 as r",
        *[(get(path), passes()) for path in ("/health", "/healthz", "/readyz/db", "/metrics", "/-/ready")],
        (get("/healthy"), aborts(503)),
    ),
    scenario(
        "a rule that names a health check reaches it", "/healthz 100% abort 503 as r", (get("/healthz"), aborts(503))
    ),
    scenario(
        "a path that the operator excludes is left alone, even by a rule that names it",
        "/pay 100% abort 503 as r",
        (get("/pay/live/7"), passes()),
        (get("/pay/live"), passes()),
        (get("/pay/x"), aborts(503)),
        exclude="/pay/live, /admin",
    ),
    scenario(
        "a preflight is left alone",
        DOWN,
        (Ask("OPTIONS /pay", headers=PREFLIGHT), passes()),
        (Ask("OPTIONS /pay"), aborts(503)),
    ),
    scenario(
        "a rule that names OPTIONS reaches preflights",
        "OPTIONS /pay 100% abort 503 as r",
        (Ask("OPTIONS /pay", headers=PREFLIGHT), aborts(503)),
        (get("/pay"), passes()),
    ),
    scenario(
        "a dry run does nothing",
        "/pay 100% delay 1s + abort 503 as r; /raise 100% raise InjectedFault as x",
        (get("/pay"), passes()),
        (get("/raise"), passes()),
        dry_run=True,
    ),
    scenario("no more faults at once than allowed", DOWN, (get("/pay"), passes()), max_active_faults=0),
    scenario(
        "no larger share of the requests than allowed",
        "/pay 100% abort 503 as r",
        (get("/pay"), aborts(503)),
        (get("/pay"), passes()),
        draws=(0.9, 0.49, 0.9, 0.5),
        max_percentage=50,
    ),
    scenario(
        "answers without marks",
        "/pay 100% abort 503 as r; /slow 100% delay 1s as s; /hang 100% hang 1s as h",
        (get("/pay"), aborts(503, mark="")),
        (get("/slow"), passes(held=1.0)),
        (get("/hang"), aborts(504, mark="", held=1.0)),
        mark_responses=False,
    ),
    scenario(
        "a rule that has expired",
        "/pay 100% abort 503 for 1m as r",
        (get("/pay"), aborts(503)),
        (Ask("GET /pay", after=59.0), aborts(503)),
        (Ask("GET /pay", after=2.0), passes()),
    ),
    # Conditions.
    scenario(
        "methods",
        "POST,PUT /pay 100% abort 503 as r",
        (Ask("POST /pay"), aborts(503)),
        (Ask("PUT /pay"), aborts(503)),
        (get("/pay"), passes()),
    ),
    scenario(
        "a header's value",
        "/pay header:x-canary=1 100% abort 503 as r",
        (get("/pay", X_Canary="1"), aborts(503)),
        (get("/pay", X_Canary="2"), passes()),
        (get("/pay"), passes()),
        (get("/other", X_Canary="1"), passes()),
    ),
    scenario(
        "a header without a path",
        Rule("r", Match(headers={"x-canary": TextMatch(present=True)}), percentage=100, abort=Abort(503)),
        (get("/a"), passes()),
        (get("/a", x_canary=""), aborts(503)),
        (get("/a"), passes()),
    ),
    scenario(
        "a header that is missing matches no value, not even an inverted one",
        Rule(
            "r",
            Match("/pay", headers={"x-user": TextMatch(exact="ann", invert=True)}),
            percentage=100,
            abort=Abort(503),
        ),
        (get("/pay"), passes()),
        (get("/pay", x_user="ann"), passes()),
        (get("/pay", x_user="bob"), aborts(503)),
    ),
    scenario(
        "content type and length are headers, too",
        Rule("r", Match("/pay", headers={"content-type": "application/json"}), percentage=100, abort=Abort(503)),
        (get("/pay", content_type="application/json"), aborts(503)),
        (get("/pay", content_type="text/plain"), passes()),
        (get("/pay"), passes()),
    ),
    scenario(
        "a query field, percent-decoded",
        "/pay query:user=ann%20lee 100% abort 503 as a; /pay query:user=änn 100% abort 500 as b",
        (get("/pay?user=%C3%A4nn"), aborts(500, "b;abort")),
        (get("/pay?user=%C3%A4n"), passes()),
        (get("/pay"), passes()),
    ),
    scenario(
        "a cookie",
        "/pay cookie:beta=yes 100% abort 503 as r",
        (get("/pay", cookie='a=1; beta="yes"'), aborts(503)),
        (get("/pay", cookie="beta=no"), passes()),
        (get("/pay"), passes()),
    ),
    scenario(
        "a host, without its port",
        "/pay host=shop.example 100% abort 503 as r",
        (get("/pay", host="Shop.Example:8080"), aborts(503)),
        (get("/pay", host="shop.example.org"), passes()),
    ),
    scenario(
        "a client's network",
        "/pay client=10.0.0.0/8 100% abort 503 as r",
        (Ask("GET /pay", client="10.1.2.3"), aborts(503)),
        (Ask("GET /pay", client="::ffff:10.1.2.3"), aborts(503)),
        (Ask("GET /pay", client="11.1.2.3"), passes()),
        (Ask("GET /pay", client="testclient"), passes()),
        (Ask("GET /pay", client=""), passes()),
    ),
    scenario(
        "globs and templates",
        "/shops/*/pay 100% abort 503 as a; /users/{id} 100% abort 500 as b; /**/x 100% abort 502 as c",
        (get("/shops/7/pay"), aborts(503, "a;abort")),
        (get("/shops/7/8/pay"), passes()),
        (get("/users/7"), aborts(500, "b;abort")),
        (get("/users/7/"), passes()),
        (get("/p/q/x"), aborts(502, "c;abort")),
    ),
    scenario(
        "a regular expression",
        Rule("r", Match(PathMatch(regex=r"/users/\d+")), percentage=100, abort=Abort(503)),
        (get("/users/77"), aborts(503)),
        (get("/users/x"), passes()),
    ),
    scenario(
        "a path beyond ASCII",
        "/straße 100% abort 503 as r",
        (get("/straße/7"), aborts(503)),
        (get("/stra\u00c3\u009fe"), passes()),
        (get("/strasse"), passes()),
        (get("/straße"), aborts(503)),
    ),
)
