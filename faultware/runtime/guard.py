"""Watches the guards, and kills the switch when one is tripped: faults that do harm stop by themselves.

Runs in the refresher's thread, and asks elsewhere (a health check, Prometheus) in a thread of its own, so that neither
can hold up a kill. A guard that cannot be measured counts as tripped.
"""

from __future__ import annotations

import json
import math
import threading
import time
import urllib.parse
import urllib.request
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faultware.core.guards import Guard, measure
from faultware.errors import FaultwareError, RuleError
from faultware.telemetry.events import SwitchKilled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faultware.runtime.injector import Injector

ACTOR: Final = "guard"
_ASK_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 5.0
# Nothing was heard for so long: it cannot be measured.
_SILENCE_SECONDS: Final = 15.0
_MAX_ANSWER: Final = 1024 * 1024


class Watch:
    """The guards of one process.

    Args:
        guards: Those of the start; the store may hold others.
        read: Makes guards of the texts that the store holds.
        health: The application's own check, if it has one: false, or an exception, means that it is not well.
        prometheus_url: Where queries are asked.
        has_loop: Whether there is an event loop that can be late.

    Raises:
        RuleError: A guard measures what cannot be measured here.
    """

    def __init__(
        self,
        guards: Sequence[Guard],
        *,
        read: Callable[[object], tuple[Guard, ...]],
        health: Callable[[], object] | None = None,
        prometheus_url: str = "",
        has_loop: bool = True,
    ) -> None:
        self.startup = tuple(guards)
        self._read = read
        self._has_loop = has_loop
        self._has_health = health is not None
        self._has_prometheus = bool(prometheus_url)
        self._elsewhere = Elsewhere(health, prometheus_url)
        self.check(self.startup)
        self._texts: tuple[str, ...] | None = None
        self.guards = self.startup
        # When the switch was armed for which there are measurements; None: there are none.
        self._armed_at: float | None = None
        self._sent_at: float | None = None
        self._lag_seconds = 0.0
        self._values: dict[Guard, float | None] = {}

    def check(self, guards: Sequence[Guard]) -> None:
        """Refuse guards that cannot be measured here: they would count as tripped.

        Raises:
            RuleError: Naming the guard, and what it needs.
        """
        for guard in guards:
            match guard.metric:
                case "lag" if not self._has_loop:
                    raise RuleError("WSGI has no event loop that could be late", where=str(guard), hint="leave it out")
                case "health" if not self._has_health:
                    hint = "FaultMiddleware(app, health=function)"
                    raise RuleError("the application has given no health check", where=str(guard), hint=hint)
                case "query" if not self._has_prometheus:
                    hint = "set FAULTWARE_PROMETHEUS_URL"
                    raise RuleError("nobody knows where Prometheus is", where=str(guard), hint=hint)
                case _:
                    pass

    def tick(self, injector: Injector) -> None:
        """Look at all guards; kill the switch if one is tripped."""
        self._follow(injector)
        if injector.is_stopped:
            self._armed_at = None
            return
        # Who kills and arms within one tick has armed all the same.
        if self._armed_at is None or self._armed_at != injector.armed_at:
            self._armed_at = injector.armed_at
            injector.traffic.forget()
            self._elsewhere.forget()
            self._sent_at, self._lag_seconds = None, 0.0
        whole = injector.caps.budgets.traffic_percentage < 100
        injector.traffic.is_whole = whole or any(guard.metric == "in_flight" for guard in self.guards)
        if self.guards or whole:
            injector.measure()
        self._elsewhere.watch(self.guards)
        for guard in self.guards:
            value = self._values[guard] = self._value(guard, injector)
            if value is not None and guard.is_beyond(value):
                self._trip(guard, value, injector)
                return

    def document(self) -> list[dict[str, Any]]:
        """The guards and what was measured last, as JSON says it."""
        document: list[dict[str, Any]] = []
        for guard in self.guards:
            value = self._values.get(guard)
            is_number = value is not None and math.isfinite(value)
            shown = None if value is None else guard.shown(value)
            document.append({"guard": str(guard), "value": value if is_number else None, "shown": shown})
        return document

    def _follow(self, injector: Injector) -> None:
        """Take what the store says, if it says something else."""
        snapshot = injector.snapshot
        texts = None if snapshot is None else snapshot.abort_when
        if texts != self._texts:
            self._texts = texts
            self.guards = self.startup if texts is None else self._read(texts)
            self._values = {}

    def _value(self, guard: Guard, injector: Injector) -> float | None:
        match guard.metric:
            case "memory":
                return _resident_bytes()
            case "in_flight":
                return float(injector.traffic.in_flight)
            case "lag":
                return self._lag(injector)
            case "health" | "query":
                return self._elsewhere.value(guard)
            case _:
                return measure(guard, injector.traffic.since(guard.window_seconds))

    def _lag(self, injector: Injector) -> float | None:
        """How late the event loop is: something is handed to it at each tick, and it says when it came to it."""
        pulse, clock = injector.pulse, injector.clocks.monotonic
        if pulse is None:
            return None
        now = clock()
        if self._sent_at is not None:
            return max(self._lag_seconds, now - self._sent_at)
        self._sent_at = now
        with suppress(RuntimeError):  # the loop has ended, and the service with it
            pulse(lambda: self._beat(now, clock()))
        return self._lag_seconds

    def _beat(self, sent_at: float, now: float) -> None:
        self._lag_seconds, self._sent_at = now - sent_at, None

    def _trip(self, guard: Guard, value: float, injector: Injector) -> None:
        reason = f"{guard}: {guard.shown(value)}"
        injector.trips[guard.metric] += 1
        try:
            injector.kill(ACTOR, reason)
        except FaultwareError as error:
            # The killed bit is up all the same; what did not work is to write down why.
            injector.failed("store", error)
        finally:
            injector.tell(SwitchKilled(injector.clocks.wall(), ACTOR, reason))


