"""Conditions on a text: a header, a query field, a cookie, a host (`TextMatch`), or the path (`PathMatch`).

The rules for headers are Envoy's (`HeaderMatcher`): a repeated header matches if any of its lines does, an inverted
condition if none does, and a header that is absent never satisfies a condition on its value, inverted or not, unless
the condition says that it counts as empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, get_args

from faultware.core.paths import PathTest, check_path, path_test
from faultware.core.patterns import compile_pattern
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TextKind: TypeAlias = Literal["exact", "prefix", "suffix", "contains", "regex", "one_of", "range", "present"]
PathKind: TypeAlias = Literal["segments", "exact", "prefix", "suffix", "contains", "regex", "glob", "template"]
TextTest: TypeAlias = Callable[[str], bool]

MAX_TEXT: Final = 1024
MAX_CHOICES: Final = 64

_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_INTEGER: Final = re.compile(r"[ \t]*([+-]?[0-9]{1,40})[ \t]*", re.ASCII)
_LEAST, _MOST = -(2**63), 2**63 - 1
_IGNORING_CASE: Final = ("exact", "prefix", "suffix", "contains", "regex")
_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def is_token(text: str) -> bool:
    """Whether a text may name a method or a header (RFC 9110, section 5.6.2)."""
    return bool(text) and _TOKEN.issuperset(text)


@dataclass(frozen=True, slots=True, repr=False)
class TextMatch:
    """A condition on a header, a query field, a cookie or the host. Exactly one kind is given.

    Args:
        exact: The whole value.
        prefix: How it begins.
        suffix: How it ends.
        contains: What stands somewhere in it.
        regex: A regular expression for the whole value; `.` matches any character. Values of more than 1,024
            characters match no regular expression.
        one_of: Several whole values, one of which it is.
        range: Two whole numbers: it is one from the first on, below the second. Source: Envoy's `range_match`.
        present: True: there is one, whatever its value; False: there is none.
        ignore_case: Compare without regard to case; only ASCII letters have one, as in Envoy: what a header holds are
            bytes.
        invert: Turn the result round; a value that is absent still does not match.
        absent_is_empty: A value that is absent counts as an empty one.

    Raises:
        RuleError: No kind or several, an empty prefix, suffix, contains or regex, an unusable pattern.
    """

    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    contains: str | None = None
    regex: str | None = None
    one_of: tuple[str, ...] | None = None
    range: tuple[int, int] | None = None
    present: bool | None = None
    ignore_case: bool = False
    invert: bool = False
    absent_is_empty: bool = False
    kind: TextKind = field(init=False, repr=False, compare=False)
    _test: TextTest = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("one_of", "range"):
            if isinstance(given := getattr(self, name), list):
                object.__setattr__(self, name, tuple(cast("list[object]", given)))
        kind = cast("TextKind", _the_one_kind(self, get_args(TextKind)))
        _check_switches(self, "ignore_case", "invert", "absent_is_empty")
        object.__setattr__(self, "kind", kind)
        if self.ignore_case and kind not in _IGNORING_CASE:
            raise RuleError(f"ignore_case means nothing beside {kind}", where="ignore_case", hint="leave it out")
        if self.absent_is_empty and kind == "present":
            message = "absent_is_empty means nothing beside present"
            raise RuleError(message, where="absent_is_empty", hint="leave it out")
        object.__setattr__(self, "_test", self._make_test())

    @property
    def value(self) -> str:
        """The text of the one kind that is given; empty for `one_of`, `range` and `present`."""
        value = getattr(self, self.kind)
        return value if isinstance(value, str) else ""

    def __repr__(self) -> str:
        return _written(self)

    @property
    def is_equality(self) -> bool:
        """Whether the value alone says it all: equal to it, and nothing else."""
        return self.kind == "exact" and not (self.ignore_case or self.invert or self.absent_is_empty)

    def accepts(self, values: Sequence[str]) -> bool:
        """Whether the values a request has under one name satisfy the condition."""
        if self.present is not None:
            return bool(values) == (self.present is not self.invert)
        if not values:
            return self.absent_is_empty and self._test("") is not self.invert
        return any(map(self._test, values)) is not self.invert

    def _make_test(self) -> TextTest:
        if self.one_of is not None:
            return frozenset(self.one_of).__contains__
        if self.range is not None:
            return _range_test(*self.range)
        if self.present is not None:
            return _always
        if self.ignore_case and self.kind != "regex":
            exactly = _text_test(self.kind, self.value.translate(_LOWER))
            return lambda text: exactly(text.translate(_LOWER))
        return _text_test(self.kind, self.value, ignore_case=self.ignore_case)


@dataclass(frozen=True, slots=True, repr=False)
class PathMatch:
    """A condition on the path. Exactly one kind is given.

    Args:
        segments: A prefix on segment borders: `/pay` holds for `/pay` and `/pay/7`, not for `/payments`.
        exact: The whole path; a trailing slash counts.
        prefix: A raw string prefix, as Envoy and Istio mean it.
        suffix: How it ends.
        contains: What stands somewhere in it.
        regex: A regular expression for the whole path.
        glob: `*` stands for any characters inside a segment, `**` for any number of whole segments.
        template: `/users/{id}`: each name in braces stands for one segment that is not empty.
        ignore_case: Compare without regard to case (Unicode case folding; a regex: ASCII letters only).
        invert: Turn the result round.

    Raises:
        RuleError: No kind or several, a path without its leading slash, an unusable pattern.
    """

    segments: str | None = None
    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    contains: str | None = None
    regex: str | None = None
    glob: str | None = None
    template: str | None = None
    ignore_case: bool = False
    invert: bool = False
    kind: PathKind = field(init=False, repr=False, compare=False)
    _test: PathTest = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kind = cast("PathKind", _the_one_kind(self, get_args(PathKind)))
        _check_switches(self, "ignore_case", "invert")
        object.__setattr__(self, "kind", kind)
        check_path(kind, self.value)
        if kind in ("segments", "glob", "template"):
            test = path_test(kind, self.value, ignore_case=self.ignore_case)
        elif self.ignore_case and kind != "regex":
            test = _folded(_text_test(kind, self.value.casefold()))
        else:
            test = _text_test(kind, self.value, ignore_case=self.ignore_case)
        object.__setattr__(self, "_test", test)

    @classmethod
    def parse(cls, text: str) -> PathMatch:
        """Read a plain path: a glob if it has a `*`, a template if it has braces, else a prefix on segment borders."""
        match _plain_kind(text):
            case "glob":
                return cls(glob=text)
            case "template":
                return cls(template=text)
            case _:
                return cls(segments=text)

    @property
    def value(self) -> str:
        """The text of the one kind that is given."""
        return str(getattr(self, self.kind))

    def __repr__(self) -> str:
        return _written(self)

    @property
    def is_plain(self) -> bool:
        """Whether a plain string says it all: `PathMatch.parse(self.value) == self`."""
        return not (self.ignore_case or self.invert) and self.kind == _plain_kind(self.value)

    def accepts(self, path: str) -> bool:
        """Whether a decoded path satisfies the condition."""
        return self._test(path) is not self.invert

    def names_exactly(self, path: str) -> bool:
        """Whether the rule's author wrote this very path, so that an exemption of it was meant to be lifted."""
        return self.kind in ("segments", "exact", "prefix", "template") and not self.invert and self.value == path


