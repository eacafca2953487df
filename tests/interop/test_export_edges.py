"""Rules that are rare, as configurations of a mesh."""

from __future__ import annotations

import json
import sys
from itertools import product

import pytest
import yaml

from faultware import Abort, Match, PathMatch, Rule, TextMatch
from faultware.core.request import Request
from faultware.interop.envoyexport import export_envoy
from faultware.interop.writing import written
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


PATHS = ("/a", "/a/b", "/b", "/a$", "/é", "é", "É", "/")


REGEXES = ("^/a$", r"/a\Z|(/b$)", r"/a\b", "(?i)/A$")


@pytest.mark.parametrize(
    ("field", "regex"),
    [*product(("path", "raw_path"), REGEXES), ("raw_path", "/é"), ("raw_path", "(?i)é|b"), ("raw_path", "[é-ÿ]$")],
)
def test_a_pattern_says_the_same_of_a_path_with_a_query_behind_it(field, regex):
    for invert in (False, True):
        condition = (TextMatch if field == "raw_path" else PathMatch)(regex=regex, invert=invert)
        rule = Rule(match=Match(**{field: condition}), percentage=1, abort=Abort(503))
        (again,) = back(export_envoy([rule]))
        for path, query in product(PATHS, ("", "b", "/a")):
            # A decoded path that needs no decoding is the one that was sent.
            if path.isascii() or field == "raw_path":
                request = Request(path=path, raw_path=path, query_string=query)
                assert again.match.accepts(request) is rule.match.accepts(request), (path, query)


@pytest.mark.parametrize("field", ["path", "raw_path"])
def test_a_pattern_that_ends_in_the_middle_is_left_out(field):
    condition = (TextMatch if field == "raw_path" else PathMatch)(regex="/a$b*")
    exported = export_envoy([Rule(match=Match(**{field: condition}), percentage=1, abort=Abort(503))])
    assert [remark.what for remark in exported.losses] == [f"match.{field}"]


def test_a_value_that_stands_twice_in_a_condition_stands_once_in_the_pattern():
    rule = Rule(match=Match(headers={"x-a": TextMatch(one_of=("b", "a", "b"))}), percentage=1, abort=Abort(503))
    (again,) = back(export_envoy([rule]))
    assert again.match == Match(headers={"x-a": TextMatch(regex="b|a")})


@pytest.mark.parametrize("text", ["a\x85b", "a\u2028b", "a\u2029 b", "\u2028", "😀"])
def test_texts_of_any_letters_are_written_as_yaml_and_as_json_and_read_again(text, monkeypatch):
    document = {text: [text]}
    lines = written((document,))
    assert yaml.safe_load(lines) == document
    assert not {"\x85", "\u2028", "\u2029"}.intersection(lines)
    monkeypatch.setitem(sys.modules, "yaml", None)
    lines = written((document,))
    assert json.loads(lines) == document
    assert "\\u" not in lines
