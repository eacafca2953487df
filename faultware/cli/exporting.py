"""`faultware export`: rules as a configuration of Envoy or Istio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending
from faultware.cli.importing import described, tell
from faultware.cli.reading import read_target

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from faultware.cli.screen import Screen


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("target", metavar="FILE|RULES", help="a file, rules in one line, or - for the standard input")
    parser.add_argument("--to", required=True, choices=("envoy", "istio"), help="whose configuration")
    parser.add_argument("--strict", action="store_true", help="exit 1 if anything is not carried over")
    parser.add_argument("--host", default="this-service", metavar="NAME", help="this service in the mesh (Istio)")
    parser.add_argument("--cluster", default="local_service", metavar="NAME", help="where routes lead (Envoy)")


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Show the mesh's document, and what was not carried over on the standard error."""
    from faultware.interop.envoyexport import export_envoy  # noqa: PLC0415
    from faultware.interop.istioexport import export_istio  # noqa: PLC0415
    from faultware.interop.writing import written  # noqa: PLC0415

    rules = read_target(arguments.target)
    if arguments.to == "envoy":
        exported = export_envoy(rules, cluster=arguments.cluster)
    else:
        exported = export_istio(rules, host=arguments.host)
    if not screen.answer({"documents": list(exported.documents), "remarks": described(exported.remarks)}):
        screen.document(written(exported.documents))
        tell(exported.remarks)
    return Ending.REFUSED if arguments.strict and exported.losses else Ending.DONE


COMMAND: Final = Command(
    "export",
    "write rules as a configuration of Envoy or Istio",
    "Write rules as Envoy's http_filters or as Istio's VirtualService to the standard output; and to the standard "
    "error what was not carried over. What is written never hits more than the rules do.",
    options,
    run,
)
