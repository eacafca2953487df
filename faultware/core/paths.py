"""How the path of a rule is compared with the path of a request.

The path of a request is what the application routes by: percent-decoded once by the server, without the mount prefix
(`root_path`, SCRIPT_NAME) and without the query. Nothing else is done to it: case, doubled slashes, dots and a trailing
slash count, because they count for the application's router too. Every test here takes time linear in the path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from faultware.errors import RuleError

PathTest: TypeAlias = Callable[[str], bool]

_NAME = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")


def check_path(kind: str, value: str) -> None:
    """Refuse a path that no request can have.

    Raises:
        RuleError: It lacks its leading slash, holds a query, or misuses `*`, `**` or braces.
    """
    if kind in ("suffix", "contains", "regex"):
        return
    if not value.startswith("/"):
        raise RuleError(f"a path begins with /, not {value[:40]!r}", where=kind, hint=f"write /{value[:40]}")
    if "?" in value:
        raise RuleError(f"{value!r} holds a query", where=kind, hint="put it under query, or write query:key=value")
    if kind == "glob":
        for segment in value.split("/"):
            if "**" in segment and segment != "**":
                before = segment.partition("*")[0][:40]
                hint = f"write …/{before}* or …/{before}/**" if before else "write /**/"
                raise RuleError(f"** stands for whole segments, not inside {segment!r}", where=kind, hint=hint)
    if kind == "template":
        for segment in value.split("/"):
            if ("{" in segment or "}" in segment) and not _NAME.fullmatch(segment):
                hint = "a name in braces is a whole segment: /users/{id}"
                raise RuleError(f"{segment!r} is not a template segment", where=kind, hint=hint)


def path_test(kind: str, value: str, *, ignore_case: bool) -> PathTest:
    """The test for `segments`, `glob` and `template`."""
    if kind == "segments":
        if ignore_case:
            exactly = path_test(kind, value.casefold(), ignore_case=False)
            return lambda path: exactly(path.casefold())
        if value == "/":
            return lambda _path: True
        border = value if value.endswith("/") else value + "/"
        return lambda path: path == value or path.startswith(border)
    source = _glob_source(value) if kind == "glob" else _template_source(value)
    matches = re.compile(source, re.DOTALL | (re.IGNORECASE if ignore_case else 0)).fullmatch
    return lambda path: matches(path) is not None


def _template_source(template: str) -> str:
    segments = (r"[^/]+" if _NAME.fullmatch(segment) else re.escape(segment) for segment in template.split("/"))
    return "/".join(segments)


def _glob_source(glob: str) -> str:
    """A pattern that never backtracks into a decision: taking the leftmost hit for each piece is always right."""
    runs: list[list[str]] = [[]]
    for segment in glob.split("/")[1:]:
        if segment == "**":
            runs.append([])
        else:
            runs[-1].append(segment)
    if len(runs) == 1:
        return "".join(map(_segment_source, runs[0]))
    first, *middle, last = ["".join(map(_segment_source, run)) for run in runs]
    pieces = [first, *(f"(?>(?:/[^/]*)*?{run}(?=/|\\Z))" for run in middle if run)]
    return "".join(pieces) + (rf"(?:/[^/]*)*{last}" if last else r"(?:/.*)?")


def _segment_source(segment: str) -> str:
    if segment == "*":
        return "/[^/]+"
    first, *rest = (re.escape(piece) for piece in segment.split("*"))
    if not rest:
        return "/" + first
    *middle, last = rest
    return "/" + first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + f"[^/]*{last}(?=/|\\Z)"
