"""What one request costs in process: no sockets, no event loop, the smallest application there can be.

The yardstick is what any middleware costs: under ASGI a class with `async def __call__` that awaits the application,
under WSGI a class whose `__call__` returns what the application returns. Each request has a scope or environment of
its own, made before the clock starts, since servers make new ones, too: nothing in it has been hashed before.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from prometheus_client import CollectorRegistry

from benchmarks.report import Row, Table
from benchmarks.rounds import Batch, compare
from benchmarks.rules import header_only, many
from faultware import Abort, Match, Rule, asgi, wsgi
from tests.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


BATCH = 100
SAME_NUMBER = 7
ROUNDS = 1000
QUICK_ROUNDS = 50
MANY = 10_000
ONE = "armed, known path, 1 rule"
ALL = f"armed, known path, {MANY:,} rules"
MOST_GROWTH = 1.1
# A guard may add so much.
MOST_GUARDED = 1.05
# The requests whose decision alone is measured never end.
MOST_ACTIVE = 1_000_000_000

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
BODY = {"type": "http.response.body", "body": b"ok"}
HEADERS = (
    ("host", "127.0.0.1:8000"),
    ("user-agent", "curl/8.5.0"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip"),
    ("connection", "keep-alive"),
    ("x-request-id", "5f0c9c1e"),
)
_numbers = itertools.count()


async def receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Any) -> None: ...


async def asgi_app(scope, receive, send) -> None:
    await receive()
    await send(START)
    await send(BODY)


class AsyncNoOp:
    """The yardstick under ASGI."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        await self.app(scope, receive, send)


def wsgi_app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


class PassThrough:
    """The yardstick under WSGI."""

    def __init__(self, app) -> None:
        self.app = app

    def __call__(self, environ, start_response):
        return self.app(environ, start_response)


def start_response(status: str, headers: Any, exc_info: Any = None) -> Any: ...


def same_path() -> str:
    """A path seen before, in a string that has not been."""
    return f"/orders/{SAME_NUMBER}"


def new_path() -> str:
    """A path that nobody has ever asked for."""
    return f"/orders/{next(_numbers)}/lines"


def scope(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in HEADERS],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


def environ(path: str) -> dict[str, Any]:
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "RAW_URI": path,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in HEADERS},
    }


def asgi_batch(app, path: Callable[[], str] = same_path) -> float:
    """One batch of requests, awaited one after the other as a server awaits them."""
    scopes = [scope(path()) for _ in range(BATCH)]

    async def serve() -> None:
        for entry in scopes:
            await app(entry, receive, send)

    served = serve()
    began = time.perf_counter()
    try:
        served.send(None)
    except StopIteration:
        return time.perf_counter() - began
    raise AssertionError("nothing here waits")


def asgi_decision_batch(app) -> float:
    """One batch in which each request is decided and then dropped; the yardstick's application answers it."""

    def decided(scope, receive, send):
        app(scope, receive, send).close()
        return asgi_app(scope, receive, send)

    return asgi_batch(decided)


def wsgi_batch(app, path: Callable[[], str] = same_path) -> float:
    """One batch of requests, whose answers are read as a server reads them."""
    environs = [environ(path()) for _ in range(BATCH)]
    began = time.perf_counter()
    for entry in environs:
        for _chunk in app(entry, start_response):
            pass
    return time.perf_counter() - began


def run(*, quick: bool) -> Iterator[Table]:
    """Both middlewares, with the switch in memory, in a file, and in a Redis."""
    logging.getLogger("faultware").setLevel(logging.CRITICAL)
    rounds = QUICK_ROUNDS if quick else ROUNDS
    yield _table("ASGI", _asgi_cases, partial(asgi_batch, AsyncNoOp(asgi_app)), rounds)
    yield _table("WSGI", _wsgi_cases, partial(wsgi_batch, PassThrough(wsgi_app)), rounds)


# For each case the most it may cost, or None, and its batch.
Cases: TypeAlias = dict[str, tuple[float | None, Batch]]


def _asgi_cases(make: Callable[..., Any]) -> Cases:
    wrap = partial(make, asgi.FaultMiddleware, asgi_app)
    return {
        "no wrapper": (None, partial(asgi_batch, asgi_app)),
        "the yardstick again": (None, partial(asgi_batch, AsyncNoOp(asgi_app))),
        **_cases(wrap, asgi_batch, {"off": 1.0, "known": 1.15, "headers": 1.8, "new": 3.5, "rolled": 2.5}),
        "matched, rolled, aborted: decision only": (3.5, partial(asgi_decision_batch, wrap(rules=[_rule(100)]))),
        "matched, rolled, aborted: with the answer": (None, partial(asgi_batch, wrap(rules=[_rule(100)]))),
    }


