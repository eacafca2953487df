"""Hypothesis strategies for rules, and for requests made of the rules' own literals.

The words are few, so that rules and requests meet often: a request that no rule could match proves little.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from faultware.core.asking import ByHeaders
from faultware.core.delays import Exponential, LogNormal, Normal, Pareto, Uniform
from faultware.core.faults import (
    Abort,
    Delay,
    Hang,
    Phase,
    Raise,
    Reset,
    Share,
    Truncate,
    WebsocketClose,
    WebsocketMessages,
    WebsocketRefuse,
    attribute,
)
from faultware.core.matching import Match, PathMatch, TextMatch
from faultware.core.recurring import WEEKDAYS, Recurring
from faultware.core.request import Request
from faultware.core.rules import Choice, Rule
from faultware.core.sampling import SampleBy
from faultware.core.schedules import Schedule
from tests.condition_strategies import expressions
from tests.fault_strategies import BY_FORM, PERCENTAGES, faults_by_form

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypothesis.strategies import DrawFn, SearchStrategy

WORDS = ("pay", "payments", "pays", "users", "7", "a", "b", "Pay", "é", "x y", "v1;2", "")
HEADER_NAMES = ("x-canary", "x-user-id", "accept", "user-agent")
FIELD_NAMES = ("user", "flag", "a b", "é")
VALUES = ("1", "0", "blue", "Blue", "blue green", "a;b", "é", "")
CLIENTS = ("127.0.0.1", "10.0.0.7", "10.0.1.7", "::1", "fd00::7", "::ffff:10.0.0.7", "testclient", "")
NETWORKS = ("127.0.0.1", "10.0.0.0/24", "10.0.0.0/8", "::1", "fd00::/8")
HOSTS = ("shop.example", "api.shop.example", "localhost", "::1")
REGEXES = ("/pay.*", ".*", "[a-z0-9-]+", r"/users/\d+(/.*)?", "(?i)/PAY.*", "[^/]*/7", "1|blue")
METHODS = ("GET", "POST", "DELETE", "OPTIONS", "HEAD")

_words = st.sampled_from(WORDS)
_paths = st.lists(_words, min_size=1, max_size=4).map(lambda segments: "/" + "/".join(segments))
_short = st.integers(min_value=1, max_value=30_000_000).map(lambda microseconds: microseconds / 1_000_000)


@cache
def text_matches() -> SearchStrategy[TextMatch]:
    """Conditions on a value, of every kind."""
    flags = {"ignore_case": st.booleans(), "invert": st.booleans(), "absent_is_empty": st.booleans()}
    some = st.sampled_from(VALUES).filter(bool)
    numbers = st.integers(min_value=-1, max_value=9)
    return st.one_of(
        st.builds(TextMatch, exact=st.sampled_from(VALUES)),
        st.builds(TextMatch, exact=st.sampled_from(VALUES), **flags),
        st.builds(TextMatch, prefix=some, **flags),
        st.builds(TextMatch, suffix=some, **flags),
        st.builds(TextMatch, contains=some, **flags),
        st.builds(TextMatch, regex=st.sampled_from(REGEXES), **flags),
        st.builds(
            TextMatch,
            one_of=st.lists(st.sampled_from(VALUES), min_size=1, max_size=3).map(tuple),
            invert=st.booleans(),
            absent_is_empty=st.booleans(),
        ),
        st.builds(TextMatch, range=st.tuples(numbers, numbers).filter(lambda ends: ends[0] < ends[1])),
        st.builds(TextMatch, present=st.booleans(), invert=st.booleans()),
    )


@cache
def path_matches() -> SearchStrategy[PathMatch]:
    """Conditions on a path, of every kind."""
    flags = {"ignore_case": st.booleans(), "invert": st.booleans()}
    some = _words.filter(bool)
    globs = st.lists(st.one_of(_words, st.sampled_from(("*", "**", "pay*", "*s", "p*y*"))), min_size=1, max_size=4)
    templates = st.lists(st.one_of(_words, st.sampled_from(("{id}", "{user}"))), min_size=1, max_size=4)
    kinds = {
        "segments": _paths,
        "exact": _paths,
        "prefix": _paths,
        "suffix": some,
        "contains": some,
        "regex": st.sampled_from(REGEXES),
        "glob": globs.map(lambda segments: "/" + "/".join(segments)),
        "template": templates.map(lambda segments: "/" + "/".join(segments)),
    }
    plain = [st.builds(PathMatch, **{kind: values}) for kind, values in kinds.items()]
    return st.one_of(*plain, *(st.builds(PathMatch, **{kind: values}, **flags) for kind, values in kinds.items()))


def _other_than(text: str) -> TextMatch:
    return TextMatch(exact=text, invert=True)


@cache
def matches() -> SearchStrategy[Match]:
    """Conditions on a request; a path alone is the most frequent."""

    def fields(names: tuple[str, ...]) -> SearchStrategy[dict[str, str | TextMatch | list[TextMatch]]]:
        several = st.lists(text_matches(), min_size=1, max_size=2)
        condition = st.one_of(st.sampled_from(VALUES), text_matches(), several)
        return st.one_of(st.just({}), st.dictionaries(st.sampled_from(names), condition, max_size=2))

    sent = st.one_of(
        _paths.map(lambda path: TextMatch(exact=path)),
        _paths.map(lambda path: TextMatch(prefix=path)),
        st.builds(TextMatch, prefix=_paths, ignore_case=_coin, invert=_coin),
    )
    targets = sent | _paths.map(lambda path: TextMatch(exact=f"{path}?user=1"))
    sent_conditions = st.one_of(
        st.builds(Match, raw_path=sent, raw_query=fields(FIELD_NAMES)),
        st.builds(
            Match,
            headers=st.fixed_dictionaries(
                {":path": targets | st.tuples(targets, targets)},
                optional={
                    ":method": st.sampled_from(METHODS) | st.sampled_from(METHODS).map(_other_than),
                    ":scheme": st.sampled_from(("http", "https")),
                    ":authority": st.sampled_from(HOSTS),
                },
            ),
        ),
    )

    return st.one_of(
        st.builds(Match, path_matches()),
        st.builds(Match, path_matches()),
        sent_conditions,
        st.builds(
            Match,
            st.none() | path_matches(),
            methods=st.just(()) | st.sets(st.sampled_from(METHODS), max_size=2),
            headers=fields(HEADER_NAMES),
            query=fields(FIELD_NAMES),
            cookies=fields(("session", "user")),
            host=st.none() | st.sampled_from(HOSTS) | st.builds(TextMatch, suffix=st.just(".example")),
            client=st.just(()) | st.lists(st.sampled_from(NETWORKS), max_size=2, unique=True),
            where=st.none() | st.none() | expressions(),
        ),
    )


@cache
def distributions() -> SearchStrategy[Uniform | Normal | LogNormal | Exponential | Pareto]:
    """Delays of every distribution."""
    bound = st.integers(min_value=30_000_000, max_value=60_000_000).map(lambda microseconds: microseconds / 1_000_000)
    shape = st.floats(min_value=0.01, max_value=100)
    ranges = st.tuples(st.just(0.0) | _short, _short).map(sorted)
    return st.one_of(
        ranges.map(lambda ends: Uniform(*ends)),
        st.builds(Normal, _short, _short, bound),
        st.builds(LogNormal, _short, shape, bound),
        st.builds(Exponential, _short, bound),
        st.builds(Pareto, _short, shape, bound),
    )


@cache
def aborts() -> SearchStrategy[Abort]:
    """Answers in the application's place: texts, JSON, headers."""
    values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
    json = st.dictionaries(st.text(max_size=4), st.integers() | st.none() | st.text(max_size=4), max_size=2)
    with_body = st.integers(min_value=200, max_value=599).filter(lambda status: status not in (204, 205, 304))
    return st.one_of(
        st.builds(Abort, st.integers(min_value=200, max_value=599)),
        st.builds(
            Abort,
            with_body,
            body=st.none() | st.text(max_size=8) | st.binary(max_size=4) | json | st.just([1, {"a": None}]),
            headers=st.dictionaries(st.sampled_from(("retry-after", "x-fault", "etag")), values, max_size=2),
            content_type=st.none() | st.just("text/html"),
            after=st.booleans(),
            percentage=st.just(100) | PERCENTAGES,
        ),
        st.builds(Abort, with_body, body=st.just("${http_x_user ?? nobody} $uri"), template=st.just(True)),
    )


