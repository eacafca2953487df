"""What a command is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from faultware.cli.ending import Ending
    from faultware.cli.screen import Screen

Options: TypeAlias = "Callable[[ArgumentParser], object]"
Run: TypeAlias = "Callable[[Namespace, Screen], Ending]"


@dataclass(frozen=True, slots=True)
class Command:
    """One word of the command line.

    Args:
        name: The word.
        summary: For the list of commands, in a few words.
        description: For its own help.
        options: Adds its arguments to a parser.
        run: Does it and shows the result; what it raises, `main` tells.
    """

    name: str
    summary: str
    description: str
    options: Options
    run: Run
