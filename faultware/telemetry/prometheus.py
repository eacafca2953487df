"""The metrics, through prometheus-client. Loads that library: import this module late. Decides nothing.

Requests count into the plain numbers of each rule's `Tally`. `flush` carries what came since the last flush over
into the library's counters; the runtime calls it about once a second, and a scrape of the registry calls it first.
So counting takes no lock of the library, and multiprocess mode adds up as it does for any other counter.

Several processes, with `PROMETHEUS_MULTIPROC_DIR`:

* Each process writes files of its own, named by its number; counters are summed, gauges combined by their mode.
* What a parent had counted when it forked is the parent's to flush: a child takes all it inherits as flushed.
* A supervisor that loads the application and never serves flushes nothing, and so leaves no gauges.
* The library forgets the gauges of a dead process only when somebody calls its `multiprocess.mark_process_dead`.
"""

from __future__ import annotations

import logging
import re
import weakref
from typing import TYPE_CHECKING, Final

import prometheus_client
from prometheus_client.exposition import choose_encoder

from faultware.errors import SettingsError
from faultware.telemetry import envoystyle
from faultware.telemetry.envoystyle import EnvoyStyle
from faultware.telemetry.families import MAX_RULE_LABELS, OTHER, PREFIX, Families
from faultware.telemetry.forking import ForkAware
from faultware.telemetry.multiprocess import VARIABLE, directory_problem, families_of_all_processes, is_multiprocess
from faultware.telemetry.readings import Readings, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client import CollectorRegistry, Counter
    from prometheus_client.core import Metric

    from faultware.core.ruleset import LiveRule, Tally

__all__ = ["MAX_RETIRED", "MAX_RULE_LABELS", "OTHER", "Metrics", "Readings", "Source"]

# Requests may still count into rules that are gone, as long as they are held: so many such rules are looked at again.
MAX_RETIRED: Final = 1000

# prometheus-client 0.26 fails on a wanted version that is not made of numbers, and repeats it in its content type.
_STRANGE_VERSION: Final = re.compile(r"version=(?!\d{1,3}(\.\d{1,3}){0,2}\s*([;,]|$))", re.ASCII)

_log = logging.getLogger("faultware")


