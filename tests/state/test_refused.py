"""Files and directories that a store does not trust; a kill works all the same."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from faultware.errors import StoreError
from faultware.state import file
from faultware.state.file import FileStore
from faultware.state.store import KILLED, StoredRule, word
from tests.state.conftest import INITIAL
from tests.state.test_stores import armed, changed, killed

GOOD = {
    "version": 3,
    "killed": False,
    "created_at": 1.0,
    "rules": [{"document": {"name": "a"}, "expires_at": None}],
    "armed_until": None,
    "changed_at": 1.0,
    "actor": "",
    "reason": "",
}
BROKEN = {
    "empty": "",
    "cut off": json.dumps(GOOD)[:-5],
    "not UTF-8": b"\xff\xfe{}",
    "nested": "[" * 100_000,
    "a list": [],
    "null": None,
    "a number": 5,
    "nothing in it": {},
    "huge": json.dumps({**GOOD, "actor": "x" * (16 * 1024 * 1024)}),
    "a long number": json.dumps(GOOD).replace("3", "3" * 5000, 1),
    **{f"no {name}": {key: value for key, value in GOOD.items() if key != name} for name in GOOD},
    **{f"version {value!r}": {**GOOD, "version": value} for value in (0, -1, 2**62, "3", 1.5, None)},
    **{
        f"{name} {value}": {**GOOD, name: value}
        for name in ("created_at", "changed_at", "armed_until")
        for value in ("soon", float("nan"), float("inf"), [])
    },
    **{
        f"rules {rules}": {**GOOD, "rules": rules}
        for rules in (
            5,
            "ab",
            [None],
            [{}],
            [{"document": {"name": "a"}}],
            [{"document": None, "expires_at": None}],
            [{"document": {}, "expires_at": None}],
            [{"document": {"name": 5}, "expires_at": None}],
            [{"document": {"name": "a"}, "expires_at": "soon"}],
            [{"document": {"name": "a"}, "expires_at": float("nan")}],
        )
    },
}


def test_the_state_that_the_broken_ones_are_made_of_is_good(open_file, directory):
    store = open_file()
    (directory / "state.json").write_text(json.dumps(GOOD))
    assert store.read().version == 3


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_state_is_refused_and_a_kill_works_all_the_same(open_file, directory, content):
    store = open_file()
    raw = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    (directory / "state.json").write_bytes(raw)
    for use in (store.read, lambda: store.update(changed), open_file):
        with pytest.raises(StoreError, match=r"state\.json") as caught:
            use()
        assert str(caught.value).startswith(f"file:{directory}: ")
    assert not store.signal[0] & KILLED
    with pytest.raises(StoreError):
        store.kill(killed)
    assert store.signal[0] & KILLED
    (directory / "state.json").unlink()
    store.follow()
    assert store.read().killed


def test_a_missing_state_is_refused_until_somebody_follows(open_file, directory):
    store = open_file()
    (directory / "state.json").unlink()
    with pytest.raises(StoreError, match="No such file"):
        store.read()
    store.follow()
    assert store.read() == INITIAL


def test_what_is_not_clearly_armed_is_killed(open_file, directory):
    store = open_file()
    (directory / "state.json").write_text(json.dumps({**GOOD, "killed": "no"}))
    assert store.read().killed


def test_rules_that_take_too_much_room_are_refused_and_nothing_is_written(open_file):
    store = open_file()
    many = tuple(StoredRule({"name": f"r{number}", "text": "x" * 1000}, None) for number in range(17_000))
    with pytest.raises(StoreError, match="16777216 are the most that can be kept"):
        store.update(lambda before: replace(before, rules=many))
    assert store.read() == INITIAL
    assert store.signal[0] == word(INITIAL)


def test_a_disk_that_is_full_is_told_and_the_last_state_stays(open_file, monkeypatch):
    store = open_file()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file.os, "fdopen", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.kill(killed)
    monkeypatch.undo()
    assert store.read() == replace(INITIAL, killed=True)


def make_world_writable(place):
    place.mkdir()
    place.chmod(0o777)


def make_group_writable(place):
    place.mkdir()
    place.chmod(0o720)


def make_link(place):
    (place.parent / "elsewhere").mkdir(mode=0o700)
    place.symlink_to(place.parent / "elsewhere")


def make_dangling_link(place):
    place.symlink_to(place.parent / "nowhere")


def make_file(place):
    place.write_text("")


def make_below_file(place):
    place.parent.joinpath("file").write_text("")
    place.symlink_to(place.parent / "file" / "below")


@pytest.mark.parametrize(
    "prepare",
    [make_world_writable, make_group_writable, make_link, make_dangling_link, make_file, make_below_file],
)
def test_a_directory_that_is_not_private_is_refused(directory, open_file, prepare):
    prepare(directory)
    with pytest.raises(StoreError, match=f"^file:{directory}: "):
        open_file()


def test_a_directory_of_somebody_else_is_refused(directory, open_file, monkeypatch):
    directory.mkdir(mode=0o700)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(StoreError, match="must be a directory of this user that nobody else may write to"):
        open_file()


def test_a_directory_that_others_were_let_into_is_not_written_to_any_more(directory, open_file):
    store = open_file()
    directory.chmod(0o777)
    with pytest.raises(StoreError, match="nobody else may write to"):
        store.update(changed)
    with pytest.raises(StoreError, match="nobody else may write to"):
        store.kill(killed)
    assert store.signal[0] & KILLED


def test_a_place_where_nothing_can_be_made_is_refused():
    with pytest.raises(StoreError, match=r"^file:/proc/nowhere/state: "):
        FileStore(Path("/proc/nowhere/state"), INITIAL)


@pytest.mark.parametrize("name", ["switch", "lock"])
def test_links_in_the_directory_are_not_followed(directory, open_file, name):
    directory.mkdir(mode=0o700)
    target = directory.parent / "target"
    target.write_text("precious")
    (directory / name).symlink_to(target)
    with pytest.raises(StoreError):
        open_file()
    assert target.read_text() == "precious"


def test_a_link_in_place_of_the_draft_is_not_followed(directory, open_file):
    store = open_file()
    target = directory.parent / "target"
    target.write_text("precious")
    (directory / f"state.{os.getpid()}.tmp").symlink_to(target)
    with pytest.raises(StoreError):
        store.update(changed)
    assert target.read_text() == "precious"


def test_a_switch_that_is_no_file_is_refused(directory, open_file):
    directory.mkdir(mode=0o700)
    (directory / "switch").mkdir()
    with pytest.raises(StoreError):
        open_file()


def test_a_state_that_is_no_file_is_refused_without_waiting_for_who_writes_to_it(open_file, directory):
    store = open_file()
    (directory / "state.json").unlink()
    os.mkfifo(directory / "state.json")
    for use in (store.read, lambda: store.update(changed), open_file, lambda: store.kill(killed)):
        with pytest.raises(StoreError, match=r"state\.json is no file: remove it to begin again$"):
            use()
    assert store.signal[0] & KILLED


@pytest.mark.parametrize("is_replaced", [False, True], ids=["written over", "replaced"])
@pytest.mark.parametrize("junk", [b"\xff" * 16, b"\0" + b"\xff" * 15], ids=["killed", "not killed"])
def test_nonsense_in_the_switch_is_mended_by_the_next_write_and_keeps_no_kill_from_working(
    open_file, directory, junk, is_replaced
):
    store = open_file()
    store.update(changed)
    if is_replaced:
        (directory / "switch").unlink()
        (directory / "switch").write_bytes(junk)
        store.follow()
    else:
        store._signal.cast("B")[: len(junk)] = junk
    store.stop()
    assert store.flag
    assert store.kill(killed).version == 3
    assert open_file().read() == store.read() == replace(killed(INITIAL), version=3)
    assert store.update(armed).version == 4
    assert store.signal[0] == open_file().signal[0] == word(store.read())


def test_a_disk_that_has_no_room_for_a_switch_is_told_and_nobody_ends_by_touching_it(open_file, directory, monkeypatch):
    store = open_file()
    (directory / "switch").unlink()

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file.os, "posix_fallocate", full)
    for use in (store.follow, open_file, lambda: store.kill(killed)):
        with pytest.raises(StoreError, match="No space left on device"):
            use()
    assert store.signal[0] & KILLED


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_a_file_system_that_keeps_no_room_for_anybody_is_welcome(open_file, monkeypatch, number):
    def unknown(*_args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(file.os, "posix_fallocate", unknown)
    store = open_file()
    assert store.kill(killed).killed
    assert open_file().read().killed
