"""The audit trail, as it is told: from a state, by the endpoint, and from a store, by the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faultware.telemetry.events import printable

if TYPE_CHECKING:
    from faultware.state.store import Snapshot


def trail(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The last changes, the newest last: who did what, from where, and both versions."""
    versions = [deed.before for deed in snapshot.deeds[1:]] + [snapshot.version]
    return [
        {
            "at": deed.at,
            "actor": printable(deed.actor),
            "origin": printable(deed.origin),
            "action": deed.action,
            "detail": printable(deed.detail),
            "version_before": deed.before,
            "version_after": after,
        }
        for deed, after in zip(snapshot.deeds, versions, strict=False)
    ]
