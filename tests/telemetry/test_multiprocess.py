"""Multiprocess mode is decided when prometheus-client is imported, so each of these processes is a real one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Counts, shows its gauges, says so, and stays alive until it is told to end.
WORKER = """
import json, sys
from telemetry_source import HandMade
from faultware.telemetry.prometheus import Metrics
told = json.loads(sys.argv[1])
source = HandMade("pay")
vars(source).update(told["shows"])
metrics = Metrics.on()
metrics.watch(source)
for times in told["requests"]:
    source.request(times)
    source.live[0].tally.suppressed["expired"] += 1
    source.errors["decide"] = source.errors.get("decide", 0) + 1
    metrics.observe_delay("pay", 0.2)
    metrics.flush()
print("ready", flush=True)
sys.stdin.read()
"""

SCRAPE = """
from prometheus_client import Counter
from faultware.telemetry.prometheus import Metrics
Counter("orders", "Orders.").inc()
metrics = Metrics.on()
body, content_type = metrics.render("")
print(body.decode())
"""

HERE = Path(__file__).parent


def environment(directory):
    python_path = os.pathsep.join([str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory), "PYTHONPATH": python_path}


def run(program, directory):
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, env=environment(directory), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def samples(text):
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture
def start(tmp_path):
    workers = []

    def begin(requests, **shows):
        told = json.dumps({"requests": requests, "shows": shows})
        worker = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WORKER, told],
            env=environment(tmp_path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        workers.append(worker)
        return worker

    yield begin
    for worker in workers:
        worker.communicate(timeout=300)


def test_several_processes_write_and_one_that_scrapes_sees_the_whole(start, tmp_path):
    workers = [
        start([5, 6], active_faults=2, armed=False, generation=7, reloaded_at=3000.0),
        start([100], active_faults=3, armed=True, generation=9, reloaded_at=2000.0),
        start([], active_faults=0, armed=False, generation=8),
    ]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 3
    # The third has watched and never flushed: like a supervisor, it leaves nothing.
    shown = samples(run(SCRAPE, tmp_path).stdout)
    assert shown['faultware_rule_matches_total{rule="pay"}'] == 111
    assert shown['faultware_rule_rolls_total{rule="pay"}'] == 111
    assert shown['faultware_faults_injected_total{fault="abort",rule="pay"}'] == 111
    assert shown['faultware_faults_suppressed_total{reason="expired",rule="pay"}'] == 3
    assert shown['faultware_internal_errors_total{stage="decide"}'] == 3
    assert shown['faultware_injected_delay_seconds_count{rule="pay"}'] == 3
    assert shown['faultware_injected_delay_seconds_bucket{le="0.25",rule="pay"}'] == 3
    assert shown['faultware_injected_delay_seconds_bucket{le="0.1",rule="pay"}'] == 0
    assert shown["faultware_active_faults"] == 5
    assert shown["faultware_armed"] == 1
    assert shown["faultware_rules"] == 1
    assert shown["faultware_config_generation"] == 7
    assert shown["faultware_config_last_reload_successful"] == 1
    assert shown["faultware_config_last_reload_success_timestamp_seconds"] == 2000
    assert [value for series, value in shown.items() if series.startswith("faultware_build_info")] == [1]
    assert all(series.startswith("faultware_") and "pid=" not in series for series in shown)


def test_a_dead_process_keeps_its_counts_and_loses_its_gauges_when_it_is_marked(start, tmp_path):
    dead, alive = start([5], active_faults=2, armed=True, generation=1), start([7], active_faults=1, armed=False)
    assert [worker.stdout.readline() for worker in (dead, alive)] == ["ready\n"] * 2
    dead.kill()
    dead.wait(timeout=300)
    mark = f"from prometheus_client import multiprocess\nmultiprocess.mark_process_dead({dead.pid})\n"
    shown = samples(run(mark + SCRAPE, tmp_path).stdout)
    assert shown['faultware_rule_matches_total{rule="pay"}'] == 12
    assert shown["faultware_active_faults"] == 1
    assert shown["faultware_armed"] == 0


FORK = """
import os, sys
from telemetry_source import HandMade
from faultware.telemetry.prometheus import Metrics
source = HandMade("pay")
metrics = Metrics.on()
metrics.watch(source)
source.request(5)
source.errors["decide"] = 1
metrics.flush()
source.request(30)
source.errors["decide"] = 2
swapped = HandMade("fresh")
source.live = (*source.live, *swapped.live)
source.request(40, 1)
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        source.generation = 7
        source.request(100)
        source.request(1000, 1)
        source.errors["decide"] += 10
        metrics.observe_delay("pay", 1)
        metrics.flush()
        source.request(100)
        metrics.flush()
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
source.request(2)
print(metrics.render("")[0].decode())
"""


def test_what_a_parent_had_not_flushed_when_it_forked_is_counted_once(tmp_path):
    shown = samples(run(FORK, tmp_path).stdout)
    assert shown['faultware_rule_matches_total{rule="pay"}'] == 5 + 30 + 2 + 3 * 200
    assert shown['faultware_faults_injected_total{fault="abort",rule="pay"}'] == 5 + 30 + 2 + 3 * 200
    assert shown['faultware_rule_matches_total{rule="fresh"}'] == 40 + 3 * 1000
    assert shown['faultware_internal_errors_total{stage="decide"}'] == 2 + 3 * 10
    assert shown['faultware_injected_delay_seconds_count{rule="pay"}'] == 3
    assert shown["faultware_config_generation"] == 1


PRELOAD = """
import os
from telemetry_source import HandMade
from faultware.telemetry.prometheus import Metrics
source = HandMade("pay")
metrics = Metrics.on()
metrics.watch(source)
child = os.fork()
if child == 0:
    source.generation = 7
    source.request(3)
    print(metrics.render("")[0].decode(), flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("#", *(name for name in os.listdir(os.environ["PROMETHEUS_MULTIPROC_DIR"]) if str(os.getpid()) in name))
"""


def test_a_supervisor_that_loads_the_application_does_not_hold_a_minimum_at_0(tmp_path):
    done = run(PRELOAD, tmp_path)
    shown = samples(done.stdout)
    assert shown["faultware_config_generation"] == 7
    assert shown["faultware_config_last_reload_successful"] == 1
    assert shown['faultware_rule_matches_total{rule="pay"}'] == 3
    assert done.stdout.splitlines()[-1].strip() == "#"


WITHOUT = """
import logging
logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
from prometheus_client import REGISTRY, generate_latest
from telemetry_source import HandMade
from faultware.telemetry.prometheus import Metrics
source = HandMade("pay")
metrics = Metrics.on()
assert Metrics.on() is metrics
metrics.watch(source)
source.request(5)
metrics.observe_delay("pay", 1)
metrics.flush()
assert b"faultware" not in generate_latest(REGISTRY)
assert metrics.render("") == (b"", "text/plain; version=0.0.4; charset=utf-8")
assert metrics.render("application/openmetrics-text; version=1.0.0")[0] == b"# EOF\\n"
"""


@pytest.mark.parametrize(
    ("place", "reason"),
    [("missing", "which is not a directory"), ("file", "which is not a directory"), ("", "is empty")],
)
def test_without_a_usable_directory_the_service_runs_and_says_once_that_it_has_no_metrics(tmp_path, place, reason):
    (tmp_path / "file").touch()
    done = run(WITHOUT, tmp_path / place if place else "")
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("WARNING faultware faultware runs without metrics: PROMETHEUS_MULTIPROC_DIR")
    assert lines[0].endswith(reason)


REMOVED = """
import os, shutil
from telemetry_source import HandMade
from faultware.errors import SettingsError
from faultware.telemetry.prometheus import Metrics
source = HandMade("pay")
metrics = Metrics.on()
metrics.watch(source)
metrics.flush()
shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"])
source.request(1)
metrics.flush()
try:
    metrics.render("")
except SettingsError as error:
    print(error)
"""


def test_a_directory_that_vanishes_later_is_a_clear_error_for_who_scrapes_and_none_for_requests(tmp_path):
    directory = tmp_path / "metrics"
    directory.mkdir()
    assert run(REMOVED, directory).stdout.strip() == (
        f"PROMETHEUS_MULTIPROC_DIR: names {str(directory)!r}, which is not a directory "
        "(a directory that this user can write to)"
    )


LATE = """
import os, sys
directory = os.environ.pop("PROMETHEUS_MULTIPROC_DIR")
from telemetry_source import HandMade
from faultware.telemetry.prometheus import Metrics
os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
source = HandMade("pay")
metrics = Metrics.on()
metrics.watch(source)
source.request(4)
print(metrics.render("")[0].decode())
"""


def test_a_variable_that_is_set_after_the_import_changes_nothing(tmp_path):
    assert samples(run(LATE, tmp_path / "missing").stdout)['faultware_rule_matches_total{rule="pay"}'] == 4
