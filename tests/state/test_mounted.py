"""A file that somebody else swaps, as Kubernetes does with a ConfigMap."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from faultware.errors import ConfigurationError, ConflictError, StoreError
from faultware.state.file import FileStore
from faultware.state.memory import MemoryStore
from faultware.state.mounted import MountedStore
from faultware.state.store import KILLED, Planned
from tests.state.conftest import INITIAL
from tests.state.test_stores import armed, killed

NOW = 1_000_000.0
PAY = 'rules = "/pay 10% abort 503 as pay"\n'
SLOW = 'rules = "/slow 10% delay 1s for 5m as slow"\n'


class Mount:
    """A volume with one file, reached through two links, the first of which is swapped."""

    def __init__(self, directory):
        self.directory = directory
        self.path = directory / "faults.toml"
        self.path.symlink_to("..data/faults.toml")
        self._count = 0

    def swap(self, content, written_at=NOW):
        self._count += 1
        fresh = self.directory / f"..{self._count}"
        fresh.mkdir()
        (fresh / "faults.toml").write_text(content)
        os.utime(fresh / "faults.toml", (written_at, written_at))
        draft = self.directory / "..data_tmp"
        draft.symlink_to(fresh.name)
        draft.replace(self.directory / "..data")


@pytest.fixture
def mount(tmp_path):
    directory = tmp_path / "mount"
    directory.mkdir()
    mount = Mount(directory)
    mount.swap(PAY)
    return mount


@pytest.fixture
def open_mounted(mount, directory):
    return lambda initial=INITIAL: MountedStore(mount.path, FileStore(directory, initial), wall=lambda: NOW)


def rules(store):
    return {str(rule.document["name"]): rule.expires_at - NOW for rule in store.read().rules}


def test_what_the_file_says_holds_from_the_start(open_mounted, mount):
    store = open_mounted()
    assert rules(store) == {"pay": 600.0}
    assert not store.signal[0] & KILLED
    assert store.url == f"mounted:{mount.path}"
    assert store.age_seconds == 0.0
    assert store.known() == store.read()


def test_a_swapped_link_is_noticed_and_all_workers_of_the_host_have_one_switch(open_mounted, mount):
    one, other = open_mounted(), open_mounted()
    mount.swap("armed = false\n" + SLOW)
    one.follow()
    assert other.signal[0] & KILLED
    other.follow()
    assert rules(other) == {"slow": 300.0}
    assert one.read().version == other.read().version
    assert [(deed.actor, deed.action, deed.detail) for deed in one.read().deeds] == [
        ("mounted file", "put_rules", "pay"),
        ("mounted file", "put_rules", "slow"),
        ("mounted file", "kill", ""),
    ]


def test_what_has_not_changed_is_written_once(open_mounted, mount):
    stores = [open_mounted() for _ in range(3)]
    for store in stores * 2:
        store.follow()
    mount.swap(PAY)
    for store in stores:
        store.follow()
    assert stores[0].read().version == 2


def test_rules_live_since_they_were_written_and_not_since_somebody_looked(open_mounted, mount):
    mount.swap(PAY, NOW - 400)
    assert rules(open_mounted()) == {"pay": 200.0}
    mount.swap(PAY, NOW + 400)
    store = open_mounted()
    assert rules(store) == {"pay": 600.0}


def test_a_kill_here_holds_until_the_file_has_said_off_and_on(open_mounted, mount):
    store, other = open_mounted(), open_mounted()
    store.kill(killed)
    mount.swap("armed = true\n" + SLOW)
    store.follow()
    assert store.read().killed
    assert rules(store) == {"slow": 300.0}
    mount.swap("armed = false\n" + SLOW)
    store.follow()
    mount.swap("armed = true\n" + SLOW)
    other.follow()
    assert store.read().killed
    store.follow()
    assert not other.read().killed


def test_a_service_that_starts_disarmed_stays_so_whatever_the_file_says_first(open_mounted, mount):
    mount.swap("armed = true\n" + PAY)
    assert open_mounted(replace(INITIAL, killed=True)).read().killed


def test_nothing_else_arms_or_changes_rules(open_mounted, mount):
    store = open_mounted()
    store.kill(killed)
    for change in (
        armed,
        lambda before: replace(before, rules=()),
        lambda before: replace(before, armed_until=5.0),
    ):
        with pytest.raises(ConflictError, match=f"this store can only be read: write it into {mount.path}"):
            store.update(change)
    plans = (Planned("pay", 5.0),)
    assert store.update(lambda before: replace(before, plans=plans)).plans == plans


def test_guards_in_the_file_hold_and_nobody_else_changes_them(open_mounted, mount):
    store = open_mounted()
    by_hand = ("memory > 1GiB",)
    assert store.read().abort_when is None
    assert store.update(lambda before: replace(before, abort_when=by_hand)).abort_when == by_hand
    mount.swap(PAY + 'abort_when = "error_share > 5%; health"\n')
    store.follow()
    assert store.read().abort_when == ("error_share > 5%", "health")
    assert [deed.action for deed in store.read().deeds[-1:]] == ["put_guards"]
    with pytest.raises(ConflictError):
        store.update(lambda before: replace(before, abort_when=by_hand))
    version = store.read().version
    mount.swap(PAY + 'abort_when = ["error_share > 5%", "health"]\n')
    store.follow()
    assert store.read().version == version, "they are the same"
    mount.swap(PAY + "abort_when = []\n")
    store.follow()
    assert store.read().abort_when == ()
    mount.swap(PAY)
    store.follow()
    assert store.read().abort_when == ()
    assert store.update(lambda before: replace(before, abort_when=by_hand)).abort_when == by_hand


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("rules = [", "this is not TOML"),
        ('rules = "/pay 10 abort 503"', "a share needs its sign"),
        ("armed = 'perhaps'", "'perhaps' is neither on nor off"),
        ("dry_run = true", "unknown key 'dry_run' (armed, rules and abort_when)"),
        (
            'abort_when = "error_share > 5"',
            "faults.toml: abort_when: 'error_share > 5': a percentage needs its sign (write 5%)",
        ),
        ("abort_when = true", "faults.toml: abort_when: true is no list of guards"),
        (
            'rules = "/pay 10% abort 503 for 2h as pay"',
            "2h is longer than what arrives at run time may live (at most 1h)",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_at_the_start_and_changes_nothing_later(
    open_mounted, mount, content, message
):
    store = open_mounted()
    mount.swap(content)
    for _ in range(2):
        with pytest.raises(StoreError, match="the last good rules stay") as caught:
            store.follow()
        assert message in str(caught.value)
    assert rules(store) == {"pay": 600.0}
    assert store.age_seconds == 0.0
    with pytest.raises(ConfigurationError) as caught:
        open_mounted()
    assert str(mount.path) in str(caught.value)
    mount.swap(SLOW)
    store.follow()
    assert rules(store) == {"slow": 300.0}


def test_a_file_that_is_gone_makes_the_state_old(open_mounted, mount):
    store = open_mounted()
    (mount.directory / "..data").unlink()
    with pytest.raises(StoreError, match="No such file or directory"):
        store.follow()
    assert store.age_seconds >= 0.0
    first = store._failing_since
    with pytest.raises(StoreError):
        store.follow()
    assert store._failing_since == first is not None
    mount.swap(PAY)
    store.follow()
    assert store.age_seconds == 0.0


def test_what_is_off_is_off_though_it_cannot_be_written_down(open_mounted, mount, directory):
    store = open_mounted()
    (directory / "state.json").write_text("{")
    mount.swap("armed = false")
    with pytest.raises(StoreError):
        store.follow()
    assert store.signal[0] & KILLED


def test_workers_report_and_are_woken_through_the_store_of_the_host(mount):
    local = MemoryStore(INITIAL)
    store = MountedStore(mount.path, local)
    store.begin(lambda: None)
    store.report(2, killed=False, switched_at=0.0)
    assert store.workers() == local.workers() != ()
    store.stop()
    assert local.signal[0] & KILLED
