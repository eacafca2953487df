"""What `make demo` runs: a real service, real traffic, and the kill switch in between.

It starts examples/fastapi_app under uvicorn on 127.0.0.1, drives the same traffic through it three times (disarmed,
armed, killed), prints one table, and stays up until Ctrl-C. Read from the environment: PORT (8000), DEMO_EXIT (1: end
after the table).
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = "POST /payments 10% abort 503 as payments-503; GET /search 30% delay 200ms±50ms as search-slow"
ROUTES = (("POST", "/payments", {"amount": "9.90"}), ("GET", "/search?q=rocket", None))
REQUESTS = 200  # for each route in each phase
PER_SECOND = 250
START_SECONDS = 60


class DemoError(Exception):
    """Something a person has to know about and can do something about."""


@dataclass
class Figure:
    """What came of the requests to one route in one phase."""

    seconds: list[float] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)

    def row(self, phase: str, route: str) -> tuple[str, ...]:
        count = len(self.seconds)
        rules = ", ".join(f"{number} {rule}" for rule, number in sorted(self.injected.items())) or "none"
        share = 100 * self.injected.total() / count
        times = (f"{1000 * self.quantile(q):.0f} ms" for q in (0.5, 0.99))
        return (phase, route, str(count), rules, f"{share:.1f} %", *times)

    def quantile(self, q: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)]


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: stay up
        signal.signal(signal.SIGHUP, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # what a script starts with & begins deaf to Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        port = read_port(os.environ.get("PORT", "8000"))
        token = secrets.token_urlsafe(24)
        with serve(port, token) as server:
            introduce(port, token)
            print_table(asyncio.run(show(f"http://127.0.0.1:{port}", token)))
            if os.environ.get("DEMO_EXIT", "0") not in ("", "0"):
                return 0
            stay_up(server)
    except KeyboardInterrupt:
        print("\nStopped.")
    except (DemoError, httpx2.HTTPError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def read_port(text: str) -> int:
    """The port, if it is one and nobody uses it."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise DemoError(f"PORT={text} is not a port: make demo PORT=8001")
    port = int(text)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                other = port + 1 if port < 65535 else port - 1
                raise DemoError(f"port {port} is taken, try another one: make demo PORT={other}") from None
            raise DemoError(f"port {port} cannot be used: {error.strerror}") from None
    return port


@contextmanager
def serve(port: int, token: str) -> Iterator[subprocess.Popen[bytes]]:
    """The example under uvicorn, for as long as the block runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FAULTWARE_")}
    environment |= {
        "FAULTWARE_ENABLED": "true",
        "FAULTWARE_ARMED": "false",
        "FAULTWARE_RULES": RULES,
        "FAULTWARE_CONTROL_TOKEN": token,
    }
    app_dir = Path(__file__).parent / "fastapi_app"
    command = [sys.executable, "-m", "uvicorn", "main:app", "--app-dir", str(app_dir), "--port", str(port)]
    command += ["--log-level", "warning", "--no-access-log"]
    # In a session of its own, so that Ctrl-C reaches this process, which then stops the server.
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        wait_until_up(server, port)
        yield server
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave the server behind
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def stay_up(server: subprocess.Popen[bytes]) -> None:
    print("\nThe service stays up; its faults stay killed until somebody arms them. Ctrl-C ends it.", flush=True)
    raise DemoError(f"the service has ended by itself, with status {server.wait()}")


def wait_until_up(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise DemoError(f"the service did not start (status {server.returncode}), its last words are above")
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise DemoError(f"the service did not answer within {START_SECONDS} s")


def introduce(port: int, token: str) -> None:
    base = f"http://127.0.0.1:{port}"
    bearer = f"-H 'authorization: Bearer {token}'"
    print(
        f"""
Service   {base}/docs
Console   {base}/_faultware/    (asks for the token)
Token     {token}
Rules     {RULES.replace("; ", chr(10) + 10 * " ")}

Worth trying from another terminal, once the table stands below:
  curl -s -X POST {bearer} {base}/_faultware/arm
  curl -si -H 'content-type: application/json' -d '{{"amount": "9.90"}}' {base}/payments    # one in ten: 503
  curl -s -X POST {bearer} {base}/_faultware/kill

Sending traffic, about five seconds …
""",
        flush=True,
    )


async def show(base: str, token: str) -> list[tuple[str, ...]]:
    """Drive traffic before, during and after; the rows of the table."""
    headers = {"authorization": f"Bearer {token}"}
    rows = []
    async with httpx2.AsyncClient(base_url=base, timeout=30) as client:
        for phase, operation in (("before", None), ("during", "arm"), ("after", "kill")):
            if operation is not None:
                (await client.post(f"/_faultware/{operation}", headers=headers)).raise_for_status()
            figures = await drive(client)
            rows += [figure.row(phase, route) for route, figure in figures.items()]
    return rows


async def drive(client: httpx2.AsyncClient) -> dict[str, Figure]:
    """Send the requests of one phase, at the same pace whatever comes back: else faults would thin the traffic out."""
    figures = {f"{method} {path.partition('?')[0]}": Figure() for method, path, _ in ROUTES}

    async def customer(number: int) -> None:
        await asyncio.sleep(number / PER_SECOND)
        method, path, body = ROUTES[number % len(ROUTES)]
        begun = time.perf_counter()
        response = await client.request(method, path, json=body)
        figure = figures[f"{method} {path.partition('?')[0]}"]
        figure.seconds.append(time.perf_counter() - begun)
        marks = response.headers.get("faultware-fault", "")
        figure.injected.update(mark.partition(";")[0].strip() for mark in marks.split(",") if mark)

    await asyncio.gather(*(customer(number) for number in range(REQUESTS * len(ROUTES))))
    return figures


def print_table(rows: list[tuple[str, ...]]) -> None:
    table = [("phase", "route", "requests", "injected", "share", "p50", "p99"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        # Words stand to the left, numbers to the right.
        cells = [
            cell.ljust(width) if column in (0, 1, 3) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
