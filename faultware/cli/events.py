"""`faultware events`: what happened in the worker that answers, or what was done to a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending, UsageError
from faultware.cli.places import open_place, place_options
from faultware.cli.screen import moment

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping

    from faultware.cli.screen import Screen

_COLUMNS: Final = ("sequence", "type", "at")


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    told = "of the last event that was seen; by store, the last version"
    parser.add_argument("--since", metavar="NUMBER", type=int, default=0, help=told)
    place_options(parser)


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Show the events."""
    if arguments.since < 0:
        raise UsageError("--since takes the number of an event, 0 or more")
    answer = open_place(arguments).events(arguments.since)
    if screen.answer(answer):
        return Ending.DONE
    if answer.get("lost"):
        screen.line(f"{answer['lost']} earlier ones are not kept any more")
    if answer.get("entries"):
        screen.table(("version", "at", "done", ""), [_deed(entry) for entry in answer["entries"]])
    elif answer.get("events"):
        screen.table(("number", "at", "event", ""), [_row(event) for event in answer["events"]])
    else:
        screen.line("nothing has happened")
    return Ending.DONE


def _row(event: Mapping[str, Any]) -> tuple[object, ...]:
    details = " ".join(f"{name}={value}" for name, value in event.items() if name not in _COLUMNS and value != "")
    return event["sequence"], moment(event["at"]), event["type"], details


def _deed(entry: Mapping[str, Any]) -> tuple[object, ...]:
    by = f"{entry['actor']} from {entry['origin']}" if entry["origin"] else entry["actor"]
    return entry["version_after"], moment(entry["at"]), entry["action"], f"by {by} {entry['detail']}".rstrip()


COMMAND: Final = Command(
    "events",
    "what happened in the worker that answers",
    "Show what happened lately in the worker that answers, the oldest first; by store, what was done to it.",
    options,
    run,
)