def _written(match: TextMatch | PathMatch) -> str:
    """As somebody would write it in Python: without what is not asked for."""
    given = ((part, getattr(match, part.name)) for part in fields(match) if part.init)
    words = [f"{part.name}={value!r}" for part, value in given if value != part.default]
    return f"{type(match).__name__}({', '.join(words)})"


def _the_one_kind(match: TextMatch | PathMatch, kinds: Iterable[str]) -> str:
    given = [kind for kind in kinds if getattr(match, kind) is not None]
    if len(given) != 1:
        message = f"{' and '.join(given)} exclude each other" if given else "nothing says what to compare with"
        raise RuleError(message, hint=f"give exactly one of {', '.join(kinds)}")
    (kind,) = given
    value = getattr(match, kind)
    match kind:
        case "present":
            if not isinstance(value, bool):
                raise RuleError(f"{value!r} is not true or false", where="present")
        case "one_of":
            _check_choices(value)
        case "range":
            _check_range(value)
        case _:
            _check_text(kind, value)
    return kind


def _check_text(kind: str, value: object) -> None:
    if not isinstance(value, str):
        raise RuleError(f"{value!r} is not a text", where=kind, hint="quote it")
    if not value and kind not in ("exact", "one_of"):
        raise RuleError("an empty text matches everything", where=kind, hint="leave the condition out")
    if len(value) > MAX_TEXT:
        raise RuleError(f"{len(value)} characters are too many", where=kind, hint=f"at most {MAX_TEXT}")


def _check_choices(value: object) -> None:
    choices = cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()
    if not 1 <= len(choices) <= MAX_CHOICES:
        raise RuleError("this is no choice", where="one_of", hint=f"1 to {MAX_CHOICES} texts")
    for choice in choices:
        _check_text("one_of", choice)


def _check_range(value: object) -> None:
    ends = cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()
    numbers = [end for end in ends if isinstance(end, int) and not isinstance(end, bool) and _LEAST <= end <= _MOST]
    if len(ends) != 2 or len(numbers) != 2:
        raise RuleError("this is no range", where="range", hint="two whole numbers of 64 bits: [200, 300]")
    if numbers[0] >= numbers[1]:
        message = f"no number lies from {numbers[0]} on and below {numbers[1]}"
        raise RuleError(message, where="range", hint="the second number is not part of the range")


def _check_switches(condition: object, *names: str) -> None:
    for name in names:
        if not isinstance(value := getattr(condition, name), bool):
            raise RuleError(f"{value!r} is not true or false", where=name)


def _text_test(kind: str, value: str, *, ignore_case: bool = False) -> TextTest:
    if kind == "regex":
        return compile_pattern(value, ignore_case=ignore_case)
    if kind == "exact":
        return value.__eq__
    if kind == "prefix":
        return lambda text: text.startswith(value)
    if kind == "suffix":
        return lambda text: text.endswith(value)
    return lambda text: value in text


def _folded(test: TextTest) -> TextTest:
    return lambda text: test(text.casefold())


def _range_test(start: int, end: int) -> TextTest:
    def is_within(text: str) -> bool:
        digits = _INTEGER.fullmatch(text)
        return digits is not None and start <= int(digits[1]) < end

    return is_within


def _always(_text: str) -> bool:
    return True


def _plain_kind(text: str) -> PathKind:
    if "*" in text:
        return "glob"
    return "template" if "{" in text or "}" in text else "segments"
