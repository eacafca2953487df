"""Writes the reference pages that follow from the models: `python -m faultware.config.reference [DIRECTORY]`.

The table of settings and the JSON Schema of the document form. A test says whether the pages in `docs` are current.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from faultware.config.documents import rules_schema
from faultware.config.settings import Read, Settings
from faultware.config.sources import PREFIX
from faultware.core.quantities import duration, number

_DURATIONS: Final = ("max_delay", "store_grace")
_HEAD: Final = """\
# Settings

Each setting is a variable of the environment, a key of the configuration file (`FAULTWARE_CONFIG_FILE`; in lower case,
without the prefix, at the root or in a table `faultware`), and an argument of the middleware (in lower case).

* The environment wins over the file, and the file over arguments. Rules are replaced as a whole, never merged.
* For `ENABLED` and `ARMED` whoever says off wins.
* The case of a variable's name does not count. A name that begins with `FAULTWARE_` and is not in this table is an
  error, even where faultware is not enabled.
* A blank variable is not set, except that a blank switch is off.
* Where faultware is not enabled, nothing but the names of variables and arguments and the values of `ENABLED` is looked
  at. The configuration file is read unless `ENABLED` says off, because it may say on.

| variable | meaning | written as | default |
| --- | --- | --- | --- |
"""


def settings_page() -> str:
    """The table of settings, in Markdown."""
    rows = [
        (f"`{PREFIX}{name.upper()}`", field.description or "", _form(field.metadata), _default(name, field.default))
        for name, field in Settings.model_fields.items()
    ]
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def schema_page() -> str:
    """The JSON Schema of the document form."""
    return json.dumps(rules_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _form(metadata: list[object]) -> str:
    return next(item.form for item in metadata if isinstance(item, Read))


def _default(name: str, value: object) -> str:
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case float():
            return f"`{duration(value) if name in _DURATIONS else number(value)}`"
        case None | "" | ():
            return "not set"
        case _:
            return f"`{value}`"


def main(arguments: list[str]) -> None:
    """Write both pages into a directory; left out: `docs/reference` of the working directory."""
    directory = Path(arguments[0] if arguments else "docs/reference")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "settings.md").write_text(settings_page(), encoding="utf-8")
    (directory / "faults.schema.json").write_text(schema_page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
