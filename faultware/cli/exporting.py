"""`faultware export`: rules as a configuration of Envoy or Istio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending
from faultware.cli.importing import described, tell
from faultware.cli.reading import INPUT, read_whole, target_argument

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from faultware.cli.reading import Target
    from faultware.cli.screen import Screen
    from faultware.interop.remarks import Remark

# Settings that bound what rules do.
_BOUNDS: Final = (
    *("enabled", "armed", "dry_run", "exclude", "seed", "abort_when", "max_active_faults", "max_delay"),
    *("max_percentage", "max_traffic_percentage", "max_faults", "max_faults_per_minute", "max_faults_per_client"),
)


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    target_argument(parser)
    parser.add_argument("--to", required=True, choices=("envoy", "istio"), help="whose configuration")
    parser.add_argument("--strict", action="store_true", help="exit 1 if anything is not carried over")
    parser.add_argument("--host", default="this-service", metavar="NAME", help="this service in the mesh (Istio)")
    parser.add_argument("--cluster", default="local_service", metavar="NAME", help="where routes lead (Envoy)")


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Show the mesh's document, and what was not carried over on the standard error."""
    from faultware.interop.envoyexport import export_envoy  # noqa: PLC0415
    from faultware.interop.istioexport import export_istio  # noqa: PLC0415
    from faultware.interop.writing import written  # noqa: PLC0415

    target = read_whole(arguments.target)
    is_envoy = arguments.to == "envoy"
    if is_envoy:
        most = target.settings.get("max_active_faults")
        bound = most if isinstance(most, int) else None
        exported = export_envoy(target.rules, cluster=arguments.cluster, max_active_faults=bound)
    else:
        exported = export_istio(target.rules, host=arguments.host)
    carried = ("max_active_faults",) if is_envoy else ()
    file = INPUT if arguments.target == "-" else arguments.target
    remarks = (*target.remarks, *_left_behind(file, target, carried), *exported.remarks)
    if not screen.answer({"documents": list(exported.documents), "remarks": described(remarks)}):
        screen.document(written(exported.documents))
        tell(remarks)
    return Ending.REFUSED if arguments.strict and any(one.is_loss for one in remarks) else Ending.DONE


def _left_behind(file: str, target: Target, carried: tuple[str, ...]) -> Iterator[Remark]:
    """The settings that bound the rules here, and not in the mesh."""
    from faultware.interop.remarks import Remark  # noqa: PLC0415

    for name in target.settings:
        if name in _BOUNDS and name not in carried:
            yield Remark(file, name, "a setting of the service, which the mesh does not know", is_loss=True)


COMMAND: Final = Command(
    "export",
    "write rules as a configuration of Envoy or Istio",
    "Write rules as Envoy's http_filters or as Istio's VirtualService to the standard output; and to the standard "
    "error what was not carried over. What is written never hits more than the rules do.",
    options,
    run,
)
