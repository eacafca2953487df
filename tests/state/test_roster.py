"""Who serves on a host: they report, they are rung, and they go."""

from __future__ import annotations

import gc
import math
import os
import threading
import time

import pytest

from faultware.state import roster as module
from faultware.state.roster import Roster
from tests.state.processes import running
from tests.state.test_stores import SECONDS, eventually, own_threads


@pytest.fixture
def place(tmp_path):
    return tmp_path / "workers"


def joined(place):
    rung = threading.Event()
    roster = Roster(place)
    roster.join(rung.set)
    return roster, rung


def test_nobody_has_reported_where_there_is_no_directory(place):
    assert Roster(place).workers(0.0) == ()


def test_who_has_not_joined_reports_nothing(place):
    roster = Roster(place)
    roster.report(1, killed=False, switched_at=1.0)
    assert not place.exists()


def test_a_worker_reports_what_is_in_force_in_it_and_how_long_it_took(place):
    roster, _ = joined(place)
    roster.report(4, killed=False, switched_at=0.5)
    begun = time.time()
    roster.report(5, killed=True, switched_at=1.0)
    (worker,) = Roster(place).workers(begun - 2)
    assert (worker.pid, worker.version, worker.killed) == (os.getpid(), 5, True)
    assert 2 <= worker.took_seconds < 2 + SECONDS
    assert worker.silent_seconds < SECONDS
    roster.report(6, killed=False, switched_at=1.0)
    (worker,) = Roster(place).workers(begun)
    assert (worker.version, worker.killed, worker.took_seconds) == (6, False, None)


def test_who_begins_to_serve_after_the_kill_had_nothing_to_obey(place):
    roster, _ = joined(place)
    roster.report(5, killed=True, switched_at=1.0)
    (worker,) = Roster(place).workers(1.0)
    assert (worker.killed, worker.took_seconds) == (True, None)
    roster.report(6, killed=False, switched_at=2.0)
    roster.report(7, killed=True, switched_at=3.0)
    (worker,) = Roster(place).workers(3.0)
    assert worker.took_seconds > 0


def test_what_was_said_is_not_written_again_but_shows_that_somebody_lives(place, monkeypatch):
    monkeypatch.setattr(module, "_HEARTBEAT_SECONDS", math.inf)
    roster, _ = joined(place)
    roster.report(5, killed=True, switched_at=1.0)
    (file,) = (entry for entry in place.iterdir() if not entry.suffix)
    os.utime(file, (1.0, 1.0))
    content = file.read_bytes()
    roster.report(5, killed=True, switched_at=1.0)
    assert file.stat().st_mtime == 1.0
    monkeypatch.setattr(module, "_HEARTBEAT_SECONDS", 0.0)
    roster.report(5, killed=True, switched_at=1.0)
    assert file.stat().st_mtime > 1.0
    assert file.read_bytes() == content


def test_everybody_is_rung(place):
    (_one, first), (_other, second) = joined(place), joined(place / ".." / "workers")
    second.clear()
    Roster(place).ring()
    # Both are this process, and the later one has the socket.
    assert second.wait(SECONDS)
    assert not first.is_set()


def test_a_process_is_rung_by_another_one(tmp_path):
    with running("answer_bell", tmp_path / "workers") as (process, line):
        assert line == "listening"
        Roster(tmp_path / "workers").ring()
        assert process.stdout.readline() == "rung\n"


def test_a_long_path_is_no_hindrance(tmp_path):
    place = tmp_path / ("long" * 40) / "workers"
    _roster, rung = joined(place)
    Roster(place).ring()
    assert rung.wait(SECONDS)


def test_where_no_socket_can_be_had_reports_are_made_all_the_same(place, monkeypatch):
    def refuse(*_arguments):
        raise OSError

    monkeypatch.setattr(module.socket, "socket", refuse)
    roster, rung = joined(place)
    roster.ring()
    roster.report(1, killed=False, switched_at=1.0)
    assert len(Roster(place).workers(0.0)) == 1
    assert not rung.is_set()


def test_a_bell_that_was_rung_often_and_not_heard_holds_up_nobody(place):
    may_go = threading.Event()
    roster = Roster(place)
    roster.join(lambda: may_go.wait(SECONDS))
    for _ in range(2000):
        roster.ring()
    may_go.set()


def test_who_ends_takes_leave(place):
    threads = own_threads("faultware-bell")
    roster, _ = joined(place)
    roster.report(1, killed=False, switched_at=1.0)
    assert len(list(place.iterdir())) == 2
    del roster
    gc.collect()
    assert list(place.iterdir()) == []
    eventually(lambda: not threads())


def test_a_fork_does_not_take_leave_for_its_parent(place):
    roster, _ = joined(place)
    roster.report(1, killed=False, switched_at=1.0)
    module._leave(os.getpid() + 1, None, *place.iterdir())
    assert len(Roster(place).workers(0.0)) == 1


def test_a_process_that_is_gone_is_forgotten_with_its_socket(place):
    joined(place)[0].report(1, killed=False, switched_at=1.0)
    (place / "2147483646-5-0").write_text("{}")
    name = f"2147483646-5-{module.identity(os.getpid()).rpartition('-')[2]}"
    (place / name).write_text("{}")
    (place / f"{name}.socket").touch()
    Roster(place).workers(0.0)
    assert not (place / name).exists()
    assert not (place / f"{name}.socket").exists()


def test_a_process_of_another_container_is_forgotten_when_it_was_silent_for_long(place):
    place.mkdir(mode=0o700)
    file = place / "7-5-123"
    file.write_text('{"host": "there", "version": 3, "killed": true, "since": 10.0}')
    (worker,) = Roster(place).workers(9.5)
    assert (worker.host, worker.pid, worker.took_seconds) == ("there", 7, 0.5)
    os.utime(file, (time.time() - 30, time.time() - 30))
    (worker,) = Roster(place).workers(9.5)
    assert 30 <= worker.silent_seconds < 30 + SECONDS
    os.utime(file, (time.time() - 61, time.time() - 61))
    assert Roster(place).workers(9.5) == ()
    assert not file.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"host": 1, "version": "x", "killed": true, "since": null}'])
def test_what_is_no_report_is_overlooked(place, content):
    place.mkdir(mode=0o700)
    (place / "7-5-123").write_text(content)
    (place / "stray").write_text(content)
    assert Roster(place).workers(0.0) == ()


def test_sockets_that_nobody_listens_to_are_removed(place):
    place.mkdir(mode=0o700)
    with module.socket.socket(module.socket.AF_UNIX, module.socket.SOCK_DGRAM) as bell:
        bell.bind(str(place / "7-5-123.socket"))
    Roster(place).ring()
    assert list(place.iterdir()) == []
