"""Which store a URL means: for a service that is being built, and for somebody who reaches into one from outside."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from faultware.errors import SettingsError, StoreError
from faultware.state.file import FileStore
from faultware.state.memory import MemoryStore
from faultware.state.service import embedded_directory, started_at
from faultware.state.store import Deed, Snapshot, noted

if TYPE_CHECKING:
    from faultware.config.settings import Settings
    from faultware.runtime.switch import Clocks
    from faultware.state.store import Store

_log = logging.getLogger("faultware")


def open_store(settings: Settings, clocks: Clocks) -> Store:
    """The store of a service.

    Raises:
        SettingsError: The one that was named cannot be used.
    """
    now = clocks.wall()
    initial = Snapshot(1, killed=not settings.armed, created_at=now, changed_at=now, actor="settings")
    if settings.store == "memory:":
        return MemoryStore(initial)
    if settings.store:
        try:
            return _kept_store(Path(settings.store.removeprefix("file:")), initial)
        except StoreError as error:
            hint = "a directory that this user can write to, on a local file system"
            raise SettingsError(str(error), where="FAULTWARE_STORE", hint=hint) from None
    try:
        return FileStore(embedded_directory(), initial)
    except StoreError as error:
        _log.warning("the kill switch reaches this process only, set FAULTWARE_STORE=file:/a/directory: %s", error)
        return MemoryStore(initial)


def _kept_store(directory: Path, initial: Snapshot) -> Store:
    """A store that may outlive the service.

    Whoever says off wins: a service that starts disarmed kills what an earlier run of it left armed. What was armed
    since this run began stays, or a worker that starts again would undo it.
    """
    store = FileStore(directory, initial)
    snapshot = store.read()
    if initial.killed and not snapshot.killed and snapshot.changed_at < started_at(initial.created_at):
        now, actor = initial.created_at, initial.actor
        deed = Deed(now, actor, "", "kill", "", 0)
        store.kill(
            lambda before: noted(
                replace(before, killed=True, armed_until=None, changed_at=now, actor=actor, reason=""), deed
            )
        )
    return store


def reach(url: str, initial: Snapshot) -> Store:
    """The store of a service that is running, or was.

    Args:
        url: As `read_store` has read it.
        initial: What to begin with where there is nothing.

    Raises:
        StoreError: It does not answer, or there is none.
    """
    if not url.startswith("file:"):
        raise StoreError("only the process itself can reach what it keeps in its memory")
    directory = Path(url.removeprefix("file:"))
    # A mistyped path must not become a store that nobody looks at.
    if not (directory / "switch").exists():
        raise StoreError(f"{url}: there is no state here")
    return FileStore(directory, initial)
