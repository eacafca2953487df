"""`faultware selftest`: every fault on a running service, each on a request of our own, and what a client saw of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from faultware.cli.capabilities import server_line
from faultware.cli.command import Command
from faultware.cli.ending import Ending, UsageError
from faultware.cli.places import endpoint_options, open_endpoint
from faultware.cli.trying import Tester

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from faultware.cli.screen import Screen


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument(
        "--instance-faults",
        action="store_true",
        help="also block, cpu, memory and descriptors, briefly: they act on all requests of the worker",
    )
    endpoint_options(parser)


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Try everything, and show what came of it."""
    endpoint = open_endpoint(arguments)
    if endpoint.socket:
        raise UsageError("faults are tried on the service's own address", hint="--url http://HOST:PORT")
    told = endpoint.ask("GET", "/capabilities", holds=("server", "faults"))
    outcomes = list(Tester(endpoint).run(told, harm=arguments.instance_faults))
    counts = Counter(outcome.verdict for outcome in outcomes)
    ending = Ending.REFUSED if counts["wrong"] else Ending.DONE
    document = {"server": told["server"], "trials": [outcome.document() for outcome in outcomes], "counts": counts}
    if screen.answer(document):
        return ending
    screen.line(server_line(told["server"]))
    rows = [(outcome.verdict, outcome.fault, outcome.expected, outcome.seen) for outcome in outcomes]
    screen.table(("", "fault", "expected", "seen"), rows)
    screen.line(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return ending


COMMAND: Final = Command(
    "selftest",
    "try every fault on a running service, and see what a client sees",
    "Try every fault on a running service, each on a request of our own below the control path. Nothing is stored, "
    "nobody else is touched; the kill switch and the caps hold. Exit code 1: something else was seen than promised.",
    options,
    run,
)
