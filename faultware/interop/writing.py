"""Documents as text: YAML where PyYAML is installed, else JSON, which YAML readers read too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# What PyYAML leaves without quotes, and Envoy's reader takes for true and false.
_SWITCHES: Final = frozenset("yYnN")
# What PyYAML takes for ends of lines, and others for letters.
_BREAKS: Final = frozenset("\x85\u2028\u2029")


def written(documents: Sequence[Any]) -> str:
    """Documents of one file."""
    try:
        import yaml  # noqa: PLC0415  (an extra)
    except ImportError:
        # Halves of characters, as JSON would escape one that is rare, are refused by Envoy where it reads YAML.
        return "\n---\n".join(json.dumps(document, indent=2, ensure_ascii=False) for document in documents) + "\n"

    class Dumper(yaml.SafeDumper):
        """Writes everything out: what stands twice is no alias."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    def text(dumper: Any, data: str) -> Any:
        style = "'" if data in _SWITCHES else '"' if _BREAKS.intersection(data) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, text)
    return yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
