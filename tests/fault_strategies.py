"""Hypothesis strategies for faults, made from what the forms of their fields say."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import reject
from hypothesis import strategies as st

from faultware.core.faults import FAULTS, Abort, Bytes, Delay, DelayResponse, Events, Fault, Hang, Raise, Share
from faultware.core.faults.forms import (
    At,
    Json,
    Key,
    Kind,
    Lines,
    Names,
    Percent,
    Rate,
    Seconds,
    Size,
    Text,
    Whole,
    Word,
    forms_of,
)
from faultware.core.sampling import SampleBy
from faultware.errors import RuleError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# These have strategies of their own.
SPECIAL = (Abort, Delay, DelayResponse, Hang, Raise)
BY_FORM = tuple(fault for fault in FAULTS if fault not in SPECIAL)
PERCENTAGES = st.one_of(
    st.sampled_from((0, 0.1, 0.5, 1, 5, 10, 12.5, 33.3, 50, 99.9, 100)),
    st.floats(min_value=0, max_value=100, allow_nan=False),
)
_HEADERS = st.sampled_from(("x-a", "X-B", "etag", "cache-control"))
_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def values(kind: Kind) -> SearchStrategy[Any]:
    """Possible values of a kind."""
    match kind:
        case Seconds(above_zero):
            return st.integers(int(above_zero), 30_000_000).map(lambda microseconds: microseconds / 1_000_000)
        case Size(least, most):
            return st.integers(least, min(most, 3_000_000)) | st.sampled_from((max(least, 1000), max(least, 1024)))
        case Rate():
            return st.integers(1, 10**9) | st.sampled_from((1000, 1024, 10**6))
        case Percent():
            return PERCENTAGES
        case Whole(least, most, refused):
            return st.integers(max(least, -1000), min(most, 5000)).filter(lambda value: value not in refused)
        case Word(choices):
            return st.sampled_from(choices)
        case At():
            places = st.builds(Bytes, st.integers(0, 10**6)), st.builds(Share, PERCENTAGES)
            return st.one_of(*places, st.builds(Events, st.integers(0, 1000)))
        case Key():
            return st.sampled_from(("client", "header:x-user-id", "query:user")).map(SampleBy.parse)
        case Lines():
            return st.lists(st.tuples(_HEADERS, _VALUES), max_size=3).map(tuple)
        case Names():
            return st.lists(_HEADERS, max_size=2).map(tuple)
        case Text():
            return st.text(max_size=8)
        case Json():
            return st.dictionaries(st.text(max_size=3), _JSON, max_size=3)


@st.composite
def _by_form(draw: Any, fault: type[Fault]) -> Fault:
    """A fault of one kind; what would not be possible is drawn again."""
    given: dict[str, Any] = {}
    for field in forms_of(fault):
        if field.is_required or draw(st.booleans()):
            given[field.name] = draw(values(field.form.kind))
            if isinstance(field.form.kind, Json):
                given[field.name] = json.dumps(given[field.name])
    try:
        return fault(**given, percentage=draw(st.just(100) | PERCENTAGES))
    except RuleError:
        reject()


@cache
def faults_by_form(*kinds: type[Fault]) -> SearchStrategy[Fault]:
    """Faults of these kinds, or of every kind that has nothing but forms."""
    return st.one_of(*(_by_form(kind) for kind in kinds or BY_FORM))
