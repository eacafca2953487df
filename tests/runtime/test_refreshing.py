"""What the refresher does when the store fails or changes under it."""

from __future__ import annotations

from dataclasses import replace

from faultware.runtime.refresher import IDLE_SECONDS
from faultware.state.file import FileStore
from faultware.state.store import StoredRule
from faultware.telemetry.events import ReloadFailed
from tests.runtime.kit import (
    BEGIN,
    PAY,
    BrokenStore,
    ask,
    make_injector,
    memory,
    names,
    other_worker,
    rules_of,
)

# A store that fails.


def test_a_store_that_fails_keeps_the_last_rules_and_is_told_once(time, heard):
    store = memory(kind=BrokenStore)
    injector = make_injector(PAY, time=time, store=store, heard=heard)
    ask(injector)
    other_worker(injector, time).replace_rules(rules_of("/pay 100% abort 500 as new"))
    store.broken = {"read"}
    for _ in range(3):
        injector.tick()
    assert names(injector) == ["pay"]
    assert heard.of(ReloadFailed) == [ReloadFailed(BEGIN, "cannot read")]
    assert injector.internal_errors == {"store": 3}
    assert not injector.readings().last_reload_successful
    store.broken = {"follow"}
    injector.tick()
    assert [event.message for event in heard.of(ReloadFailed)] == ["cannot read", "cannot follow"]
    store.broken = set()
    injector.tick()
    assert names(injector) == ["new"]
    assert injector.readings().last_reload_successful
    store.broken = {"follow"}
    injector.tick()
    assert [event.message for event in heard.of(ReloadFailed)] == ["cannot read", "cannot follow", "cannot follow"]


def test_a_store_that_failed_for_a_moment_is_read_again_though_nothing_changed(time):
    store = memory(kind=BrokenStore)
    injector = make_injector(PAY, time=time, store=store)
    store.broken = {"follow"}
    injector.tick()
    assert not injector.readings().last_reload_successful
    store.broken = set()
    time.pass_(5)
    injector.tick()
    assert injector.readings().last_reload_successful
    assert injector.readings().last_reload_at == BEGIN + 5


def test_the_last_rules_of_a_store_that_fails_expire_all_the_same(time):
    store = memory(kind=BrokenStore)
    injector = make_injector("/pay 100% abort 503 for 60s as pay", time=time, store=store)
    ask(injector)
    store.broken = {"read", "follow", "update"}
    time.pass_(60)
    injector.tick()
    assert names(injector) == []


def test_rules_in_the_store_that_cannot_be_used_keep_the_last_ones(time, heard):
    injector = make_injector(PAY, time=time, heard=heard)
    ask(injector)
    later = injector.clocks.wall() + 60
    nonsense = (StoredRule({"name": "bad", "percentage": 1, "explode": True}, later),)
    injector.switch.store.update(lambda before: replace(before, rules=nonsense))
    for _ in range(2):
        injector.tick()
    assert names(injector) == ["pay"]
    assert injector.internal_errors == {"reload": 2}
    (failed,) = heard.of(ReloadFailed)
    assert "unknown key 'explode'" in failed.message
    injector.switch.kill("me")
    assert names(injector) == []


def test_a_bug_in_a_tick_is_counted_and_the_rest_of_the_tick_is_done(time, monkeypatch, tmp_path):
    injector = make_injector(PAY, time=time, kill_file=tmp_path / "kill")
    ask(injector)
    monkeypatch.setattr(injector.switch.store, "follow", lambda: 1 / 0, raising=False)
    (tmp_path / "kill").touch()
    assert injector.tick() == IDLE_SECONDS
    assert injector.internal_errors == {"refresh": 1}
    assert injector.switch.killed


def test_what_was_counted_is_flushed_once_a_second(time, monkeypatch):
    injector = make_injector(PAY, time=time)
    flushed = []
    monkeypatch.setattr(injector.metrics, "flush", lambda: flushed.append(time.now))
    for _ in range(9):
        injector.tick()
        time.pass_(0.25)
    assert flushed == [500.0, 501.0, 502.0]


def test_a_store_whose_switch_was_replaced_is_followed(time, tmp_path):
    store = FileStore(tmp_path / "state", memory().read())
    injector = make_injector(PAY, time=time, store=store)
    assert names(injector) == ["pay"]
    other = FileStore(tmp_path / "state", memory().read())
    before = injector.signal
    (tmp_path / "state" / "switch").unlink()
    injector.tick()
    assert injector.signal is store.signal
    assert injector.signal is not before
    assert names(injector) == ["pay"]
    assert not injector.view.alarm
    other.follow()
    other.kill(lambda snapshot: replace(snapshot, killed=True))
    assert injector.view.alarm
    assert names(injector) == []


def test_an_operation_that_maps_the_switch_anew_is_seen_by_requests_without_a_tick(time, tmp_path):
    injector = make_injector(PAY, time=time, store=FileStore(tmp_path / "state", memory().read()))
    assert names(injector) == ["pay"]
    injector.switch.kill("me")
    (tmp_path / "state" / "switch").unlink()
    injector.switch.arm("me")
    injector.refresh()
    assert names(injector) == ["pay"]
