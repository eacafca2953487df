"""Patterns of RE2 for Python and back, against RE2 itself."""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from faultware import TextMatch
from faultware.errors import RuleError
from faultware.interop.re2syntax import from_re2, quote, to_re2

OPTIONS = re2.Options()
OPTIONS.encoding = re2.Options.Encoding.LATIN1
OPTIONS.log_errors = False

WORDS = (
    *"abBé.*+?|^$/1{}-: &~0",
    *("(", ")", "(?:", "(?i)", "(?i:", "(?-i)", "(?P<n>", "(?s)", "[", "[^", "]", "[:alpha:]", "[:^digit:]", "[]a]"),
    *(r"\d", r"\W", r"\s", r"\b", r"\z", r"\A", r"\Q", r"\E", r"\x61", r"\x{62}", r"\141", r"\1", r"\.", r"\_", r"\C"),
    *("{2}", "{1,}", "{,2}", "{0,3}", "[a-c]", r"\07", "(?=", "(?>", "*+", "(?U)", "&&", "??", r"\pL"),
)
SUBJECTS = (
    "",
    "a",
    "b",
    "ab",
    "aB",
    "AB",
    "aab",
    "1",
    "a1",
    "é",
    "Ã",
    "Ã©",
    "/",
    "a.b",
    "-",
    "{,2}",
    "a{,2}",
    "}",
    " ",
)
patterns = st.lists(st.sampled_from(WORDS), max_size=7).map("".join)


def theirs(pattern):
    try:
        return re2.compile(pattern.encode(), OPTIONS)
    except re2.error:
        return None


@given(patterns)
def test_what_is_read_is_what_re2_reads_and_matches_what_re2_matches(pattern):
    reference = theirs(pattern)
    try:
        written = from_re2(pattern)
    except RuleError as error:
        is_known = "Unicode" in str(error) or "nothing stands before" in str(error)
        assert reference is None or is_known, pattern
        return
    assert reference is not None, pattern
    ours = re.compile(written, re.DOTALL | re.ASCII)
    for subject in SUBJECTS:
        theirs_matches = reference.fullmatch(subject.encode("latin-1")) is not None
        assert (ours.fullmatch(subject) is not None) is theirs_matches, (pattern, written, subject)


@pytest.mark.parametrize("pattern", ["(?s)", r"\Q\E", "(?-i)"])
def test_a_pattern_of_nothing_but_marks_is_no_empty_pattern(pattern):
    assert TextMatch(regex=from_re2(pattern)).accepts(("",))
    assert to_re2(from_re2(pattern)) == "(?:)"


@given(patterns)
def test_what_is_written_reads_back_as_the_same(pattern):
    try:
        written = from_re2(pattern)
    except RuleError:
        return
    back = to_re2(written)
    assert back is not None
    assert from_re2(back) == written


@given(st.text(st.characters(max_codepoint=255), max_size=8))
def test_a_quoted_text_matches_itself_and_nothing_else(text):
    assert re.fullmatch(from_re2(quote(text)), text, re.DOTALL | re.ASCII)
    assert theirs(quote(text)).fullmatch(text.encode("latin-1"))
    assert not theirs(quote(text)).fullmatch(text.encode("latin-1") + b"x")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=a)", "RE2 knows no look-ahead"),
        ("(?!a)", "RE2 knows no look-ahead"),
        ("(?<=a)", "RE2 knows no look-behind"),
        ("(?<!a)", "RE2 knows no look-behind"),
        ("(?>a)", "RE2 knows no atomic group"),
        ("(?#a)", "RE2 knows no comment"),
        ("(?x)a", "RE2 knows no such group"),
        ("(?P<n>a)(?P=n)", "RE2 knows no back-reference"),
        (r"(a)\1", r"RE2 knows no back-reference \1"),
        (r"\Z", r"RE2 knows no \Z"),
        (r"\u0061", r"RE2 knows no \u"),
        (r"\x{100}", r"\x{100} is more than a byte"),
        (r"\pL", "a Unicode class compares characters, and Envoy compares bytes"),
        (r"[\PL]", "a Unicode class compares characters, and Envoy compares bytes"),
        ("[[:alfa:]]", "RE2 knows no [:alfa:]"),
        ("[b-a]", "the range b-a is upside down"),
        ("[a", "a closing bracket is missing"),
        ("(a", "a closing parenthesis is missing"),
        ("a)", "a closing parenthesis has no opening one"),
        ("a**", "a repeat of a repeat"),
        ("a++", "a repeat of a repeat"),
        ("*a", "nothing stands before *"),
        ("a|*", "nothing stands before *"),
        ("a{1001}", "the count {1001} is not possible"),
        ("a{3,2}", "the count {3,2} is not possible"),
        ("(a{100}b){2}c|(?:x{32}){32}", "counts inside counts come to more than 1000"),
        ("a\\", "a backslash stands at the end"),
        ("[a\\", "a backslash stands at the end"),
        ("(" * 200, "groups are nested too deep"),
    ],
)
def test_what_re2_refuses_is_refused_by_its_name(pattern, reason):
    with pytest.raises(RuleError) as caught:
        from_re2(pattern)
    assert str(caught.value).endswith(f"is no regular expression of RE2: {reason}")


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("(?i)Ab", "(?i)Ab"),
        ("a(?i)b|c", "a(?i:b)|(?i:c)"),
        ("(?i)a(?-i)b", "(?i)a(?-i:b)"),
        (r"\Qa.b\E+", r"a\.b+"),
        (r"[[:digit:]x]\z", r"[0-9x]\Z"),
        ("a{,3}", r"a\{,3\}"),
        ("é", r"\xc3\xa9"),
        ("(?P<year>a)", "(?:a)"),
        ("^*a$+", "a$"),
        (r"\141\x{41}\a", r"aA\a"),
    ],
)
def test_what_only_re2_knows_is_rewritten(pattern, written):
    assert from_re2(pattern) == written


@pytest.mark.parametrize("pattern", ["a++", "(?>a|b)c", "a*+"])
def test_what_re2_cannot_say_is_not_exported(pattern):
    assert to_re2(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "written"), [(r"a\Z", r"a\z"), ("a{,3}", "a{0,3}"), ("é", r"\xe9"), (r"\\Z", r"\\Z")]
)
def test_patterns_of_python_are_spelled_as_re2_has_them(pattern, written):
    assert to_re2(pattern) == written
