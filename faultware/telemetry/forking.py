"""Data that threads share and that must survive a fork whole. Starts no threads and forks nothing itself.

A fork copies a lock as it stands. If another thread holds it at that moment, the child waits for a thread that does
not exist there. So these locks are taken before a fork, which also finds the data between two changes, and the child
gets new ones.
"""

from __future__ import annotations

import os
import threading
import weakref


class ForkAware:
    """Has a `lock` that is held while the process forks and that is open in the child.

    Whoever holds it takes the lock of no other object of this kind, and forks nothing.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _living.add(self)

    def hold(self) -> None:
        """Before a fork, in the parent: wait until nobody changes anything."""
        self.lock.acquire()

    def let_go(self) -> None:
        """After a fork, in the parent: go on."""
        self.lock.release()

    def renew(self) -> None:
        """After a fork, in the child, whose only thread this is: an open lock."""
        self.lock = threading.RLock()

    def after_fork(self) -> None:
        """After a fork, in the child, once all locks are open: leave to the parent what is the parent's."""


_living: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_held: list[ForkAware] = []


def _members() -> list[ForkAware]:
    """All there are; the set says that it has changed if another thread makes one meanwhile."""
    while True:
        try:
            return list(_living)
        except RuntimeError as error:
            if isinstance(error, RecursionError):  # that would not pass
                raise


def _before() -> None:
    for member in _members():
        member.hold()
        _held.append(member)


def _in_parent() -> None:
    while _held:
        _held.pop().let_go()


def _in_child() -> None:
    # uWSGI forks in C and calls nothing before it: what was held there is not relied on here.
    _held.clear()
    members = _members()
    for member in members:
        member.renew()
    for member in members:
        member.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
