"""What the directory promises besides: other processes, a careless hand, a broken file."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import threading
import time
from dataclasses import replace

import pytest

from faultware.errors import StoreError
from faultware.state import file
from faultware.state.file import FileStore
from faultware.state.memory import MemoryStore
from faultware.state.store import KILLED, StoredRule, version_of
from tests.state.conftest import INITIAL
from tests.state.processes import ROOT, SECONDS, command, run, running
from tests.state.test_stores import armed, changed, killed

RULES = (StoredRule({"name": "a", "percentage": 1, "abort": {"status": 503}}, 2000.0),)


def with_rules(before):
    return replace(before, rules=RULES)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(file, "_PATIENCE_SECONDS", 0.0)


def test_processes_that_write_at_once_lose_nothing(open_file, directory):
    store = open_file()
    programs = [subprocess.Popen(command("count", directory, 40), cwd=ROOT) for _ in range(3)]
    assert [program.wait(SECONDS) for program in programs] == [0, 0, 0]
    assert store.read().reason == "120"
    assert version_of(store.signal[0]) == store.read().version == 121


def test_a_kill_in_another_process_changes_the_signal_here(open_file, directory):
    store = open_file()
    signal, flag = store.signal, store.flag
    assert (version_of(signal[0]), signal[0] & KILLED, bool(flag)) == (1, 0, False)
    run("kill", directory)
    assert (version_of(signal[0]), signal[0] & KILLED, bool(flag)) == (2, KILLED, True)
    assert (store.read().killed, store.read().actor) == (True, "another process")


class Between:
    """A signal, just before whose next change somebody else acts."""

    def __init__(self, signal, act):
        self._signal = signal
        self._act = act

    def __getitem__(self, index):
        return self._signal[index]

    def __setitem__(self, index, value):
        act, self._act = self._act, lambda: None
        act()
        self._signal[index] = value


@pytest.mark.parametrize("is_memory", [False, True], ids=["file", "memory"])
def test_a_kill_that_comes_in_the_moment_in_which_somebody_arms_holds(open_file, monkeypatch, is_memory):
    arming = MemoryStore(INITIAL) if is_memory else open_file()
    killing = arming if is_memory else open_file()
    killing.kill(killed)
    signal = arming.signal

    def stop():
        monkeypatch.setattr(arming, "_signal", signal)
        killing.stop()

    monkeypatch.setattr(arming, "_signal", Between(signal, stop))
    arming.update(armed)
    assert killing.signal[0] & KILLED


def test_a_kill_does_not_put_back_the_number_that_another_writes_meanwhile(open_file, monkeypatch):
    killing, writing = open_file(), open_file()
    signal = killing.signal

    class Slow:
        """Somebody else writes between each look at the number and what is made of it."""

        def __getitem__(self, index):
            seen = signal[index]
            writing.update(with_rules)
            return seen

        def __setitem__(self, index, value):
            signal[index] = value

    monkeypatch.setattr(killing, "_signal", Slow())
    killing.stop()
    assert version_of(signal[0]) == writing.read().version > 1
    assert signal[0] & KILLED


def test_a_kill_that_somebody_missed_is_up_again_when_it_cannot_be_written_down(open_file, monkeypatch):
    store = open_file()

    def missed(_change):
        store.signal[0] &= ~KILLED
        raise StoreError("nothing can be written")

    monkeypatch.setattr(store, "update", missed)
    with pytest.raises(StoreError):
        store.kill(killed)
    assert store.flag


def test_a_kill_is_up_even_if_another_process_never_lets_go(open_file, directory, impatient):
    store = open_file()
    with running("hold_turn", directory) as (_process, said):
        assert said == "mine"
        with pytest.raises(StoreError, match="another process has been writing for too long"):
            store.update(changed)
        assert not store.signal[0] & KILLED
        with pytest.raises(StoreError, match="another process has been writing for too long"):
            store.kill(killed)
        assert open_file_signal(directory) & KILLED
        assert store.read().killed
    assert store.update(changed).killed


def open_file_signal(directory):
    return int.from_bytes((directory / "switch").read_bytes()[:8], "little")


def test_a_child_that_was_forked_during_a_turn_does_not_keep_it(directory):
    assert run("fork_in_turn", directory) == ["written"]


def test_a_child_that_was_forked_during_a_turn_does_not_keep_it_when_its_parent_is_killed(open_file, directory):
    store = open_file()
    with running("die_in_turn", directory) as (process, said):
        process.wait(SECONDS)
        assert (said, store.update(with_rules).rules) == ("mine", RULES)


def test_a_second_worker_takes_over_what_is_there_and_not_what_it_would_begin_with(open_file, directory):
    open_file().update(with_rules)
    second = FileStore(directory, replace(INITIAL, version=99, killed=True, created_at=5.0))
    assert second.read() == replace(INITIAL, version=2, rules=RULES)
    assert not second.signal[0] & KILLED


def test_only_the_owner_can_look_into_the_directory_whatever_the_mask(directory):
    mask = os.umask(0)
    try:
        FileStore(directory, INITIAL).update(changed)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in directory.iterdir()} == {
        "lock": 0o600,
        "state.json": 0o600,
        "switch": 0o600,
    }


# A careless hand.


def clean(directory):
    shutil.rmtree(directory)


def remove_switch(directory):
    (directory / "switch").unlink()


def replace_switch(directory):
    (directory / "new").write_bytes(bytes(4096))
    (directory / "new").replace(directory / "switch")


def remove_state(directory):
    (directory / "state.json").unlink()


ACCIDENTS = pytest.mark.parametrize("accident", [clean, remove_switch, replace_switch, remove_state])


@ACCIDENTS
def test_workers_find_together_again_after_a_file_was_removed_and_keep_the_state(open_file, directory, accident):
    one, other = open_file(), open_file()
    one.update(with_rules)
    other.read()
    accident(directory)
    one.follow()
    other.follow()
    assert one.read().rules == other.read().rules == RULES
    version = version_of(one.signal[0])
    one.kill(killed)
    assert other.signal[0] & KILLED
    assert version_of(other.signal[0]) > version
    other.update(armed)
    assert not one.signal[0] & KILLED


@ACCIDENTS
def test_a_kill_survives_that_a_file_is_removed(open_file, directory, accident):
    one, other = open_file(), open_file()
    one.kill(killed)
    other.read()
    accident(directory)
    other.follow()
    assert other.read().killed
    assert open_file().read().killed


@ACCIDENTS
def test_a_kill_reaches_everybody_while_some_have_followed_and_others_have_not(open_file, directory, accident):
    ahead, behind, killing = open_file(), open_file(), open_file()
    before = behind.signal
    accident(directory)
    ahead.follow()
    killing.kill(killed)
    assert ahead.signal[0] & KILLED
    assert accident is remove_state or before is not ahead.signal
    assert before[0] & KILLED
    behind.follow()
    assert behind.signal[0] & KILLED
    assert behind.flag


@ACCIDENTS
def test_a_kill_that_cannot_be_written_down_reaches_those_who_have_followed(open_file, directory, accident):
    def fails(_before):
        raise OSError

    ahead, killing = open_file(), open_file()
    accident(directory)
    ahead.follow()
    with pytest.raises(OSError):
        killing.kill(fails)
    assert ahead.signal[0] & KILLED
    assert killing.signal[0] & KILLED


@ACCIDENTS
def test_who_follows_late_does_not_undo_that_somebody_armed_meanwhile(open_file, directory, accident):
    ahead, behind = open_file(), open_file()
    ahead.kill(killed)
    behind.read()
    accident(directory)
    ahead.follow()
    ahead.update(armed)
    behind.follow()
    assert not ahead.signal[0] & KILLED
    assert not behind.signal[0] & KILLED


def test_versions_go_on_where_they_were_though_an_older_state_had_to_be_written_again(open_file, directory):
    behind, ahead = open_file(), open_file()
    for _ in range(3):
        ahead.update(changed)
    clean(directory)
    behind.follow()
    assert behind.read().version == 1
    assert behind.update(changed).version == 5
    ahead.follow()
    assert version_of(ahead.signal[0]) == 5


def test_a_state_that_outlived_its_switch_still_says_killed(open_file, directory):
    open_file().kill(killed)
    remove_switch(directory)
    assert open_file().signal[0] & KILLED


def test_turns_exclude_threads_of_one_process_that_share_a_store(open_file):
    store = open_file()
    inside, most = [], []

    def change(before):
        inside.append(1)
        most.append(len(inside))
        inside.pop()
        return replace(before, reason=before.reason + "x")

    threads = [threading.Thread(target=lambda: [store.update(change) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert max(most) == 1
    assert store.read().reason == "x" * 40


def test_the_memory_store_knows_nothing_of_another():
    one, other = MemoryStore(INITIAL), MemoryStore(INITIAL)
    one.kill(killed)
    assert not other.read().killed


def test_a_lock_that_was_removed_while_it_was_taken_is_not_taken_for_a_turn(open_file, directory, monkeypatch):
    """Whoever comes next makes a new one, and both would write at once."""
    store = open_file()
    real, taken = file.fcntl.flock, []

    def flock(descriptor, operation):
        real(descriptor, operation)
        taken.append(operation)
        if len(taken) == 1:
            (directory / "lock").unlink()

    monkeypatch.setattr(file.fcntl, "flock", flock)
    monkeypatch.setattr(file.time, "sleep", lambda _seconds: None)
    assert store.update(changed).version == 2
    assert taken.count(file.fcntl.LOCK_EX | file.fcntl.LOCK_NB) == 2
    assert (directory / "lock").exists()


def test_a_file_system_that_cannot_lock_is_told(open_file, monkeypatch):
    def cannot(_descriptor, _operation):
        raise OSError(37, "No locks available")

    store = open_file()
    monkeypatch.setattr(file.fcntl, "flock", cannot)
    with pytest.raises(StoreError, match="No locks available"):
        store.update(changed)
    with pytest.raises(StoreError, match="No locks available"):
        store.kill(killed)
    assert store.signal[0] & KILLED


def test_how_old_the_state_is_can_be_asked_while_another_thread_fails(open_file, directory, monkeypatch):
    store = open_file()
    (directory / "state.json").write_text("{")

    def fail():
        with pytest.raises(StoreError):
            store.read()

    class Clock:
        """Whoever looks at it gives way to a thread that fails."""

        def monotonic(self):
            monkeypatch.undo()
            thread = threading.Thread(target=fail)
            thread.start()
            thread.join()
            return time.monotonic()

    store._failing["follow"] = time.monotonic() - 1
    monkeypatch.setattr(file, "time", Clock())
    assert store.age_seconds >= 1
    assert store._failing.keys() == {"follow", "read"}