class Elsewhere:
    """What is asked of others: the application's health check, and Prometheus.

    Args:
        health: The check.
        prometheus_url: The root of Prometheus' HTTP interface.
    """

    def __init__(self, health: Callable[[], object] | None, prometheus_url: str) -> None:
        self._health = health
        self._url = prometheus_url.rstrip("/")
        self._heard: dict[Guard, tuple[float, float]] = {}
        self._asked: tuple[Guard, ...] = ()
        self._since = 0.0
        self._thread: threading.Thread | None = None

    def watch(self, guards: Sequence[Guard]) -> None:
        """Ask for these from now on. Starts a thread if there is something to ask and none asks in this process."""
        asked = tuple(guard for guard in guards if guard.metric in ("health", "query"))
        if asked != self._asked:
            self._asked, self._since, self._heard = asked, time.monotonic(), {}
        if asked and (self._thread is None or not self._thread.is_alive()):
            self._since = time.monotonic()
            self._thread = threading.Thread(
                target=_ask_on, args=(weakref.ref(self),), name="faultware-guard", daemon=True
            )
            self._thread.start()

    def forget(self) -> None:
        """Begin anew."""
        self._heard, self._since = {}, time.monotonic()

    def value(self, guard: Guard) -> float | None:
        """What was heard last; not a number, if nothing has been heard for too long; None: it is too early to say."""
        value, at = self._heard.get(guard, (None, self._since))
        return math.nan if time.monotonic() - at > _SILENCE_SECONDS else value

    def ask(self) -> None:
        """Ask once, for everything."""
        for guard in self._asked:
            try:
                value = self._unhealthy() if guard.metric == "health" else self._query(guard.query)
            except Exception:  # noqa: BLE001  (whoever cannot answer is not well)
                value = math.nan if guard.metric == "query" else 1.0
            self._heard = {**self._heard, guard: (value, time.monotonic())}

    def _unhealthy(self) -> float:
        return 0.0 if self._health is None or self._health() else 1.0

    def _query(self, query: str) -> float:
        url = f"{self._url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(url, timeout=_PATIENCE_SECONDS) as answer:  # noqa: S310  (http and https only)
            result = json.loads(answer.read(_MAX_ANSWER))["data"]
        samples = [result["result"]] if result["resultType"] == "scalar" else [one["value"] for one in result["result"]]
        # The worst of several series would need to know which way is worse: one series is asked for.
        return float(samples[0][1]) if len(samples) == 1 else math.nan


def _ask_on(owner: weakref.ref[Elsewhere]) -> None:
    while (elsewhere := owner()) is not None:
        elsewhere.ask()
        del elsewhere
        time.sleep(_ASK_SECONDS)


def _resident_bytes() -> float:
    """How much memory this process has (proc(5), statm); not a number where nobody says."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return math.nan
    import resource  # noqa: PLC0415  (POSIX only, like the stores)

    return float(pages * resource.getpagesize())
