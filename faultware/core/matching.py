"""Conditions on one request.

A `Match` holds when all of its conditions hold; those on single texts are in `conditions`. This module decides; it
builds no index (see `ruleset`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from faultware.core.comparing import Group, parse
from faultware.core.conditions import MAX_TEXT, PathKind, PathMatch, TextKind, TextMatch, is_token
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from faultware.core.request import Request

    # What may be asked of one name: the exact value, a condition, or several conditions that must all hold.
    Asked: TypeAlias = str | TextMatch | Sequence[TextMatch]

__all__ = [
    "KNOWN_METHODS",
    "MAX_TEXT",
    "PSEUDO_HEADERS",
    "Match",
    "PathKind",
    "PathMatch",
    "TextKind",
    "TextMatch",
    "is_token",
]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
# The field a condition stands in, and whether it holds.
Condition: TypeAlias = "tuple[str, Callable[[Request], bool]]"
T = TypeVar("T")
R = TypeVar("R")

MAX_CONDITIONS = 64

# The methods of the IANA registry that services use, and two that are customary. The one-line form knows these only,
# so that a misspelt one is told apart from a rare one; documents and code may name any.
KNOWN_METHODS = frozenset(
    {"CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "MKCOL", "MOVE", "OPTIONS", "PATCH", "POST"}
    | {"PROPFIND", "PROPPATCH", "PURGE", "PUT", "QUERY", "REPORT", "SEARCH", "TRACE", "UNLINK", "UNLOCK"}
)

# What HTTP/2 calls the parts of a request line (RFC 9113, section 8.3.1), and Envoy whatever the version. The path is
# the request target as it was sent: not decoded, with the mount prefix and the query. `:authority` is `host`.
PSEUDO_HEADERS: Final = (":path", ":method", ":scheme")


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Match:
    """The conditions on one request; all of them must hold. Without any, every request matches.

    Args:
        path: A `PathMatch`, or a plain path (see `PathMatch.parse`).
        methods: One of these, in capitals.
        headers: A `TextMatch` for each header name, or the exact value, or several that must all hold. `:path` is the
            request target as it was sent, not decoded and with the query; `:method`, `:scheme` and `:authority` are
            what HTTP/2 calls so.
        query: The same for query fields; values are percent-decoded first.
        cookies: The same for cookies.
        host: A `TextMatch` or the exact name: lower case, without the port.
        client: Addresses and networks (`10.0.0.0/8`), one of which holds the peer's address.
        raw_path: A `TextMatch` or the exact path, as it was sent: not decoded, with the mount prefix, no query.
        raw_query: As `query`, but values are not decoded, and of a field that is repeated only the first one counts.
        where: Conditions on variables with and, or and not; see `comparing`.

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
    raw_path: TextMatch | None
    raw_query: tuple[tuple[str, TextMatch], ...]
    where: Group | None
    conditions: tuple[Condition, ...] = field(compare=False)

    def __init__(
        self,
        path: str | PathMatch | None = None,
        *,
        methods: Iterable[str] = (),
        headers: Mapping[str, Asked] | None = None,
        query: Mapping[str, Asked] | None = None,
        cookies: Mapping[str, Asked] | None = None,
        host: str | TextMatch | None = None,
        client: str | Iterable[str] = (),
        raw_path: str | TextMatch | None = None,
        raw_query: Mapping[str, Asked] | None = None,
        where: Group | Sequence[object] | None = None,
    ) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("path", None if path is None else _inside("path", _path, path))
        put("methods", _methods(methods))
        put("headers", _headers(headers))
        put("query", _fields("query", query))
        put("cookies", _fields("cookies", cookies))
        put("host", _inside("host", _host, host) if host is not None else None)
        networks = _networks((client,) if isinstance(client, str) else client)
        put("client", tuple(str(network) for network in networks))
        put("raw_path", None if raw_path is None else _inside("raw_path", _text, raw_path))
        put("raw_query", _fields("raw_query", raw_query))
        # Read again what is read already: so every rule can be written, and read back.
        written = where.document() if isinstance(where, Group) else where
        put("where", None if written is None else _inside("where", parse, written))
        put("conditions", tuple(self._conditions(networks)))

    def __repr__(self) -> str:
        path = self.path.value if self.path is not None and self.path.is_plain else self.path
        given = {
            "methods": sorted(self.methods) or None,
            "headers": _gathered(self.headers) or None,
            "query": _gathered(self.query) or None,
            "cookies": _gathered(self.cookies) or None,
            "host": None if self.host is None else _shortest(self.host),
            "client": list(self.client) or None,
            "raw_path": None if self.raw_path is None else _shortest(self.raw_path),
            "raw_query": _gathered(self.raw_query) or None,
            "where": None if self.where is None else self.where.document(),
        }
        words = [] if path is None else [repr(path)]
        words += [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return f"Match({', '.join(words)})"

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

    def names_exactly(self, path: str) -> bool:
        """Whether this very path was written, so that an exemption of it was meant to be lifted."""
        if self.path is not None and self.path.names_exactly(path):
            return True
        return any(text.kind in ("exact", "prefix") and not text.invert and text.value == path for text in self._sent())

    @property
    def written_path(self) -> str:
        """What the condition on the path says, whichever form of the path it is on; empty: there is none."""
        if self.path is not None:
            return self.path.value
        return next((text.value for text in self._sent()), "")

    def _sent(self) -> list[TextMatch]:
        """The conditions on the path as it was sent."""
        return [text for name, text in self.headers if name == ":path"] + ([self.raw_path] if self.raw_path else [])

    def _conditions(self, networks: tuple[Network, ...]) -> Iterator[Condition]:
        """What is asked besides the path, the cheapest first."""
        if methods := self.methods:
            yield "methods", lambda request: request.method in methods
        if sent := self.raw_path:
            yield "raw_path", lambda request: sent.accepts((request.raw_path,))
        for name, text in self.headers:
            yield f"headers.{name}", _header_condition(name, text)
        if host := self.host:
            yield "host", lambda request: host.accepts((request.host,) if request.host else ())
        for name, text in self.query:
            yield f"query.{name}", _query_condition(name, text)
        for name, text in self.raw_query:
            yield f"raw_query.{name}", _raw_query_condition(name, text)
        for name, text in self.cookies:
            yield f"cookies.{name}", _cookie_condition(name, text)
        if expression := self.where:
            yield "where", expression.holds
        if networks:
            yield "client", lambda request: _is_within(request.client, networks)


def _shortest(text: TextMatch) -> str | TextMatch:
    return text.value if text.is_equality else text


def _gathered(pairs: Iterable[tuple[str, TextMatch]]) -> dict[str, Asked]:
    """The conditions by name, as `Match` takes them."""
    gathered: dict[str, list[TextMatch]] = {}
    for name, text in pairs:
        gathered.setdefault(name, []).append(text)
    return {name: texts if len(texts) > 1 else _shortest(texts[0]) for name, texts in gathered.items()}


def _header_condition(name: str, text: TextMatch) -> Callable[[Request], bool]:
    if name == ":path":
        return lambda request: text.accepts((request.target,))
    if name == ":method":
        return lambda request: text.accepts((request.method,))
    if name == ":scheme":
        return lambda request: text.accepts((request.scheme,))
    return lambda request: text.accepts(request.header(name))


def _query_condition(name: str, text: TextMatch) -> Callable[[Request], bool]:
    return lambda request: text.accepts(request.query.get(name, ()))


def _raw_query_condition(name: str, text: TextMatch) -> Callable[[Request], bool]:
    return lambda request: text.accepts(request.raw_query.get(name, ()))


def _cookie_condition(name: str, text: TextMatch) -> Callable[[Request], bool]:
    return lambda request: text.accepts(request.cookies.get(name, ()))


def _methods(methods: Iterable[str]) -> frozenset[str]:
    if isinstance(methods, str):
        raise RuleError(f"{methods!r} is a text", where="methods", hint=f"write [{methods}]")
    if not isinstance(methods, Iterable):
        raise RuleError(f"{methods!r} is not a list", where="methods", hint="write [GET]")
    known = frozenset(methods)
    for method in known:
        if not isinstance(method, str) or not is_token(method):
            raise RuleError(f"{method!r} is not a method", where="methods", hint="GET, POST, PUT, PATCH, DELETE, …")
        if method != method.upper():
            raise RuleError(f"{method!r} is not a method", where="methods", hint=f"write {method.upper()}")
    return known


def _headers(given: Mapping[str, Asked] | None) -> tuple[tuple[str, TextMatch], ...]:
    lowered: dict[str, Asked] = {}
    for name, asked in () if given is None else _mapping("headers", given).items():
        key = name.lower() if isinstance(name, str) else name
        key = "host" if key == ":authority" else key
        if key in lowered:
            raise RuleError("one header is named twice", where="headers", hint="header names ignore case")
        lowered[key] = asked
    pairs = _fields("headers", lowered)
    for name, _ in pairs:
        if not is_token(name) and name not in PSEUDO_HEADERS:
            hint = (
                f"letters, digits and -; or one of {', '.join(PSEUDO_HEADERS)}"
                if ":" in name
                else "letters, digits and -"
            )
            raise RuleError(f"{name!r} is not a header name", where=f"headers.{name}", hint=hint)
    return pairs


def _fields(place: str, given: Mapping[str, Asked] | None) -> tuple[tuple[str, TextMatch], ...]:
    if given is None:
        return ()
    for name in _mapping(place, given):
        if not isinstance(name, str) or not name:
            raise RuleError(f"{name!r} is not a name", where=place, hint="quote it")
    pairs = tuple(
        (name, _inside(f"{place}.{name}", _text, text))
        for name, asked in sorted(given.items())
        for text in (asked if isinstance(asked, (list, tuple)) else [cast("str | TextMatch", asked)])
    )
    if len(pairs) > MAX_CONDITIONS:
        raise RuleError(f"{len(pairs)} conditions are too many", where=place, hint=f"at most {MAX_CONDITIONS}")
    return pairs


def _host(host: str | TextMatch) -> TextMatch:
    """The host of a request is in lower case and without a final dot: so is what it is compared with."""
    match = _text(host)
    if match.one_of is not None:
        for choice in match.one_of:
            _check_name(choice)
        return replace(match, one_of=tuple(choice.lower().rstrip(".") for choice in match.one_of))
    if match.kind in ("present", "regex", "range"):
        return match
    value = match.value.lower()
    if match.kind == "exact":
        _check_name(match.value)
    kinds: dict[str, Any] = {match.kind: value.rstrip(".") if match.kind == "exact" else value}
    return replace(match, **kinds)


def _check_name(text: str) -> None:
    """Refuse what no host is, since nobody has more than its name: it would never be met, and nobody would be told."""
    if "/" in text or text.startswith("[") or text.count(":") == 1:
        rest = text.lower().rpartition("://")[2].partition("/")[0]
        if rest.startswith("["):
            name, _, port = rest[1:].partition("]")
        else:
            name, _, port = rest.partition(":") if rest.count(":") == 1 else (rest, "", "")
        hint = f"write {name}" if name else "such as api.example.com"
        raise RuleError(f"{text!r} is more than a name", hint=f"{hint}: the port does not count" if port else hint)


def _path(path: str | PathMatch) -> PathMatch:
    if isinstance(path, PathMatch):
        return path
    if not isinstance(path, str):
        raise RuleError(f"{path!r} is not a path", hint="a text, or PathMatch(…)")
    return PathMatch.parse(path)


def _text(text: str | TextMatch) -> TextMatch:
    return text if isinstance(text, TextMatch) else TextMatch(exact=text)


def _mapping(place: str, given: Mapping[str, Asked]) -> Mapping[str, Asked]:
    if not isinstance(given, Mapping):
        raise RuleError(f"{given!r} is not a mapping", where=place, hint="write {name: value}")
    return given


def _networks(client: Iterable[str]) -> tuple[Network, ...]:
    if not isinstance(client, Iterable):
        raise RuleError(f"{client!r} is no address and no network", where="client", hint="quote it")
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
