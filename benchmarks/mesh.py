"""faultware with an imported configuration against Envoy as a sidecar with the same one, in one run.

The same service stands beside itself: alone, behind the middleware, and behind an Envoy. They take turns in rounds;
what each adds is measured against the service alone in the same round. What Envoy adds is its own processor time; what
the service needs to hear from Envoy and not from the client is counted with it.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.client import connect, get
from benchmarks.client import run as run_client
from benchmarks.envoy import everywhere, routes, sidecar
from benchmarks.report import Row, Table
from benchmarks.servers import Server, enabled, serve, uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTS = (0, 1, 100, 10_000)
QUICK_COUNTS = (0, 100)
ROUNDS, SECONDS = 9, 1.5
QUICK_ROUNDS, QUICK_SECONDS = 2, 0.3
CONNECTIONS = 8
REQUESTS, QUICK_REQUESTS = 10_000, 300
DELAYS = {"10ms": (0.01, 200), "100ms": (0.1, 60)}
QUICK_DELAYS = {"10ms": (0.01, 10)}
ALONE, OURS, ENVOY = "the service alone", "faultware", "Envoy"
# At most so much of what Envoy adds.
SHARE = 0.25
# Less than this nobody can tell from noise: microseconds of processor time a request.
LEAST_NOISE = 3.0
ALL = {"numerator": 100}


def run(*, quick: bool) -> Iterator[Table]:
    """What each adds, idle and with many rules; and how exact each is."""
    with tempfile.TemporaryDirectory() as directory:
        yield _costs(Path(directory), QUICK_COUNTS if quick else COUNTS, quick=quick)
        yield _delays(Path(directory), QUICK_DELAYS if quick else DELAYS)
        yield _share(Path(directory), QUICK_REQUESTS if quick else REQUESTS)


class _Setup:
    """The three ways to the same service.

    Args:
        document: The configuration, as Envoy has it.
        directory: For files.
        name: Of this one.
    """

    def __init__(self, document, directory: Path, name: str, servers: ExitStack) -> None:
        file = directory / f"{name}.json"
        file.write_text(json.dumps(document))
        bare, wrapped = (uvicorn(f"benchmarks.asgi_services:{app}") for app in ("plain", "plain_with_faults"))
        behind = servers.enter_context(serve(bare))
        settings = enabled(str(directory), config_file=str(file))
        self.ways: dict[str, list[Server]] = {
            ALONE: [servers.enter_context(serve(bare))],
            OURS: [servers.enter_context(serve(wrapped, settings))],
            ENVOY: [servers.enter_context(sidecar(document, behind.port, directory / name)), behind],
        }

    def port(self, way: str) -> int:
        return self.ways[way][0].port

    def processor_seconds(self, way: str) -> float:
        return sum(server.processor_seconds() for server in self.ways[way])


async def _times(port: int, connections: int, seconds: float) -> tuple[list[float], float]:
    """How long each request took, one after the other on each connection, and how long all of it did."""
    opened = await connect(port, connections)
    request, found = get("/orders/7"), []
    began = time.monotonic()
    ends = began + seconds

    async def ask(connection) -> None:
        while time.monotonic() < ends:
            reply = await connection.send(request)
            if not reply.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"this should have passed: {reply[:200]!r}")
            found.append(connection.answered_at - connection.sent_at)

    await asyncio.gather(*map(ask, opened))
    elapsed = time.monotonic() - began
    for connection in opened:
        connection.close()
    return found, elapsed


def _costs(directory: Path, counts: tuple[int, ...], *, quick: bool) -> Table:
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    rows: list[Row] = []
    added: dict[tuple[str, int], float] = {}
    for count in counts:
        with ExitStack() as servers:
            setup = _Setup(routes(count), directory, f"routes-{count}", servers)
            measured = _measure(setup, rounds, seconds)
        for way in (OURS, ENVOY):
            added[way, count] = measured[way]["processor"]
        target, is_met = "", None
        if measured[ENVOY]["processor"] > 0:
            target = f"processor ≤ {SHARE} of Envoy's"
            is_met = measured[OURS]["processor"] <= SHARE * measured[ENVOY]["processor"]
        rows.append(_row(f"Envoy, {count:,} rules", "", measured[ENVOY], measured[ALONE]))
        rows.append(_row(f"faultware, {count:,} rules", target, measured[OURS], measured[ALONE], is_met=is_met))
    first, last = counts[0], counts[-1]
    growth = added[OURS, last] - added[OURS, first]
    theirs = added[ENVOY, last] - added[ENVOY, first]
    flat = ("", "", f"{growth:+.1f} µs", "", "", "")
    case = f"faultware, from {first:,} to {last:,} rules"
    rows.append(Row(case, f"≤ {LEAST_NOISE:g} µs more", flat, is_met=growth <= LEAST_NOISE))
    rows.append(Row(f"Envoy, from {first:,} to {last:,} rules", "", ("", "", f"{theirs:+.1f} µs", "", "", "")))
    note = (
        f"uvicorn with an application that answers at once; Envoy with one worker thread. {CONNECTIONS} connections "
        f"for throughput and processor time, one for the times; {rounds} rounds of {seconds:g} s each; medians. No "
        "rule matches: this is what idle rules cost. Throughput is that of the service alone = 1."
    )
    columns = ("requests a second", "throughput", "processor added", "of Envoy's", "p50 added", "p99 added")
    return Table("Imported rules against Envoy as a sidecar: cost", note, columns, _with_shares(rows, added))


def _with_shares(rows: list[Row], added: dict[tuple[str, int], float]) -> list[Row]:
    """The rows with how much of Envoy's each of ours is."""
    found: list[Row] = []
    for row in rows:
        count = next((count for way, count in added if row.case == f"faultware, {count:,} rules"), None)
        if count is not None and added[ENVOY, count] > 0:
            share = f"{added[OURS, count] / added[ENVOY, count]:.2f}"
            row = Row(row.case, row.target, (*row.measured[:3], share, *row.measured[4:]), row.is_met)
        found.append(row)
    return found


