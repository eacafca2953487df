"""What a process does for its injector while no request asks: obeys the kill file, follows the store, reloads, reports.

All of it happens in the refresher's thread and waits for no network, so that a kill file is obeyed in time whatever has
become of the store. The injector is given to each step and not held: it ends with its last user.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from faultware.core.quantities import duration
from faultware.errors import FaultwareError, StoreError
from faultware.runtime.refresher import HELD_SECONDS, IDLE_SECONDS
from faultware.runtime.switch import CLOCK, TIME_OVER
from faultware.state.store import KILLED
from faultware.telemetry.events import ReloadFailed, SwitchArmed, SwitchKilled

if TYPE_CHECKING:
    from faultware.runtime.injector import Injector

_FLUSH_SECONDS: Final = 1.0
# Who stops faults when nobody can tell any more what is meant to happen, as the audit log has it.
STORE: Final = "store"


class Upkeep:
    """The steps, and what they remember.

    Args:
        grace_seconds: How long rules outlive the last answer of the store.
    """

    def __init__(self, grace_seconds: float) -> None:
        self.grace_seconds = grace_seconds
        self._chores_at = 0.0
        self._flush_at = 0.0
        self._complaint = ""
        self._has_told_cut = False

    def tick(self, injector: Injector) -> float:
        """Do all that is due; how many seconds may pass until the next time."""
        # One step that fails does not keep the next from being done: no store is needed to see a kill file.
        failure: FaultwareError | None = None
        for step in (_obey_kill_file, _follow, self._mind_age, _end_arming, _reload, self._do_chores, self._flush):
            try:
                step(injector)
            except FaultwareError as error:
                failure = failure or error
            except Exception as error:  # noqa: BLE001  (the thread must live on)
                injector.failed("refresh", error)
            if injector.is_stopped:
                injector.release()
        self._complain(injector, failure)
        switched_at = 0.0 if injector.snapshot is None else injector.snapshot.changed_at
        injector.switch.store.report(injector.version, killed=injector.is_stopped, switched_at=switched_at)
        return HELD_SECONDS if len(injector.holding) else IDLE_SECONDS

    def _mind_age(self, injector: Injector) -> None:
        """Rules do not outlive the last answer of the store by more than the grace; with the next one they go on."""
        store = injector.switch.store
        now = injector.clocks.wall()
        age = store.age_seconds
        if age > self.grace_seconds:
            # Not where it has not answered this process at all yet: then nothing has been going on here.
            if age < math.inf and not injector.is_cut and not injector.switch.killed:
                self._has_told_cut = True
                reason = f"it has not answered for {duration(self.grace_seconds)}"
                injector.tell(SwitchKilled(now, STORE, reason))
            injector.cut()
        elif injector.is_cut:
            injector.mend()
            if self._has_told_cut and not injector.switch.killed:
                until = None if injector.snapshot is None else injector.snapshot.armed_until
                injector.tell(SwitchArmed(now, STORE, until))
            self._has_told_cut = False

    def _do_chores(self, injector: Injector) -> None:
        now = injector.clocks.monotonic()
        # Ticks come many times as often while requests are held, for the sake of the kill file alone.
        if len(injector.holding) and now < self._chores_at:
            return
        self._chores_at = now + IDLE_SECONDS
        for chore in injector.chores:
            try:
                chore(injector)
            except Exception as error:  # noqa: BLE001  (the others must be done, too)
                injector.failed("chore", error)

    def _flush(self, injector: Injector) -> None:
        now = injector.clocks.monotonic()
        if now >= self._flush_at:
            self._flush_at = now + _FLUSH_SECONDS
            injector.metrics.flush()

    def _complain(self, injector: Injector, failure: FaultwareError | None) -> None:
        """The last good rules stay until they expire; said once for each new reason."""
        complaint = "" if failure is None else str(failure)
        if failure is not None:
            injector.last_reload = (False, injector.last_reload[1])
            injector.internal_errors["store" if isinstance(failure, StoreError) else "reload"] += 1
            if complaint != self._complaint:
                injector.tell(ReloadFailed(injector.clocks.wall(), complaint))
        self._complaint = complaint


def _obey_kill_file(injector: Injector) -> None:
    switch = injector.switch
    if not switch.killed and switch.kill_file_exists():
        try:
            injector.kill("kill file")
        finally:
            injector.tell(SwitchKilled(injector.clocks.wall(), "kill file", ""))
    injector.is_unsure = False


def _follow(injector: Injector) -> None:
    store = injector.switch.store
    try:
        store.follow()
    finally:
        injector.take_signal()


def _end_arming(injector: Injector) -> None:
    """The rules have ended by their deadlines; this makes the switch say so."""
    until = None if injector.snapshot is None else injector.snapshot.armed_until
    if until is None or injector.switch.killed or injector.clocks.wall() < until:
        return
    if injector.switch.end_arming() is not None:
        injector.tell(SwitchKilled(injector.clocks.wall(), CLOCK, TIME_OVER))


def _reload(injector: Injector) -> None:
    word, rules = injector.loaded
    now = injector.clocks.monotonic()
    is_new = injector.signal[0] not in (word, word | KILLED)
    if is_new or not injector.last_reload[0] or rules.ends_at <= now:
        injector.refresh()
    # Armed again, before anything was written about the kill; or a request was slow to put away what it had looked at.
    if injector.signal[0] == injector.loaded[0] != injector.view.word and not injector.switch.killed:
        injector.look()