class Metrics(ForkAware):
    """The metrics of one registry, and the collector that stands for them there. Obtained by `Metrics.on`.

    Args:
        works: False: nothing can be measured here; every method does nothing, and `render` gives no samples.
    """

    def __init__(self, *, works: bool = True) -> None:
        super().__init__()
        self._works = works
        self._families = Families()
        self._envoy: EnvoyStyle | None = None
        self._watched: list[_Watched] = []
        self._flushed: dict[Tally, _Flushed] = {}
        self._retired: dict[Tally, None] = {}
        self._is_flushing = False
        self._is_failing = False

    @classmethod
    def on(cls, registry: CollectorRegistry | None = None) -> Metrics:
        """The metrics of a registry: always the same object for the same registry.

        Args:
            registry: None: the library's own.

        Raises:
            SettingsError: Somebody else registered one of the names there.
        """
        registry = prometheus_client.REGISTRY if registry is None else registry
        with _instances_guard.lock:
            metrics = _instances.get(registry)
            if metrics is None:
                problem = directory_problem()
                metrics = cls(works=not problem)
                if problem:
                    _log.warning("faultware runs without metrics: %s %s", VARIABLE, problem)
                else:
                    _register(metrics, registry)
                _instances[registry] = metrics
            return metrics

    def count_as_envoy(self) -> None:
        """Show from now on, besides, what Envoy's fault filter would count, under its names."""
        with self.lock:
            self._envoy = self._envoy or EnvoyStyle()

    def watch(self, source: Source) -> None:
        """Include a source from now on, for as long as somebody else holds it. It must allow weak references."""
        with self.lock:
            if all(watched.source() is not source for watched in self._watched):
                self._watched.append(_Watched(source))

    def observe_delay(self, rule: str, seconds: float) -> None:
        """Note that a request is held for so many seconds.

        Raises:
            OSError: The directory of multiprocess mode has become unusable.
        """
        if self._works:
            self._families.delays(self._label(rule)).observe(seconds)

    def flush(self) -> None:
        """Carry over what was counted since the last flush. Raises nothing: a lasting failure is logged once."""
        failure: Exception | None = None
        with self.lock:
            # A signal handler or a finalizer may come here on a thread that is already in the middle of it.
            if self._is_flushing or not self._works:
                return
            self._is_flushing = True
            try:
                self._carry_over()
            except Exception as error:  # noqa: BLE001  (a scrape and the runtime's thread must go on)
                failure = error
            finally:
                self._is_flushing = False
            is_news = failure is not None and not self._is_failing
            self._is_failing = failure is not None
        if is_news:
            _log.warning("metrics cannot be brought up to date", exc_info=failure)

    def describe(self) -> Iterator[Metric]:
        """The names this collector owns in its registry; counts nothing."""
        return self._families.describe()

    def collect(self) -> Iterator[Metric]:
        """What a scrape of the registry shows: this process, up to date."""
        self.flush()
        yield from self._families.collect()
        if self._envoy is not None:
            yield from self._envoy.collect()

    def render(self, accept: str) -> tuple[bytes, str]:
        """The metrics of faultware and of nobody else, of all processes in multiprocess mode.

        Args:
            accept: The request's `Accept` header; decides between the Prometheus text format and OpenMetrics.

        Returns:
            The body and its content type.

        Raises:
            SettingsError: The directory of multiprocess mode is gone.
        """
        encoder, content_type = choose_encoder("" if _STRANGE_VERSION.search(accept) else accept)
        if not self._works:
            return encoder(_Fixed(())), content_type
        if not is_multiprocess():
            return encoder(self), content_type
        self.flush()
        if problem := directory_problem():
            raise SettingsError(problem, where=VARIABLE, hint="a directory that this user can write to")
        prefixes = (PREFIX,) if self._envoy is None else (PREFIX, envoystyle.PREFIX)
        return encoder(_Fixed(families_of_all_processes(prefixes))), content_type

    def after_fork(self) -> None:
        """In a forked child: everything counted up to here is the parent's to flush."""
        self._is_flushing = False
        for watched in self._watched:
            source = watched.source()
            if source is not None:
                readings = source.readings()
                watched.errors = dict(readings.internal_errors)
                watched.refusals = dict(readings.refusals)
                watched.trips = dict(readings.trips)
                self._enter(readings.live)
            self._enter(watched.live)
        for tally, flushed in self._flushed.items():
            flushed.take_as_flushed(tally)

    def _carry_over(self) -> None:
        # First what must not be missed, without the library; then what may fail, and is then done at the next flush.
        seen = self._look()
        for watched, readings in seen:
            self._count_own(self._families.errors, readings.internal_errors, watched.errors)
            self._count_own(self._families.refusals, readings.refusals, watched.refusals)
            self._count_own(self._families.trips, readings.trips, watched.trips)
            self._enter(readings.live)
        for tally, flushed in self._flushed.items():
            self._count(flushed, tally)
        for tally in list(self._retired)[:-MAX_RETIRED]:
            del self._retired[tally], self._flushed[tally]
        self._set_gauges([readings for _, readings in seen])

    def _look(self) -> list[tuple[_Watched, Readings]]:
        """Read every source, and retire the rules that are gone from all of them."""
        seen: list[tuple[_Watched, Readings]] = []
        have_changed = False
        for watched in tuple(self._watched):
            source = watched.source()
            if source is None:
                self._watched.remove(watched)
                self._enter(watched.live)
                have_changed = True
                continue
            readings = source.readings()
            seen.append((watched, readings))
            if readings.live is not watched.live:
                self._enter(watched.live)
                watched.live = readings.live
                have_changed = True
        if have_changed:
            alive = {entry.tally for watched in self._watched for entry in watched.live}
            for tally in self._flushed:
                if tally in alive:
                    self._retired.pop(tally, None)
                else:
                    self._retired.setdefault(tally)
            for _, readings in seen:
                self._show_zeros(readings.live)
        return seen

    def _enter(self, rules: Iterable[LiveRule]) -> None:
        """Begin to carry over rules that have matched; of the others nothing has been counted."""
        for entry in rules:
            if entry.tally.matched and entry.tally not in self._flushed:
                self._flushed[entry.tally] = _Flushed(self._label(entry.rule.name))

    def _count(self, flushed: _Flushed, tally: Tally) -> None:
        # From the end of a request's way to its beginning, so that a rule never shows more faults than matches; and
        # from copies, which are made in one step while requests count on.
        families, label = self._families, flushed.label
        self._count_kinds(families.injected, label, dict(tally.injected), flushed.injected)
        self._count_kinds(families.suppressed, label, dict(tally.suppressed), flushed.suppressed)
        rolled, matched = tally.rolled, tally.matched
        if rolled > flushed.rolled:
            families.child(families.rolls, label).inc(rolled - flushed.rolled)
            flushed.rolled = rolled
        if matched > flushed.matched:
            families.child(families.matches, label).inc(matched - flushed.matched)
            flushed.matched = matched

    def _count_kinds(self, family: Counter, label: str, totals: dict[str, int], flushed: dict[str, int]) -> None:
        if totals == flushed:
            return
        for kind, total in totals.items():
            more = total - flushed.get(kind, 0)
            if more > 0:
                self._families.child(family, label, kind).inc(more)
                flushed[kind] = total
                if self._envoy is not None:
                    self._envoy.add(kind, more)

    def _count_own(self, family: Counter, totals: Mapping[str, int], flushed: dict[str, int]) -> None:
        for label, total in totals.items():
            more = total - flushed.get(label, 0)
            if more > 0:
                self._families.child(family, label).inc(more)
                flushed[label] = total

    def _show_zeros(self, rules: Sequence[LiveRule]) -> None:
        """Show new series at 0 while there is room for all: a rate misses a fault that comes with its series."""
        families = self._families
        if not families.has_room({entry.rule.name for entry in rules}):
            return
        for entry in rules:
            label = self._label(entry.rule.name)
            families.child(families.matches, label)
            families.child(families.rolls, label)
            for fault in entry.rule.faults:
                families.child(families.injected, label, fault.kind)

    def _set_gauges(self, readings: Sequence[Readings]) -> None:
        """Combine the sources as multiprocess mode combines processes, except that rules add up."""
        families = self._families
        if readings:
            families.set_build()
            families.set_gauge("config_generation", min(one.generation for one in readings))
            families.set_gauge("config_last_reload_successful", min(one.last_reload_successful for one in readings))
            families.set_gauge(
                "config_last_reload_success_timestamp_seconds", min(one.last_reload_at for one in readings)
            )
        elif not families.has_gauges:
            return
        active = sum(one.active_faults for one in readings)
        families.set_gauge("active_faults", active)
        if self._envoy is not None:
            self._envoy.set_active(active)
        families.set_gauge("armed", any(one.armed for one in readings))
        families.set_gauge("rules", sum(one.rules for one in readings))

    def _label(self, rule: str) -> str:
        if self._families.has_label(rule):
            return rule
        with self.lock:
            return self._families.label(rule)


