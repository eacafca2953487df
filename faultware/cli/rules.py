"""`faultware rules`: show, replace and take away rules."""

from __future__ import annotations

from argparse import SUPPRESS
from typing import TYPE_CHECKING, Any, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending
from faultware.cli.importing import tell
from faultware.cli.places import open_place, place_options
from faultware.cli.reading import documents, read_whole, target_argument

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping, Sequence

    from faultware.cli.screen import Screen


_ACTIONS: Final = ("show", "put", "delete")


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    shown = actions.add_parser(
        "show", help="the rules in force", description="Show the rules in force.", allow_abbrev=False
    )
    put = actions.add_parser(
        "put",
        help="put rules in the place of all others",
        description="Put rules in the place of all others. Without `for` they live for 10 minutes, an hour at most.",
        allow_abbrev=False,
    )
    target_argument(put)
    delete = actions.add_parser(
        "delete", help="take one rule away", description="Take one rule away.", allow_abbrev=False
    )
    delete.add_argument("name", metavar="NAME", help="the rule's name")
    for action in (shown, put, delete):
        place_options(action)
        action.add_argument("--json", action="store_true", default=SUPPRESS, help="for programs")


def completed(words: Sequence[str]) -> list[str]:
    """A command line in which `rules` without an action shows them."""
    is_bare = words[:1] == ["rules"] and not {"-h", "--help", *_ACTIONS}.intersection(words)
    is_other = len(words) > 1 and not words[1].startswith("-")  # which argparse tells, with what would be right
    return ["rules", "show", *words[1:]] if is_bare and not is_other else list(words)


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Do it."""
    match arguments.action:
        case "put":
            # Read first: what is wrong in a file is told with its place there.
            target = read_whole(arguments.target)
            _show(open_place(arguments).put_rules(documents(target.rules)), screen)
            if not screen.as_json:
                tell(target.remarks)
        case "delete":
            open_place(arguments).delete_rule(arguments.name)
            if not screen.answer({"deleted": arguments.name}):
                screen.line(f"{arguments.name} is gone")
        case _:
            _show(open_place(arguments).rules(), screen)
    return Ending.DONE


def _show(answer: Mapping[str, Any], screen: Screen) -> None:
    if screen.answer(answer):
        return
    from faultware.config.documents import read_rules  # noqa: PLC0415  (loads pydantic)

    for rule in read_rules(answer["rules"]):
        screen.line(str(rule))
    if not answer["rules"]:
        screen.line("those that each service was started with" if answer.get("startup") else "no rules")


COMMAND: Final = Command(
    "rules",
    "show, replace and take away rules",
    "Show, replace and take away rules at run time.",
    options,
    run,
)
