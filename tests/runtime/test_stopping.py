"""What stops faults and releases those who are held: a kill, a kill file, an arming that ends."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faultware.core.faults import Block, Cpu
from faultware.core.plan import Plan
from faultware.errors import ConflictError, StoreError
from faultware.runtime.refresher import HELD_SECONDS, IDLE_SECONDS
from faultware.state.store import KILLED
from faultware.telemetry.events import SwitchKilled
from tests.runtime.kit import (
    BEGIN,
    PAY,
    BrokenStore,
    Heard,
    Held,
    Time,
    ask,
    make_injector,
    memory,
    names,
    other_worker,
    rules_of,
)

# Held requests.


def test_a_kill_elsewhere_releases_held_requests_by_the_next_tick(time):
    injector, held = make_injector(PAY, time=time), Held()
    ask(injector)
    injector.hold(held)
    assert injector.tick() == HELD_SECONDS
    assert held.releases == 0
    other_worker(injector, time).kill("me")
    injector.tick()
    assert held.releases == 1
    injector.holding.remove(held)
    assert injector.tick() == IDLE_SECONDS


def test_a_kill_that_is_followed_by_an_arm_before_anybody_has_looked_releases_what_was_held(time):
    injector, held, late = make_injector(PAY, time=time), Held(), Held()
    ask(injector)
    injector.hold(held)
    other = other_worker(injector, time)
    other.arm("me")
    injector.tick()
    assert held.releases == 0
    assert injector.instances.reserve(Block(9))
    other.kill("me")
    other.arm("me")
    injector.tick()
    assert held.releases == 1
    # What was taken of the process has yet to be given back.
    assert not injector.instances.reserve(Cpu(50))
    injector.hold(late)
    other.replace_rules(rules_of(PAY))
    injector.tick()
    assert (held.releases, late.releases, names(injector)) == (1, 0, ["pay"])


def test_while_requests_are_held_the_kill_file_is_looked_for_more_often_and_nothing_else_is_done_so(time):
    injector, held, done = make_injector(PAY, time=time), Held(), []
    injector.chores.append(lambda _injector: done.append(time.now))
    ask(injector)
    began = time.now
    for _ in range(3):
        injector.tick()
    assert done == [began] * 3
    injector.hold(held)
    for _ in range(60):
        time.pass_(HELD_SECONDS)
        injector.tick()
    assert done[3:] == pytest.approx([began + IDLE_SECONDS, began + 2 * IDLE_SECONDS], abs=2 * HELD_SECONDS)


def test_a_kill_elsewhere_releases_held_requests_by_the_next_request(time):
    injector, held = make_injector(PAY, time=time), Held()
    ask(injector)
    injector.hold(held)
    other_worker(injector, time).kill("me")
    ask(injector, "/elsewhere")
    assert held.releases == 1


def test_a_request_that_begins_to_wait_after_the_kill_is_released_at_once(time):
    injector, held = make_injector(PAY, time=time), Held()
    ask(injector)
    other_worker(injector, time).kill("me")
    injector.hold(held)
    assert held.releases == 1


def test_the_first_request_that_is_held_wakes_the_refresher_and_the_next_do_not():
    injector = make_injector(PAY)
    ask(injector)
    injector.hold(Held())
    injector.hold(Held())
    assert injector._refresher.wakes == 1


@pytest.mark.parametrize("what", ["follow", "read", "update"])
def test_held_requests_are_released_on_a_kill_though_the_store_fails(time, what):
    injector, held = make_injector(PAY, time=time, store=memory(kind=BrokenStore)), Held()
    ask(injector)
    injector.hold(held)
    injector.switch.store.broken = {what}
    try:
        other_worker(injector, time).kill("me")
    except StoreError:
        assert what in ("update", "read")
    injector.tick()
    assert held.releases == 1
    assert names(injector) == []


# The kill file.


def test_a_kill_file_is_noticed_by_a_tick_and_latches(time, heard, tmp_path):
    injector, held = make_injector(PAY, time=time, kill_file=tmp_path / "kill", heard=heard), Held()
    assert names(injector) == [], "nobody has looked for the file yet"
    injector.tick()
    assert names(injector) == ["pay"]
    injector.hold(held)
    (tmp_path / "kill").touch()
    injector.tick()
    assert names(injector) == []
    assert held.releases == 1
    assert heard.of(SwitchKilled) == [SwitchKilled(BEGIN, "kill file", "")]
    (tmp_path / "kill").unlink()
    injector.tick()
    assert injector.switch.killed
    assert len(heard.of(SwitchKilled)) == 1


def test_a_kill_file_that_is_there_at_the_start_stops_the_very_first_request(time, heard, tmp_path):
    (tmp_path / "kill").touch()
    store = memory(kind=BrokenStore)
    injector = make_injector(PAY, time=time, kill_file=tmp_path / "kill", heard=heard, store=store)
    reads = store.reads
    assert [names(injector), names(injector)] == [[], []]
    assert (store.reads, injector.switch.killed) == (reads, False), "no request writes or reads the store"
    injector.tick()
    assert injector.switch.killed
    assert len(heard.of(SwitchKilled)) == 1
    (tmp_path / "kill").unlink()
    injector.switch.arm("me")
    injector.refresh()
    assert names(injector) == ["pay"]


def test_a_kill_file_that_takes_its_time_holds_up_no_request(time, tmp_path, monkeypatch):
    """As on a volume whose server does not answer: who looks waits, and that is the refresher."""
    injector = make_injector(PAY, time=time, kill_file=tmp_path / "kill")
    monkeypatch.setattr(injector.switch, "kill_file_exists", lambda: 1 / 0)
    assert [names(injector) for _ in range(3)] == [[]] * 3
    assert injector.internal_errors == {}
    monkeypatch.undo()
    injector.tick()
    assert names(injector) == ["pay"]


@pytest.mark.parametrize("what", ["follow", "read", "update"])
def test_a_kill_file_is_obeyed_though_the_store_fails(time, tmp_path, what):
    store = memory(kind=BrokenStore)
    injector, held = make_injector(PAY, time=time, kill_file=tmp_path / "kill", store=store), Held()
    ask(injector)
    injector.tick()
    assert names(injector) == ["pay"]
    injector.hold(held)
    store.broken = {what}
    (tmp_path / "kill").touch()
    injector.tick()
    assert injector.switch.killed
    assert held.releases == 1
    assert names(injector) == []


# Arming for a time.


def test_when_the_time_for_which_it_was_armed_is_over_the_switch_is_killed(time, heard):
    injector, held = make_injector(PAY, time=time, heard=heard), Held()
    injector.switch.arm("me", 60)
    injector.refresh()
    assert names(injector) == ["pay"]
    injector.hold(held)
    time.pass_(60)
    assert names(injector) == [], "no tick is needed for that"
    injector.tick()
    assert injector.switch.killed
    assert not injector.readings().armed
    assert held.releases == 1
    assert heard.of(SwitchKilled) == [SwitchKilled(BEGIN + 60, "clock", "the time for which it was armed is over")]
    injector.tick()
    assert len(heard.of(SwitchKilled)) == 1


def test_a_worker_that_has_not_heard_of_a_new_arming_does_not_end_it(time, heard):
    injector = make_injector(PAY, time=time, heard=heard)
    injector.switch.arm("me", 60)
    injector.refresh()
    time.pass_(60)
    other_worker(injector, time).arm("you")
    injector.tick()
    assert names(injector) == ["pay"]
    assert not heard.of(SwitchKilled)


# All together.


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.sampled_from(["kill", "arm", "put", "drop", "tick", "request", "hold", "break", "mend", "file", "no file"]),
        max_size=20,
    )
)
def test_whatever_happens_a_killed_switch_faults_nothing_and_holds_nobody(tmp_path_factory, steps):
    kill_file = tmp_path_factory.mktemp("kill") / "kill"
    time, store = Time(), memory(kind=BrokenStore)
    injector = make_injector(PAY, time=time, store=store, kill_file=kill_file, heard=Heard())
    held: list[Held] = []
    ask(injector)
    injector.tick()
    for step in steps:
        time.pass_(1)
        match step:
            case "kill" | "arm" | "put" | "drop":
                operate(step, other_worker(injector, time))
            case "tick":
                injector.tick()
            case "request":
                ask(injector, "/elsewhere")
            case "hold":
                held.append(Held())
                injector.hold(held[-1])
            case "break" | "mend":
                store.broken = {"read", "update", "follow"} if step == "break" else set()
            case "file":
                kill_file.touch()
            case "no file":
                kill_file.unlink(missing_ok=True)
        if injector.signal[0] & KILLED:
            assert ask(injector) is None
            assert all(one.releases for one in held)
    assert isinstance(ask(injector), Plan | None)


def operate(step, switch):
    """What an operator does in another worker; it may be refused."""
    with suppress(StoreError, ConflictError):
        match step:
            case "kill":
                switch.kill("me")
            case "arm":
                switch.arm("me")
            case "put":
                switch.put_rule(rules_of("/pay 100% abort 500 as new")[0])
            case "drop":
                switch.replace_rules([])