class _Watched:
    """A source, and what it showed at the last flush."""

    __slots__ = ("errors", "live", "refusals", "source", "trips")

    def __init__(self, source: Source) -> None:
        self.source: Callable[[], Source | None] = weakref.ref(source)
        self.live: Sequence[LiveRule] = ()
        self.errors: dict[str, int] = {}
        self.refusals: dict[str, int] = {}
        self.trips: dict[str, int] = {}


class _Flushed:
    """How much of a tally has been carried over."""

    __slots__ = ("injected", "label", "matched", "rolled", "suppressed")

    def __init__(self, label: str) -> None:
        self.label = label
        self.matched = 0
        self.rolled = 0
        self.injected: dict[str, int] = {}
        self.suppressed: dict[str, int] = {}

    def take_as_flushed(self, tally: Tally) -> None:
        """Carry nothing over of what the tally holds now."""
        self.matched, self.rolled = tally.matched, tally.rolled
        self.injected, self.suppressed = dict(tally.injected), dict(tally.suppressed)


class _Fixed:
    """Families that are already at hand, as an encoder wants them."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


_instances: weakref.WeakKeyDictionary[CollectorRegistry, Metrics] = weakref.WeakKeyDictionary()
_instances_guard = ForkAware()


def _register(metrics: Metrics, registry: CollectorRegistry) -> None:
    try:
        registry.register(metrics)
    except ValueError as error:
        hint = "give faultware a registry of its own: registry=CollectorRegistry()"
        message = f"somebody else has registered metrics with faultware's names: {error}"
        raise SettingsError(message, where="registry", hint=hint) from None
