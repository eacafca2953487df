"""Programs that tests start as processes of their own: `python -m tests.state.programs NAME ARGUMENT…`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from faultware.state import file
from faultware.state.file import FileStore
from faultware.state.roster import Roster
from faultware.state.service import embedded_directory, root_process
from faultware.state.store import Snapshot


def open_store(directory: str) -> FileStore:
    return FileStore(Path(directory), Snapshot(1, killed=False, created_at=0.0))


def count(directory: str, times: str) -> None:
    """Add 1 to the number in `reason`, again and again, however long a turn has to be waited for."""
    file._PATIENCE_SECONDS = 60.0
    store = open_store(directory)
    for _ in range(int(times)):
        store.update(lambda before: replace(before, reason=str(int(before.reason or 0) + 1)))


def kill(directory: str) -> None:
    open_store(directory).kill(lambda before: replace(before, killed=True, actor="another process"))


def hold_turn(directory: str) -> None:
    """Take a turn, say so, and keep it until the standard input ends."""
    with open_store(directory)._turn():
        print("mine", flush=True)
        sys.stdin.read()


def fork_in_turn(directory: str) -> None:
    """Fork a child that outlives the turn in which it was forked, and write while it lives."""
    store = open_store(directory)
    reading, writing = os.pipe()
    with store._turn():
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    store.update(lambda before: replace(before, reason="written"))
    os.close(writing)
    os.waitpid(child, 0)
    print(store.read().reason)


def die_in_turn(directory: str) -> None:
    """Be killed in the middle of a turn in which a child was forked; that one lives until the standard input ends."""
    with open_store(directory)._turn():
        if os.fork() == 0:
            sys.stdin.read()
            os._exit(0)
        print("mine", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


def answer_bell(directory: str) -> None:
    """Join, say so, and say when somebody rings."""
    rung = threading.Event()
    roster = Roster(Path(directory))
    roster.join(rung.set)
    print("listening", flush=True)
    rung.wait(60)
    print("rung", flush=True)
    sys.stdin.read()


def identity() -> None:
    print(embedded_directory().name)


def forked() -> None:
    """What this process and a fork of it are called."""
    print(embedded_directory().name, flush=True)
    child = os.fork()
    if child == 0:
        print(embedded_directory().name, flush=True)
        os._exit(0)
    os.waitpid(child, 0)


def spawned(method: str) -> None:
    """What this process and a child of multiprocessing are called."""
    print(embedded_directory().name, flush=True)
    child = multiprocessing.get_context(method).Process(target=identity)
    child.start()
    child.join()


def linger(directory: str) -> None:
    """Be a service until the standard input ends; its state stands below a directory."""
    with base_at(directory):
        place = embedded_directory()
        FileStore(place, Snapshot(1, killed=False, created_at=time.time()))
        print(place.name, root_process() == os.getpid(), flush=True)
        sys.stdin.read()


@contextmanager
def base_at(directory: str):
    from faultware.state import service

    before = service._base
    service._base = lambda: Path(directory)
    try:
        yield
    finally:
        service._base = before


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
