"""One switch for all workers of a service, and for no other service."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from tests.servers.harness import ROOT, TOKEN, ask_every_worker, environment, eventually, serve

pytestmark = pytest.mark.server

SEVERAL = ("gunicorn-4", "gunicorn-4-preload", "uvicorn-4", "granian-4")
TINY = {"FAULTWARE_RULES": "/who 100% delay 1ms as tiny"}


@pytest.mark.parametrize("kind", SEVERAL)
def test_one_kill_and_one_change_of_rules_reach_every_worker(kind):
    with serve(kind, TINY) as server:
        assert {reply.mark for reply in ask_every_worker(server, 4)} == {"tiny;delay"}

        assert server.control("POST", "kill").json()["state"] == "killed"
        assert {reply.mark for reply in ask_every_worker(server, 4)} == {""}

        # Arming and rules are read from the store by each worker when it notices; a kill is not.
        assert server.control("POST", "arm").json()["state"] == "armed"
        eventually(lambda: {reply.mark for reply in ask_every_worker(server, 4)} == {"tiny;delay"}, "armed everywhere")

        rule = {"name": "other", "match": {"path": "/who"}, "percentage": 100, "delay": "1ms"}
        assert server.control("PUT", "rules", {"rules": [rule]}).status == 200
        eventually(
            lambda: {reply.mark for reply in ask_every_worker(server, 4)} == {"other;delay"}, "new rules everywhere"
        )


@pytest.mark.parametrize("kind", SEVERAL)
def test_a_kill_file_reaches_every_worker_and_latches_in_every_one(kind, tmp_path):
    kill_file = tmp_path / "kill"
    with serve(kind, {**TINY, "FAULTWARE_KILL_FILE": str(kill_file)}) as server:
        # The first request of a process passes: nobody has looked for the file before.
        eventually(lambda: {reply.mark for reply in ask_every_worker(server, 4)} == {"tiny;delay"}, "faults everywhere")
        kill_file.touch()
        # The first worker that looks obeys it, and with it all: none looks later than a quarter of a second.
        eventually(lambda: server.status()["state"] == "killed", "killed by file")
        assert {reply.mark for reply in ask_every_worker(server, 4)} == {""}

        kill_file.unlink()
        assert {reply.mark for reply in ask_every_worker(server, 4)} == {""}
        assert server.control("POST", "arm").status == 200
        eventually(lambda: {reply.mark for reply in ask_every_worker(server, 4)} == {"tiny;delay"}, "armed everywhere")


@pytest.mark.parametrize("where", ["url", "store"])
def test_who_has_not_confirmed_a_kill_is_named_and_has_when_it_goes_on(where, tmp_path):
    """A worker that is stopped, as a debugger does it, while the others serve."""
    settings = {**TINY, "FAULTWARE_STORE": f"file:{tmp_path / 'state'}"}
    with serve("gunicorn-4", settings, "--timeout", "300") as server:
        pids = {int(reply.headers["x-pid"]) for reply in ask_every_worker(server, 4)}
        eventually(lambda: len(server.status()["workers"]) == 4, "four workers have reported")
        frozen = (pids - {server.status()["worker"]["pid"]}).pop()
        place = {"url": f"http://127.0.0.1:{server.port}", "store": f"file:{tmp_path / 'state'}"}[where]

        def kill(*words):
            command = [sys.executable, "-m", "faultware", "kill", f"--{where}", place, "--json", "--wait", *words]
            settings = environment({"FAULTWARE_CONTROL_TOKEN": TOKEN})
            return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=300)

        def kill_soon():
            """Kill, and wait for a second; who is named after it."""
            done = kill("1")
            assert done.returncode == 4, done
            assert json.loads(done.stdout)["state"] == "killed"
            return {int(pid) for pid in re.findall(r" (\d+) \(", done.stderr)}

        os.kill(frozen, signal.SIGSTOP)
        try:
            # A second may not be enough for the others on a machine that is busy.
            eventually(lambda: kill_soon() == {frozen}, "the others have confirmed")
        finally:
            os.kill(frozen, signal.SIGCONT)
        done = kill("30")
        assert (done.returncode, done.stderr) == (0, "")
        assert all(worker["confirmed"] for worker in json.loads(done.stdout)["workers"])


def test_a_worker_that_is_born_after_the_kill_obeys_it():
    with serve("gunicorn-sync", TINY) as server:
        old = {reply.headers["x-pid"] for reply in ask_every_worker(server, 2)}
        server.control("POST", "kill")
        for pid in old:
            os.kill(int(pid), signal.SIGTERM)

        def newcomers() -> list:
            try:
                return [reply for reply in ask_every_worker(server, 1) if reply.headers["x-pid"] not in old]
            except (OSError, http.client.HTTPException):  # from one that is just ending
                return []

        assert {reply.mark for reply in eventually(newcomers, "a new worker")} == {""}


def test_a_kill_outlives_a_development_server_that_starts_its_program_again(tmp_path):
    source = tmp_path / "source.py"
    source.touch()
    with serve("werkzeug", TINY, str(source)) as server:
        first = server.get("/who")
        assert first.mark == "tiny;delay"
        server.control("POST", "kill")
        os.utime(source, (4_000_000_000, 4_000_000_000))

        def another() -> bool:
            try:
                return server.get("/who").headers["x-pid"] != first.headers["x-pid"]
            except (OSError, http.client.HTTPException):  # between the two
                return False

        eventually(another, "another process")
        assert server.get("/who").mark == ""
        assert server.status()["state"] == "killed"


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn-sync"])
def test_two_services_started_from_one_shell_do_not_share_a_switch(kind):
    with serve(kind, TINY) as one, serve(kind, TINY) as other:
        assert one.status()["store"] != other.status()["store"]
        one.control("POST", "kill")
        assert one.get("/who").mark == ""
        assert other.status()["state"] == "armed"
        assert {reply.mark for reply in ask_every_worker(other, 1)} == {"tiny;delay"}


def test_two_services_that_name_one_store_share_a_switch(tmp_path):
    shared = {**TINY, "FAULTWARE_STORE": f"file:{tmp_path / 'store'}"}
    with serve("uvicorn", shared) as one, serve("gunicorn-gthread", shared) as other:
        assert one.get("/who").mark == other.get("/who").mark == "tiny;delay"
        one.control("POST", "kill")
        assert one.get("/who").mark == other.get("/who").mark == ""


def test_metrics_of_four_workers_add_up_in_prometheus_multiprocess_mode(tmp_path):
    settings = {"FAULTWARE_RULES": "/who 100% delay 1ms as tiny", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with serve("gunicorn-4", settings) as server:
        count = len(ask_every_worker(server, 4))

        def scraped() -> dict[str, float]:
            lines = server.control("GET", "metrics").body.decode().splitlines()
            pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
            return {name: float(value) for name, _, value in pairs}

        names = (
            'faultware_faults_injected_total{fault="delay",rule="tiny"}',
            'faultware_rule_matches_total{rule="tiny"}',
            'faultware_injected_delay_seconds_count{rule="tiny"}',
        )
        # The worker that is scraped flushes at once, the others about once a second, and one number after the other.
        eventually(lambda: all(scraped().get(name, 0) >= count for name in names), f"{count} delays in the metrics")
        metrics = scraped()
        assert [metrics[name] for name in names] == [count] * 3
        assert metrics["faultware_armed"] == 1
        assert metrics["faultware_rules"] == 1
