"""What a whole service loses: real servers, real sockets, frameworks as people use them.

Four servers of a kind stand beside each other: the service without the middleware, the very same again (the difference
of these two is the noise), and with the middleware, armed, with no rules and with ten thousand, none of which matches.
They take turns in rounds; each is set against the first of its round.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.client import get, throughput
from benchmarks.client import run as run_client
from benchmarks.report import Row, Table
from benchmarks.rules import many
from benchmarks.servers import enabled, gthread, serve, uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.servers import Server

ROUNDS, SECONDS = 16, 1.5
QUICK_ROUNDS, QUICK_SECONDS = 2, 0.3
MANY = 10_000
CONNECTIONS = 16
THREADS = 8
# Less than this nobody can tell from noise, even if the noise happened to be smaller.
LEAST_NOISE = 0.02
# With more the run says nothing about the promise.
MOST_NOISE = 0.15

KINDS: dict[str, tuple[Callable[[str], list[str]], str]] = {
    "uvicorn, FastAPI": (uvicorn, "benchmarks.asgi_services:fastapi"),
    "gunicorn gthread, Flask": (lambda factory: gthread(factory, THREADS), "benchmarks.wsgi_services:flask"),
}


def run(*, quick: bool) -> Iterator[Table]:
    """A table for each server."""
    for kind, (command, factory) in KINDS.items():
        with tempfile.TemporaryDirectory() as directory, ExitStack() as servers:
            rules = Path(directory, "rules.json")
            # In the one-line form, since a file may have one MiB at most, and that many documents are larger.
            rules.write_text(json.dumps({"rules": "; ".join(map(str, many(MANY)))}))
            bare, wrapped = command(factory), command(f"{factory}_with_faults")
            settings = {
                "without the middleware": (bare, {}),
                "the very same again": (bare, {}),
                "armed, no rules": (wrapped, enabled(directory)),
                f"armed, {MANY:,} rules": (wrapped, enabled(directory, config_file=str(rules))),
            }
            started = {name: servers.enter_context(serve(*given)) for name, given in settings.items()}
            yield _table(kind, started, *((QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)))


def _table(kind: str, servers: dict[str, Server], rounds: int, seconds: float) -> Table:
    speed: dict[str, list[float]] = {name: [] for name in servers}
    cost: dict[str, list[float]] = {name: [] for name in servers}
    names = list(servers)
    for turn in range(-1, rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            server = servers[name]
            used = server.processor_seconds()
            answered, elapsed = run_client(throughput(server.port, get("/orders/7"), CONNECTIONS, seconds))
            if turn >= 0:  # the first round only warms up
                speed[name].append(answered / elapsed)
                cost[name].append((server.processor_seconds() - used) / answered)
    first, again, *others = names
    relative = {name: [one / base for one, base in zip(speed[name], speed[first], strict=True)] for name in names}
    noise = max(LEAST_NOISE, *(abs(ratio - 1) for ratio in _middle(relative[again])))
    rows = [_row(name, "", speed, cost, relative, first) for name in (first, again)]
    for name in others:
        target = f"throughput ≥ {1 - noise:.2f}" if noise <= MOST_NOISE else "(too much noise)"
        is_met = statistics.median(relative[name]) >= 1 - noise if noise <= MOST_NOISE else None
        rows.append(_row(name, target, speed, cost, relative, first, is_met=is_met))
    note = (
        f"{CONNECTIONS} connections, {rounds} rounds of {seconds:g} s; medians, against the first line. The noise is "
        "how far the middle half of the second line's rounds strays from 1, "
        f"and at least {LEAST_NOISE:.0%}."
    )
    columns = ("requests a second", "throughput", "middle half", "processor time a request")
    return Table(f"End to end: {kind}", note, columns, rows)


def _row(name, target, speed, cost, relative, first, *, is_met: bool | None = None) -> Row:
    low, high = _middle(relative[name])
    measured = (
        f"{statistics.median(speed[name]):,.0f}",
        f"{statistics.median(relative[name]):.2f}",
        f"{low:.2f} to {high:.2f}",
        f"{statistics.median(cost[name]) / statistics.median(cost[first]):.2f}",
    )
    return Row(name, target, measured, is_met)


def _middle(values: list[float]) -> tuple[float, float]:
    """Between which values the middle half lies."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high
