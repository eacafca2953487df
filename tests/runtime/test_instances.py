"""Faults of the process: what they take they give back, the switch ends them, and no test dies or waits."""

from __future__ import annotations

import gc
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from faultware.core.faults import Block, Cpu, Descriptors, Kill, Memory
from faultware.runtime import instances
from faultware.runtime.instances import LOOK_SECONDS, Instances
from tests.runtime.kit import PATIENCE_SECONDS


class Stage:
    """A clock that sleeping moves, and a switch."""

    def __init__(self, *, most_seconds: float = 30.0) -> None:
        self.now = 100.0
        self.is_over = False
        self.over_at = float("inf")
        self.ended: list[str] = []
        self.slept: list[float] = []
        self.seen: list[int] = []
        self.look = lambda: None
        self.instances = Instances(
            self.has_ended, most_seconds, clock=self.clock, ender=self.ended.append, sleep=self.sleep
        )

    def has_ended(self) -> bool:
        return self.is_over or self.now >= self.over_at

    def clock(self) -> float:
        # A loop that only looks at the clock must come to an end.
        self.now += 1e-4
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.look()

    def run(self, fault) -> None:
        """Do it, and wait until its thread has ended."""
        assert self.instances.reserve(fault)
        self.instances.run(fault)
        for thread in threading.enumerate():
            if thread.name == f"faultware-{fault.kind}":
                thread.join(PATIENCE_SECONDS)
        assert not self.instances.busy


def test_a_block_holds_the_thread_for_its_time():
    stage = Stage()
    stage.run(Block(1.0))
    assert 101.0 <= stage.now < 101.1


def test_a_block_is_never_longer_than_a_delay_may_be():
    stage = Stage(most_seconds=2.0)
    stage.run(Block(60.0))
    assert 102.0 <= stage.now < 102.1


@pytest.mark.parametrize("fault", [Block(20), Cpu(50, 20), Memory(10_000, 20), Descriptors(10, 20)])
def test_the_kill_switch_ends_everything_at_the_next_look(fault):
    stage = Stage()
    stage.over_at = 103.0
    stage.run(fault)
    assert 103.0 <= stage.now < 103.0 + 3 * LOOK_SECONDS


@pytest.mark.parametrize("fault", [Block(20), Cpu(50, 20), Memory(10_000, 20), Descriptors(10, 20)])
def test_a_stop_ends_what_is_at_work_although_the_switch_is_armed_by_the_next_look(fault):
    stage = Stage()

    def look():
        if stage.now >= 103.0:
            stage.look = lambda: None
            stage.instances.stop()
            begun.append(stage.instances.reserve(Kill()))

    begun = []
    stage.look = look
    stage.run(fault)
    assert (begun, 103.0 <= stage.now < 103.0 + 3 * LOOK_SECONDS) == ([False], True)
    stage.run(fault)
    assert stage.now >= 123.0


@pytest.mark.parametrize("fault", [Block(20), Cpu(50, 20), Kill()])
def test_nothing_begins_once_the_switch_is_killed(fault):
    stage = Stage()
    stage.is_over = True
    assert not stage.instances.reserve(fault)


def test_a_stop_does_not_wait_for_who_looks_for_a_kill_file():
    stage = Stage()
    stopped = threading.Event()

    def looks():
        threading.Thread(target=lambda: (stage.instances.stop(), stopped.set()), daemon=True).start()
        return not stopped.wait(PATIENCE_SECONDS)

    stage.instances.is_killed = looks
    assert stage.instances.reserve(Cpu(50))


def test_only_one_of_a_kind_is_at_work_at_a_time():
    stage = Stage()
    assert stage.instances.reserve(Cpu(50))
    assert not stage.instances.reserve(Cpu(10))
    assert stage.instances.reserve(Memory(1))
    assert stage.instances.busy == {"cpu", "memory"}


def test_a_processor_rests_for_the_share_that_is_not_asked_for():
    stage = Stage()
    stage.run(Cpu(25, 10))
    assert sum(stage.slept) == pytest.approx(7.5, abs=0.5)
    stage.slept.clear()
    stage.run(Cpu(100, 1))
    # Others have their turn all the same, which under gevent they get in no other way.
    assert (set(stage.slept), len(stage.slept) >= 1 / LOOK_SECONDS - 1) == ({0.0}, True)


