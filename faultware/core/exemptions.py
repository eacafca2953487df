"""Paths that faults do not reach: what keeps a service observable and alive while it is being tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faultware.core.matching import PathMatch

if TYPE_CHECKING:
    from faultware.core.rules import Rule

# Health, readiness and metrics, under the names that Kubernetes, Prometheus, Spring and load balancers made usual.
CUSTOMARY = tuple(
    PathMatch(segments=path)
    for path in (
        "/health",
        "/healthz",
        "/healthcheck",
        "/live",
        "/livez",
        "/liveness",
        "/ready",
        "/readyz",
        "/readiness",
        "/startupz",
        "/metrics",
        "/-/healthy",
        "/-/ready",
    )
)


@dataclass(frozen=True, slots=True)
class Exemptions:
    """Which paths are out of bounds.

    Args:
        excluded: The operator's own list: it always wins.
        customary: Health, readiness and metrics paths: a rule that names one exactly still reaches it.
    """

    excluded: tuple[PathMatch, ...] = ()
    customary: tuple[PathMatch, ...] = CUSTOMARY

    def allow(self, rule: Rule, path: str) -> bool:
        """Whether a rule whose path condition holds may act on this path."""
        if any(exempt.accepts(path) for exempt in self.excluded):
            return False
        if any(exempt.accepts(path) for exempt in self.customary):
            return rule.match.names_exactly(path)
        return True
