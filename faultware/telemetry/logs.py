"""Says in the log what happens. Adds no handler and sets no level: both are the application's.

`faultware` hears of faults and failures, sampled so that a busy rule does not fill a disk; `faultware.audit` hears
of everything somebody did to the switch or the rules, and, sampled, of those who were not let in. Each line reads as
`key=value`; the same values are attributes of the record, named `faultware_…`.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, assert_never, cast

from faultware.telemetry.events import (
    AccessRefused,
    FaultInjected,
    InternalError,
    ReloadFailed,
    RulesChanged,
    SwitchArmed,
    SwitchKilled,
    event_document,
)
from faultware.telemetry.forking import ForkAware

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faultware.telemetry.events import Event

_MAX_WINDOWS: Final = 1000
_WINDOW_SECONDS: Final = 1.0

_log = logging.getLogger("faultware")
_audit = logging.getLogger("faultware.audit")


class LogObserver(ForkAware):
    """Writes events to the log.

    Args:
        clock: A monotonic clock, in seconds.
        lines_per_second: How many lines each rule gets, and each stage in which faultware fails. A line that
            follows some that were left out says how many, as `left_out`.
    """

    def __init__(self, clock: Callable[[], float], *, lines_per_second: int = 5) -> None:
        super().__init__()
        self._clock = clock
        self._most = lines_per_second
        self._windows: dict[str, _Window] = {}

    def notice(self, event: Event) -> None:
        """Write a line about an event, or leave it out."""
        match event:
            case FaultInjected():
                message = "would inject %s" if event.dry_run else "injected %s"
                self._sample(logging.INFO, message, f"rule {event.rule}", event)
            case InternalError():
                self._sample(logging.ERROR, "internal error %s", f"stage {event.stage}", event)
            case ReloadFailed():
                self._sample(logging.WARNING, "reload failed, the last good rules stay %s", "reload", event)
            case SwitchKilled():
                _write(_audit, logging.WARNING, "killed %s", event)
            case SwitchArmed():
                _write(_audit, logging.WARNING, "armed %s", event)
            case RulesChanged():
                _write(_audit, logging.WARNING, "rules changed %s", event)
            case AccessRefused():
                self._sample(logging.WARNING, "refused %s", "access", event, _audit)
            case _:
                assert_never(event)

    def _sample(self, level: int, message: str, key: str, event: Event, logger: logging.Logger = _log) -> None:
        if not logger.isEnabledFor(level):
            return
        left_out = self._admit(key)
        if left_out is not None:
            _write(logger, level, message, event, left_out)

    def _admit(self, key: str) -> int | None:
        """How many lines with this key were left out before this one; None: leave this one out, too."""
        now = self._clock()
        with self.lock:
            if key not in self._windows and len(self._windows) >= _MAX_WINDOWS:
                key = ""
            window = self._windows.setdefault(key, _Window(now))
            if now - window.began >= _WINDOW_SECONDS:
                window.began, window.lines = now, 0
            if window.lines >= self._most:
                window.left_out += 1
                return None
            window.lines += 1
            left_out, window.left_out = window.left_out, 0
            return left_out


class _Window:
    """The lines of one key in the present second."""

    __slots__ = ("began", "left_out", "lines")

    def __init__(self, began: float) -> None:
        self.began = began
        self.lines = 0
        self.left_out = 0


class _Pairs:
    """Values that are written as `key=value` once a handler asks for the text."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __str__(self) -> str:
        return " ".join(f"{name}={_text(name, value)}" for name, value in self._values.items())


def _write(logger: logging.Logger, level: int, message: str, event: Event, left_out: int = 0) -> None:
    if not logger.isEnabledFor(level):
        return
    values = event_document(event)
    if left_out:
        values["left_out"] = left_out
    extra = {f"faultware_{'event' if name == 'type' else name}": value for name, value in values.items()}
    # The record has a time of its own, and the message names the event.
    shown = {name: value for name, value in values.items() if name not in ("type", "at")}
    logger.log(level, message, _Pairs(shown), extra=extra)


def _text(name: str, value: Any) -> str:
    match value:
        case None | bool():
            return json.dumps(value)
        case float() if name == "until":
            return datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds")
        case float():
            return f"{value:g}"
        case list():
            return ",".join(cast("list[str]", value)) or "-"
        case _:
            text = str(value)
            is_plain = text and not any(character in ' "=\\' for character in text)
            return text if is_plain else json.dumps(text, ensure_ascii=False)
