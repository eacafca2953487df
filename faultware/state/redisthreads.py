"""The two threads of a process that shares a Redis: one listens, one asks. Both hold their store weakly."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from faultware.errors import StoreError
from faultware.state.redisclient import translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultware.state.redis import RedisStore

ASK_SECONDS: Final = 1.0
# While the store does not answer it is asked more often: faults are to go on soon after it is back.
RETRY_SECONDS: Final = 0.25


def keep(reach: Callable[[], RedisStore | None]) -> None:
    """Ask once a second, and whenever the bell rings."""
    while (store := reach()) is not None:
        bell, pause = store.bell, ASK_SECONDS
        bell.clear()
        try:
            store.ask()
        except StoreError as error:
            store.trouble, pause = str(error), RETRY_SECONDS
        except Exception as error:  # noqa: BLE001  (the thread must live on)
            store.trouble, pause = f"{store.url}: {type(error).__name__}: {error}", RETRY_SECONDS
        del store
        bell.wait(pause)


def listen(reach: Callable[[], RedisStore | None]) -> None:
    """Hear of every write; whatever goes wrong, subscribe again."""
    while (store := reach()) is not None:
        try:
            with translated(store.url):
                pubsub = store.client().pubsub(ignore_subscribe_messages=True)
                pubsub.subscribe(store.channel)
            # What was written while nobody listened is asked for.
            store.bell.set()
            del store
            _hear_all(reach, pubsub)
        except Exception:  # noqa: BLE001, S110  (who asks says what is wrong)
            pass
        store = None
        threading.Event().wait(RETRY_SECONDS)


def _hear_all(reach: Callable[[], RedisStore | None], pubsub: Any) -> None:
    """Until the store is gone, or does not answer: a connection that was cut in silence brings nothing any more."""
    try:
        while True:
            message = pubsub.get_message(timeout=ASK_SECONDS)
            store = reach()
            if store is None or store.trouble:
                return
            if message is not None:
                store.hear(message["data"])
            del store
    finally:
        pubsub.close()
