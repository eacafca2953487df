"""The metrics' names, labels and modes, and their values. Knows nothing of rules or where numbers come from.

Counters take their values when a series is first used; gauges come into being when they are first set, because in
multiprocess mode a gauge that nobody sets is a file that holds a minimum at 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import Metric

from faultware import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX: Final = "faultware_"
MAX_RULE_LABELS: Final = 1000
OTHER: Final = "other"

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_Mode: TypeAlias = Literal["livesum", "livemax", "livemin"]
_GAUGES: Final[Mapping[str, tuple[str, _Mode]]] = {
    "faultware_active_faults": ("Requests that are being faulted now.", "livesum"),
    "faultware_armed": ("1 while faults may happen, 0 when every process is killed.", "livemax"),
    "faultware_rules": ("Rules in force.", "livemax"),
    "faultware_config_generation": ("Version of the configuration in force, in the slowest process.", "livemin"),
    "faultware_config_last_reload_successful": ("1 when the last reload went well everywhere.", "livemin"),
    "faultware_config_last_reload_success_timestamp_seconds": (
        "When a reload last went well, in seconds since the epoch, in the slowest process.",
        "livemin",
    ),
}


class Families:
    """All metrics of one registry. Not registered anywhere by itself."""

    def __init__(self) -> None:
        self.injected = _counter("faults_injected", "Faults that were injected.", "rule", "fault")
        self.matches = _counter("rule_matches", "Requests that met all conditions of a rule.", "rule")
        self.rolls = _counter("rule_rolls", "Requests for which a rule rolled its dice.", "rule")
        self.suppressed = _counter("faults_suppressed", "Faults that did not come about.", "rule", "reason")
        self.errors = _counter("internal_errors", "Failures of faultware's own; the request passed.", "stage")
        self.trips = _counter("guard_trips", "Guards that killed the switch.", "guard")
        self.refusals = _counter("refusals", "Requests to the control endpoint that were not let in.", "reason")
        self._delays = Histogram(
            PREFIX + "injected_delay_seconds", "Delays that were injected.", ("rule",), registry=None, buckets=_BUCKETS
        )
        self._build = Gauge(
            PREFIX + "build_info", "1, with the version.", ("version",), registry=None, multiprocess_mode="max"
        )
        self._gauges: dict[str, Gauge] = {}
        self._children: dict[tuple[Counter, tuple[str, ...]], Counter] = {}
        self._delay_children: dict[str, Histogram] = {}
        self._rule_labels: set[str] = set()

    @property
    def has_gauges(self) -> bool:
        """Whether any gauge was set in this process."""
        return bool(self._gauges)

    def child(self, family: Counter, *labels: str) -> Counter:
        """The series of a counter with these labels."""
        child = self._children.get((family, labels))
        if child is None:
            child = self._children[family, labels] = family.labels(*labels)
        return child

    def delays(self, label: str) -> Histogram:
        """The histogram of a rule."""
        child = self._delay_children.get(label)
        if child is None:
            child = self._delay_children[label] = self._delays.labels(label)
        return child

    def set_gauge(self, name: str, value: float) -> None:
        """Set the gauge whose name is this after the prefix."""
        name = PREFIX + name
        gauge = self._gauges.get(name)
        if gauge is None:
            documentation, mode = _GAUGES[name]
            gauge = self._gauges[name] = Gauge(name, documentation, registry=None, multiprocess_mode=mode)
        gauge.set(value)

    def set_build(self) -> None:
        """Say which version this is."""
        self._build.labels(__version__).set(1)

    def has_label(self, rule: str) -> bool:
        """Whether a rule has series of its own."""
        return rule in self._rule_labels

    def has_room(self, rules: set[str]) -> bool:
        """Whether all these rules can have series of their own."""
        return len(rules | self._rule_labels) <= MAX_RULE_LABELS

    def label(self, rule: str) -> str:
        """The rule's name, or `other` when the registry has as many names as it may have."""
        if rule not in self._rule_labels:
            if len(self._rule_labels) >= MAX_RULE_LABELS:
                return OTHER
            self._rule_labels.add(rule)
        return rule

    def describe(self) -> Iterator[Metric]:
        """Names and types; counts nothing and makes nothing."""
        for family in self._fixed():
            yield from family.describe()
        for name, (documentation, _) in _GAUGES.items():
            yield Metric(name, documentation, "gauge")

    def collect(self) -> Iterator[Metric]:
        """The values of this process."""
        for family in (*self._fixed(), *tuple(self._gauges.values())):
            yield from family.collect()

    def _fixed(self) -> tuple[Counter | Gauge | Histogram, ...]:
        return (
            self.injected,
            self.matches,
            self.rolls,
            self.suppressed,
            self._delays,
            self.errors,
            self.refusals,
            self.trips,
            self._build,
        )


def _counter(name: str, documentation: str, *labels: str) -> Counter:
    return Counter(PREFIX + name, documentation, labels, registry=None)
