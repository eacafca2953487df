"""How long a kill takes to reach every worker: by their own confirmations, and by the answers of what they held."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.client import connect, get
from benchmarks.client import run as run_client
from benchmarks.report import Row, Table
from benchmarks.servers import enabled, gthread, serve
from faultware.runtime.exceptions import Exceptions
from faultware.runtime.stores import reach
from faultware.runtime.switch import Clocks, Switch
from faultware.state.service import embedded_directory
from tests.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.servers import Server

ROUNDS, QUICK_ROUNDS = 100, 3
WORKERS, THREADS = 4, 16
# Held by each service: several in each worker, and threads are left for what else is asked.
HELD = 32
DELAY_SECONDS = 30
PATIENCE_SECONDS = 30.0
MEDIAN_MS = {"file": 5.0, "Redis": 20.0}
FILE_P99_MS, RELEASED_MS = 50.0, 50.0
COMMAND = [*gthread("benchmarks.wsgi_services:flask_with_faults", THREADS), "--workers", str(WORKERS)]


def run(*, quick: bool) -> Iterator[Table]:
    """Four workers with a directory, and twelve with a Redis."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    confirmed, released = [], []
    # Where a service keeps its state if nobody says otherwise.
    with tempfile.TemporaryDirectory(dir=embedded_directory().parent) as directory:
        for name, services in (("file", 1), ("Redis", 3)):
            with ExitStack() as stack:
                store = f"file:{tempfile.mkdtemp(dir=directory)}"
                if name == "Redis":
                    store = stack.enter_context(redis_server(Path(directory))).url()
                settings = {**enabled(directory, rules=f"/slow 100% delay {DELAY_SECONDS}s"), "FAULTWARE_STORE": store}
                servers = [stack.enter_context(serve(COMMAND, settings)) for _ in range(services)]
                took, longest = run_client(_measure(store, servers, rounds))
            confirmed.append(_confirmed(name, services * WORKERS, took))
            is_met = max(longest) <= RELEASED_MS
            case = f"{name}, {services * WORKERS} workers, {services * HELD} held for {DELAY_SECONDS} s"
            shown = (f"{statistics.median(longest):.1f} ms", f"{max(longest):.1f} ms")
            released.append(Row(case, f"at most {RELEASED_MS:.0f} ms", shown, is_met))
    note = (
        f"From the kill to the last worker's confirmation, by the clock of the store; {rounds} kills of idle workers."
    )
    yield Table("A kill until every worker has confirmed", note, ("median", "p99"), confirmed)
    note = f"From the kill to the last answer of what all workers held; {_held_rounds(rounds)} kills."
    yield Table("A kill until everything held is released", note, ("median", "longest"), released)


def _confirmed(name: str, workers: int, took: list[float]) -> Row:
    median, p99 = statistics.median(took), sorted(took)[max(0, round(0.99 * len(took)) - 1)]
    target = f"median at most {MEDIAN_MS[name]:.0f} ms"
    is_met = median <= MEDIAN_MS[name]
    if name == "file":
        target += f", p99 at most {FILE_P99_MS:.0f} ms"
        is_met = is_met and p99 <= FILE_P99_MS
    return Row(f"{name}, {workers} workers", target, (f"{median:.1f} ms", f"{p99:.1f} ms"), is_met)


def _held_rounds(rounds: int) -> int:
    return max(2, rounds // 10)


async def _measure(url: str, servers: list[Server], rounds: int) -> tuple[list[float], list[float]]:
    """The times of kills of idle workers, and of workers that hold requests, in milliseconds."""
    count = WORKERS * len(servers)
    await _until(lambda: _is_reachable(url))
    switch = Switch(reach(url), None, exceptions=Exceptions(), clocks=Clocks(time.monotonic, time.time))
    while len(switch.store.workers()) < count:
        for server in servers:
            connections = await connect(server.port, 16)
            await asyncio.gather(*(connection.send(get("/healthz")) for connection in connections))
            for connection in connections:
                connection.close()
    took, longest = [], []
    for number in range(rounds):
        await _arm(switch)
        # Not in step with anything that happens regularly.
        await asyncio.sleep(0.05 + number % 7 / 100)
        took.append(1000 * await _kill(switch))
    for _ in range(_held_rounds(rounds)):
        await _arm(switch)
        connections = [one for server in servers for one in await connect(server.port, HELD)]
        answers = [connection.send(get("/slow")) for connection in connections]
        await asyncio.sleep(1.0)
        if any(answer.done() for answer in answers):
            raise RuntimeError("not every request is held")
        killed_at = time.monotonic()
        await asyncio.to_thread(switch.kill, "benchmark")
        await asyncio.gather(*answers)
        longest.append(1000 * (max(connection.answered_at for connection in connections) - killed_at))
        for connection in connections:
            connection.close()
    return took, longest


def _is_reachable(url: str) -> bool:
    try:
        reach(url)
    except Exception:
        return False
    return True


async def _arm(switch: Switch) -> None:
    version = (await asyncio.to_thread(switch.arm, "benchmark")).version
    await _until(lambda: all(worker.version >= version and not worker.killed for worker in switch.store.workers()))


async def _kill(switch: Switch) -> float:
    """How long the last worker took, in seconds, as the store has it."""
    snapshot = await asyncio.to_thread(switch.kill, "benchmark")
    await _until(lambda: all(worker.has_confirmed(snapshot) for worker in switch.store.workers()))
    return max(worker.took_seconds for worker in switch.store.workers())


async def _until(holds) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await asyncio.to_thread(holds):
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.02)
