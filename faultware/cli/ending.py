"""How a command ends: the exit codes, and the errors that lead to them."""

from __future__ import annotations

from enum import IntEnum


class Ending(IntEnum):
    """The exit codes."""

    DONE = 0
    """What was asked for holds."""
    REFUSED = 1
    """It was understood and refused, or it is not right: a rule, a token, a version."""
    USAGE = 2
    """The command line is wrong, or something that it needs is missing."""
    NO_ANSWER = 3
    """The service or the store does not answer."""
    INCOMPLETE = 4
    """It is done, but not everywhere."""
    INTERRUPTED = 130
    """Somebody pressed control-C."""


class CommandError(Exception):
    """A command cannot do what it was asked for.

    Args:
        message: For a person, in one line.
        hint: What could be done about it.
    """

    ending = Ending.REFUSED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} ({hint})" if hint else message)


class RefusedError(CommandError):
    """The other side says no."""


class UsageError(CommandError):
    """Something on the command line or in the environment is missing or wrong."""

    ending = Ending.USAGE


class NoAnswerError(CommandError):
    """Nobody answers, or somebody else does."""

    ending = Ending.NO_ANSWER


class StrangerError(NoAnswerError):
    """Somebody else answers, and will again."""
