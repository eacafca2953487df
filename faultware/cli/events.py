"""`faultware events`: what happened in the worker that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending, UsageError
from faultware.cli.places import endpoint_options, open_endpoint
from faultware.cli.screen import moment

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping

    from faultware.cli.screen import Screen

_COLUMNS: Final = ("sequence", "type", "at")


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--since", metavar="NUMBER", type=int, default=0, help="of the last event that was seen")
    endpoint_options(parser)


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Show the events."""
    if arguments.since < 0:
        raise UsageError("--since takes the number of an event, 0 or more")
    answer = open_endpoint(arguments).ask("GET", f"/events?since={arguments.since}")
    if screen.answer(answer):
        return Ending.DONE
    if answer["lost"]:
        screen.line(f"{answer['lost']} earlier ones are not kept any more")
    if answer["events"]:
        screen.table(("number", "at", "event", ""), [_row(event) for event in answer["events"]])
    else:
        screen.line("nothing has happened")
    return Ending.DONE


def _row(event: Mapping[str, Any]) -> tuple[object, ...]:
    details = " ".join(f"{name}={value}" for name, value in event.items() if name not in _COLUMNS and value != "")
    return event["sequence"], moment(event["at"]), event["type"], details


COMMAND: Final = Command(
    "events",
    "what happened in the worker that answers",
    "Show what happened lately in the worker that answers, the oldest first.",
    options,
    run,
)
