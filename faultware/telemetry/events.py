"""What can happen, as data, and who may be told. Knows nothing of logs, metrics or files.

Times are wall-clock seconds since the epoch. Names, paths and reasons are written by others: events carry them as
they came; a document of an event carries only what is printable, and not more of it than somebody would read.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, Protocol, TypeAlias, assert_never

from faultware.telemetry.forking import ForkAware

MAX_PATH: Final = 200
MAX_TEXT: Final = 500
MAX_NAMES: Final = 100


@dataclass(frozen=True, slots=True)
class FaultInjected:
    """A fault begins.

    Args:
        at: When.
        rule: The rule's name.
        fault: The fault's kind.
        method: The request's.
        path: The request's, as the application routes by it.
        delay_seconds: How long this fault holds the request; 0 when it does not.
        dry_run: Whether it was only decided, and not done.
    """

    at: float
    rule: str
    fault: str
    method: str
    path: str
    delay_seconds: float
    dry_run: bool


@dataclass(frozen=True, slots=True)
class SwitchKilled:
    """Somebody stopped all faults."""

    at: float
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class SwitchArmed:
    """Somebody allowed faults; `until` is a wall-clock time, None: until somebody stops them."""

    at: float
    actor: str
    until: float | None


@dataclass(frozen=True, slots=True)
class RulesChanged:
    """Somebody changed the rules; `names` are those in force now, in order."""

    at: float
    actor: str
    version: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReloadFailed:
    """A configuration cannot be used; the last good one stays."""

    at: float
    message: str


@dataclass(frozen=True, slots=True)
class InternalError:
    """Something of faultware's own went wrong; the request passed."""

    at: float
    stage: str
    message: str


@dataclass(frozen=True, slots=True)
class AccessRefused:
    """Somebody was not let in to the control endpoint.

    Args:
        at: When.
        actor: Whose token it was, if it was one.
        origin: From where.
        reason: `token`, `role`, `host` or `site`.
        failures: How many wrong tokens have come from there lately.
    """

    at: float
    actor: str
    origin: str
    reason: str
    failures: int


Event: TypeAlias = (
    FaultInjected | SwitchKilled | SwitchArmed | RulesChanged | ReloadFailed | InternalError | AccessRefused
)


class Observer(Protocol):
    """Is told of events, on the thread on which they happen: it must be quick, and must not wait."""

    def notice(self, event: Event) -> None:
        """Something happened."""
        ...


def printable(text: str, limit: int = MAX_TEXT) -> str:
    """What can be printed of the first `limit` characters: no control characters, line breaks or surrogates."""
    text = text[:limit]
    return text if text.isprintable() else "".join(character for character in text if character.isprintable())


def event_document(event: Event) -> dict[str, Any]:
    """An event as JSON can carry it: its `type`, and its fields under their names."""
    match event:
        case FaultInjected():
            return {
                "type": "fault_injected",
                "at": event.at,
                "rule": printable(event.rule),
                "fault": printable(event.fault),
                "method": printable(event.method, MAX_PATH),
                "path": printable(event.path, MAX_PATH),
                "delay_seconds": event.delay_seconds,
                "dry_run": event.dry_run,
            }
        case SwitchKilled():
            actor, reason = printable(event.actor), printable(event.reason)
            return {"type": "switch_killed", "at": event.at, "actor": actor, "reason": reason}
        case SwitchArmed():
            return {
                "type": "switch_armed",
                "at": event.at,
                "actor": printable(event.actor),
                "until": event.until,
            }
        case RulesChanged():
            return {
                "type": "rules_changed",
                "at": event.at,
                "actor": printable(event.actor),
                "version": event.version,
                "rules": len(event.names),
                "names": [printable(name) for name in event.names[:MAX_NAMES]],
            }
        case ReloadFailed():
            return {"type": "reload_failed", "at": event.at, "message": printable(event.message)}
        case InternalError():
            stage, message = printable(event.stage), printable(event.message)
            return {"type": "internal_error", "at": event.at, "stage": stage, "message": message}
        case AccessRefused():
            return {
                "type": "access_refused",
                "at": event.at,
                "actor": printable(event.actor),
                "origin": printable(event.origin),
                "reason": event.reason,
                "failures": event.failures,
            }
        case _:
            assert_never(event)


class EventRing(ForkAware):
    """Keeps the last events of this process, numbered from 1.

    Args:
        size: How many.
    """

    def __init__(self, size: int = 256) -> None:
        super().__init__()
        self._events: deque[Event] = deque(maxlen=size)
        self._last = 0

    @property
    def last(self) -> int:
        """The number of the newest event; 0 when nothing has happened."""
        return self._last

    def notice(self, event: Event) -> None:
        """Keep an event. Not of those who were not let in: they could push out everything else."""
        if isinstance(event, AccessRefused):
            return
        if isinstance(event, FaultInjected) and len(event.path) > MAX_PATH:
            # A client chooses the length of a path: it must not choose how much memory is kept.
            event = replace(event, path=event.path[:MAX_PATH])
        with self.lock:
            self._last += 1
            self._events.append(event)

    def since(self, sequence: int) -> tuple[list[dict[str, Any]], int]:
        """The events after the one numbered `sequence`, oldest first, and how many more there were.

        Each is the document of the event with its number as `sequence`. A number that was not given out yet was
        given by another process: everything that is kept is new, then.
        """
        with self.lock:
            last, kept = self._last, len(self._events)
            after = sequence if 0 <= sequence <= last else 0
            first = max(after, last - kept)
            events = list(islice(self._events, first - (last - kept), None))
        documents = [
            {"sequence": number, **event_document(event)} for number, event in enumerate(events, start=first + 1)
        ]
        return documents, first - after
