"""How long a kill takes: from its answer to the last answer of the requests that were being held."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from typing import TYPE_CHECKING

from benchmarks.client import connect, get, post
from benchmarks.client import run as run_client
from benchmarks.report import Row, Table
from benchmarks.servers import enabled, gthread, serve, uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS, QUICK_ROUNDS = 20, 2
# Longer than the benchmark waits: only a kill can end it.
DELAY_SECONDS = 30
# The worker with threads needs some that hold nothing.
SPARE_THREADS = 8

CASES = {
    "uvicorn": (uvicorn("benchmarks.asgi_services:plain_with_faults"), 200),
    "gunicorn gthread": (gthread("benchmarks.wsgi_services:flask_with_faults", 32 + SPARE_THREADS), 32),
}


def run(*, quick: bool) -> Iterator[Table]:
    """Both servers, armed again after every kill."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for name, (command, count) in CASES.items():
            settings = enabled(directory, rules=f"/slow 100% delay {DELAY_SECONDS}s", max_active_faults="1000")
            with serve(command, settings) as server:
                times = run_client(_kill_and_arm(server.port, count, rounds))
            measured = (f"{1000 * statistics.median(times):.1f} ms", f"{1000 * max(times):.1f} ms")
            rows.append(Row(f"{name}, {count} held for {DELAY_SECONDS} s", "at once", measured))
    note = (
        f"From the answer of `POST kill` to the last byte of the last released answer, {rounds} kills; 0 where every "
        "request was answered before the kill was."
    )
    yield Table("The kill switch", note, ("median", "longest"), rows)


async def _kill_and_arm(port: int, count: int, rounds: int) -> list[float]:
    (control,) = await connect(port, 1)
    times = []
    for _ in range(rounds):
        connections = await connect(port, count)
        answers = [connection.send(get("/slow")) for connection in connections]
        while f'"active_faults":{count}'.encode() not in (await control.send(STATUS)).replace(b" ", b""):
            await asyncio.sleep(0.02)
        await control.send(post("kill"))
        killed_at = control.answered_at
        await asyncio.gather(*answers)
        times.append(max(0.0, max(connection.answered_at for connection in connections) - killed_at))
        for connection in connections:
            connection.close()
        await control.send(post("arm"))
    control.close()
    return times


STATUS = post("status").replace(b"POST", b"GET")
