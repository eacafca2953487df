"""The command line as a whole: finds the command, runs it, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

from faultware import __version__
from faultware.cli import (
    arm,
    capabilities,
    events,
    explain,
    exporting,
    importing,
    kill,
    rules,
    selftest,
    status,
    validate,
)
from faultware.cli.ending import CommandError, Ending, UsageError
from faultware.cli.places import TOKEN, TOKEN_FILE
from faultware.cli.screen import Screen
from faultware.errors import FaultwareError, MissingExtraError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = (
    status.COMMAND,
    kill.COMMAND,
    arm.COMMAND,
    rules.COMMAND,
    validate.COMMAND,
    importing.COMMAND,
    exporting.COMMAND,
    explain.COMMAND,
    events.COMMAND,
    capabilities.COMMAND,
    selftest.COMMAND,
)

_EPILOG: Final = """\
exit codes: 0 done; 1 refused, or not right; 2 wrong usage, or something is missing; 3 no answer;
4 done, but not everywhere. More in docs/reference/cli.md.
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; the exit code.

    Args:
        words: Its arguments; left out: those of this process.
    """
    given = list(sys.argv[1:] if words is None else words)
    try:
        if any(word.partition("=")[0] == "--token" for word in given):
            # Before anybody repeats what follows it.
            raise UsageError("there is no option for a token", hint=f"{TOKEN}, {TOKEN_FILE} or --token-file PATH")
        arguments = _parser().parse_args(rules.completed(given))
        ending: Ending = arguments.run(arguments, Screen(as_json=arguments.json))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Ending.INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has seen enough; what is left must not fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Ending.DONE
    except CommandError as error:
        return _fail(error, error.ending)
    except FaultwareError as error:
        return _fail(error, _ending(error))
    return ending


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "faultware",
        description="Steer the faults of a service, and stop them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"faultware {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        # Not abbreviated: `--token` would be taken for `--token-file`, and the token for a path.
        sub = commands.add_parser(
            command.name, help=command.summary, description=command.description, allow_abbrev=False
        )
        sub.add_argument("--json", action="store_true", help="for programs")
        sub.set_defaults(run=command.run)
        command.options(sub)
    return parser


def _fail(error: Exception, ending: Ending) -> Ending:
    sys.stderr.write(f"faultware: {error}\n")
    return ending


def _ending(error: FaultwareError) -> Ending:
    match error:
        case StoreError():
            return Ending.NO_ANSWER
        case MissingExtraError():
            return Ending.USAGE
        case _:
            return Ending.REFUSED
