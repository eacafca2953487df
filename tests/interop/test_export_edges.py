"""Rules that are rare, as configurations of a mesh."""

from __future__ import annotations

import pytest

from faultware import Abort, Match, Rule, TextMatch
from tests.interop.test_export import EXPORTS, back

EMPTY = (TextMatch(one_of=("",)), TextMatch(one_of=("", "")), TextMatch(exact=""), TextMatch(regex="(?:)"))


@pytest.mark.parametrize("text", EMPTY)
@pytest.mark.parametrize("to", EXPORTS)
def test_an_empty_value_becomes_no_empty_pattern_which_the_mesh_refuses(text, to):
    for match in (Match(headers={"x-a": text}), Match(raw_query={"x-a": text})):
        (again,) = back(EXPORTS[to]([Rule(match=match, percentage=1, abort=Abort(503), group="g")]))
        ((_, found),) = again.match.headers + again.match.raw_query
        assert [found.accepts((value,)) for value in ("", "a")] == [True, False]
    for group in ("", "g"):
        assert back(EXPORTS[to]([Rule(match=Match(raw_path=text), percentage=1, abort=Abort(503), group=group)]))
