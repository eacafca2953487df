"""Conditions on one request.

A `Match` holds when all of its conditions hold. The rules for header conditions are Envoy's (`HeaderMatcher`): a
repeated header matches if any of its lines does, an inverted condition if none does, and a header that is absent
never satisfies a condition on its value, inverted or not. This module decides; it builds no index (see `ruleset`).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args

from faultware.core.paths import PathTest, check_path, path_test
from faultware.core.patterns import compile_pattern
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from faultware.core.request import Request

TextKind: TypeAlias = Literal["exact", "prefix", "suffix", "contains", "regex", "present"]
PathKind: TypeAlias = Literal["segments", "exact", "prefix", "suffix", "contains", "regex", "glob", "template"]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
# The field a condition stands in, and whether it holds.
Condition: TypeAlias = "tuple[str, Callable[[Request], bool]]"
T = TypeVar("T")
R = TypeVar("R")

MAX_TEXT = 1024
MAX_CONDITIONS = 64

# The methods of the IANA registry that services use, and two that are customary. The one-line form knows these only,
# so that a misspelt one is told apart from a rare one; documents and code may name any.
KNOWN_METHODS = frozenset(
    {"CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "MKCOL", "MOVE", "OPTIONS", "PATCH", "POST"}
    | {"PROPFIND", "PROPPATCH", "PURGE", "PUT", "QUERY", "REPORT", "SEARCH", "TRACE", "UNLINK", "UNLOCK"}
)

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def is_token(text: str) -> bool:
    """Whether a text may name a method or a header (RFC 9110, section 5.6.2)."""
    return bool(text) and _TOKEN.issuperset(text)


@dataclass(frozen=True, slots=True)
class TextMatch:
    """A condition on a header, a query field, a cookie or the host. Exactly one kind is given.

    Args:
        exact: The whole value.
        prefix: How it begins.
        suffix: How it ends.
        contains: What stands somewhere in it.
        regex: A regular expression for the whole value; `.` matches any character. Values of more than 1,024
            characters match no regular expression.
        present: True: there is one, whatever its value; False: there is none.
        ignore_case: Compare without regard to case (Unicode case folding; a regex: ASCII letters only).
        invert: Turn the result round; a value that is absent still does not match.

    Raises:
        RuleError: No kind or several, an empty prefix, suffix, contains or regex, an unusable pattern.
    """

    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    contains: str | None = None
    regex: str | None = None
    present: bool | None = None
    ignore_case: bool = False
    invert: bool = False
    kind: TextKind = field(init=False, repr=False, compare=False)
    _test: Callable[[str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kind = _the_one_kind(self, get_args(TextKind))
        object.__setattr__(self, "kind", kind)
        if kind == "present":
            if self.ignore_case:
                raise RuleError("ignore_case means nothing beside present", where="ignore_case", hint="leave it out")
            object.__setattr__(self, "_test", _always)
        else:
            object.__setattr__(self, "_test", _text_test(kind, self.value, ignore_case=self.ignore_case))

    @property
    def value(self) -> str:
        """The text of the one kind that is given; empty for `present`."""
        value = getattr(self, self.kind)
        return value if isinstance(value, str) else ""

    def accepts(self, values: Sequence[str]) -> bool:
        """Whether the values a request has under one name satisfy the condition."""
        if self.present is not None:
            return bool(values) == (self.present is not self.invert)
        if not values:
            return False
        return any(map(self._test, values)) is not self.invert


@dataclass(frozen=True, slots=True)
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
        ignore_case: Compare without regard to case.
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
        kind = _the_one_kind(self, get_args(PathKind))
        object.__setattr__(self, "kind", kind)
        check_path(kind, self.value)
        if kind in ("prefix", "suffix", "contains", "exact", "regex"):
            test = _text_test(kind, self.value, ignore_case=self.ignore_case)
        else:
            test = path_test(kind, self.value, ignore_case=self.ignore_case)
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


@dataclass(frozen=True, slots=True, init=False)
class Match:
    """The conditions on one request; all of them must hold. Without any, every request matches.

    Args:
        path: A `PathMatch`, or a plain path (see `PathMatch.parse`).
        methods: One of these, in capitals.
        headers: A `TextMatch` for each header name, or the exact value.
        query: The same for query fields; values are percent-decoded first.
        cookies: The same for cookies.
        host: A `TextMatch` or the exact name: lower case, without the port.
        client: Addresses and networks (`10.0.0.0/8`), one of which holds the peer's address.

    Raises:
        RuleError: A condition is not possible.
    """

    path: PathMatch | None
    methods: frozenset[str]
    headers: tuple[tuple[str, TextMatch], ...]
    query: tuple[tuple[str, TextMatch], ...]
    cookies: tuple[tuple[str, TextMatch], ...]
    host: TextMatch | None
    client: tuple[str, ...]
    conditions: tuple[Condition, ...] = field(repr=False, compare=False)

    def __init__(
        self,
        path: str | PathMatch | None = None,
        *,
        methods: Iterable[str] = (),
        headers: Mapping[str, str | TextMatch] | None = None,
        query: Mapping[str, str | TextMatch] | None = None,
        cookies: Mapping[str, str | TextMatch] | None = None,
        host: str | TextMatch | None = None,
        client: str | Iterable[str] = (),
    ) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("path", _inside("path", PathMatch.parse, path) if isinstance(path, str) else path)
        put("methods", _methods(methods))
        lowered = [(name.lower(), text) for name, text in _fields("headers", headers)]
        put("headers", tuple(sorted(lowered, key=lambda pair: pair[0])))
        put("query", _fields("query", query))
        put("cookies", _fields("cookies", cookies))
        put("host", _inside("host", _host, host) if host is not None else None)
        networks = _networks((client,) if isinstance(client, str) else tuple(client))
        put("client", tuple(str(network) for network in networks))
        put("conditions", tuple(self._conditions(networks)))
        for name, _ in self.headers:
            if not is_token(name):
                raise RuleError(f"{name!r} is not a header name", where=f"headers.{name}", hint="letters, digits and -")
        if len({name for name, _ in self.headers}) < len(self.headers):
            raise RuleError("one header is named twice", where="headers", hint="header names ignore case")

    def accepts_rest(self, request: Request) -> bool:
        """Whether every condition but the path's holds."""
        for _, holds in self.conditions:  # noqa: SIM110  (the generator of an `all` costs more than the conditions)
            if not holds(request):
                return False
        return True

    def accepts(self, request: Request) -> bool:
        """Whether every condition holds."""
        return (self.path is None or self.path.accepts(request.path)) and self.accepts_rest(request)

    def failures(self, request: Request) -> list[str]:
        """The conditions that do not hold, each by its field: `["path", "headers.x-canary"]`."""
        path = [] if self.path is None or self.path.accepts(request.path) else ["path"]
        return path + [place for place, holds in self.conditions if not holds(request)]

    def _conditions(self, networks: tuple[Network, ...]) -> Iterator[Condition]:
        """What is asked besides the path, the cheapest first."""
        if methods := self.methods:
            yield "methods", lambda request: request.method in methods
        for name, text in self.headers:
            yield f"headers.{name}", _header_condition(name, text)
        if host := self.host:
            yield "host", lambda request: host.accepts((request.host,) if request.host else ())
        for name, text in self.query:
            yield f"query.{name}", _query_condition(name, text)
        for name, text in self.cookies:
            yield f"cookies.{name}", _cookie_condition(name, text)
        if networks:
            yield "client", lambda request: _is_within(request.client, networks)