def test_memory_is_taken_page_by_page_and_given_back():
    stage = Stage()
    gc.collect()  # what others have left behind is not given back meanwhile
    before = resident()
    stage.look = lambda: stage.seen.append(resident())
    stage.run(Memory(64 * 1024 * 1024, 1.0))
    assert max(stage.seen) - before > 48 * 1024 * 1024
    assert resident() - before < 16 * 1024 * 1024


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_more_memory_than_there_is_takes_none(monkeypatch):
    stage = Stage()

    def refuse(_size):
        raise MemoryError

    monkeypatch.setattr(instances, "bytearray", refuse, raising=False)
    stage.run(Memory(1000, 5))
    assert not stage.slept


def test_descriptors_are_opened_until_few_are_left_and_closed_again(monkeypatch):
    stage = Stage()
    monkeypatch.setattr(instances, "_free_descriptors", lambda: 60)
    before = descriptors()
    stage.look = lambda: stage.seen.append(descriptors())
    stage.run(Descriptors(20, 1.0))
    assert max(stage.seen) - before == 40
    assert descriptors() == before


def test_the_low_numbers_are_left_to_the_service(monkeypatch):
    stage = Stage()
    monkeypatch.setattr(instances, "_free_descriptors", lambda: 60)

    def look():
        opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(25)]
        stage.seen.append(max(opened[:20]) < max(opened[20:]) - 30)
        for one in opened:
            os.close(one)

    stage.look = look
    stage.run(Descriptors(20, 1.0))
    assert set(stage.seen) == {True}


def descriptors() -> int:
    """How many are open for what the fault opens: other threads may open files meanwhile."""
    found = 0
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            found += str(path.readlink()) == os.devnull
    return found


def test_what_is_free_is_the_limit_less_what_is_open():
    gc.collect()  # nothing that others have left open is closed meanwhile
    free = instances._free_descriptors()
    with Path(os.devnull).open():
        assert instances._free_descriptors() == free - 1


@pytest.mark.parametrize("by", ["term", "kill", "exit"])
def test_a_kill_ends_the_process_in_the_way_that_was_asked_for(by):
    stage = Stage()
    stage.run(Kill(by))
    assert stage.ended == [by]


@pytest.mark.parametrize(("by", "status"), [("term", -signal.SIGTERM), ("kill", -signal.SIGKILL), ("exit", 0)])
def test_the_exit_codes_that_stop_whole_servers_are_never_used(by, status):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        instances.end_process(by)
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status


def test_a_forked_child_holds_nothing_of_its_parents():
    stage = Stage()
    stage.instances.reserve(Descriptors())
    opened = os.open(os.devnull, os.O_RDONLY)
    stage.instances._held.append(opened)
    stage.instances.after_fork()
    assert not stage.instances.busy
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened)


def test_a_forked_child_gives_back_the_memory_that_its_parent_goes_on_holding():
    stage, size = Stage(), 64 * 1024 * 1024
    gc.collect()
    before, told = resident(), []

    def fork():
        if told:
            return
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            stage.instances.after_fork()
            os.write(writing, str(resident()).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            told.extend((resident(), int(answer.read())))
        os.waitpid(child, 0)

    stage.look = fork
    stage.run(Memory(size, 1.0))
    assert told[0] - before > size * 3 // 4
    assert told[1] - before < size // 4


def test_a_fork_while_descriptors_are_closed_finds_those_that_are_open_and_no_others(monkeypatch):
    stage, seen = Stage(), []
    monkeypatch.setattr(instances, "_free_descriptors", lambda: 30)
    close = os.close

    def closing(descriptor):
        # What a child would take for its own, or miss.
        seen.append((descriptor in stage.instances._held, len(stage.instances._held)))
        close(descriptor)

    monkeypatch.setattr(os, "close", closing)
    stage.run(Descriptors(20, 1.0))
    assert seen == [(False, left) for left in range(9, -1, -1)]


@pytest.mark.parametrize("fault", [Cpu(50), Memory(1000), Descriptors()])
def test_where_no_thread_is_to_be_had_the_kind_may_be_tried_again(monkeypatch, fault):
    stage = Stage()

    def refuse(_self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert stage.instances.reserve(fault)
    with pytest.raises(RuntimeError, match="new thread"):
        stage.instances.run(fault)
    assert not stage.instances.busy
