"""A store that outlives the service: what an earlier run left in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from faultware.runtime.build import build
from faultware.state.service import started_at

LONG_AGO = 1_000_000.0


def service(directory, **options):
    options = {"enabled": True, "store": f"file:{directory}", "environ": {}, "registry": CollectorRegistry(), **options}
    return build(options).injector


@pytest.fixture
def directory(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path / "store"


def test_a_service_that_starts_disarmed_kills_what_an_earlier_run_left_armed(directory):
    earlier = service(directory).switch.store
    earlier.update(lambda before: replace(before, changed_at=LONG_AGO))
    assert service(directory, armed=False).switch.killed


def test_a_worker_that_starts_again_does_not_undo_what_was_armed_since_the_service_began(directory):
    switch = service(directory, armed=False).switch
    switch.arm("operator")
    assert not service(directory, armed=False).switch.killed


def test_the_root_process_began_in_the_past_and_the_present_stands_in_where_nobody_can_tell(monkeypatch, tmp_path):
    assert started_at(5e9) < 5e9
    monkeypatch.setattr("faultware.state.service._PROC", tmp_path)
    assert started_at(5e9) == 5e9


def test_a_start_up_rule_that_was_copied_into_the_store_ends_with_the_service_that_had_it(directory):
    switch = service(directory, rules="/a 10% abort 503 as kept; /b 10% abort 503 as dropped").switch
    (added,) = build(
        {"enabled": True, "rules": "/c 10% abort 500 as added", "store": "memory:", "environ": {}}
    ).settings.rules
    switch.put_rule(added)

    later = service(directory, rules="/a 99% abort 503 as kept").switch

    lines = {entry.rule.name: entry.rule.percentage for entry in later.rule_set(later.store.read(), None).live}
    assert lines == {"kept": 99, "added": 10}
