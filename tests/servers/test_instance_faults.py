"""Faults of the process on real servers: who is replaced, what is given back, and what stops them."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.servers.harness import ENDLESS, Server, ask_every_worker, eventually, launch, serve

pytestmark = pytest.mark.server

LEAVE = {**ENDLESS, "FAULTWARE_ALLOW_INSTANCE_FAULTS": "true"}


def workers(server: Server, number: int) -> set[str]:
    return {reply.headers["x-pid"] for reply in ask_every_worker(server, number)}


# Each way and each kind once in `make test`, the other pairs in `make servers`: each starts five processes and more.
@pytest.mark.parametrize(
    ("kind", "by"),
    [
        ("uvicorn-4", "kill"),
        ("gunicorn-4", "term"),
        ("gunicorn-uvicorn", "exit"),
        *(
            pytest.param(kind, by, marks=pytest.mark.matrix)
            for kind, by in (
                ("uvicorn-4", "term"),
                ("uvicorn-4", "exit"),
                ("gunicorn-4", "kill"),
                ("gunicorn-4", "exit"),
                ("gunicorn-uvicorn", "term"),
                ("gunicorn-uvicorn", "kill"),
            )
        ),
    ],
)
def test_a_worker_that_is_killed_is_replaced_and_the_service_goes_on(kind, by):
    with serve(kind, {**LEAVE, "FAULTWARE_RULES": f"/kill 1x kill by={by} as worker"}) as server:
        number = 4 if kind.endswith("4") else 1
        before = workers(server, number)
        with suppress(OSError, HTTPException):
            server.get("/kill")
        eventually(lambda: not all(map(is_alive, before)), "a worker is gone")
        eventually(server.is_up, "the service answers")
        after = eventually(lambda: other(server, before, number), "a new worker answers")
        assert after
        assert server.process.poll() is None


def other(server: Server, before: set[str], number: int) -> set[str]:
    try:
        return workers(server, number) - before
    except (OSError, HTTPException):
        return set()


def is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_rule_that_harms_the_process_needs_leave():
    server = launch("uvicorn", {"FAULTWARE_ENABLED": "true", "FAULTWARE_RULES": "/kill 100% kill"})
    try:
        eventually(lambda: server.process.poll() is not None, "the server ends")
        assert "FAULTWARE_ALLOW_INSTANCE_FAULTS is not true" in server.log
        assert "Traceback" not in server.log
    finally:
        server.stop()


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn-gthread", "gunicorn-gevent", "waitress"])
def test_a_kill_file_ends_a_block_and_gives_memory_and_descriptors_back(kind, tmp_path):
    kill_file = tmp_path / "stop"
    rules = "/memory 100% memory 200MB duration=10m; /open 100% descriptors 200 duration=10m; /block 100% block 10m"
    with serve(kind, {**LEAVE, "FAULTWARE_RULES": rules, "FAULTWARE_KILL_FILE": str(kill_file)}) as server:
        pid = int(server.get("/").headers["x-pid"])
        idle_memory, idle_descriptors = resident(pid), descriptors(pid)
        server.get("/memory")
        eventually(lambda: resident(pid) - idle_memory > 150e6, "memory is taken")
        server.get("/open")
        eventually(lambda: descriptors(pid) - idle_descriptors > 50, "descriptors are taken")
        with server.connect() as connection:
            connection.sendall(b"GET /block HTTP/1.1\r\nHost: localhost\r\n\r\n")
            kill_file.touch()
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        eventually(lambda: resident(pid) - idle_memory < 100e6, "memory is given back")
        eventually(lambda: descriptors(pid) - idle_descriptors < 20, "descriptors are given back")
        assert server.get("/").status == 200


def test_a_worker_of_gevent_whose_processor_is_burnt_goes_on_and_can_be_told_to_stop():
    with serve("gunicorn-gevent", {**LEAVE, "FAULTWARE_RULES": "/cpu 100% cpu 100% duration=10m"}) as server:
        burnt = server.get("/cpu").headers["x-pid"]
        assert server.get("/").headers["x-pid"] == burnt
        server.control("POST", "kill")
        eventually(lambda: is_idle(burnt), "the processor is let go")
        assert "WORKER TIMEOUT" not in server.log


def is_idle(pid: str) -> bool:
    """Whether a process uses less than a fifth of a processor."""
    before = ticks(pid)
    time.sleep(0.5)
    return ticks(pid) - before < 0.1 * os.sysconf("SC_CLK_TCK")


def ticks(pid: str) -> int:
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def test_a_recurring_fault_hits_a_worker_and_the_service_goes_on(tmp_path):
    window = {"start": "00:00", "end": "00:00", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
    recurring = {"mtbf": "10s", "leashed": False, "max_per_day": 1, **window}
    # Several, so that the test does not hang on one throw of the dice.
    rules = [{"name": f"monkey-{number}", "kill": {"by": "kill"}, "recurring": recurring} for number in range(4)]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"rules": rules}))
    with serve("gunicorn-4", {**LEAVE, "FAULTWARE_CONFIG_FILE": str(path)}) as server:
        # The first of them may be hit while it answers.
        before = eventually(lambda: other(server, set(), 4), "answers of 4 workers")
        eventually(lambda: not all(map(is_alive, before)), "a worker is gone")
        eventually(lambda: other(server, before, 4), "a new worker answers")
        eventually(server.is_up, "the service answers")