_delays = st.builds(Delay, distributions(), percentage=st.just(100) | PERCENTAGES)
_WEBSOCKET = (WebsocketRefuse, WebsocketClose, WebsocketMessages)
_beside = faults_by_form(*(kind for kind in BY_FORM if kind not in _WEBSOCKET and kind.phase is not Phase.TERMINAL))
_terminal = faults_by_form(*(kind for kind in BY_FORM if kind not in _WEBSOCKET and kind.phase is Phase.TERMINAL))
_several = st.lists(_beside, max_size=2, unique_by=lambda fault: fault.kind)
_of_websockets = faults_by_form(*_WEBSOCKET)
_choices = st.lists(
    st.builds(
        Choice,
        st.integers(1, 9),
        st.one_of(st.builds(Abort, st.integers(400, 599)), st.just(Reset()), st.just(Truncate(Share(50)))),
    ),
    max_size=3,
)
_schedules = st.none() | st.builds(Schedule, _short, PERCENTAGES, _short, st.none() | _short)
_recurring = st.builds(
    Recurring,
    st.integers(10, 10**6).map(float),
    start=st.sampled_from(("00:00", "09:30", "22:00")),
    days=st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True),
    timezone=st.sampled_from(("UTC", "Europe/Berlin")),
    max_per_day=st.integers(1, 9),
    leashed=st.booleans(),
)
_by_headers = st.builds(
    ByHeaders,
    st.integers(1, 2**32 - 1),
    st.integers(0, 100),
    st.integers(0, 100),
    st.sampled_from((100, 10_000, 1_000_000)),
    body=st.text(max_size=4),
)
_of_processes = faults_by_form(*(kind for kind in BY_FORM if kind.phase is Phase.INSTANCE))
_endings = st.one_of(
    st.none(),
    aborts(),
    _terminal,
    st.sampled_from(("InjectedFault", "TimeoutError", "myapp.Broken")).map(Raise),
    st.builds(Hang, st.none() | _short),
)
_coin = st.booleans()
_rarely = st.integers(min_value=0, max_value=9).map(lambda number: not number)
_names = st.just("") | st.from_regex(r"\A[a-z][a-z0-9_-]{0,7}\Z")
_counts = st.none() | st.integers(min_value=1, max_value=5)
_keys = st.none() | st.sampled_from(("header:x-user-id", "cookie:session", "query:user", "client")).map(SampleBy.parse)
_groups = st.sampled_from(("", "", "g", "h"))
# As they are written: in whole percent, or thousandths of one.
_ends = st.lists(st.integers(0, 100_000), min_size=2, max_size=2, unique=True).map(sorted)
_parts = st.none() | _ends.map(lambda ends: (ends[0] / 1000, ends[1] / 1000))
_lifetimes = st.none() | _short


