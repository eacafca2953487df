import os
import subprocess
import sys
import threading
import warnings
import weakref
from pathlib import Path

import pytest

from faultware.telemetry import forking
from faultware.telemetry.events import EventRing, ReloadFailed
from faultware.telemetry.forking import ForkAware
from faultware.telemetry.logs import LogObserver
from tests.unmeasured import unmeasured

# Threads that are nearly always inside a lock, while the main thread forks children that need it.
BUSY = """
import os, threading
from telemetry_source import HandMade
from prometheus_client import CollectorRegistry
from faultware.telemetry.events import EventRing, ReloadFailed
from faultware.telemetry.logs import LogObserver
from faultware.telemetry.prometheus import Metrics
ring, log, metrics, source = EventRing(), LogObserver(lambda: 1.0), Metrics.on(CollectorRegistry()), HandMade("pay")
metrics.watch(source)
event = ReloadFailed(0, "x")
stop = threading.Event()
def work(call):
    while not stop.is_set():
        call()
for call in (lambda: ring.notice(event), lambda: log.notice(event), metrics.flush):
    threading.Thread(target=work, args=(call,), daemon=True).start()
for _ in range(40):
    child = os.fork()
    if child == 0:
        ring.notice(event)
        log.notice(event)
        metrics.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
print("done")
"""


def test_a_child_forked_while_threads_hold_the_locks_does_not_wait_for_them():
    here = Path(__file__).parent
    environment = unmeasured(PYTHONPATH=os.pathsep.join([str(here), str(here.parents[1])]))
    done = subprocess.run([sys.executable, "-c", BUSY], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout == "done\n", done.stderr


def test_a_child_whose_parent_was_not_asked_before_the_fork_finds_open_locks():
    ring, log = EventRing(), LogObserver(lambda: 1.0)
    taken, leave = threading.Event(), threading.Event()

    def hold():
        with ring.lock, log.lock:
            taken.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    forking._in_child()
    assert ring.lock.acquire(blocking=False)
    assert log.lock.acquire(blocking=False)
    leave.set()
    thread.join()


def fork():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # CPython 3.12 warns of a fork while other threads run
        return os.fork()


def test_a_fork_waits_until_a_change_is_complete():
    ring = EventRing()
    taken, done = threading.Event(), []

    def change():
        with ring.lock:
            taken.set()
            for number in range(500_000):
                last = number
            done.append(last)

    thread = threading.Thread(target=change)
    thread.start()
    taken.wait()
    child = fork()
    if child == 0:
        os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()


def test_a_parent_goes_on_after_a_fork():
    ring = EventRing()
    child = fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    noticed = threading.Thread(target=ring.notice, args=(ReloadFailed(0, "x"),))
    noticed.start()
    noticed.join()
    assert ring.last == 1


def test_what_must_hear_of_a_fork_is_held_weakly():
    member = ForkAware()
    assert member in forking._living
    gone = weakref.ref(member)
    del member
    assert gone() is None


def test_a_fork_while_another_thread_makes_what_must_hear_of_it_holds_the_others(monkeypatch):
    member, looks = ForkAware(), []

    class Growing:
        def __iter__(self):
            looks.append(None)
            if len(looks) == 1:
                raise RuntimeError("Set changed size during iteration")
            return iter([member])

    monkeypatch.setattr(forking, "_living", Growing())
    child = fork()
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(looks) == 2
    assert forking._held == []


def test_a_fork_at_the_end_of_the_stack_does_not_look_for_ever(monkeypatch):
    class TooDeep:
        def __init__(self):
            self.looks = 0

        def __iter__(self):
            self.looks += 1
            raise RecursionError if self.looks == 1 else AssertionError("it looks again")

    monkeypatch.setattr(forking, "_living", TooDeep())
    with pytest.raises(RecursionError):
        forking._before()
    assert forking._held == []
