"""Envoy's names of counters beside ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from telemetry_source import HandMade

from faultware.telemetry.prometheus import Metrics

NAMES = ("aborts_injected", "delays_injected", "response_rl_injected", "faults_overflow", "active_faults")


def shown(registry):
    label = '{envoy_http_conn_manager_prefix="faultware"}'
    lines = generate_latest(registry).decode().splitlines()
    found = {line.partition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}
    return {name: found.get(f"envoy_http_fault_{name}{label}") for name in NAMES}


@pytest.fixture
def registry():
    return CollectorRegistry()


def test_nothing_is_shown_unless_it_is_asked_for(registry):
    metrics = Metrics.on(registry)
    metrics.watch(source := HandMade("pay"))
    source.live[0].tally.injected["abort"] += 1
    assert set(shown(registry).values()) == {None}


def test_faults_are_counted_under_envoys_names_from_zero_on(registry):
    metrics = Metrics.on(registry)
    metrics.count_as_envoy()
    metrics.watch(source := HandMade("pay", "search"))
    assert set(shown(registry).values()) == {0.0}
    for live in source.live:
        live.tally.matched += 9
        live.tally.injected.update({"abort": 2, "delay": 3, "throttle": 4, "hang": 5})
        live.tally.suppressed.update({"max_active": 6, "killed": 7})
    source.active_faults = 8
    assert shown(registry) == dict(zip(NAMES, (4, 6, 8, 12, 8), strict=True))
    assert shown(registry) == dict(zip(NAMES, (4, 6, 8, 12, 8), strict=True))


def test_our_own_names_stay(registry):
    metrics = Metrics.on(registry)
    before = {line.split("{")[0] for line in generate_latest(registry).decode().splitlines()}
    metrics.count_as_envoy()
    after = {line.split("{")[0] for line in generate_latest(registry).decode().splitlines()}
    assert before <= after


MULTIPROCESS = """
import sys
sys.path[:0] = ["tests/telemetry"]
from prometheus_client import CollectorRegistry
from telemetry_source import HandMade
from faultware.telemetry.prometheus import Metrics
metrics = Metrics.on(CollectorRegistry())
metrics.count_as_envoy()
source = HandMade("pay")
metrics.watch(source)
source.live[0].tally.matched += 1
source.live[0].tally.injected["abort"] += 1
metrics.flush()
if sys.argv[1:]:
    print(metrics.render("")[0].decode())
"""


def test_in_multiprocess_mode_all_processes_add_up_those_that_ended_too(tmp_path):
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    for last in ([], [], ["show"]):
        command = [sys.executable, "-c", MULTIPROCESS, *last]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert 'envoy_http_fault_aborts_injected{envoy_http_conn_manager_prefix="faultware"} 3.0' in done.stdout
    assert 'faultware_faults_injected_total{fault="abort",rule="pay"} 3.0' in done.stdout