def _header_condition(name: str, text: TextMatch) -> Callable[[Request], bool]:
    return lambda request: text.accepts(request.header(name))


def _query_condition(name: str, text: TextMatch) -> Callable[[Request], bool]:
    return lambda request: text.accepts(request.query.get(name, ()))


def _cookie_condition(name: str, text: TextMatch) -> Callable[[Request], bool]:
    return lambda request: text.accepts(request.cookies.get(name, ()))


def _the_one_kind(match: TextMatch | PathMatch, kinds: Iterable[str]) -> str:
    given = [kind for kind in kinds if getattr(match, kind) is not None]
    if len(given) != 1:
        message = f"{' and '.join(given)} exclude each other" if given else "nothing says what to compare with"
        raise RuleError(message, hint=f"give exactly one of {', '.join(kinds)}")
    (kind,) = given
    value = getattr(match, kind)
    if kind == "present":
        if not isinstance(value, bool):
            raise RuleError(f"{value!r} is not true or false", where="present")
    elif not isinstance(value, str):
        raise RuleError(f"{value!r} is not a text", where=kind, hint="quote it")
    elif not value and kind != "exact":
        raise RuleError("an empty text matches everything", where=kind, hint="leave the condition out")
    elif len(value) > MAX_TEXT:
        raise RuleError(f"{len(value)} characters are too many", where=kind, hint=f"at most {MAX_TEXT}")
    return kind