@st.composite
def rules(draw: DrawFn, *, match: SearchStrategy[Match] | None = None) -> Rule:
    """One rule: any match, any faults, any way of sampling; named or not.

    Args:
        match: Where the conditions come from, if not from `matches()`.
    """
    some, more = [], {}
    if match is None and draw(_rarely):
        fault = draw(_of_processes)
        lifetime = draw(_lifetimes)
        recurring = draw(_recurring)
        return Rule(draw(_names), percentage=100, recurring=recurring, lifetime_seconds=lifetime, **{fault.kind: fault})
    if draw(_rarely):
        some = [draw(_of_websockets)]
    elif draw(_rarely):
        more["choose"] = draw(_choices)
    else:
        some = [fault for fault in (draw(_endings), *draw(_several)) if fault is not None]
        more["fallback"] = Abort(500) if draw(_rarely) else None
    faults = {attribute(fault.kind): fault for fault in some}
    if draw(_rarely) and "abort" not in faults and not (some or more):
        more["by_headers"] = draw(_by_headers)
    if not (faults or more.get("choose") or more.get("by_headers")) or draw(_coin):
        faults["delay"] = draw(_delays)
    group = draw(_groups)
    return Rule(
        draw(_names),
        draw(match or matches()),
        percentage=draw(PERCENTAGES),
        count=draw(_counts),
        first=draw(_counts),
        every=draw(_counts),
        sample_by=draw(_keys),
        group=group,
        part=draw(_parts) if group else None,
        schedule=draw(_schedules),
        lifetime_seconds=draw(_lifetimes),
        **faults,
        **more,
    )


