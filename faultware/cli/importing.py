"""`faultware import`: a configuration of a mesh, of APISIX or of Toxiproxy as rules."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faultware.cli.command import Command
from faultware.cli.ending import Ending, RefusedError, UsageError
from faultware.cli.reading import INPUT, documents, is_json, standard_input
from faultware.cli.screen import clean

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable

    from faultware.cli.screen import Screen
    from faultware.interop.load import Surroundings
    from faultware.interop.remarks import Imported, Remark

ORIGINS: Final = ("envoy", "istio", "apisix", "toxiproxy")


def options(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("file", metavar="FILE", help="the configuration, or - for the standard input")
    parser.add_argument("--from", dest="origin", choices=ORIGINS, help="whose it is; left out: recognised")
    parser.add_argument("--strict", action="store_true", help="exit 1 if anything is not carried over")
    known = parser.add_argument_group("what the file does not say")
    known.add_argument("--listener", default="", metavar="NAME", help="the listener in front of this service (Envoy)")
    known.add_argument("--cluster", default="", metavar="NAME", help="what Envoy calls this service")
    known.add_argument("--runtime", action="append", default=[], metavar="KEY=NUMBER", help="a runtime key of Envoy")
    known.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="of those who call (Istio)")
    known.add_argument("--namespace", default="", metavar="NAME", help="of those who call (Istio)")
    known.add_argument("--gateway", action="append", default=[], metavar="NAME", help="where requests come through")


def run(arguments: Namespace, screen: Screen) -> Ending:
    """Show the rules as a document, and what was not carried over on the standard error."""
    imported = _read(arguments)
    document = {**imported.settings, "rules": documents(imported.rules)}
    if not screen.answer({**document, "from": imported.origin, "remarks": described(imported.remarks)}):
        from faultware.interop.writing import written  # noqa: PLC0415

        screen.document(written([document]))
        tell(imported.remarks)
    return Ending.REFUSED if arguments.strict and imported.losses else Ending.DONE


def described(remarks: Iterable[Remark]) -> list[dict[str, Any]]:
    """Remarks for programs."""
    return [
        {"where": one.where, "field": one.what, "reason": one.reason, "carried_over": not one.is_loss}
        for one in remarks
    ]


def tell(remarks: Iterable[Remark]) -> None:
    """Remarks for people, beside the document."""
    for remark in remarks:
        sys.stderr.write(f"{clean(str(remark))}\n")


def _read(arguments: Namespace) -> Imported:
    from faultware.interop.load import import_file, import_text  # noqa: PLC0415

    around = _surroundings(arguments)
    if arguments.file == "-":
        text = standard_input()
        imported = import_text(text, INPUT, is_json=is_json(text), origin=arguments.origin, around=around)
    else:
        imported = import_file(Path(arguments.file), origin=arguments.origin, around=around)
    if imported is None:
        raise RefusedError(f"{arguments.file} is not recognised", hint=f"say whose it is: --from {'|'.join(ORIGINS)}")
    return imported


def _surroundings(arguments: Namespace) -> Surroundings:
    from faultware.config.mesh import read_runtime  # noqa: PLC0415
    from faultware.interop.istiomatch import Caller  # noqa: PLC0415
    from faultware.interop.load import Surroundings  # noqa: PLC0415

    labels = dict(_pair(word) for word in arguments.label)
    gateways = frozenset(arguments.gateway) or frozenset({"mesh"})
    return Surroundings(
        runtime=dict(read_runtime(",".join(arguments.runtime))),
        cluster=arguments.cluster,
        listener=arguments.listener,
        caller=Caller(labels or None, arguments.namespace, gateways),
    )


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not key:
        raise UsageError(f"--label {word} is no pair", hint="write --label app=web")
    return key, value


COMMAND: Final = Command(
    "import",
    "read a configuration of Envoy, Istio, APISIX or Toxiproxy as rules",
    "Read a configuration of Envoy, Istio, APISIX or Toxiproxy and write the rules it stands for, as a document, to "
    "the standard output; and to the standard error what was not carried over, and what there is to know.",
    options,
    run,
)
