"""Paths: segments, globs and templates, and the paths that no rule may have."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faultware.core.matching import PathMatch
from faultware.errors import RuleError

CASES = [
    (
        "segments",
        "/pay",
        ["/pay", "/pay/", "/pay/7", "/pay//7", "/pay/a/b"],
        ["/", "/pays", "/payments", "//pay", "/a/pay"],
    ),
    ("segments", "/pay/", ["/pay/", "/pay/7"], ["/pay", "/pays/"]),
    ("segments", "/", ["/", "/pay", "//", "/a/b"], []),
    ("segments", "//", ["//", "//a"], ["/", "/a"]),
    ("segments", "/a//b", ["/a//b", "/a//b/c"], ["/a/b", "/a/b/"]),
    ("glob", "/pay/*", ["/pay/7", "/pay/x y"], ["/pay", "/pay/", "/pay/7/8", "/pay/7/", "/pays/7"]),
    ("glob", "/pay*", ["/pay", "/payments"], ["/pay/7", "/pa"]),
    ("glob", "/*s/x", ["/s/x", "/pays/x"], ["/pay/x", "/a/s/x"]),
    ("glob", "/a*b*c", ["/abc", "/aXbYc", "/abbc", "/abcbc"], ["/ab", "/acb", "/a/b/c"]),
    ("glob", "/*a*a", ["/aa", "/xaxa"], ["/a", "/ab", "/aab"]),
    ("glob", "/b*a*ab*a", ["/baabxa"], ["/baba"]),
    ("glob", "/**/a/**/a", ["/a/a", "/x/a/a/a"], ["/a", "/a/b"]),
    ("glob", "/**", ["/", "/a", "/a/b/", "//"], []),
    ("glob", "/pay/**", ["/pay", "/pay/", "/pay/7", "/pay/7/8"], ["/pays", "/", "/a/pay"]),
    ("glob", "/**/pay", ["/pay", "/a/pay", "/a/b/pay"], ["/payments", "/pay/a", "/apay"]),
    ("glob", "/a/**/b", ["/a/b", "/a/x/b", "/a/x/y/b", "/a/b/b"], ["/a", "/a/b/c", "/ab"]),
    ("glob", "/**/a/**/b/**", ["/a/b", "/x/a/y/b/z", "/a/a/b"], ["/b/a", "/a", "/ab"]),
    ("glob", "/a/**/b*/c", ["/a/b/c", "/a/x/bx/c"], ["/a/b/x/c", "/a/c"]),
    ("glob", "/**/", ["/", "/a/", "/a/b/"], ["/a", "/a/b"]),
    ("template", "/users/{id}", ["/users/7", "/users/x y"], ["/users", "/users/", "/users/7/", "/users/7/8"]),
    ("template", "/users/{id}/orders", ["/users/7/orders"], ["/users//orders", "/users/7/orders/", "/users/7/order"]),
    ("template", "/{a}/{b}", ["/x/y"], ["/x", "/x/", "/x/y/z"]),
    ("template", "/v1.0/{a}", ["/v1.0/a"], ["/v1x0/a"]),
    ("exact", "/pay", ["/pay"], ["/pay/", "/Pay", "/pay/7"]),
    ("prefix", "/pay", ["/pay", "/payments", "/pay/7"], ["/pa", "/a/pay"]),
    ("suffix", ".json", ["/a.json", "/.json"], ["/a.jsonx", "/json"]),
    ("contains", "admin", ["/admin", "/x/administer"], ["/Admin"]),
    ("regex", r"/users/\d+", ["/users/7"], ["/users/7/", "/users/"]),
]


@pytest.mark.parametrize(("kind", "value", "accepted", "refused"), CASES)
def test_a_path_condition_holds_for_these_and_not_for_those(kind, value, accepted, refused):
    match = PathMatch(**{kind: value})
    inverted = PathMatch(**{kind: value}, invert=True)
    for path in accepted:
        assert match.accepts(path), path
        assert not inverted.accepts(path), path
    for path in refused:
        assert not match.accepts(path), path
        assert inverted.accepts(path), path


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("segments", "/Pay"),
        ("exact", "/Pay"),
        ("prefix", "/Pa"),
        ("suffix", "AY"),
        ("contains", "PA"),
        ("glob", "/P*"),
        ("template", "/Pay"),
        ("regex", "/P.*"),
    ],
)
def test_every_kind_can_ignore_case(kind, value):
    assert not PathMatch(**{kind: value}).accepts("/pay")
    assert PathMatch(**{kind: value}, ignore_case=True).accepts("/pay")
    assert PathMatch(**{kind: value}, ignore_case=True).accepts("/PAY")


@pytest.mark.parametrize(
    ("given_kind", "message"),
    [
        ({"segments": "pay"}, "segments: a path begins with /, not 'pay' (write /pay)"),
        ({"exact": "pay"}, "exact: a path begins with /"),
        ({"prefix": "*"}, "prefix: a path begins with /"),
        ({"glob": "**/pay"}, "glob: a path begins with /"),
        ({"template": "{id}"}, "template: a path begins with /"),
        ({"segments": "/pay?x=1"}, "holds a query (put it under query, or write query:key=value)"),
        ({"glob": "/a**"}, "** stands for whole segments, not inside 'a**' (write …/a* or …/a/**)"),
        ({"glob": "/***"}, "** stands for whole segments, not inside '***'"),
        (
            {"template": "/users/{id"},
            "'{id' is not a template segment (a name in braces is a whole segment",
        ),
        ({"template": "/users/x{id}"}, "'x{id}' is not a template segment"),
        ({"template": "/users/{}"}, "'{}' is not a template segment"),
        ({"template": "/users/{7}"}, "'{7}' is not a template segment"),
        ({}, "nothing says what to compare with (give exactly one of segments, exact, prefix"),
        ({"exact": "/a", "glob": "/a"}, "exact and glob exclude each other"),
        ({"suffix": ""}, "suffix: an empty text matches everything (leave the condition out)"),
        ({"contains": ""}, "contains: an empty text matches everything"),
        ({"exact": 7}, "exact: 7 is not a text (quote it)"),
        ({"exact": "/" + "a" * 1024}, "exact: 1025 characters are too many (at most 1024)"),
        ({"regex": "("}, "regex: '(' is no regular expression"),
    ],
)
def test_a_path_that_no_request_can_have_is_refused(given_kind, message):
    with pytest.raises(RuleError) as caught:
        PathMatch(**given_kind)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("/pay", "segments"), ("/", "segments"), ("/pay/*", "glob"), ("/{id}", "template"), ("/*/{id}", "glob")],
)
def test_a_plain_path_says_its_kind_by_its_letters(text, kind):
    match = PathMatch.parse(text)
    assert match.kind == kind
    assert match.value == text
    assert match.is_plain


def test_what_a_plain_path_cannot_say_is_not_plain():
    assert not PathMatch(exact="/pay").is_plain
    assert not PathMatch(segments="/a*").is_plain
    assert not PathMatch(glob="/a").is_plain
    assert not PathMatch(segments="/a", invert=True).is_plain
    assert not PathMatch(segments="/a", ignore_case=True).is_plain


@pytest.mark.parametrize(
    ("match", "is_named"),
    [
        (PathMatch(segments="/health"), True),
        (PathMatch(exact="/health"), True),
        (PathMatch(prefix="/health"), True),
        (PathMatch(template="/health"), True),
        (PathMatch(segments="/"), False),
        (PathMatch(prefix="/heal"), False),
        (PathMatch(glob="/health*"), False),
        (PathMatch(regex="/health"), False),
        (PathMatch(suffix="/health"), False),
        (PathMatch(exact="/health", invert=True), False),
    ],
)
def test_a_path_is_named_exactly_only_by_who_wrote_it(match, is_named):
    assert match.names_exactly("/health") is is_named


def _glob_holds(glob, path):
    """The meaning of a glob, in the plainest words: on lists of segments, trying everything."""

    def segment_holds(pattern, text):
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(segment_holds(pattern[1:], text[cut:]) for cut in range(len(text) + 1))
        return bool(text) and text[0] == pattern[0] and segment_holds(pattern[1:], text[1:])

    def holds(patterns, texts):
        if not patterns:
            return not texts
        if patterns[0] == "**":
            return any(holds(patterns[1:], texts[cut:]) for cut in range(len(texts) + 1))
        if not texts or (patterns[0] == "*" and not texts[0]):
            return False
        return segment_holds(patterns[0], texts[0]) and holds(patterns[1:], texts[1:])

    return holds(glob.split("/")[1:], path.split("/")[1:])


_globs = st.lists(st.one_of(st.text("ab*", max_size=4), st.just("**")), min_size=1, max_size=5)


@settings(max_examples=500)
@given(_globs, st.lists(st.text("ab", max_size=4), min_size=1, max_size=6))
def test_a_glob_means_what_trying_everything_finds(patterns, segments):
    glob, path = "/" + "/".join(patterns), "/" + "/".join(segments)
    try:
        match = PathMatch(glob=glob)
    except RuleError:
        assert any("**" in pattern and pattern != "**" for pattern in patterns)
        return
    assert match.accepts(path) == _glob_holds(glob, path)


@given(st.text(max_size=40).map(lambda text: "/" + text), st.text(max_size=40))
def test_no_path_raises_anything_but_a_rule_error(text, path):
    for kind in ("segments", "exact", "prefix", "suffix", "contains", "regex", "glob", "template"):
        for ignore_case in (False, True):
            try:
                match = PathMatch(**{kind: text}, ignore_case=ignore_case)
            except RuleError:
                continue
            assert match.accepts(path) in (True, False)
