"""Reads a foreign document, whoever's it is: said by name, or recognised by what only its format has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

from faultware.config.files import read_bytes
from faultware.errors import RuleError
from faultware.interop.apisix import import_apisix, is_apisix
from faultware.interop.envoy import import_envoy, is_envoy
from faultware.interop.istio import import_istio, is_istio
from faultware.interop.istiomatch import Caller
from faultware.interop.toxiproxy import import_toxiproxy, is_toxiproxy
from faultware.interop.tree import MAX_BYTES, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from faultware.interop.remarks import Imported
    from faultware.interop.runtime import Runtime
    from faultware.interop.tree import Tree

Origin: TypeAlias = Literal["envoy", "istio", "apisix", "toxiproxy"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known beside the document, since it cannot be seen in process.

    Args:
        runtime: Envoy's runtime keys, which win over those of a bootstrap.
        cluster: The name of this service as a cluster of Envoy.
        listener: Which of several listeners stands in front of this service.
        caller: Who calls, for Istio.
    """

    runtime: Runtime = field(default_factory=dict[str, "int | float"])
    cluster: str = ""
    listener: str = ""
    caller: Caller = field(default_factory=Caller)


def recognise(tree: Tree) -> Origin | None:
    """Whose document this is, if only one format has the like."""
    roots = tree.documents
    if any(is_istio(root) for root in roots):
        return "istio"
    if len(roots) != 1:
        return None
    if is_envoy(roots[0]):
        return "envoy"
    if is_apisix(roots[0]):
        return "apisix"
    return "toxiproxy" if is_toxiproxy(roots[0]) else None


def import_file(path: Path, *, origin: Origin | None = None, around: Surroundings | None = None) -> Imported | None:
    """Read a foreign file; see `import_text`.

    Raises:
        SettingsError: There is no such file, it cannot be read, or is too large.
    """
    content = read_bytes(path, MAX_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RuleError("this is not UTF-8", where=f"{path}, line {line}", hint="save the file as UTF-8") from None
    return import_text(text, str(path), is_json=path.suffix.lower() == ".json", origin=origin, around=around)


def import_text(
    text: str,
    file: str,
    *,
    is_json: bool = False,
    origin: Origin | None = None,
    around: Surroundings | None = None,
) -> Imported | None:
    """Read a foreign document.

    Args:
        text: The document.
        file: What to call it in errors.
        is_json: Whether it is JSON; else YAML.
        origin: Whose it is; None: to be recognised.
        around: What is known beside.

    Returns:
        What it became; None: it was to be recognised, and is no foreign document.

    Raises:
        RuleError: It is broken, or its original would refuse it; with file, line and field. Nothing is half loaded.
        MissingExtraError: It is YAML, and PyYAML is not installed.
    """
    tree = read_tree(text, file, is_json=is_json)
    if not tree.documents:
        if origin is None:
            return None
        raise RuleError("there is nothing here", where=file)
    origin = origin or recognise(tree)
    around = around or Surroundings()
    if tree.rest and origin != "toxiproxy":
        raise RuleError("something stands behind the document", where=tree.rest, hint="remove it")
    roots = list(tree.documents)
    if origin not in (None, "istio") and len(roots) > 1:
        raise roots[1].wrong("a second document stands here", "one for each file")
    match origin:
        case None:
            return None
        case "istio":
            return import_istio(roots, around.caller)
        case "envoy":
            return import_envoy(roots[0], runtime=around.runtime, cluster=around.cluster, listener=around.listener)
        case "apisix":
            return import_apisix(roots[0])
        case "toxiproxy":
            return import_toxiproxy(tree)
        case _ as unknown:
            assert_never(unknown)
