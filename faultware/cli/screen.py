"""What commands show: for people by rich where it is installed, else in plain columns; or as JSON.

Names, reasons and paths were written by others: nothing that a terminal would obey goes through.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from faultware.telemetry.events import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LONGEST = 2000
# In a terminal only; elsewhere nothing is coloured.
_STYLES = {"armed": "bold yellow", "killed": "bold red"}


class Screen:
    """Where a command writes.

    Args:
        as_json: Whether programs read it: then only `answer` writes anything.
        stream: Where to; left out: the standard output.
    """

    def __init__(self, *, as_json: bool = False, stream: TextIO | None = None) -> None:
        self.as_json = as_json
        self._stream = sys.stdout if stream is None else stream

    def answer(self, data: Any) -> bool:
        """The whole result, for programs; True: they read it, and nothing else is to be shown."""
        if self.as_json:
            self._stream.write(json.dumps(data, indent=2) + "\n")
        return self.as_json

    def line(self, text: str) -> None:
        """One line."""
        self._stream.write(clean(text) + "\n")

    def complain(self, text: str) -> None:
        """One line for people, on the standard error."""
        sys.stderr.write(f"faultware: {clean(text)}\n")

    def document(self, text: str) -> None:
        """A document of our own making, in which nothing is left that a terminal would obey."""
        self._stream.write(text)

    def fields(self, values: Mapping[str, object]) -> None:
        """Names and their values, a line each; what is None or empty is left out."""
        self.table((), [(name, value) for name, value in values.items() if value is not None and value != ""])

    def table(self, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Columns."""
        lines = [[clean(str(cell)) for cell in row] for row in rows]
        if not (self._is_terminal() and self._show_by_rich(head, lines)):
            self._show_plainly([list(head), *lines] if head else lines)

    def _is_terminal(self) -> bool:
        return self._stream.isatty()

    def _show_plainly(self, lines: list[list[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for cells in lines:
            text = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            self._stream.write(text.rstrip() + "\n")

    def _show_by_rich(self, head: Sequence[str], lines: list[list[str]]) -> bool:
        try:
            from rich.console import Console  # noqa: PLC0415  (an extra)
            from rich.table import Table  # noqa: PLC0415
            from rich.text import Text  # noqa: PLC0415
        except ImportError:
            return False
        table = Table(box=None, show_header=bool(head), pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for name in head or [""] * len(lines[0]):
            table.add_column(name, overflow="fold")
        for cells in lines:
            # As Text, so that nothing in a name is taken for markup.
            table.add_row(*(Text(cell, style=_STYLES.get(cell.partition(" ")[0], "")) for cell in cells))
        Console(file=self._stream, highlight=False).print(table)
        return True


def moment(seconds: float | None) -> str:
    """A wall-clock time, in the zone of whoever reads it."""
    return "" if not seconds else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def clean(text: str) -> str:
    """As a terminal may be shown it."""
    return printable(text, _LONGEST)
