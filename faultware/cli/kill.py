"""`faultware kill`: stop all faults, through the control endpoint, in the store, or by the kill file."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending, NoAnswerError, RefusedError, StrangerError, UsageError
from faultware.cli.endpoint import Endpoint
from faultware.cli.places import chosen_kill_file, open_place, place_options, seconds
from faultware.cli.status import show
from faultware.core.quantities import number
from faultware.errors import StoreError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from faultware.cli.places import Place
    from faultware.cli.screen import Screen

_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.05
# A worker that ends takes what it listens on along, and the next one takes over within a second.
_TURN_SECONDS: Final = 2.0


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--reason", metavar="TEXT", default="", help="why, for those who ask later")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=patience,
        nargs="?",
        const=_PATIENCE_SECONDS,
        help="until every worker has confirmed, so long at most (10); if not all have, name them: exit code 4",
    )
    place_options(parser, kill_file=True)


def patience(text: str) -> float:
    """How long to wait for those who confirm; none at all names those who have not yet."""
    return 0.0 if text == "0" else seconds(text)


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Kill."""
    kill_file = chosen_kill_file(arguments)
    if kill_file is not None:
        if arguments.wait is not None:
            raise UsageError("a kill file does not tell who has seen it", hint="wait by --url or --store")
        _touch(kill_file, screen)
        return Ending.DONE
    place = open_place(arguments)
    try:
        status = _kill(place, arguments.reason, min(_TURN_SECONDS, arguments.timeout))
    except NoAnswerError as error:
        raise NoAnswerError(str(error), hint=_other_ways(place)) from None
    patience_seconds: float | None = arguments.wait
    if patience_seconds is not None:
        status = _wait(place, status, patience_seconds)
    show(status, screen)
    missing = "" if patience_seconds is None else ", ".join(_missing(status))
    if missing:
        screen.complain(f"killed, but not confirmed within {number(patience_seconds or 0.0)} s: {missing}")
    elif "warning" in status:
        screen.complain(f"killed, but perhaps not everywhere: {status['warning']}")
    return Ending.INCOMPLETE if missing or "warning" in status else Ending.DONE


def _kill(place: Place, reason: str, patience_seconds: float) -> dict[str, Any]:
    """Ask again while nobody answers; to be killed twice does no harm."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            return place.kill(reason)
        except NoAnswerError as error:
            if isinstance(error, StrangerError) or time.monotonic() + _PAUSE_SECONDS >= deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def _wait(place: Place, status: dict[str, Any], patience_seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + patience_seconds
    while any(_missing(status)) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        # It is killed: who does not answer now has not confirmed it, and that is all.
        with suppress(NoAnswerError, RefusedError, StoreError):
            status = place.status()
    return status


def _missing(status: Mapping[str, Any]) -> Iterator[str]:
    """Those who have not confirmed, with what is known of them."""
    workers: Sequence[Mapping[str, Any]] = status.get("workers", [])
    for worker in workers:
        if not worker["confirmed"]:
            yield f"{worker['host']} {worker['pid']} ({_excuse(worker)})"
    # Who answers is there, even if this was its first request and it has yet to report.
    own: Mapping[str, Any] = status.get("worker", {})
    if own and not any((one["host"], one["pid"]) == (own["host"], own["pid"]) for one in workers):
        yield f"{own['host']} {own['pid']} (has not reported)"


def _excuse(worker: Mapping[str, Any]) -> str:
    silent = worker["silent_seconds"]
    return f"silent for {silent:.0f} s" if silent >= 2 else worker["state"]


def _other_ways(place: Place) -> str:
    others = "" if not isinstance(place, Endpoint) else "the store needs no answer of the service: --store URL; "
    return f"{others}a kill file needs no answer: --kill-file PATH"


def _touch(path: Path, screen: Screen) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except FileNotFoundError:
        hint = "is it the path in FAULTWARE_KILL_FILE of the service, as this machine sees it?"
        raise UsageError(f"{path}: there is no such directory", hint=hint) from None
    except OSError as error:
        raise NoAnswerError(f"{path}: the kill file cannot be made: {error.strerror}") from None
    if not screen.answer({"state": "killed", "kill_file": str(path)}):
        screen.line(f"killed: everybody who watches {path} stops, and stays killed while it exists")


COMMAND: Final = Command(
    "kill",
    "stop all faults and release what is held",
    "Stop all faults and release every request that is held. It holds until somebody arms. May be repeated.",
    options,
    run,
)
