"""The page of the matrix, made of what was seen; `python -m tests.servers.matrix` looks again and writes both."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.servers.matrix.columns import ROWS, SERVERS
from tests.servers.matrix.observing import AS_EXPECTED, CLIENTS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "explanation" / "server-matrix.md"
SEEN = Path(__file__).with_name("seen.json")
AGAIN = "run: make server-matrix"

# More servers than these, and there is one such group only, are called the others.
_MANY = 9

Matrix = dict[str, dict[str, dict[str, str]]]

_INTRODUCTION = """\
# What every fault looks like, on every server

This page is written by the server tests (`make server-matrix`), which run each server with a rule for each fault, and
`make servers` checks that every word of it is still true. Connections were plain ones over loopback on Linux; under
TLS, Python's clients cannot tell a reset from an end, and what needs raw bytes is not done.

Versions: {versions}.

## All at once

✓: a client on a raw socket saw exactly what the fault promises. **f**: not possible there, and the rule's fallback
answered; without a fallback such a rule is refused. **!**: something else, see below. –: does not apply.

{legend}.

{overview}

## One by one

What the raw socket saw; what httpx2 and requests made of it, by the status or the class of the exception (and of what
it came from); and curl, by the status or its error number. Servers that agree in everything share a line.

A status may hide a fault: curl and requests take half a head for a whole one.

{details}"""


def load() -> Matrix:
    """What was seen last time."""
    return json.loads(SEEN.read_text(encoding="utf-8")) if SEEN.exists() else {}


def save(matrix: Matrix) -> None:
    """Write down what was seen, and the page."""
    ordered = {label: matrix[label] for label in SERVERS if label in matrix}
    SEEN.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(render(ordered), encoding="utf-8")


def render(matrix: Matrix) -> str:
    """The page."""
    legend = ", ".join(f"{column.code}: {label}" for label, column in SERVERS.items())
    return _INTRODUCTION.format(
        versions=_versions(), legend=legend, overview=_overview(matrix), details="\n".join(_details(matrix))
    )


def _versions() -> str:
    pins = "".join((ROOT / "requirements" / name).read_text() for name in ("demo.txt", "test.txt"))
    names = "uvicorn hypercorn granian daphne gunicorn uvicorn-worker gevent waitress werkzeug cheroot pyuwsgi httpx2"
    found = {name: re.search(rf"^{name}==(\S+)", pins, re.MULTILINE) for name in (*names.split(), "requests", "pycurl")}
    return ", ".join(f"{name} {version[1]}" for name, version in found.items() if version)


def _overview(matrix: Matrix) -> str:
    lines = [
        f"| fault | {' | '.join(column.code for column in SERVERS.values())} |",
        f"| --- |{' :-: |' * len(SERVERS)}",
    ]
    for row in ROWS:
        signs = [_sign(matrix.get(label, {}).get(row.fault, {}).get("raw")) for label in SERVERS]
        lines.append(f"| {row.fault} | {' | '.join(signs)} |")
    return "\n".join(lines)


def _sign(raw: str | None) -> str:
    if raw is None:
        return "–"
    if raw.startswith(AS_EXPECTED):
        return "✓"
    return "**f**" if raw == "fallback" else "**!**"


def _details(matrix: Matrix) -> list[str]:
    lines: list[str] = []
    for row in ROWS:
        groups: dict[tuple[str, ...], list[str]] = {}
        for label, faults in matrix.items():
            if cells := faults.get(row.fault):
                groups.setdefault(tuple(cells.values()), []).append(label)
        is_http = any(len(cells) > 1 for cells in groups)
        names = ("raw socket", *CLIENTS) if is_http else ("raw socket",)
        lines += [f"### {row.fault}", "", f"`{row.trial.line}`: {row.trial.expected}.", ""]
        lines += [f"| {' | '.join(names)} | servers |", f"|{' --- |' * (len(names) + 1)}"]
        for cells, labels in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
            # The first line is the longest list by far, or the only one.
            names_of = "all" if len(groups) == 1 else "all others" if len(labels) > _MANY else ", ".join(labels)
            lines.append(f"| {' | '.join(cells)} | {names_of} |")
        lines.append("")
    return lines
