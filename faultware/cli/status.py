"""`faultware status`: whether faults may happen, since when and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending
from faultware.cli.places import open_place, place_options
from faultware.cli.screen import moment

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from faultware.cli.screen import Screen


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Show the state."""
    show(open_place(arguments).status(), screen)
    return Ending.DONE


def show(status: Mapping[str, Any], screen: Screen) -> None:
    """A state, as the endpoint tells it."""
    if screen.answer(status):
        return
    until = moment(status.get("armed_until"))
    worker: Mapping[str, Any] = status.get("worker", {})
    screen.fields(
        {
            "state": f"{status['state']}{f' until {until}' if until else ''}",
            "since": moment(status.get("since")),
            "by": status.get("by"),
            "reason": status.get("reason"),
            "rules": "those of the start" if status["rules"] is None else status["rules"],
            "version": status["version"],
            "active faults": status.get("active_faults"),
            "dry run": "yes" if status.get("dry_run") else None,
            "last reload": "failed" if status.get("reload_successful") is False else None,
            "store": status.get("store"),
            "answered by": f"{worker.get('host')} {worker.get('pid')}" if worker else None,
            "warning": status.get("warning"),
        }
    )
    workers = status.get("workers", [])
    if workers:
        screen.line("")
        screen.table(("host", "pid", "state", "version", "confirmed", "heard"), [_row(worker) for worker in workers])


def _row(worker: Mapping[str, Any]) -> tuple[object, ...]:
    took = worker["took_seconds"]
    confirmed = "" if not worker["confirmed"] else "yes" if took is None else f"after {1000 * took:.1f} ms"
    heard = f"{worker['silent_seconds']:.1f} s ago"
    return worker["host"], worker["pid"], worker["state"], worker["version"], confirmed, heard


COMMAND: Final = Command(
    "status",
    "whether faults may happen, since when and by whom",
    "Show the state of the switch, and of the worker that answers.",
    place_options,
    run,
)
