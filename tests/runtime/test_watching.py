"""A file that is read again when it changes."""

from __future__ import annotations

import os

import pytest

from faultware.config.tokens import read_key_file
from faultware.runtime.watching import WatchedFile
from faultware.telemetry.events import InternalError
from tests.runtime.kit import Heard, make_injector

OLD, NEW = "o" * 32, "n" * 32


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def injector(heard):
    return make_injector(heard=heard)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "key"
    path.write_text(OLD)
    return path


def test_it_is_read_once_and_then_only_when_it_changes(file, injector):
    reads = []

    def read(path):
        reads.append(path)
        return read_key_file(path)

    watched = WatchedFile(file, "what the settings read", read, "keys")
    for _ in range(3):
        watched.tend(injector)
    assert (watched.value, len(reads)) == (OLD, 1)


def test_another_file_of_the_same_size_and_time_is_another_file(file, injector):
    watched = WatchedFile(file, OLD, read_key_file, "keys")
    watched.tend(injector)
    times = file.stat()
    draft = file.with_name("draft")
    draft.write_text(NEW)
    os.utime(draft, ns=(times.st_atime_ns, times.st_mtime_ns))
    draft.replace(file)
    watched.tend(injector)
    assert watched.value == NEW


def test_the_same_file_with_another_time_is_read_again(file, injector):
    watched = WatchedFile(file, OLD, read_key_file, "keys")
    watched.tend(injector)
    file.write_text(NEW)
    os.utime(file, ns=(1, 1))
    watched.tend(injector)
    assert watched.value == NEW


def test_each_failure_is_told_once_and_again_when_it_comes_again(file, injector, heard):
    watched = WatchedFile(file, OLD, read_key_file, "keys")
    watched.tend(injector)
    away = file.with_name("away")
    for failures in (1, 2):
        file.rename(away)
        for _ in range(3):
            watched.tend(injector)
        assert len(heard.of(InternalError)) == failures
        assert watched.value == OLD
        away.rename(file)
        watched.tend(injector)
    assert heard.of(InternalError)[0].message == f"{file}: there is no such file (the last good keys stay)"
    assert injector.internal_errors == {"keys": 2}