def _text_test(kind: str, value: str, *, ignore_case: bool) -> Callable[[str], bool]:
    if kind == "regex":
        return compile_pattern(value, ignore_case=ignore_case)
    if ignore_case:
        exactly = _text_test(kind, value.casefold(), ignore_case=False)
        return lambda text: exactly(text.casefold())
    if kind == "exact":
        return value.__eq__
    if kind == "prefix":
        return lambda text: text.startswith(value)
    if kind == "suffix":
        return lambda text: text.endswith(value)
    return lambda text: value in text


def _always(_text: str) -> bool:
    return True


def _methods(methods: Iterable[str]) -> frozenset[str]:
    if isinstance(methods, str):
        raise RuleError(f"{methods!r} is a text", where="methods", hint=f"write [{methods}]")
    known = frozenset(methods)
    for method in known:
        if not isinstance(method, str) or not is_token(method):
            raise RuleError(f"{method!r} is not a method", where="methods", hint="GET, POST, PUT, PATCH, DELETE, …")
        if method != method.upper():
            raise RuleError(f"{method!r} is not a method", where="methods", hint=f"write {method.upper()}")
    return known


def _fields(place: str, given: Mapping[str, str | TextMatch] | None) -> tuple[tuple[str, TextMatch], ...]:
    if given is None:
        return ()
    if len(given) > MAX_CONDITIONS:
        raise RuleError(f"{len(given)} conditions are too many", where=place, hint=f"at most {MAX_CONDITIONS}")
    for name in given:
        if not isinstance(name, str) or not name:
            raise RuleError(f"{name!r} is not a name", where=place, hint="quote it")
    return tuple(
        (name, text if isinstance(text, TextMatch) else _inside(f"{place}.{name}", _exactly, text))
        for name, text in sorted(given.items())
    )


def _host(host: str | TextMatch) -> TextMatch:
    """The host of a request is in lower case and without a final dot: so is what it is compared with."""
    match = TextMatch(exact=host) if isinstance(host, str) else host
    if match.kind in ("present", "regex"):
        return match
    value = match.value.lower()
    kinds: dict[str, Any] = {match.kind: value.rstrip(".") if match.kind == "exact" else value}
    return replace(match, **kinds)


def _plain_kind(text: str) -> PathKind:
    if "*" in text:
        return "glob"
    return "template" if "{" in text or "}" in text else "segments"


def _exactly(text: str) -> TextMatch:
    return TextMatch(exact=text)


def _networks(client: tuple[str, ...]) -> tuple[Network, ...]:
    networks: list[Network] = []
    for text in client:
        try:
            if not isinstance(text, str):
                raise TypeError  # noqa: TRY301  (a number would be read as an address)
            networks.append(ipaddress.ip_network(text))
        except (TypeError, ValueError):
            hint = "an address such as 127.0.0.1, or a network such as 10.0.0.0/8 without bits set behind its length"
            raise RuleError(f"{text!r} is no address and no network", where="client", hint=hint) from None
    return tuple(networks)


def _is_within(client: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any(address in network or (mapped is not None and mapped in network) for network in networks)


def _inside(place: str, build: Callable[[T], R], value: T) -> R:
    try:
        return build(value)
    except RuleError as error:
        raise error.inside(place) from None
