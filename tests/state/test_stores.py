"""What every store promises, whatever keeps the state."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faultware.state.file import FileStore
from faultware.state.redis import RedisStore
from faultware.state.store import KILLED, Snapshot, StoredRule, version_of, word

SECONDS = 120
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=6,
)
TIMES = st.floats(0, 1e12)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
SNAPSHOTS = st.builds(
    Snapshot,
    version=st.just(1),
    killed=st.booleans(),
    created_at=TIMES,
    rules=st.none()
    | st.lists(
        st.builds(
            StoredRule,
            st.dictionaries(TEXTS, PLAIN, max_size=3).map(lambda document: {**document, "name": "a"}),
            st.none() | TIMES,
        ),
        max_size=3,
    ).map(tuple),
    armed_until=st.none() | TIMES,
    changed_at=TIMES,
    actor=TEXTS,
    reason=TEXTS,
)


def killed(before):
    return replace(before, killed=True, actor="somebody", reason="enough")


def armed(before):
    return replace(before, killed=False)


def changed(before):
    return replace(before, reason="changed")


def counted(before):
    return replace(before, reason=str(int(before.reason or 0) + 1))


def run_together(*works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


class Busy:
    """A change that takes until it is told to go on; while it lasts, nobody else has a turn."""

    def __init__(self, change=changed):
        self.begun, self.may_end, self.result = threading.Event(), threading.Event(), None
        self._change = change

    def __call__(self, before):
        self.begun.set()
        assert self.may_end.wait(SECONDS)
        return self._change(before)

    def within(self, store):
        self.thread = threading.Thread(target=lambda: setattr(self, "result", store.update(self)))
        self.thread.start()
        assert self.begun.wait(SECONDS)
        return self

    def end(self):
        self.may_end.set()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()


def eventually(holds, seconds=SECONDS):
    pause = threading.Event()
    for _ in range(seconds * 200):
        if result := holds():
            return result
        pause.wait(0.005)
    raise AssertionError("it did not come about")


def own_threads(name):
    """Tells how many threads of this name there are that were not there at first; other tests may leave some."""
    before = set(threading.enumerate())
    return lambda: sum(thread.name.startswith(name) and thread not in before for thread in threading.enumerate())


def signal(store):
    """The signal, once what others have written has come in. Where memory is shared that is at once."""
    if isinstance(store, RedisStore):
        store.ask()
    return store.signal[0]


def test_a_new_store_begins_with_what_it_was_given(store):
    assert store.read() == Snapshot(1, killed=False, created_at=1000.0, changed_at=1000.0, actor="settings")
    assert store.signal[0] == word(store.read())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(snapshot=SNAPSHOTS)
def test_everybody_reads_what_was_written(open_store, snapshot):
    writer, reader = open_store(), open_store()
    written = writer.update(lambda _before: snapshot)
    assert reader.read() == written == replace(snapshot, version=written.version)
    assert reader.signal[0] == writer.signal[0] == word(written)


def test_every_write_has_a_higher_version_whatever_the_change_says(store):
    versions = [store.update(lambda before: replace(before, version=0)).version for _ in range(5)]
    versions += [store.kill(killed).version, store.update(armed).version]
    assert versions == [2, 3, 4, 5, 6, 7, 8]
    assert store.read().version == version_of(store.signal[0]) == 8


def test_what_a_change_raises_passes_through_and_nothing_is_written(store):
    class Mine(BaseException):
        pass

    def refuses(_before):
        raise Mine

    before, signal = store.read(), store.signal[0]
    with pytest.raises(Mine):
        store.update(refuses)
    assert (store.read(), store.signal[0]) == (before, signal)
    assert store.update(changed).version == 2


def test_threads_that_write_at_once_lose_nothing(open_store):
    stores = [open_store() for _ in range(4)]
    run_together(*(lambda store=store: [store.update(counted) for _ in range(25)] for store in stores))
    assert stores[0].read().reason == "100"
    assert stores[0].read().version == 101


def test_a_kill_is_seen_at_once_by_everybody_and_latches_until_somebody_arms(open_store):
    here, there = open_store(), open_store()
    here.kill(killed)
    assert signal(there) & KILLED
    assert there.flag
    assert there.read().killed
    there.update(changed)
    assert signal(here) & KILLED
    assert here.flag
    assert here.read().killed
    there.update(armed)
    assert not signal(here) & KILLED
    assert not here.flag
    assert not here.read().killed


def test_the_flag_is_down_whatever_the_version_while_nobody_has_killed(store):
    for _ in range(300):
        store.update(changed)
        assert not store.flag
    store.stop()
    assert store.flag


def test_a_kill_does_not_wait_for_whoever_is_writing(open_store):
    writing, killing = open_store(), open_store()
    busy = Busy().within(writing)
    thread = threading.Thread(target=killing.kill, args=(killed,))
    thread.start()
    eventually(lambda: signal(writing) & KILLED)
    assert writing.read().killed
    busy.end()
    thread.join(SECONDS)
    assert (writing.read().killed, writing.read().actor) == (True, "somebody")
    assert writing.read().version == 3


@pytest.mark.parametrize("change", [changed, armed])
def test_who_was_writing_when_the_kill_came_does_not_undo_it(open_store, change):
    """Also not where the kill can never be written down."""

    def fails(_before):
        raise OSError

    def kill_in_vain():
        with pytest.raises(OSError):
            killing.kill(fails)

    writing, killing = open_store(), open_store()
    if change is armed:
        writing.kill(killed)
    busy = Busy(change).within(writing)
    thread = threading.Thread(target=kill_in_vain)
    thread.start()
    eventually(lambda: signal(writing) & KILLED and kills(writing) == (2 if change is armed else 1))
    busy.end()
    thread.join(SECONDS)
    assert not busy.result.killed
    assert signal(writing) & KILLED
    assert writing.read().killed
    writing.update(changed)
    assert killing.read().killed
    killing.update(armed)
    assert not writing.read().killed


def kills(store):
    """How often somebody killed; the bit may be up from an earlier time."""
    match store:
        case RedisStore():
            return store._fetch()[1]
        case FileStore():
            return store.signal[1]
        case _:
            return store._kills


def test_following_changes_nothing_while_all_is_well(store):
    store.kill(killed)
    before = (store.signal, store.signal[0], store.read())
    store.follow()
    assert (store.signal, store.signal[0], store.read()) == before


def test_a_store_says_where_it_is(store, directory):
    assert store.url in ("memory:", f"file:{directory}") or store.url.startswith("redis://127.0.0.1:")


def test_stopping_alone_raises_the_bit_and_writes_nothing(store):
    store.stop()
    assert store.signal[0] & KILLED
    assert store.known().killed
    assert store.known().version == 1


def test_what_is_known_is_the_present_state_and_is_not_old(store):
    store.update(changed)
    assert store.known() == store.read()
    assert store.age_seconds < SECONDS


def test_who_begins_to_serve_after_a_kill_confirms_it_and_took_no_time(open_store):
    worker, operator = open_store(), open_store()
    killing = operator.kill(killed)
    worker.begin(lambda: None)
    for _ in range(2):
        worker.report(worker.read().version, killed=True, switched_at=killing.changed_at)
        (reported,) = eventually(operator.workers)
        assert reported.has_confirmed(operator.read())
        assert reported.took_seconds is None


def test_a_worker_reports_and_confirms_a_kill(open_store):
    worker, operator = open_store(), open_store()
    worker.begin(lambda: None)
    assert operator.workers() == ()
    version = worker.read().version
    worker.report(version, killed=False, switched_at=1000.0)
    (reported,) = eventually(operator.workers)
    assert (reported.host, reported.pid, reported.killed) == (socket.gethostname(), os.getpid(), False)
    assert not reported.has_confirmed(operator.read())
    killing = operator.kill(killed)
    worker.report(killing.version, killed=True, switched_at=killing.changed_at)
    (reported,) = eventually(lambda: [one for one in operator.workers() if one.killed])
    assert reported.has_confirmed(killing)
    assert reported.took_seconds >= 0
    assert reported.silent_seconds < SECONDS
    assert reported.document(killing)["confirmed"]


def test_who_serves_is_woken_when_somebody_else_writes(open_store):
    woken = threading.Event()
    worker, operator = open_store(), open_store()
    worker.begin(woken.set)
    worker.report(1, killed=False, switched_at=0.0)
    if worker is operator:
        return
    eventually(lambda: worker.age_seconds < SECONDS)
    # The thread that listens may still be on its way.
    eventually(lambda: operator.update(changed) and woken.wait(0.05))
    woken.clear()
    operator.kill(killed)
    assert woken.wait(SECONDS)
    eventually(lambda: worker.signal[0] & KILLED)
