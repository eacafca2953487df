"""`faultware explain`: why a request would or would not be faulted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending, UsageError
from faultware.cli.endpoint import Endpoint
from faultware.cli.places import open_place, place_options

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Mapping

    from faultware.cli.screen import Screen


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("path", metavar="PATH", help="the path, perhaps with a query")
    parser.add_argument("-X", "--method", default="GET", help="the method (%(default)s)")
    parser.add_argument(
        "-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", help="a header; may be repeated"
    )
    parser.add_argument("--client", metavar="ADDRESS", help="the client's address")
    place_options(parser)


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Ask, and show each rule and what becomes of it."""
    described: dict[str, Any] = {"method": arguments.method, "path": arguments.path}
    if arguments.header:
        described["headers"] = _headers(arguments.header)
    if arguments.client:
        described["client"] = arguments.client
    place = open_place(arguments)
    answer = place.explain(described)
    if screen.answer(answer):
        return Ending.DONE
    request = answer["request"]
    chance = f"{answer['chance_percentage']:g}%"
    whose = "in this worker" if isinstance(place, Endpoint) else "by what the store knows"
    screen.line(f"{request['method']} {request['path']}: {answer['state']}, {chance} chance of a fault {whose}")
    if answer["rules"]:
        screen.table(("rule", "takes part", "why"), [_row(rule) for rule in answer["rules"]])
    return Ending.DONE


def _row(rule: Mapping[str, Any]) -> tuple[str, str, str]:
    if rule["takes_part"]:
        return rule["name"], "yes", ", ".join(rule["rolls"])
    return rule["name"], "no", rule["hindrance"] or f"does not match: {', '.join(rule['failed'])}"


def _headers(lines: Iterable[str]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"{line!r} is not a header", hint="write 'x-canary: 1'")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    return headers


COMMAND: Final = Command(
    "explain",
    "why a request would or would not be faulted",
    "Describe a request and show each rule and what becomes of it. Nothing fires and nothing is counted.",
    options,
    run,
)
