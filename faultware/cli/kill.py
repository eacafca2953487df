"""`faultware kill`: stop all faults, through the control endpoint or by the kill file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending, NoAnswerError, UsageError
from faultware.cli.places import KILL_FILE, URL, endpoint_options, open_endpoint
from faultware.cli.status import show

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from faultware.cli.screen import Screen


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--reason", metavar="TEXT", default="", help="why, for those who ask later")
    endpoint_options(parser)
    parser.add_argument(
        "--kill-file",
        metavar="PATH",
        type=Path,
        help=f"make this file instead, which the service watches ({KILL_FILE})",
    )


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Kill."""
    named = os.environ.get(KILL_FILE, "")
    if arguments.url and arguments.kill_file:
        raise UsageError("--url and --kill-file are two ways to kill", hint="use one")
    if arguments.kill_file or (named and not arguments.url and not os.environ.get(URL)):
        _touch(arguments.kill_file or Path(named).expanduser(), screen)
        return Ending.DONE
    try:
        status = open_endpoint(arguments).kill(arguments.reason)
    except NoAnswerError as error:
        raise NoAnswerError(str(error), hint="a kill file needs no answer: --kill-file PATH") from None
    show(status, screen)
    return Ending.DONE


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
