"""`faultware capabilities`: which faults are possible where the service runs, and why others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending
from faultware.cli.places import endpoint_options, open_endpoint

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from faultware.cli.screen import Screen


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Show them."""
    answer = open_endpoint(arguments).ask("GET", "/capabilities", holds=("server", "faults"))
    if screen.answer(answer):
        return Ending.DONE
    screen.line(server_line(answer["server"]))
    screen.table(
        ("fault", "means", "reason"), [(one["fault"], one["means"], one["reason"]) for one in answer["faults"]]
    )
    return Ending.DONE


def server_line(server: Mapping[str, str | None]) -> str:
    """A server as a person would say it."""
    words = [server["name"] or "an unknown server", server["version"]]
    words += [f"({server['worker']})" if server["worker"] else None, (server["protocol"] or "").upper() or None]
    return " ".join(word for word in words if word)


COMMAND: Final = Command(
    "capabilities",
    "which faults are possible where the service runs",
    "Show which faults are possible in the worker that answers, by which means, and why others are not.",
    endpoint_options,
    run,
)
