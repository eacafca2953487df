"""Shaped responses on a real server: whether rates are held, what a thousand slow downloads cost others, and memory.

Every body here comes from one process, whose application sends it in pieces of 64 KiB. The client reads from plain
sockets, so that it is not what limits the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import statistics
import tempfile
import time
from typing import TYPE_CHECKING

from benchmarks.client import connect, get
from benchmarks.client import run as run_client
from benchmarks.report import Row, Table
from benchmarks.servers import enabled, gthread, serve, uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.client import Connection
    from benchmarks.servers import Server

RATES = {"1 kB/s": 10**3, "10 kB/s": 10**4, "100 kB/s": 10**5, "1 MB/s": 10**6, "10 MB/s": 10**7, "100 MB/s": 10**8}
# A piece of the sliced bodies, and the pause behind it, make up the same rates.
PAUSE_SECONDS = 0.01
SECONDS, QUICK_SECONDS = 4.0, 1.0
MOST_OFF = 0.05

CROWD, QUICK_CROWD = 1000, 100
CROWD_RATE = 10_000
PROBES, QUICK_PROBES = 2000, 100
PROBES_PER_SECOND = 200
MOST_LATENCY = 2.0

LARGE, QUICK_LARGE = 2**30, 2**26
ACTING = ("throttle 1000MB/s", "slice 64KiB", "corrupt 1%", "corrupt 0.1% unit=bits")
ROUNDS = 9
MOST_COST = 0.03
MOST_GROWTH_MIB = 8.0

PLAIN = "benchmarks.asgi_services:plain"
FAULTS = f"{PLAIN}_with_faults"


def run(*, quick: bool) -> Iterator[Table]:
    """Rates, a crowd, a large body."""
    with tempfile.TemporaryDirectory() as directory:
        yield _rates(directory, QUICK_SECONDS if quick else SECONDS)
        yield _crowd(directory, quick=quick)
        yield _large(directory, QUICK_LARGE if quick else LARGE, 1 if quick else ROUNDS)


def _rates(directory: str, seconds: float) -> Table:
    lines = [f"/body/throttled/{rate} 100% throttle {rate}B/s as throttled-{rate}" for rate in RATES.values()]
    lines += [
        f"/body/sliced/{rate} 100% slice {int(rate * PAUSE_SECONDS)}B pause={PAUSE_SECONDS}s as sliced-{rate}"
        for rate in RATES.values()
    ]
    off: dict[tuple[str, int], list[float]] = {}
    for command in (uvicorn(FAULTS), gthread("benchmarks.wsgi_services:flask_with_faults", 4)):
        with serve(command, enabled(directory, rules="; ".join(lines))) as server:
            for kind in ("throttled", "sliced"):
                for rate in RATES.values():
                    size = int(rate * seconds)
                    took = _download(server, f"/body/{kind}/{rate}/{size}", size)
                    off.setdefault((kind, rate), []).append(size / took / rate - 1)
    names = {rate: name for name, rate in RATES.items()}
    rows = [
        Row(
            f"{kind}, {names[rate]}",
            f"within {MOST_OFF:.0%}",
            tuple(f"{share:+.2%}" for share in shares),
            max(map(abs, shares)) <= MOST_OFF,
        )
        for (kind, rate), shares in off.items()
    ]
    note = (
        f"Bodies that take {seconds:g} s, read to the last byte. Sliced bodies come in pieces of a hundredth of a "
        f"second's worth, with a pause of {1000 * PAUSE_SECONDS:g} ms behind each."
    )
    return Table("Rates", note, ("uvicorn, off by", "gunicorn gthread, off by"), rows)


def _crowd(directory: str, *, quick: bool) -> Table:
    count, probes = (QUICK_CROWD, QUICK_PROBES) if quick else (CROWD, PROBES)
    settings = enabled(directory, rules=f"/body/slow 100% throttle {CROWD_RATE}B/s as slow", max_active_faults="5000")
    with serve(uvicorn(FAULTS), settings) as server:
        idle, busy, used, received = run_client(_visit(server, count, probes))
    ratio = busy / idle
    share = received / CROWD_RATE
    rows = [
        Row("median latency, idle", "", (f"{1e6 * idle:.0f} µs",)),
        Row(f"median latency beside {count:,} throttled responses", "", (f"{1e6 * busy:.0f} µs",)),
        Row("the latter against the former", f"≤ {MOST_LATENCY:g}", (f"{ratio:.2f}",), ratio <= MOST_LATENCY),
        Row("share of a core that the server uses meanwhile", "", (f"{100 * used:.0f} %",)),
        Row("what each of them received, against its rate", "≥ 95 %", (f"{share:.1%}",), share >= 0.95),
    ]
    note = (
        f"{count:,} downloads at {CROWD_RATE // 1000} kB/s each, and {PROBES_PER_SECOND} requests a second on another "
        "connection, to a route that no rule concerns."
    )
    return Table("A crowd of slow downloads", note, ("measured",), rows)


async def _visit(server: Server, count: int, probes: int) -> tuple[float, float, float, float]:
    """The median latency without and with the crowd, the share of a core, and each one's mean rate."""
    (probe,) = await connect(server.port, 1)
    await _latency(probe, probes // 4)
    idle, _ = await _latency(probe, probes)
    crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(count)]
    for connection in crowd:
        connection.sendall(get(f"/body/slow/{10**9}"))
    await asyncio.sleep(2)
    _drained(crowd)
    used, began = server.processor_seconds(), time.monotonic()
    busy, received = await _latency(probe, probes, crowd)
    received += _drained(crowd)
    elapsed = time.monotonic() - began
    used = (server.processor_seconds() - used) / elapsed
    for connection in crowd:
        connection.close()
    probe.close()
    return idle, busy, used, received / count / elapsed


