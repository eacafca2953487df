"""What becomes of rules when the store does not answer."""

from __future__ import annotations

import math

import pytest

from faultware.errors import StoreError
from faultware.state.memory import MemoryStore
from faultware.telemetry.events import SwitchArmed, SwitchKilled
from tests.runtime.kit import BEGIN, PAY, Heard, Held, StillRefresher, Time, ask, make_injector, memory, names


class FarStore(MemoryStore):
    """A store that may not answer."""

    age_seconds = 0.0
    order = ()
    begun = 0

    def begin(self, wake):
        self.begun += 1

    def follow(self):
        if self.age_seconds > 1:
            raise StoreError("no answer")

    def stop(self):
        super().stop()
        self.order += ("stop",)

    def update(self, change):
        self.order += ("update",)
        return super().update(change)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def store():
    return memory(kind=FarStore)


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def injector(time, store, heard):
    injector = make_injector(PAY, time=time, store=store, heard=heard, grace=20.0)
    assert names(injector) == ["pay"]
    injector.tick()
    return injector


def test_rules_live_on_until_the_grace_is_over_and_then_nothing_happens(injector, store):
    store.age_seconds = 20.0
    injector.tick()
    assert names(injector) == ["pay"]
    store.age_seconds = 20.1
    injector.tick()
    assert names(injector) == []
    assert not injector.readings().armed
    assert injector.is_stopped


def test_what_is_held_is_released_when_the_grace_is_over_and_nothing_is_held_any_more(injector, store):
    held = Held()
    injector.hold(held)
    store.age_seconds = 21.0
    injector.tick()
    assert held.releases == 1
    late = Held()
    injector.hold(late)
    assert late.releases == 1


def test_faults_go_on_by_themselves_when_the_store_answers_again(injector, store):
    store.age_seconds = 21.0
    injector.tick()
    store.age_seconds = 0.5
    injector.tick()
    assert names(injector) == ["pay"]
    assert injector.readings().armed


def test_a_kill_that_came_meanwhile_holds_when_the_store_answers_again(injector, store):
    store.age_seconds = 21.0
    injector.tick()
    store.stop()
    store.age_seconds = 0.0
    injector.tick()
    assert names(injector) == []


def test_rules_that_have_expired_meanwhile_do_not_come_back(time, store):
    injector = make_injector(PAY.replace(" as ", " for 1m as "), time=time, store=store)
    assert names(injector) == ["pay"]
    store.age_seconds = 31.0
    injector.tick()
    time.pass_(61)
    store.age_seconds = 0.0
    injector.tick()
    assert names(injector) == []


def test_a_request_that_was_just_looking_does_not_bring_the_rules_back(injector, store):
    before = injector.view
    store.age_seconds = 21.0
    injector.tick()
    injector.view = before
    injector.tick()
    assert names(injector) == []


def test_it_is_said_once_that_faults_have_stopped_and_that_they_go_on(injector, store, heard):
    store.age_seconds = 21.0
    injector.tick()
    injector.tick()
    assert heard.of(SwitchKilled) == [SwitchKilled(BEGIN, "store", "it has not answered for 20s")]
    store.age_seconds = 0.0
    injector.tick()
    injector.tick()
    assert heard.of(SwitchArmed) == [SwitchArmed(BEGIN, "store", None)]


def test_nothing_is_said_of_a_store_that_is_killed_anyway(injector, store, heard):
    injector.kill("somebody")
    store.age_seconds = 21.0
    injector.tick()
    store.age_seconds = 0.0
    injector.tick()
    assert heard.of(SwitchKilled) == heard.of(SwitchArmed) == []


def test_nothing_happens_in_a_process_before_the_store_has_answered_there(time, store, heard):
    injector = make_injector(PAY, time=time, store=store, heard=heard)
    store.age_seconds = math.inf
    assert names(injector) == []
    assert store.begun == 1
    injector.tick()
    assert names(injector) == []
    store.age_seconds = 0.0
    injector.tick()
    assert names(injector) == ["pay"]
    assert heard.of(SwitchKilled) == heard.of(SwitchArmed) == []


def test_nothing_is_said_where_the_thread_looks_before_the_request_that_started_it_goes_on(injector, store, heard):
    store.age_seconds = math.inf
    injector.tick()
    assert names(injector) == []
    store.age_seconds = 0.0
    injector.tick()
    assert names(injector) == ["pay"]
    assert heard.of(SwitchKilled) == heard.of(SwitchArmed) == []


def test_the_store_is_told_again_that_a_process_serves_after_a_fork(injector, store):
    injector.after_fork()
    names(injector)
    assert store.begun == 2


def test_a_refresher_is_not_started_twice_where_the_store_cannot_begin(time, monkeypatch):
    started = []

    class Counted(StillRefresher):
        def __init__(self, owner):
            super().__init__(owner)
            started.append(self)

    class Stubborn(FarStore):
        def begin(self, wake):
            raise RuntimeError

    monkeypatch.setattr("faultware.runtime.injector.Refresher", Counted)
    injector = make_injector(PAY, time=time, store=memory(kind=Stubborn))
    assert names(injector) == names(injector) == []
    assert len(started) == 1
    assert injector.internal_errors["refresh"] >= 2


def test_a_kill_releases_what_is_held_before_anything_is_written(injector, store):
    held = Held()
    injector.hold(held)
    releases = []

    def change_nothing(change):
        releases.append(held.releases)
        raise StoreError("no answer")

    store.update = change_nothing
    with pytest.raises(StoreError):
        injector.kill("somebody")
    assert releases == [1]
    assert store.order[0] == "stop"


def test_the_kill_file_is_obeyed_though_the_store_does_not_answer(time, store, tmp_path):
    injector = make_injector(PAY, time=time, store=store, kill_file=tmp_path / "kill")
    ask(injector)
    injector.tick()
    assert names(injector) == ["pay"]
    store.age_seconds = 5.0

    def refuse(_change):
        raise StoreError("no answer")

    store.update = refuse
    (tmp_path / "kill").touch()
    injector.tick()
    assert names(injector) == []
    assert injector.switch.killed


def test_each_tick_reports_what_is_in_force(injector, store):
    (worker,) = store.workers()
    assert (worker.version, worker.killed) == (1, False)
    injector.kill("somebody")
    injector.tick()
    (worker,) = store.workers()
    assert (worker.version, worker.killed) == (2, True)
    assert worker.has_confirmed(store.read())
