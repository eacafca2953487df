"""A configuration file of a mesh or of Toxiproxy in place of ours: read by `interop`, which is loaded only for that."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from faultware.interop.hints import may_be_foreign

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faultware.interop.remarks import Imported

_log = logging.getLogger("faultware")


class ForeignFile:
    """Reads a configuration file, if it is a foreign one, and remembers what there is to say about it."""

    def __init__(self) -> None:
        self._imported: Imported | None = None
        self._path: Path | None = None

    def __call__(self, path: Path, runtime: Mapping[str, int]) -> dict[str, object] | None:
        """The settings it stands for; None: it is ours.

        Raises:
            RuleError: It is broken, or its original would refuse it.
        """
        if not may_be_foreign(path):
            return None
        from faultware.interop.load import Surroundings, import_file  # noqa: PLC0415

        self._imported, self._path = import_file(path, around=Surroundings(runtime=runtime)), path
        return None if self._imported is None else {"rules": self._imported.rules, **self._imported.settings}

    def announce(self) -> None:
        """Say what was not carried over, and what there is to know."""
        if self._imported is None:
            return
        imported = self._imported
        _log.warning(
            "%s is read as %s's: %d rules, %d things not carried over",
            self._path,
            "APISIX" if imported.origin == "apisix" else imported.origin.capitalize(),
            len(imported.rules),
            len(imported.losses),
        )
        for remark in imported.remarks:
            _log.log(logging.WARNING if remark.is_loss else logging.INFO, "%s", remark)
