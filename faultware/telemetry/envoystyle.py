"""What Envoy's fault filter counts, under Envoy's own names, so that its dashboards go on working.

The samples are called as Envoy calls them, without the ending that the library gives a counter; so they are gauges to
the library that only grow, and are summed over all processes, those that ended included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from prometheus_client import Gauge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import Metric

PREFIX: Final = "envoy_http_fault_"
# Envoy's label for the listener that counts; there is none here.
LABEL: Final = "envoy_http_conn_manager_prefix"
VALUE: Final = "faultware"

_Mode: TypeAlias = Literal["sum", "livesum"]
# By the kind of a fault, or the reason for which one did not come about.
_COUNTERS: Final[Mapping[str, tuple[str, str]]] = {
    "abort": ("aborts_injected", "Requests that were aborted."),
    "delay": ("delays_injected", "Requests that were delayed."),
    "throttle": ("response_rl_injected", "Responses that were limited."),
    "max_active": ("faults_overflow", "Faults that were too many at one time."),
}


class EnvoyStyle:
    """The metrics of one registry in Envoy's terms. Not registered anywhere by itself."""

    def __init__(self) -> None:
        self._counters = {kind: _gauge(name, told, "sum") for kind, (name, told) in _COUNTERS.items()}
        self._active = _gauge("active_faults", "Requests that are being faulted now.", "livesum")
        self._is_shown = False

    def add(self, kind: str, more: int) -> None:
        """Count faults of a kind, or those that did not come about for a reason; others Envoy does not know."""
        counter = self._counters.get(kind)
        if counter is not None:
            counter.labels(VALUE).inc(more)

    def set_active(self, active: int) -> None:
        """Say how many are active; from then on there are series, at 0 too."""
        self._active.labels(VALUE).set(active)
        if not self._is_shown:
            self._is_shown = True
            for counter in self._counters.values():
                counter.labels(VALUE)

    def collect(self) -> Iterator[Metric]:
        """The values of this process."""
        for family in (*self._counters.values(), self._active):
            yield from family.collect()


def _gauge(name: str, documentation: str, mode: _Mode) -> Gauge:
    return Gauge(PREFIX + name, documentation, (LABEL,), registry=None, multiprocess_mode=mode)