def _wsgi_cases(make: Callable[..., Any]) -> Cases:
    wrap = partial(make, wsgi.FaultMiddleware, wsgi_app)
    return {
        "no wrapper": (None, partial(wsgi_batch, wsgi_app)),
        "the yardstick again": (None, partial(wsgi_batch, PassThrough(wsgi_app))),
        **_cases(wrap, wsgi_batch, {"off": 1.1}),
        "matched, rolled, aborted: with the answer": (None, partial(wsgi_batch, wrap(rules=[_rule(100)]))),
    }


def _cases(wrap: Callable[..., Any], batch: Callable[..., float], most: Mapping[str, float]) -> Cases:
    """What both protocols have in common."""
    off, known = most["off"], most.get("known")
    return {
        "disabled": (off, partial(batch, wrap(enabled=False))),
        "killed, 1 rule": (off, partial(batch, wrap(rules=many(1), armed=False))),
        f"killed, {MANY:,} rules": (off, partial(batch, wrap(rules=many(MANY), armed=False))),
        "killed, with a control endpoint": (
            off,
            partial(batch, wrap(rules=many(1), armed=False, control_token="a-token-for-benchmarks")),
        ),
        "armed, no rules": (known, partial(batch, wrap())),
        ONE: (known, partial(batch, wrap(rules=many(1)))),
        "armed, known path, 100 rules": (known, partial(batch, wrap(rules=many(100)))),
        "the same with guards that measure answers": (
            known and known * MOST_GUARDED,
            partial(batch, wrap(rules=many(100), abort_when="error_share > 50%; p99 > 30s")),
        ),
        ALL: (known, partial(batch, wrap(rules=many(MANY)))),
        "the same with header-only rules": (
            most.get("headers"),
            partial(batch, wrap(rules=many(MANY) + header_only())),
        ),
        f"armed, every path new, {MANY:,} rules": (most.get("new"), partial(batch, wrap(rules=many(MANY)), new_path)),
        "the same with header-only rules, too": (
            most.get("new"),
            partial(batch, wrap(rules=many(MANY) + header_only()), new_path),
        ),
        "path matches, header does not": (None, partial(batch, wrap(rules=[_rule(10, headers={"x-canary": "1"})]))),
        "matched, rolled, not chosen": (most.get("rolled"), partial(batch, wrap(rules=[_rule(0)]))),
    }


def _rule(percentage: float, **conditions: Any) -> Rule:
    return Rule("orders", Match("/orders", **conditions), percentage=percentage, abort=Abort(503))


def _table(protocol: str, cases: Callable[..., Cases], yardstick: Batch, rounds: int) -> Table:
    # A store that is still in use may make its directory anew while it is removed.
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        redis_server(Path(directory)) as redis,
    ):
        in_memory = cases(partial(_make, lambda: "memory:"))
        in_file = cases(partial(_make, lambda: f"file:{directory}/{next(_numbers)}"))
        in_redis = cases(partial(_make, lambda: redis.url(f"micro-{next(_numbers)}")))
        outcomes = [
            compare(yardstick, {name: batch for name, (_, batch) in kind.items()}, rounds)
            for kind in (in_memory, in_file, in_redis)
        ]
    rows = [
        Row(
            name,
            "" if most is None else f"≤ {most:.2f}",
            tuple(str(outcome[name]) for outcome in outcomes),
            None if most is None else all(outcome[name].best <= most for outcome in outcomes),
        )
        for name, (most, _) in in_memory.items()
    ]
    growth = [outcome[ALL].best / outcome[ONE].best for outcome in outcomes]
    is_flat = max(growth) <= MOST_GROWTH
    ratios = tuple(f"{ratio:.2f}" for ratio in growth)
    rows.append(Row("known path, 10,000 rules against 1", f"≤ {MOST_GROWTH:.2f}", ratios, is_flat))
    note = (
        "Times the yardstick: best batch against best batch, and in brackets the median of the ratios within the "
        f"rounds ({rounds} rounds of {BATCH} requests)."
    )
    return Table(
        f"One request in process, {protocol}", note, ("switch in memory", "switch in a file", "switch in a Redis"), rows
    )


def _make(store: Callable[[], str], middleware: Callable[..., Any], app: Any, **options: Any) -> Any:
    """A middleware with a store of its own, and nothing from the environment."""
    made = middleware(
        app,
        **{"enabled": True, "store": store(), "max_active_faults": MOST_ACTIVE, **options},
        registry=CollectorRegistry(),
        environ={},
    )
    # What is far away has to answer first; until then nothing would be looked at.
    injector = made._injector
    while injector is not None and (injector.current().word < 0 or injector.is_cut):
        time.sleep(0.01)
    return made