async def _latency(probe: Connection, count: int, crowd: Sequence[socket.socket] = ()) -> tuple[float, int]:
    """The median latency of so many requests, and what the crowd received meanwhile.

    The crowd is read in small parts, once a second each, and between two probes: the client's own work must not be what
    is measured.
    """
    taken: list[float] = []
    received = 0
    began = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / PROBES_PER_SECOND - time.monotonic()))
        await probe.send(get("/untouched"))
        taken.append(probe.answered_at - probe.sent_at)
        received += _drained(crowd[number % PROBES_PER_SECOND :: PROBES_PER_SECOND])
    return statistics.median(taken), received


def _drained(crowd: Sequence[socket.socket]) -> int:
    """How many bytes are there to be read, without waiting for more."""
    size = 0
    for connection in crowd:
        with contextlib.suppress(BlockingIOError):
            while data := connection.recv(1 << 20, socket.MSG_DONTWAIT):
                size += len(data)
    return size


def _large(directory: str, size: int, rounds: int) -> Table:
    """Bodies of a gibibyte: what a rule costs that does not fire, and what those need that do."""
    rules = [f"/body/{_word(words)} 100% {words} as {_word(words)}" for words in ACTING]
    rules.append("/body/missed header:x-chaos=1 100% corrupt 1%")
    armed = enabled(directory, rules="; ".join(rules))
    with serve(uvicorn(PLAIN)) as bare, serve(uvicorn(PLAIN)) as twin, serve(uvicorn(FAULTS), armed) as server:
        times: dict[Server, list[float]] = {bare: [], twin: [], server: []}
        for number in range(rounds):
            # One after the other, and each time another one first: a machine warms up, and is not ours alone.
            for one in (*list(times)[number % 3 :], *list(times)[: number % 3]):
                times[one].append(_download(one, f"/body/missed/{size}", size))
        # The best of each: what else the machine does only ever makes one slower.
        floor, other, best = (min(taken) for taken in times.values())
        noise, cost = abs(other / floor - 1), best / floor - 1
        rows = [
            Row("without faultware", "", (f"{size / 1e6 / floor:,.0f} MB/s", "")),
            Row("another server without faultware", "", (f"{other / floor - 1:+.1%} time", "")),
            Row(
                "a rule is armed that does not fire",
                f"≤ {MOST_COST:.0%}, or what the other differs by",
                (f"{cost:+.1%} time", ""),
                cost <= max(MOST_COST, noise),
            ),
        ]
        for words in ACTING:
            before = server.resident_bytes()
            took, most = _watched(server, f"/body/{_word(words)}/{size}", size)
            growth = (most - before) / 2**20
            measured = (f"{size / took / 1e6:,.0f} MB/s", f"{growth:+.1f} MiB")
            rows.append(Row(words, f"≤ {MOST_GROWTH_MIB:g} MiB", measured, growth <= MOST_GROWTH_MIB))
    note = f"A body of {size / 2**20:,.0f} MiB, the best of {rounds} rounds; memory is resident, beyond that before."
    return Table("A large body", note, ("speed", "memory"), rows)


def _word(words: str) -> str:
    return re.sub("[^a-z0-9]+", "-", words.lower()).strip("-")


def _watched(server: Server, path: str, size: int) -> tuple[float, int]:
    """The seconds a download takes, and the most memory that the server has meanwhile."""
    seen: list[int] = []
    return _download(server, path, size, lambda: seen.append(server.resident_bytes())), max(seen)


def _download(server: Server, path: str, size: int, look: Callable[[], object] | None = None) -> float:
    """Seconds from sending a request to the last byte of a body that is so long."""
    buffer = bytearray(1 << 18)
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
        began = time.monotonic()
        connection.sendall(get(path))
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
        left = size - len(received.partition(b"\r\n\r\n")[2])
        looked = began
        while left > 0:
            count = connection.recv_into(buffer)
            if not count:
                raise RuntimeError(f"{path}: {left} bytes are missing")
            left -= count
            if look is not None and time.monotonic() - looked > 0.1:
                looked = time.monotonic()
                look()
        if look is not None:
            look()
        return time.monotonic() - began
