"""Hypothesis strategies for conditions on variables, as `match.where` and APISIX's `vars` have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

VARIABLES = ("uri", "request_uri", "method", "scheme", "host", "http_x_canary", "arg_user", "cookie_session")
_values = st.sampled_from(("1", "0", "blue", "", "/pay", "GET", 1, 0, 1.5, True, None))
_numbers = st.sampled_from((0, 1, 17, 1.5, "2", "no number"))
_patterns = st.sampled_from(("^/pay", "[0-9]$", "BLUE", "(?i)b", ""))
_networks = st.sampled_from(("10.0.0.0/8", "::1", ["127.0.0.1", "fd00::/8"]))

_tests: SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.sampled_from(("==", "~=")), _values),
    st.tuples(st.sampled_from((">", ">=", "<", "<=")), _numbers),
    st.tuples(st.sampled_from(("~~", "~*")), _patterns),
    st.tuples(st.just("in"), st.lists(_values, max_size=3)),
    st.tuples(st.just("ipmatch"), _networks),
)
_comparisons: SearchStrategy[Any] = st.builds(
    lambda name, invert, test: [name, *(["!"] if invert else []), *test],
    st.sampled_from(VARIABLES),
    st.booleans(),
    _tests,
)
_groups = st.sampled_from(("AND", "OR", "!AND", "!OR"))


def expressions() -> SearchStrategy[list[Any]]:
    """A list of conditions, some of them nested."""
    nested: SearchStrategy[Any] = st.one_of(
        _comparisons,
        st.lists(_comparisons, min_size=1, max_size=2),
        st.builds(lambda kind, members: [kind, *members], _groups, st.lists(_comparisons, min_size=2, max_size=3)),
    )
    return st.lists(nested, max_size=3)
