"""`faultware validate`: whether rules can be used, without a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending
from faultware.cli.importing import described, tell
from faultware.cli.reading import documents, read_whole, target_argument

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from faultware.cli.screen import Screen


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    target_argument(parser)


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Read the rules and show how they were understood."""
    target = read_whole(arguments.target)
    rules, remarks = target.rules, target.remarks
    more = {"remarks": described(remarks)} if remarks else {}
    if not screen.answer({"rules": documents(rules), **more}):
        for rule in rules:
            screen.line(str(rule))
        lost = sum(remark.is_loss for remark in remarks)
        verdict = f"{lost} not carried over" if lost else "all good"
        screen.line(f"{len(rules)} {'rule' if len(rules) == 1 else 'rules'}, {verdict}")
        tell(remarks)
    return Ending.DONE


COMMAND: Final = Command(
    "validate",
    "whether rules can be used, without a service",
    "Read a file or rules as a service would, and show how they are understood, or every mistake with its place.",
    options,
    run,
)
