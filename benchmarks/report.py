"""The tables that the benchmarks print: what was measured, beside what it may be at most."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Args:
        case: What was done.
        target: What is promised, in words; empty where nothing is.
        measured: What came out, in words: one text for each column.
        is_met: Whether the promise is kept; None where there is none.
    """

    case: str
    target: str
    measured: tuple[str, ...]
    is_met: bool | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """What one benchmark found out.

    Args:
        title: Its heading.
        note: How it was measured, in a sentence or two.
        columns: What the measured texts are.
        rows: The lines.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: Sequence[Row]

    def __str__(self) -> str:
        lines = [("case", "target", *self.columns, "")]
        lines += [(row.case, row.target, *row.measured, _VERDICTS[row.is_met]) for row in self.rows]
        head, *body = (f"| {' | '.join(line)} |" for line in lines)
        rule = "|" + " --- |" * len(lines[0])
        return "\n".join([f"## {self.title}", "", self.note, "", head, rule, *body, ""])


_VERDICTS = {True: "met", False: "**missed**", None: ""}


def machine() -> str:
    """What the numbers hold for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}, {cores} cores"
