"""`faultware arm`: let faults happen again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending
from faultware.cli.places import open_place, place_options
from faultware.cli.status import show

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from faultware.cli.screen import Screen


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument(
        "--for", dest="duration", metavar="TIME", default="", help="how long, such as 10m; an hour at most"
    )
    place_options(parser)


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Arm."""
    show(open_place(arguments).arm(arguments.duration), screen)
    return Ending.DONE


COMMAND: Final = Command(
    "arm",
    "let faults happen, until killed or for a time",
    "Let faults happen. Without --for until somebody kills.",
    options,
    run,
)
