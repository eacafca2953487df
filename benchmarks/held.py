"""Ten thousand requests held in a delay at once by one process: what each costs in memory, and how punctual they are.

Memory: connections are opened, then requests are sent on all of them, and what the server's process grows by between
these two moments is set against a server whose application merely waits for the client to leave. Time: the same
connections are answered when the delay is over, and so are those of an application that sleeps by itself.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.client import connect, get
from benchmarks.client import run as run_client
from benchmarks.report import Row, Table
from benchmarks.servers import enabled, serve, uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.servers import Server

COUNT, DELAY_SECONDS = 10_000, 20.0
QUICK_COUNT, QUICK_DELAY_SECONDS = 500, 4.0
# Requests are sent this long a time, so that they do not all end in the same instant.
SENDING_SHARE = 0.4
# Files and sockets that are open besides the connections.
SPARE_FILES = 500
MOST_KIBIBYTES = 2.0
MOST_LATENESS = 2.0
RUNS = 3

PLAIN = "benchmarks.asgi_services:plain"


@dataclass(frozen=True, slots=True)
class Held:
    """What one server did.

    Args:
        kibibytes: What its process grew by for each request that was held.
        lateness: By how many seconds each request was answered too late; empty if none was.
    """

    kibibytes: float
    lateness: list[float]


def run(*, quick: bool) -> Iterator[Table]:
    """Three servers in turn, and the whole again."""
    count, seconds = (QUICK_COUNT, QUICK_DELAY_SECONDS) if quick else (COUNT, DELAY_SECONDS)
    count = min(count, _allow_files() - SPARE_FILES)
    idle: list[Held] = []
    slept: list[Held] = []
    delayed: list[Held] = []
    with tempfile.TemporaryDirectory() as directory:
        faults = enabled(directory, rules=f"/delayed 100% delay {seconds:g}s as held", max_active_faults="20000")
        for _ in range(1 if quick else RUNS):
            idle.append(_measure(PLAIN, {}, "/idle", count, seconds))
            slept.append(_measure(PLAIN, {}, f"/asleep/{seconds:g}", count, seconds))
            delayed.append(_measure(f"{PLAIN}_with_faults", faults, "/delayed", count, seconds))
    yield _table(count, seconds, idle, slept, delayed)


def _table(count: int, seconds: float, idle: list[Held], slept: list[Held], delayed: list[Held]) -> Table:
    floor, own, ours = (statistics.median(run.kibibytes for run in runs) for runs in (idle, slept, delayed))
    late = [1000 * statistics.median(run.lateness) for run in delayed]
    asleep = [1000 * statistics.median(run.lateness) for run in slept]
    ratio = statistics.median(one / other for one, other in zip(late, asleep, strict=True))
    earliest = 1000 * min(min(run.lateness) for run in delayed)
    rows = [
        Row("waiting for the client to leave, without faultware", "", (f"{floor:.1f} KiB a request",)),
        Row("asleep in the application, without faultware", "", (f"{own:.1f} KiB a request",)),
        Row("held by faultware", "", (f"{ours:.1f} KiB a request",)),
        Row(
            "held by faultware, beyond the first line",
            f"≤ {MOST_KIBIBYTES:g} KiB",
            (f"{ours - floor:.1f} KiB a request",),
            ours - floor <= MOST_KIBIBYTES,
        ),
        Row("the earliest end, against its time", "never early", (f"{earliest:+.2f} ms",), earliest >= 0),
        Row("median lateness of the application's own sleep", "", (f"{statistics.median(asleep):.2f} ms",)),
        Row("median lateness of the delay", "", (f"{statistics.median(late):.2f} ms",)),
        Row("the latter against the former", f"≤ {MOST_LATENESS:g}", (f"{ratio:.2f}",), ratio <= MOST_LATENESS),
    ]
    note = (
        f"{count:,} requests held for {seconds:g} s by one process of uvicorn, sent over "
        f"{SENDING_SHARE * seconds:g} s, median of {len(delayed)} runs. Memory is resident, and beyond that of a "
        "connection that asks nothing. "
        "Lateness is the client's: from sending a request to having its whole answer, less the delay."
    )
    return Table("Requests held in a delay", note, ("measured",), rows)


def _measure(factory: str, settings: dict[str, str], path: str, count: int, seconds: float) -> Held:
    with serve(uvicorn(factory), settings) as server:
        return run_client(_hold(server, path, count, seconds))


async def _hold(server: Server, path: str, count: int, seconds: float) -> Held:
    connections = await connect(server.port, count)
    await asyncio.sleep(1)
    before = server.resident_bytes()
    began = time.monotonic()
    answers = []
    for number, connection in enumerate(connections):
        answers.append(connection.send(get(path)))
        ahead = SENDING_SHARE * seconds * number / count - (time.monotonic() - began)
        if ahead > 0:
            await asyncio.sleep(ahead)
    # All have been sent, none has been answered: now they are held.
    await asyncio.sleep((1 - SENDING_SHARE) * seconds / 2)
    early = sum(answer.done() for answer in answers)
    if early:
        raise RuntimeError(f"{early} of {count} requests were answered before their time")
    grown = server.resident_bytes() - before
    lateness: list[float] = []
    if "idle" not in path:
        await asyncio.gather(*answers)
        lateness = [connection.answered_at - connection.sent_at - seconds for connection in connections]
    for connection in connections:
        connection.close()
    return Held(grown / count / 1024, lateness)


def _allow_files() -> int:
    """Let this process, and the servers it starts, open as many files as they may; how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else COUNT + SPARE_FILES
