"""Three services with four workers each on one Redis: whatever becomes of the Redis, one action reaches all twelve."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from faultware.config.storeurl import read_redis_url
from faultware.state.redis import RedisStore
from tests.redis_server import redis_server
from tests.servers.cable import Cable
from tests.servers.harness import (
    ENDLESS,
    PATIENCE_SECONDS,
    ROOT,
    TOKEN,
    ask_every_worker,
    environment,
    eventually,
    serve,
)

pytestmark = pytest.mark.server

RULES = "/who 100% delay 1ms as tiny"
KINDS = ("gunicorn-4", "uvicorn-4", "granian-4")
GRACE = 5


class Fleet:
    """Three services, the Redis they share, and the cable by which the last of them reaches it."""

    def __init__(self, services, redis, cable, kill_file):
        self.services, self.redis, self.cable, self.kill_file = services, redis, cable, kill_file

    def marks(self, services=None):
        """What became of requests to every worker."""
        with ThreadPoolExecutor(3) as pool:
            replies = pool.map(lambda service: ask_every_worker(service, 4), services or self.services)
        return {reply.mark for some in replies for reply in some}

    def all_show(self, mark, services=None):
        """Until every worker does."""
        eventually(lambda: self.marks(services) == {mark}, f"{mark or 'nothing'} in all workers")

    def all_go_on(self):
        """Nobody stops because of what has just happened; after the grace that would be right."""
        began = time.monotonic()
        marks = self.marks()
        assert marks == {"tiny;delay"} or time.monotonic() - began > GRACE / 2

    def arm(self):
        eventually(lambda: self.services[0].control("POST", "arm").status == 200, "armed")
        self.all_show("tiny;delay")

    def run(self, *words):
        """The command line, by the store."""
        command = [sys.executable, "-m", "faultware", *words, "--json"]
        settings = {"FAULTWARE_STORE": self.redis.url(), "FAULTWARE_CONTROL_TOKEN": TOKEN}
        return subprocess.run(
            command, cwd=ROOT, env=environment(settings), capture_output=True, text=True, timeout=300, check=False
        )


def start(directory, stack, **settings):
    redis = stack.enter_context(redis_server(directory))
    cable = stack.enter_context(Cable(redis.port))
    settings = {"FAULTWARE_RULES": RULES, "FAULTWARE_KILL_FILE": str(directory / "no-faults"), **settings}
    urls = (redis.url(timeout="5s"), redis.url(timeout="5s"), f"redis://127.0.0.1:{cable.port}/0?timeout=5s")
    services = [
        stack.enter_context(serve(kind, {**settings, "FAULTWARE_STORE": url}))
        for kind, url in zip(KINDS, urls, strict=True)
    ]
    fleet = Fleet(services, redis, cable, directory / "no-faults")
    # The first request of a process passes: it has not heard of the store before.
    fleet.all_show("tiny;delay")
    return fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with ExitStack() as stack:
        yield start(tmp_path_factory.mktemp("fleet"), stack, FAULTWARE_STORE_GRACE=f"{GRACE}s")


def test_kill_arm_and_rules_reach_all_twelve(fleet, record_property):
    one, other, third = fleet.services
    assert one.control("POST", "kill").json()["state"] == "killed"
    fleet.all_show("")
    status = eventually(lambda: all_confirmed(third.status(), 12), "twelve confirmations")
    took = max(worker["took_seconds"] or 0 for worker in status["workers"])
    record_property("measured", f"the last of twelve workers obeyed a kill through Redis after {1000 * took:.0f} ms")
    assert took < PATIENCE_SECONDS / 4

    assert other.control("POST", "arm").status == 200
    fleet.all_show("tiny;delay")
    rule = {"name": "other", "match": {"path": "/who"}, "percentage": 100, "delay": "1ms"}
    assert third.control("PUT", "rules", [rule]).status == 200
    fleet.all_show("other;delay")
    tiny = {**rule, "name": "tiny"}
    assert one.control("PUT", "rules", [tiny]).status == 200
    fleet.all_show("tiny;delay")


def all_confirmed(status, number):
    """A status in which so many workers have confirmed, and all of them."""
    return status if [worker["confirmed"] for worker in status["workers"]] == [True] * number else None


def test_the_command_line_kills_through_the_store_and_waits_for_all_twelve(fleet):
    fleet.arm()
    eventually(lambda: len(fleet.services[0].status()["workers"]) == 12, "all workers have reported")
    done = fleet.run("kill", "--wait", "30", "--reason", "no answer")
    assert (done.returncode, done.stderr) == (0, "")
    workers = json.loads(done.stdout)["workers"]
    assert len(workers) == 12
    assert all(worker["confirmed"] for worker in workers)
    assert fleet.marks() == {""}


def test_a_redis_that_is_frozen_stops_faults_after_the_grace_and_they_go_on_by_themselves(fleet):
    fleet.arm()
    fleet.redis.pause()
    try:
        fleet.all_go_on()
        fleet.all_show("")
        refused = fleet.services[0].control("POST", "arm")
        assert refused.status == 503
        status = fleet.services[0].status()
        assert status["state"] == "killed"
        assert "warning" in status
    finally:
        fleet.redis.resume()
    fleet.all_show("tiny;delay")


def test_a_redis_that_lost_its_memory_arms_nobody_and_loses_no_rules(fleet):
    fleet.arm()
    fleet.redis.kill()
    fleet.all_show("")
    fleet.redis.start()
    statuses = [eventually(lambda one=one: in_touch(one.status()), "in touch again") for one in fleet.services]
    assert {status["state"] for status in statuses} == {"killed"}
    assert {status["by"] for status in statuses} == {"store"}
    assert fleet.marks() == {""}
    rules = fleet.services[1].control("GET", "rules").json()["rules"]
    assert [rule["name"] for rule in rules] == ["tiny"]
    fleet.arm()


def in_touch(status):
    return None if "warning" in status or status["version"] == 0 else status


def test_who_is_cut_off_while_armed_stops_after_the_grace_and_obeys_afterwards(fleet):
    fleet.arm()
    *here, there = fleet.services
    fleet.cable.cut()
    try:
        fleet.all_go_on()
        fleet.all_show("", [there])
        fleet.all_show("tiny;delay", here)
        assert here[0].control("POST", "kill").status == 200
        fleet.all_show("", here)
    finally:
        fleet.cable.mend()
    eventually(lambda: in_touch(there.status()), "in touch again")
    assert fleet.marks([there]) == {""}
    fleet.arm()


def test_redis_dies_while_faults_are_armed_and_the_operator_kills_by_file(tmp_path):
    """Long before the grace is over, and it holds when the Redis is back and when the file is gone."""
    with ExitStack() as stack:
        fleet = start(tmp_path, stack)
        fleet.redis.kill()
        assert fleet.marks() == {"tiny;delay"}
        fleet.kill_file.touch()
        fleet.all_show("")
        statuses = [service.status() for service in fleet.services]
        assert {status["state"] for status in statuses} == {"killed"}
        fleet.kill_file.unlink()
        fleet.redis.start()
        for service in fleet.services:
            eventually(lambda service=service: in_touch(service.status()), "in touch again")
        assert fleet.marks() == {""}
        fleet.arm()


@pytest.mark.parametrize("kind", ["gunicorn-gevent", "gunicorn-4-preload", "hypercorn-trio"])
def test_what_is_held_is_released_by_a_kill_from_elsewhere_however_the_process_was_made(kind, tmp_path):
    """Greenlets, forks of a process that had opened the store, and another event loop."""
    with redis_server(tmp_path) as redis:
        settings = {**ENDLESS, "FAULTWARE_RULES": "/slow 100% delay 10m as slow", "FAULTWARE_STORE": redis.url()}
        with serve(kind, settings) as server:
            workers = 4 if "4" in kind else 1
            ask_every_worker(server, workers)
            eventually(lambda: len(server.status()["workers"]) == workers, "all workers have reported")
            connections = [server.connect() for _ in range(4)]
            for connection in connections:
                connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            # A worker that does one thing at a time, and is held, answers nobody: so nobody is asked.
            assert select.select(connections, [], [], 0.5) == ([], [], [])
            with closing(RedisStore(read_redis_url(redis.url()), None)) as elsewhere:
                elsewhere.kill(lambda before: replace(before, killed=True))
            for connection in connections:
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
                connection.close()
            eventually(lambda: all_confirmed(server.status(), workers), "all confirmed")
