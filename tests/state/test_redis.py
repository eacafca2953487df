"""A Redis that is away, empty, old or full of nonsense, and what a store makes of it."""

from __future__ import annotations

import builtins
import gc
import math
import os
import threading
from dataclasses import replace

import pytest

from faultware.config.storeurl import read_redis_url
from faultware.errors import MissingExtraError, StoreError
from faultware.state import redis as module
from faultware.state import redisthreads
from faultware.state.redis import RedisStore
from faultware.state.store import KILLED, Snapshot, StoredRule, version_of, word
from tests.redis_server import redis_server
from tests.state.conftest import INITIAL
from tests.state.test_stores import armed, changed, eventually, killed, own_threads

RULES = (StoredRule({"name": "pay"}, 5000.0),)


def ruled(before):
    return replace(before, rules=RULES, reason="")


@pytest.fixture
def server(tmp_path):
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The threads ask again soon."""
    monkeypatch.setattr(redisthreads, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(redisthreads, "RETRY_SECONDS", 0.02)


# For a server that is frozen; any other may be slow.
SHORT = "100ms"


def opened(server, timeout="10s"):
    return RedisStore(read_redis_url(server.url(timeout=timeout)), INITIAL)


def serving(server, timeout="10s"):
    """A process that serves, and has heard of the state."""
    store, woken = opened(server, timeout), threading.Event()
    store.begin(woken.set)
    eventually(lambda: store.known().version and math.isfinite(store.age_seconds))
    return store


# Away.


def test_a_store_that_is_not_there_says_so_and_leaves_nothing_armed(server):
    server.kill()
    store = opened(server)
    with pytest.raises(StoreError, match="Connection refused"):
        store.read()
    assert store.age_seconds == math.inf
    assert store.known().version == 0
    with pytest.raises(StoreError, match=f"^redis://127.0.0.1:{server.port}/0: "):
        store.update(armed)


def test_a_process_that_began_without_a_store_finds_it_later(server):
    server.kill()
    store, woken = opened(server), threading.Event()
    store.begin(woken.set)
    eventually(lambda: store.trouble)
    with pytest.raises(StoreError, match="Connection refused"):
        store.follow()
    server.start()
    eventually(lambda: not store.trouble and store.known().version == 1)
    store.follow()
    assert woken.is_set()


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_while_it_does_not_answer_nothing_is_changed_and_the_state_grows_old(server, how):
    store = serving(server, SHORT)
    opened(server).update(ruled)
    eventually(lambda: store.known().rules == RULES)
    getattr(server, how)()
    eventually(lambda: store.trouble)
    before = store.age_seconds
    for attempt in (lambda: store.update(armed), store.read, store.follow):
        with pytest.raises(StoreError):
            attempt()
    assert store.known().rules == RULES
    assert store.signal[0] == word(store.known())
    eventually(lambda: store.age_seconds > before)


def test_what_was_frozen_goes_on_as_before(server):
    store, other = serving(server, SHORT), opened(server)
    other.update(ruled)
    eventually(lambda: store.known().rules == RULES)
    server.pause()
    eventually(lambda: store.trouble)
    server.resume()
    eventually(lambda: not store.trouble)
    assert not other.read().killed
    assert store.known().rules == RULES
    version = other.update(changed).version
    eventually(lambda: version == version_of(store.signal[0]))


def test_a_kill_that_it_cannot_be_told_holds_here_and_is_told_later(server):
    store = serving(server, SHORT)
    server.pause()
    eventually(lambda: store.trouble)
    with pytest.raises(StoreError):
        store.kill(killed)
    assert store.signal[0] & KILLED
    assert store.known().killed
    server.resume()
    other = opened(server)
    eventually(lambda: not store.trouble and other.read().killed)
    assert other.read().actor == "somebody"
    other.update(armed)
    eventually(lambda: not store.signal[0] & KILLED)


def test_a_kill_that_the_store_did_not_hear_of_holds_when_somebody_else_writes(server):
    """The bit stays up until the kill stands there."""
    store = serving(server)
    store.stop()
    opened(server).update(changed)
    eventually(lambda: store.known().reason == "changed")
    assert store.signal[0] & KILLED


# Empty, or back in time.


def test_a_store_that_comes_back_empty_is_told_what_was_known_as_killed(server):
    store = serving(server)
    version = store.update(ruled).version
    server.kill()
    eventually(lambda: store.trouble)
    server.start()
    eventually(lambda: not store.trouble and store.known().killed)
    state = opened(server).read()
    assert (state.killed, state.rules, state.version) == (True, RULES, version + 1)
    assert (state.actor, state.reason) == ("store", "it has lost what it knew")
    assert (state.deeds[-1].actor, state.deeds[-1].action) == ("store", "kill")


def test_rules_of_a_last_writer_do_not_come_back_armed(server):
    """Not even where the one who wrote them is the first to see the empty store, and has something to write."""
    store = opened(server)
    store.update(ruled)
    server.kill()
    server.start()
    assert store.update(changed).killed
    assert opened(server).read().killed


def test_whoever_does_not_know_what_was_lost_begins_anew_until_somebody_comes_who_does(server):
    knows, fresh = opened(server), opened(server)
    knows.update(ruled)
    server.kill()
    server.start()
    assert fresh.read().version == 1
    assert not fresh.read().killed
    assert knows.read().killed
    assert fresh.read().rules == RULES


@pytest.mark.parametrize("lost", ["write", "kill"])
def test_a_store_that_has_gone_back_in_time_is_told_what_was_known_as_killed(server, lost):
    """As after a failover to a replica that had not heard of everything."""
    store = opened(server)
    before = store.read()
    old = store.client().hgetall(store._keys[0])
    if lost == "write":
        store.update(ruled)
    else:
        store._write(-1, 0, None, is_kill=True)
        assert store.read().killed
    store.client().delete(store._keys[0])
    store.client().hset(store._keys[0], mapping=old)
    state = store.read()
    assert state.killed
    assert state.version == (before.version + 2 if lost == "write" else before.version + 1)


def test_one_that_is_only_late_is_not_taken_for_one_that_has_gone_back(server):
    store, other = opened(server), opened(server)
    store.read()
    version = other.update(armed).version
    assert store.read() == other.read()
    assert store.read().version == version


def test_a_kill_that_comes_before_any_state_holds(server):
    store = opened(server)
    store._write(-1, 0, None, is_kill=True)
    assert store.read().killed
    assert opened(server).read().killed


# Whose state it is.


def test_a_service_that_starts_disarmed_kills_what_an_earlier_one_has_left_armed(open_redis):
    open_redis().update(lambda before: replace(before, changed_at=10.0))
    disarmed = open_redis(replace(INITIAL, killed=True), started_at=20.0)
    assert disarmed.read().killed
    assert disarmed.read().actor == "settings"


def test_but_not_what_was_armed_since_it_started_nor_while_somebody_serves(open_redis):
    first = open_redis()
    first.update(lambda before: replace(before, changed_at=10.0))
    assert not open_redis(replace(INITIAL, killed=True), started_at=5.0).read().killed
    first.report(1, killed=False, switched_at=0.0)
    first.ask()
    assert not open_redis(replace(INITIAL, killed=True), started_at=20.0).read().killed


def test_states_of_other_names_are_left_alone(server):
    one, other = (RedisStore(read_redis_url(server.url(name)), INITIAL) for name in ("one", "other"))
    one.kill(killed)
    assert not other.read().killed


def test_who_reaches_in_from_outside_makes_no_state(redis_url, open_redis):
    """A mistyped URL must not become a store that nobody looks at."""
    stranger = open_redis(None)
    for attempt in (stranger.read, lambda: stranger.kill(killed), lambda: stranger.update(armed)):
        with pytest.raises(StoreError, match="there is no state here"):
            attempt()
    assert open_redis().read() == INITIAL
    assert stranger.update(ruled).rules == RULES


# Nonsense.


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}'])
def test_a_state_that_is_none_is_refused_and_a_kill_works_all_the_same(open_redis, content):
    store, other = open_redis(), open_redis()
    store.read()
    store.client().hset(store._keys[0], "state", content)
    for attempt in (other.read, lambda: other.update(changed), lambda: other.kill(killed)):
        with pytest.raises(StoreError, match="does not hold a state"):
            attempt()
    assert store.client().hget(store._keys[0], "killed") == b"1"
    store.client().delete(store._keys[0])
    assert other.read() == INITIAL


def test_a_key_of_another_kind_is_an_error_of_ours(open_redis):
    store = open_redis()
    store.client().set(store._keys[0], "x")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store.read()


def test_reports_that_are_none_are_forgotten(open_redis):
    store = open_redis()
    store.read()
    store.client().hset(store._keys[1], mapping={"a": "x", "b": "1 2 3 4 1 6 h", "c": b"\xff"})
    assert store.workers() == ()
    assert store.client().hlen(store._keys[1]) == 0


# Threads, processes, the client.


def test_threads_end_with_their_store(open_redis, redis_url):
    threads = own_threads("faultware-redis")
    store = RedisStore(redis_url, INITIAL)
    store.begin(lambda: None)
    assert threads() == 2
    del store
    gc.collect()
    eventually(lambda: not threads())


def test_whatever_goes_wrong_in_the_thread_it_lives_on(server, monkeypatch):
    store = serving(server)
    ask = store.ask
    monkeypatch.setattr(store, "ask", lambda: 1 / 0)
    eventually(lambda: "ZeroDivisionError" in store.trouble)
    monkeypatch.setattr(store, "ask", ask)
    eventually(lambda: not store.trouble)


def test_a_process_that_serves_no_more_says_so(open_redis):
    store = open_redis()
    store.read()
    store.report(1, killed=False, switched_at=0.0)
    store.ask()
    assert len(store.workers()) == 1
    module._leave(lambda: store, os.getpid() + 1)
    assert len(store.workers()) == 1
    module._leave(lambda: store, os.getpid())
    assert store.workers() == ()
    module._leave(lambda: None, os.getpid())


def test_a_forked_process_has_connections_of_its_own(open_redis, monkeypatch):
    store = open_redis()
    store.read()
    before = store.client()
    monkeypatch.setattr(module.os, "getpid", lambda: -1)
    assert store.client() is not before
    store.read()
    store.close()


def test_the_client_is_an_extra_that_is_named(monkeypatch, redis_url):
    real = builtins.__import__

    def without(name, *arguments):
        if name == "redis":
            raise ImportError
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"A store in Redis needs an extra: pip install 'faultware\[redis\]'"):
        RedisStore(redis_url, Snapshot(1, killed=True, created_at=0.0))
