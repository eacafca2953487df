"""An injector shared by threads, and left behind by a fork."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.kit import (
    PATIENCE_SECONDS,
    PAY,
    Held,
    StillRefresher,
    ask,
    make_injector,
    names,
)
from tests.unmeasured import unmeasured

ROOT = Path(__file__).parents[2]


# Caps.


def test_a_place_among_the_active_faults_is_refused_and_counted_when_there_is_none():
    injector = make_injector(PAY, most=2)
    plan = ask(injector)
    assert [injector.enter(plan) for _ in range(3)] == [True, True, False]
    assert plan.injections[0].live.tally.suppressed == {"max_active": 1}
    injector.leave()
    assert injector.enter(plan)
    assert injector.active_faults == 2


def test_without_any_place_no_request_is_faulted():
    injector = make_injector(PAY, most=0)
    assert not injector.enter(ask(injector))


@settings(deadline=None, max_examples=25)
@given(most=st.integers(0, 5), requests=st.integers(1, 30), threads=st.integers(2, 6))
def test_active_faults_never_exceed_the_cap_however_many_threads_there_are(most, requests, threads):
    injector = make_injector(PAY, most=most)
    plan = ask(injector)
    seen, refused, begin = [], [], threading.Barrier(threads)
    counting, inside = threading.Lock(), [0]

    def work():
        begin.wait(PATIENCE_SECONDS)
        for _ in range(requests):
            if injector.enter(plan):
                with counting:
                    inside[0] += 1
                    seen.append(inside[0])
                with counting:
                    inside[0] -= 1
                injector.leave()
            else:
                refused.append(1)

    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(PATIENCE_SECONDS)
    assert max(seen, default=0) <= most
    assert injector.active_faults == 0
    assert len(seen) + len(refused) == requests * threads


# Forks and the end.


def test_a_forked_child_begins_anew(time):
    injector, held = make_injector(PAY, time=time), Held()
    plan = ask(injector)
    injector.enter(plan)
    injector.hold(held)
    injector.after_fork()
    assert (injector.active_faults, len(injector.holding), injector._refresher) == (0, 0, None)
    assert injector.view.word != injector.signal[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        assert names(injector) == ["pay"]
        assert isinstance(injector._refresher, StillRefresher)
    assert held.releases == 0


FORK = """
import os, sys, tempfile, threading
from pathlib import Path
from faultware.state.file import FileStore
from tests.runtime.kit import *
injector = make_injector("/pay 100% abort 503 as pay", store=FileStore(Path(sys.argv[1]), memory().read()))
assert names(injector) == ["pay"]
assert injector.enter(ask(injector))
injector.hold(lambda: None)
injector._lock.acquire()
injector.holding._lock.acquire()
child = os.fork()
if child == 0:
    assert injector.active_faults == 0 and len(injector.holding) == 0
    assert names(injector) == ["pay"]
    assert injector.enter(ask(injector))
    assert [thread.name for thread in threading.enumerate()].count("faultware-refresher") == 1
    injector.switch.kill("child")
    os._exit(7)
injector._lock.release()
injector.holding._lock.release()
assert os.waitpid(child, 0)[1] >> 8 == 7
assert names(injector) == [] and injector.active_faults == 1
print("done")
"""


def test_a_child_that_was_forked_while_locks_were_held_works_and_its_kill_reaches_the_parent(tmp_path):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(tmp_path / "state")]
    done = subprocess.run(command, cwd=ROOT, env=unmeasured(), capture_output=True, text=True, timeout=300)
    assert done.stdout == "done\n", done.stderr


def test_an_injector_that_nobody_holds_is_garbage():
    injector = make_injector(PAY)
    ask(injector)
    alive = weakref.ref(injector)
    del injector
    gc.collect()
    assert alive() is None
