"""Which store a URL means: for a service that is being built, and for somebody who reaches into one from outside."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from faultware.config.storeurl import read_redis_url
from faultware.errors import ConfigurationError, SettingsError, StoreError
from faultware.state.file import FileStore
from faultware.state.memory import MemoryStore
from faultware.state.mounted import MountedStore
from faultware.state.service import embedded_directory, started_at
from faultware.state.store import Deed, Snapshot, killed_by

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
    if _is_redis(settings.store):
        return _redis_store(settings.store, initial, clocks)
    if settings.store.startswith("mounted:"):
        path = Path(settings.store.removeprefix("mounted:"))
        try:
            return MountedStore(path, _embedded_store(initial), wall=clocks.wall)
        except ConfigurationError as error:
            raise SettingsError(str(error), where="FAULTWARE_STORE") from None
    if settings.store:
        try:
            return _kept_store(Path(settings.store.removeprefix("file:")), initial)
        except StoreError as error:
            hint = "a directory that this user can write to, on a local file system"
            raise SettingsError(str(error), where="FAULTWARE_STORE", hint=hint) from None
    return _embedded_store(initial)


def _embedded_store(initial: Snapshot) -> Store:
    """A store for all workers of this service on this host."""
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
        deed = Deed(initial.created_at, initial.actor, "", "kill", "", 0)
        store.kill(lambda before: killed_by(before, deed))
    return store


def _is_redis(url: str) -> bool:
    return url.startswith(("redis:", "rediss:", "redis+", "rediss+"))


def _redis_store(url: str, initial: Snapshot, clocks: Clocks) -> Store:
    """A store that many hosts share, and that may be away: a service starts all the same, without faults.

    Whoever says off wins, but not against those who serve already: a replica that is added to others does what they do.
    """
    # The client loads asyncio: not before somebody asks for it.
    from faultware.state.redis import RedisStore  # noqa: PLC0415

    now = clocks.wall()
    store = RedisStore(read_redis_url(url), initial, started_at=started_at(now), wall=clocks.wall)
    try:
        store.read()
    except StoreError as error:
        _log.warning("no faults until the store answers: %s", error)
    finally:
        # A process that is forked from this one must not inherit its connections.
        store.close()
    return store


def reach(url: str) -> Store:
    """The store of a service that is running, or was.

    Args:
        url: As `read_store` has read it.

    Raises:
        StoreError: It does not answer, or there is none.
    """
    if _is_redis(url):
        from faultware.state.redis import RedisStore  # noqa: PLC0415

        store = RedisStore(read_redis_url(url), None)
        store.read()
        return store
    if url.startswith("mounted:"):
        raise StoreError(f"{url}: this store can only be read; reach each service by its URL or its kill file")
    if not url.startswith("file:"):
        raise StoreError("only the process itself can reach what it keeps in its memory")
    directory = Path(url.removeprefix("file:"))
    # A mistyped path must not become a store that nobody looks at.
    if not (directory / "switch").exists():
        raise StoreError(f"{url}: there is no state here")
    # If the switch has outlived the state, nothing is armed by it.
    now = time.time()
    return FileStore(directory, Snapshot(1, killed=True, created_at=now, changed_at=now, actor="command line"))
