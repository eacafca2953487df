"""`make demo`, without make: what it prints, how it ends, and that it leaves nothing behind."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tests.servers.harness import PATIENCE_SECONDS, ROOT, environment, eventually, free_port

pytestmark = pytest.mark.server


# Runs a program that inherits the signals of an interactive shell, or ignores the numbered ones like the children of
# nohup and of a script's `&`.
SHELL = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN if str(int(number)) in sys.argv[1].split(",") else signal.SIG_DFL)
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def demo(port: int, ignored: tuple[int, ...] = (), **variables: str):
    """The demo, running; stopped at the end whatever happened."""
    process = subprocess.Popen(
        [sys.executable, "-c", SHELL, ",".join(map(str, map(int, ignored))), sys.executable, "examples/demo.py"],
        cwd=ROOT,
        env=environment({"PORT": str(port), **variables}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_SECONDS)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_demo_shows_the_same_traffic_before_during_and_after_and_ends_with_status_0():
    port = free_port()
    with demo(port, DEMO_EXIT="1") as process:
        output, _ = process.communicate(timeout=2 * PATIENCE_SECONDS)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert output.count("curl ") == 3

    row = r"^(before|during|after) +((?:POST|GET) /\w+) +(\d+) +(.*?) +(\d+\.\d) % +(\d+) ms +(\d+) ms$"
    rows = {(phase, route): rest for phase, route, *rest in re.findall(row, output, re.MULTILINE)}
    assert len(rows) == 6, output
    for phase in ("before", "after"):
        assert rows[phase, "POST /payments"][1:3] == rows[phase, "GET /search"][1:3] == ["none", "0.0"]
    # Wide enough that chance leaves these ranges about once in a million runs.
    payments, search = rows["during", "POST /payments"], rows["during", "GET /search"]
    assert re.fullmatch(r"\d+ payments-503", payments[1])
    assert re.fullmatch(r"\d+ search-slow", search[1])
    assert 1 < float(payments[2]) < 21
    assert 14 < float(search[2]) < 47
    assert int(search[4]) >= 150  # p99 in milliseconds: delays never end early
    assert is_free(port)


def test_a_port_that_is_taken_is_named_with_the_way_out():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with demo(port, DEMO_EXIT="1") as process:
            output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert f"port {port} is taken" in output
    assert re.search(r"make demo PORT=\d+", output)
    assert "Traceback" not in output


@pytest.mark.parametrize("port", ["eighty", "0", "70000", ""])
def test_a_port_that_is_none_is_refused(port):
    with demo(port) as process:
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert output == f"demo: PORT={port} is not a port: make demo PORT=8001\n"


@pytest.mark.parametrize(
    ("number", "ignored"),
    [
        (signal.SIGINT, ()),
        (signal.SIGINT, (signal.SIGINT,)),
        (signal.SIGTERM, ()),
        (signal.SIGHUP, ()),
    ],
)
def test_a_signal_ends_the_demo_cleanly_while_traffic_is_running(number, ignored):
    port = free_port()
    with demo(port, ignored) as process:
        eventually(lambda: not is_free(port), "the service is up")
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    eventually(lambda: is_free(port), "the service is gone")


def test_the_demo_stays_up_until_it_is_interrupted_and_nohup_keeps_it_up():
    port = free_port()
    with demo(port, (signal.SIGHUP,)) as process:
        lines = [process.stdout.readline()]  # by now it has set its signals
        process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 2 * PATIENCE_SECONDS
        while "stays up" not in (line := process.stdout.readline()):
            assert line or process.poll() is None, lines
            assert time.monotonic() < deadline, lines
            lines.append(line)
        assert not is_free(port)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, output.strip()) == (0, "Stopped.")
    assert is_free(port)
