"""The live object that middlewares ask: rules in force, switch, clock, chance and observers in one place.

A request looks at one reference (`view`) and one flag (its `alarm`); everything that may touch a disk happens in the
refresher's thread or in an operator's call. Whatever goes wrong inside lets the request pass and is counted.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING, cast

from faultware.core.faults import Kill
from faultware.core.ruleset import RuleSet
from faultware.runtime.holding import Holding
from faultware.runtime.instances import Instances
from faultware.runtime.refresher import Refresher
from faultware.runtime.reporter import Reporter
from faultware.runtime.traffic import Traffic
from faultware.runtime.upkeep import Upkeep
from faultware.runtime.view import Glance, View
from faultware.state.store import KILLED, version_of, was_killed
from faultware.telemetry.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faultware.core.engine import Engine
    from faultware.core.exemptions import Exemptions
    from faultware.core.faults import Instance
    from faultware.core.plan import Injection, Plan
    from faultware.core.request import Request
    from faultware.core.ruleset import LiveRule
    from faultware.runtime.caps import Caps
    from faultware.runtime.exceptions import Exceptions
    from faultware.runtime.switch import Clocks, Switch
    from faultware.state.store import Signal, Snapshot
    from faultware.telemetry.events import Observer
    from faultware.telemetry.prometheus import Metrics

_log = logging.getLogger("faultware")


class Injector(Glance, Reporter):
    """Decides for each request, and keeps the rules up to date.

    Args:
        switch: The switch and the rules.
        engine: Decides.
        exemptions: Paths that rules do not reach.
        exceptions: What `raise` throws.
        observers: Hear of everything that happens.
        clocks: The times.
        caps: How many requests may be faulted in this process.
        dry_run: Decide and count, but do nothing.
        metrics: Told of delays, and asked to flush what was counted.
        grace_seconds: How long rules outlive the last answer of the store.
    """

    def __init__(
        self,
        switch: Switch,
        engine: Engine,
        *,
        exemptions: Exemptions,
        exceptions: Exceptions,
        observers: Sequence[Observer],
        clocks: Clocks,
        caps: Caps,
        dry_run: bool,
        metrics: Metrics,
        grace_seconds: float,
    ) -> None:
        super().__init__(observers, clocks, metrics)
        self.switch = switch
        self.exemptions = exemptions
        self.exceptions = exceptions
        self.holding = Holding()
        self.caps = caps
        self.leave = caps.leave
        self.dry_run = dry_run
        self.traffic = Traffic(clocks.monotonic)
        # Hands something to the event loop of this process, where there is one.
        self.pulse: Callable[[Callable[[], object]], object] | None = None
        # The file, too: whoever blocks a process under gevent blocks the refresher that would look for it.
        self.instances = Instances(
            lambda: switch.killed or switch.kill_file_exists() or switch.store.age_seconds > grace_seconds,
            engine.limits.max_delay_seconds,
        )
        # What others have the refresher's thread do each time. They are given the injector, and must not hold it.
        self.chores: list[Callable[[Injector], None]] = []
        self.last_reload: tuple[bool, float] = (True, clocks.wall())
        self._engine = engine
        # Whether `roll` may be asked instead of `decide` (see there); who asks reports what it raises.
        self.is_plain = engine.is_plain and not dry_run
        self.roll = engine.roll
        self._max_delay_seconds = engine.limits.max_delay_seconds
        # The state as last read; None: nothing is known.
        self.snapshot: Snapshot | None = None
        # When the switch was armed, by the wall clock; None: it has not been since this process began.
        self.armed_at: float | None = None
        self._lock = threading.Lock()
        self._refresher: Refresher | None = None
        self._process = 0
        # Whether nobody has looked for a kill file since this process began to serve.
        self.is_unsure = False
        # Whether nothing happens here because nobody can tell what the store holds.
        self.is_cut = False
        # How often what is held was let go, at the least.
        self.releases = 0
        self._upkeep = Upkeep(grace_seconds)
        self._nothing = RuleSet(exemptions=exemptions)
        self._idle = View(-1, self._nothing, True)
        self.signal: Signal = switch.store.signal
        # The rules as loaded, with the signal they belong to. No request sees them before this process serves one.
        self.loaded = (-1, self._nothing)
        self.refresh()
        self.look()
        _injectors.add(self)
        metrics.watch(self)
        # What was counted since the last flush must not be lost with the process.
        weakref.finalize(self, metrics.flush)

    # The way of a request.

    def current(self) -> View:
        """The view in force. Also where a change of the switch is noticed."""
        view = self.view
        return view if self.signal[0] == view.word else self._notice()

    def decide(self, view: View, candidates: Sequence[LiveRule], request: Request) -> Plan | None:
        """What to do to a request; None: nothing. A failure of our own means nothing, too."""
        try:
            # The time is asked for only where a rule can expire.
            now = self.clocks.monotonic() if view.rules.needs_time else 0.0
            plan = self._engine.decide(candidates, request, now)
            if plan is not None and view.rules.needs_means:
                plan = self._possible(plan)
            if plan is None or not self.dry_run:
                return plan
            for injection in plan.injections:
                self.spare(injection, request, "dry_run")
        except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
            self.failed("decide", error)
        return None

    def _possible(self, plan: Plan) -> Plan | None:
        """What this server can do of a plan: rules that were loaded before it was known may ask for more."""
        refused = [injection for injection in plan.injections if self.switch.capabilities.why_not(injection.fault)]
        for injection in refused:
            injection.live.tally.suppressed["impossible"] += 1
        return plan.without(refused) if refused else plan

    def carry(self, view: View, request: Request) -> Callable[[], str] | None:
        """What a request brings along for the calls that are made for it, as it is to be passed on at the time."""
        rules, current = view.rules, None
        try:
            current = None if self.dry_run else rules.carry(request)
        except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
            self.failed("decide", error)
        if current is None:
            return None

        def passed_on() -> str:
            try:
                is_over = self.is_stopped or rules.asking_until <= self.clocks.monotonic()
                return "" if is_over else current()
            except Exception as error:  # noqa: BLE001  (nor the application's)
                self.failed("decide", error)
                return ""

        return passed_on

    def enter(self, plan: Plan, request: Request | None = None) -> bool:
        """Claim a place among the faults that the caps allow; False: there is none, and the request passes."""
        reason = self.caps.enter("" if request is None else request.client, self.traffic.requests)
        if not reason:
            return True
        for injection in plan.injections:
            injection.live.tally.suppressed[reason] += 1
        return False

    def measures(self, view: View, method: str, path: str) -> bool:
        """Whether a request that sees a measured view is measured. When enough of them are, the view is no more."""
        if self.traffic.wants(method, path):
            return True
        if self.view is view:
            self.view = view.other()
        return False

    def measure(self) -> None:
        """Measure requests again, for a while."""
        self.traffic.grant()
        view = self.view
        if not view.is_measured:
            self.view = view.other()

    def act(self, injection: Injection, request: Request) -> bool:
        """Harm this process as a fault says, if it can be; `block` takes its time here, `kill` may not return."""
        fault = cast("Instance", injection.fault)
        if not self.instances.reserve(fault):
            self.withdrawn(injection, "killed" if self.instances.is_killed() else "busy")
            return False
        # Noted and written down before: afterwards it may be too late.
        self.injected(injection, request)
        if isinstance(fault, Kill):
            self.metrics.flush()
        try:
            self.instances.run(fault)
        except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
            self.failed("instance", error)
        return True

    def hang_seconds(self, asked: float | None) -> float:
        """How long a hang lasts: what its rule says, but never longer than any delay may."""
        return self._max_delay_seconds if asked is None else min(asked, self._max_delay_seconds)

    def hold(self, release: Callable[[], object]) -> None:
        """Enter a request that is about to wait: `release` is called when the switch is killed, or is so already."""
        if self.holding.add(release) and self._refresher is not None:
            self._refresher.wake()
        if self.is_stopped:
            release()

    def release(self) -> None:
        """Let go all that is held, and have the process given back what was taken of it."""
        self.releases += 1
        self.instances.stop()
        self.holding.release_all()

    # The way of the state.

    def refresh(self) -> Snapshot:
        """Put in force what the store is known to say; raises `StoreError` or a `ConfigurationError`."""
        self.signal = self.switch.store.signal
        word = self.signal[0]
        snapshot = self.switch.store.known()
        self.metrics.flush()
        known = {entry.rule.name: entry for entry in self.loaded[1].live}
        rules = self.switch.rule_set(snapshot, self.exemptions, known)
        self.loaded = (word, rules)
        before, self.snapshot = self.snapshot, snapshot
        if not snapshot.killed and snapshot.changed_at != self.armed_at:
            # Before any request sees it: what is faulted from now on is not to be forgotten again.
            if self.armed_at is not None:
                self.caps.rearm()
                self.traffic.rearm()
            self.armed_at = snapshot.changed_at
        self.last_reload = (True, self.clocks.wall())
        is_off = word & KILLED or self.is_cut
        self._show(word, self._nothing if is_off else rules)
        # Whoever armed again at once may have been faster than this process.
        if is_off or (before is not None and was_killed(snapshot, before.version)):
            self.release()
        return snapshot

    def tick(self) -> float:
        """What the refresher's thread does; how many seconds may pass until the next time."""
        return self._upkeep.tick(self)

    def kill(self, actor: str, reason: str = "", *, origin: str = "") -> Snapshot:
        """Stop all faults, here at once and then wherever the store reaches; raises `StoreError` if only here."""
        self.switch.store.stop()
        self.release()
        return self.switch.kill(actor, reason, origin=origin)

    @property
    def is_stopped(self) -> bool:
        """Whether no fault can happen here: the switch is killed, or nobody can tell whether it is."""
        return self.is_cut or self.switch.killed

    @property
    def version(self) -> int:
        """Of the state that is in force here."""
        return version_of(self.loaded[0])

    def cut(self) -> None:
        """Let no fault happen, since what the store holds is not known any more."""
        self.is_cut = True
        # Again and again: a request that was just looking may have put the old view back.
        self._show(self.signal[0], self._nothing)
        self.release()

    def mend(self) -> None:
        """What the store holds is known again: let the next request look."""
        self.is_cut = False
        self.look()

    def take_signal(self) -> None:
        """Look at the switch where it is now."""
        if self.signal is not self.switch.store.signal:
            self.signal = self.switch.store.signal
            self.look()

    def look(self) -> None:
        """Let the next request look at the switch."""
        self.view = self._idle

    @property
    def active_faults(self) -> int:
        """How many requests are being faulted now."""
        return self.caps.active

    def readings(self) -> Readings:
        """What metrics and status show."""
        _, rules = self.loaded
        now = self.clocks.monotonic()
        return Readings(
            live=rules.counted,
            active_faults=self.active_faults,
            armed=not self.is_stopped,
            rules=sum(1 for entry in rules.live if entry.deadline > now),
            generation=self.version,
            last_reload_successful=self.last_reload[0],
            last_reload_at=self.last_reload[1],
            internal_errors=dict(self.internal_errors),
            refusals=dict(self.refusals),
            trips=dict(self.trips),
        )

    def live_rules(self) -> Sequence[LiveRule]:
        """The rules as last loaded, whether armed or not, with their tallies."""
        return self.loaded[1].live

    def scanned_rules(self) -> list[str]:
        """The names of the rules that the index cannot file."""
        return self.loaded[1].scanned

    def _notice(self) -> View:
        """The signal and the view differ. Only what is in memory is looked at; the rest is the refresher's."""
        if not self._begin():
            return self._idle
        word, rules = self.loaded
        now = self.signal[0]
        if now & KILLED:
            self._show(now, self._nothing)
            self.release()
        elif now == word:
            self._show(word, self._nothing if self.is_cut else rules)
        elif self._refresher is not None:
            self._refresher.wake()
        return self.view

    def _show(self, word: int, rules: RuleSet) -> None:
        self.view = View(word, rules, self.switch.store.flag)

    def _begin(self) -> bool:
        """See to it that this process has a refresher; False: nothing may happen here yet."""
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    try:
                        # The file may be far away, and the request must not wait for it: until the refresher has
                        # looked, nothing happens here.
                        self.is_unsure = self.switch.has_kill_file
                        self._recognise()
                        if self._refresher is None:
                            self._refresher = Refresher(self)
                        else:
                            self._refresher.wake()
                        self.switch.store.begin(self._refresher.wake)
                        self.is_cut = self.switch.store.age_seconds > self._upkeep.grace_seconds
                    except Exception as error:  # noqa: BLE001  (it must not become the request's)
                        self.failed("refresh", error)
                        return False
                    self._process = os.getpid()
        return not self.is_unsure

    def _recognise(self) -> None:
        """Of the server more is known now that it calls; say which rules cannot act as they are written."""
        self.switch.capabilities.look_again()
        impossible = self.switch.capabilities.impossible(live.rule for live in self.live_rules())
        if impossible:
            _log.warning("not possible under %s: %s", self.switch.capabilities.server, "; ".join(impossible))

    def after_fork(self) -> None:
        """In a forked child: nobody is held here, no thread runs here, and the view waits for the first request."""
        self.holding = Holding()
        self._lock = threading.Lock()
        self._refresher = None
        self._process = 0
        self.pulse = None
        for part in (self.caps, self.traffic, self.instances):
            part.after_fork()
        self.look()


_injectors: weakref.WeakSet[Injector] = weakref.WeakSet()


def _after_fork() -> None:
    for injector in list(_injectors):
        injector.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