def _measure(setup: _Setup, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Medians over rounds: what each way adds to the service alone."""
    found: dict[str, dict[str, list[float]]] = {way: {} for way in setup.ways}

    def note(way: str, **values: float) -> None:
        for name, value in values.items():
            found[way].setdefault(name, []).append(value)

    for turn in range(-1, rounds):
        once: dict[str, tuple[float, float, float, float]] = {}
        for way in setup.ways:
            used = setup.processor_seconds(way)
            times, elapsed = run_client(_times(setup.port(way), CONNECTIONS, seconds))
            processor = (setup.processor_seconds(way) - used) / len(times)
            alone, _ = run_client(_times(setup.port(way), 1, seconds / 3))
            once[way] = (len(times) / elapsed, processor, *_middle_and_tail(alone))
        if turn < 0:  # the first round only warms up
            continue
        base = once[ALONE]
        for way, (speed, processor, middle, tail) in once.items():
            note(way, speed=speed, ratio=speed / base[0], processor=(processor - base[1]) * 1e6)
            note(way, middle=(middle - base[2]) * 1e6, tail=(tail - base[3]) * 1e6)
    return {way: {name: statistics.median(values) for name, values in given.items()} for way, given in found.items()}


def _middle_and_tail(times: list[float]) -> tuple[float, float]:
    ordered = sorted(times)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


def _row(case: str, target: str, measured: dict[str, float], alone: dict[str, float], *, is_met=None) -> Row:
    words = (
        f"{measured['speed']:,.0f} of {alone['speed']:,.0f}",
        f"{measured['ratio']:.2f}",
        f"{measured['processor']:.1f} µs",
        "",
        f"{measured['middle']:+.0f} µs",
        f"{measured['tail']:+.0f} µs",
    )
    return Row(case, target, words, is_met)


async def _one_by_one(port: int, count: int) -> tuple[list[float], int]:
    """How long each of so many requests took, and how many were aborted."""
    (connection,) = await connect(port, 1)
    times, aborted, request = [], 0, get("/orders/7")
    for _ in range(count):
        reply = await connection.send(request)
        times.append(connection.answered_at - connection.sent_at)
        aborted += reply.startswith(b"HTTP/1.1 503")
    connection.close()
    return times, aborted


def _delays(directory: Path, delays: dict[str, tuple[float, int]]) -> Table:
    rows: list[Row] = []
    for name, (seconds, count) in delays.items():
        document = everywhere(delay={"fixed_delay": f"{seconds:g}s", "percentage": ALL})
        with ExitStack() as servers:
            setup = _Setup(document, directory, f"delay-{name}", servers)
            errors: dict[str, list[float]] = {}
            for way in (ENVOY, OURS):
                times, _ = run_client(_one_by_one(setup.port(way), count))
                errors[way] = sorted((took - seconds) * 1000 for took in times)
        target = statistics.median(map(abs, errors[ENVOY]))
        for way in (ENVOY, OURS):
            found = errors[way]
            middle = statistics.median(map(abs, found))
            words = (
                f"{middle:.2f} ms",
                f"{found[0]:+.2f} ms",
                f"{found[len(found) * 99 // 100]:+.2f} ms",
                f"{sum(error < 0 for error in found)} of {count}",
            )
            is_met = None if way == ENVOY else middle <= target and found[0] >= 0
            told = "" if way == ENVOY else "no worse, never too short"
            rows.append(Row(f"{way}, {name}", told, words, is_met))
    note = (
        "One request after the other; what a request took beyond the delay, the way to the service and back included."
    )
    columns = ("error, median", "shortest", "p99", "too short")
    return Table("Imported rules against Envoy as a sidecar: a delay", note, columns, rows)


def _share(directory: Path, count: int) -> Table:
    document = everywhere(abort={"http_status": 503, "percentage": {"numerator": 10}})
    rows: list[Row] = []
    with ExitStack() as servers:
        setup = _Setup(document, directory, "share", servers)
        for way in (ENVOY, OURS):
            _, aborted = run_client(_one_by_one(setup.port(way), count))
            off = (aborted - count / 10) / math.sqrt(count * 0.09)
            words = (f"{100 * aborted / count:.2f} %", f"{off:+.1f}")
            is_met = None if way == ENVOY else abs(off) <= 5
            rows.append(Row(f"{way}, 10 % of {count:,}", "" if way == ENVOY else "within 5", words, is_met))
    note = "How many were aborted, and by how many standard deviations that is off."
    return Table("Imported rules against Envoy as a sidecar: a share", note, ("observed", "deviations"), rows)
