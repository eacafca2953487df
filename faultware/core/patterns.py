r"""Regular expressions that cannot be made to run away.

A pattern is Python's, matched against the whole text: `.` is every character; `\d`, `\w`, `\s`, `\b` and ignoring
case know ASCII only. Before it is used, an upper bound for its steps is computed (see `backtracking`). A pattern within
the bound runs on `re`, always. One beyond it runs on RE2, which needs time linear in the text, if the extra `re2` is
installed, and is refused if it is not: so what a pattern means never depends on what is installed.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from faultware.core.backtracking import culprit, runs_away_at
from faultware.core.expressions import Node, has_ambiguous_set, read, text
from faultware.errors import RuleError

TextTest: TypeAlias = Callable[[str], bool]

MAX_PATTERN: Final = 256
MAX_SUBJECT: Final = 1024
# Ambiguity may square the work, not cube it: eight times the square of the longest text, some tenths of a second.
MAX_STEPS: Final = 8 * MAX_SUBJECT**2
_RE2_MEMORY: Final = 1 << 20
_SIMPLER: Final = "leave each character one way to match: [^/]* for .*, one repeat instead of two, none of a repeat"
_ADVICE: Final = f"{_SIMPLER}; or pip install 'faultware[re2]'"


def compile_pattern(source: str, *, ignore_case: bool = False) -> TextTest:
    """A test whether a pattern matches a whole text. Texts of more than 1,024 characters match no pattern.

    Args:
        source: The pattern, at most 256 characters.
        ignore_case: Take ASCII letters without regard to case.

    Raises:
        RuleError: No regular expression; too long; a back-reference or look-around; or it may run away and RE2, which
            could run it, is not installed or cannot.
    """
    if len(source) > MAX_PATTERN:
        message = f"a pattern of {len(source)} characters is too long"
        raise RuleError(message, where="regex", hint=f"at most {MAX_PATTERN}; prefix, suffix or contains may do")
    tree, excess = _judged(source, ignore_case)
    if excess is None:
        return _bounded(re.compile(source, _flags(ignore_case)).fullmatch)
    return _run_by_re2(source, tree, excess)


def _flags(ignore_case: bool) -> re.RegexFlag:
    return re.DOTALL | re.ASCII | (re.IGNORECASE if ignore_case else re.RegexFlag(0))


@lru_cache(maxsize=4096)
def _judged(source: str, ignore_case: bool) -> tuple[Node, int | None]:
    if has_ambiguous_set(source):
        message = f"{source!r} holds a set that later Pythons may read otherwise"
        hint = r"inside [ ] write \[ for a bracket, and none of -- && ~~ ||; [[:alpha:]] is [A-Za-z]"
        raise RuleError(message, where="regex", hint=hint)
    tree = read(source, _flags(ignore_case))
    return tree, runs_away_at(tree, length=MAX_SUBJECT, limit=MAX_STEPS)


def _bounded(matches: Callable[[str], object]) -> TextTest:
    return lambda subject: len(subject) <= MAX_SUBJECT and matches(subject) is not None


def _run_by_re2(source: str, tree: Node, excess: int) -> TextTest:
    try:
        re2: Any = importlib.import_module("re2")
    except ImportError:
        raise RuleError(_complaint(source, tree, excess), where="regex", hint=_ADVICE) from None
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _RE2_MEMORY
    try:
        matches = re2.compile(text(tree), options).fullmatch
    except (re2.error, UnicodeEncodeError) as error:
        message = f"{_complaint(source, tree, excess)}; RE2 cannot run it either: {error}"
        raise RuleError(message, where="regex", hint=_SIMPLER) from None
    test = _bounded(matches)

    def is_match(subject: str) -> bool:
        try:
            return test(subject)
        except UnicodeEncodeError:
            # A lone surrogate is no character to RE2.
            return False

    return is_match


def _complaint(source: str, tree: Node, excess: int) -> str:
    part = text(culprit(tree, length=MAX_SUBJECT, limit=MAX_STEPS))
    if not excess:
        return f"{source!r} cannot be bounded: {part} repeats what can be empty, or is too large"
    return (
        f"{source!r} can run away: {part} matches one text in so many ways that {excess} characters may take more than "
        f"{MAX_STEPS:,} steps"
    )
