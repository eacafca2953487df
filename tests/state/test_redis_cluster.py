"""A cluster of several nodes: a master that dies, and everybody on every node hears of everything."""

from __future__ import annotations

import math
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from faultware.config.storeurl import read_redis_url
from faultware.errors import StoreError
from faultware.state.redis import RedisStore
from faultware.state.store import KILLED
from tests.redis_server import redis_server
from tests.state.conftest import INITIAL
from tests.state.test_redis_kinds import say
from tests.state.test_stores import armed, changed, eventually, killed

pytestmark = pytest.mark.usefixtures("collected")
SLOTS = 16384
NAME = "shop"
# A node that stands still for a while, with its machine, is not to be replaced.
FAST = ("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--cluster-node-timeout", "8000")


class Cluster:
    """Three masters, and a spare for the one that has our state."""

    def __init__(self, directory, stack):
        self._directory, self._stack = directory, stack
        self.masters = [self._node(number) for number in range(3)]
        borders = [0, SLOTS // 3, 2 * SLOTS // 3, SLOTS]
        for master, first, last in zip(self.masters, borders, borders[1:], strict=False):
            for begin in range(first, last, 2000):
                slots = " ".join(map(str, range(begin, min(begin + 2000, last))))
                assert say(master, f"CLUSTER ADDSLOTS {slots}") == b"+OK\r\n"
        self.slot = int(say(self.masters[0], f"CLUSTER KEYSLOT {{faultware:{NAME}}}:state")[1:])
        self.owner = next(master for master, last in zip(self.masters, borders[1:], strict=True) if self.slot < last)
        self.spare = self._node(3)
        nodes = (*self.masters, self.spare)
        self._introduce(nodes)
        eventually(lambda: say(self.spare, f"CLUSTER REPLICATE {self.name_of(self.owner)}") == b"+OK\r\n")
        eventually(lambda: b"master_link_status:up" in say(self.spare, "INFO replication"))
        eventually(lambda: all(b"cluster_state:ok" in say(node, "CLUSTER INFO") for node in nodes))
        eventually(lambda: all(say(node, "CLUSTER NODES").count(b"slave ") == 1 for node in nodes))

    def _node(self, number):
        words = ("--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{number}.conf", *FAST)
        return self._stack.enter_context(redis_server(self._directory, *words))

    def _introduce(self, nodes):
        """Until all know all. One that does not answer another in time is never greeted again by itself."""
        greeted_at = -math.inf

        def know_each_other():
            nonlocal greeted_at
            if time.monotonic() - greeted_at > 10.0:
                greeted_at = time.monotonic()
                for node in nodes[1:]:
                    say(node, f"CLUSTER MEET 127.0.0.1 {nodes[0].port}")
            return all(b"cluster_known_nodes:4" in say(node, "CLUSTER INFO") for node in nodes)

        eventually(know_each_other)

    def name_of(self, node):
        return say(node, "CLUSTER MYID").split(b"\r\n")[1].decode()

    def url(self, *nodes):
        hosts = ",".join(node.host for node in nodes)
        return read_redis_url(f"redis+cluster://{hosts}?name={NAME}&timeout=5s")


@pytest.fixture
def cluster(tmp_path):
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack)


@pytest.fixture
def pair(cluster):
    """Two processes' stand-ins, which know different nodes."""
    first, _, last = cluster.masters
    stores = [RedisStore(cluster.url(*nodes), INITIAL) for nodes in ([first, last], [last])]
    for store in stores:
        store.begin(threading.Event().set)
        eventually(lambda store=store: store.known().version)
    del store
    yield stores
    while stores:  # their threads end when nobody holds them
        stores.pop().close()


def test_everybody_hears_of_everything_whichever_node_he_knows(pair):
    here, there = pair
    here.update(changed)
    eventually(lambda: there.known().reason == "changed")
    there.kill(killed)
    eventually(lambda: here.signal[0] & KILLED)
    here.report(2, killed=True, switched_at=0.0)
    eventually(there.workers)


def test_a_master_that_dies_is_replaced_and_what_was_killed_stays_so(cluster, pair):
    here, there = pair
    here.kill(killed)
    eventually(lambda: there.signal[0] & KILLED)
    eventually(lambda: b"killed" in say(cluster.spare, "READONLY\r\nHKEYS {faultware:shop}:state"))
    cluster.owner.kill()
    eventually(lambda: b"role:master" in say(cluster.spare, "INFO replication"))
    for store in pair:
        assert as_soon_as_it_answers(store.read).killed
    as_soon_as_it_answers(lambda: here.update(armed))
    eventually(lambda: not there.signal[0] & KILLED)
    as_soon_as_it_answers(lambda: there.kill(killed))
    eventually(lambda: here.signal[0] & KILLED)


def as_soon_as_it_answers(ask):
    """Nodes learn one after the other who is whose master now."""

    def answer():
        with suppress(StoreError):
            return ask()
        return None

    return eventually(answer)


def test_a_slot_that_moves_to_another_node_takes_the_state_along(cluster, pair):
    here, there = pair
    here.update(changed)
    here.report(1, killed=False, switched_at=0.0)
    eventually(there.workers)
    to = next(master for master in cluster.masters if master is not cluster.owner)
    assert say(to, f"CLUSTER SETSLOT {cluster.slot} IMPORTING {cluster.name_of(cluster.owner)}") == b"+OK\r\n"
    assert say(cluster.owner, f"CLUSTER SETSLOT {cluster.slot} MIGRATING {cluster.name_of(to)}") == b"+OK\r\n"
    keys = f"{{faultware:{NAME}}}:state {{faultware:{NAME}}}:workers"
    assert say(cluster.owner, f'MIGRATE 127.0.0.1 {to.port} "" 0 5000 KEYS {keys}') == b"+OK\r\n"
    for master in (to, cluster.owner):
        assert say(master, f"CLUSTER SETSLOT {cluster.slot} NODE {cluster.name_of(to)}") == b"+OK\r\n"
    there.kill(killed)
    eventually(lambda: here.signal[0] & KILLED)
    assert here.read().killed
    eventually(lambda: not here.trouble and not there.trouble)