def rule_lists(*, max_size: int = 8) -> SearchStrategy[list[Rule]]:
    """Rules with different names."""
    return st.lists(rules(), max_size=max_size, unique_by=lambda rule: rule.name)


@st.composite
def requests(draw: DrawFn, rules: Iterable[Rule] = ()) -> Request:
    """A request: at random, or near to what one of the rules asks for.

    Args:
        rules: Their literals go into paths, methods, headers, query, cookies, host and client.
    """
    known = list(rules)
    model = draw(st.sampled_from(known)).match if known and draw(_mostly) else Match()
    sent = [text.value for name, text in model.headers if name == ":path"]
    sent += [model.raw_path.value] if model.raw_path else []
    if model.path:
        path = _near(draw, _filled(draw, model.path), WORDS)
    else:
        path = _near(draw, sent[0].partition("?")[0], WORDS) if any(sent) and draw(_mostly) else draw(_paths)
    headers, query = draw(_some_headers), draw(_some_fields)
    cookies: list[tuple[str, str]] = []
    groups = ((headers, model.headers), (query, model.query + model.raw_query), (cookies, model.cookies))
    for fields, conditions in groups:
        for name, text in conditions:
            if not name.startswith(":") and draw(_mostly):
                value = draw(st.sampled_from(text.one_of)) if text.one_of else text.value
                value = str(draw(st.integers(*text.range))) if text.range else value
                fields.append((name, _near(draw, value, VALUES)))
    host = model.host.value if model.host and draw(_mostly) else draw(_hosts)
    lines = [("Host", host), *((name.title() if draw(_coin) else name, value) for name, value in headers)]
    if cookies:
        lines.append(("cookie", "; ".join(f"{name}={value}" for name, value in cookies)))
    return Request(
        min(model.methods) if model.methods and draw(_mostly) else draw(_methods),
        path,
        query_string="&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query),
        headers=lines,
        client=draw(_clients),
        raw_path=draw(st.sampled_from(("", "", path, path.replace("a", "%61"), f"/mount{path}"))),
        scheme=draw(st.sampled_from(("http", "http", "https", "1"))),
    )


_mostly = st.integers(min_value=0, max_value=4).map(bool)
_some_headers = st.lists(st.tuples(st.sampled_from(HEADER_NAMES), st.sampled_from(VALUES)), max_size=2)
_some_fields = st.lists(st.tuples(st.sampled_from(FIELD_NAMES), st.sampled_from(VALUES)), max_size=1)
_hosts, _methods, _clients = (st.sampled_from(values) for values in (HOSTS, METHODS, CLIENTS))
_some_words = st.lists(_words, max_size=2)
_others: dict[tuple[str, ...], SearchStrategy[str]] = {words: st.sampled_from(words) for words in (WORDS, VALUES)}
_changes = st.integers(min_value=0, max_value=15)


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _filled(draw: DrawFn, match: PathMatch) -> str:
    """A path that has the literal parts of a condition."""
    if match.kind == "regex":
        return draw(_paths)
    if match.kind in ("suffix", "contains"):
        return draw(_paths) + match.value
    if match.kind not in ("glob", "template"):
        return match.value
    segments = []
    for segment in match.value.split("/")[1:]:
        if segment == "**":
            segments += draw(_some_words)
        elif segment.startswith("{"):
            segments.append(draw(_words))
        else:
            segments.append(segment.replace("*", draw(_words)))
    return "/" + "/".join(segments)


def _near(draw: DrawFn, text: str, others: tuple[str, ...]) -> str:
    """A text, or something that differs a little."""
    change = draw(_changes)
    variants = (
        lambda: f"{text}/{draw(_others[others])}",
        lambda: text + draw(_others[others]),
        lambda: text + "/",
        lambda: text[:-1],
        lambda: text[1:],
        text.upper,
        text.swapcase,
        lambda: "/" + text,
        lambda: text.replace("/", "//"),
        lambda: text.rstrip("/"),
        lambda: text + "\n",
    )
    return variants[change]() if change < len(variants) else text
