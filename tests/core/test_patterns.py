"""Regular expressions: what is refused and why, what is accepted, and that what is accepted never runs away."""

from __future__ import annotations

import re
import sys
import warnings

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from faultware.core.expressions import has_ambiguous_set
from faultware.core.patterns import MAX_SUBJECT, compile_pattern
from faultware.errors import RuleError

FLAGS = re.DOTALL | re.ASCII

PRACTICAL = {
    "[a-z0-9-]+": ("a-7", "A"),
    r"/users/\d+(/orders)?": ("/users/7/orders", "/users/7/"),
    "(foo|bar)+": ("foobarfoo", "foba"),
    "(/[a-z0-9]+)*": ("/a/b2/c", "/a//b"),
    r"(\d+,)*\d+": ("1,22,333", "1,,2"),
    ".*foo.*": ("a\nfoo b", "fo"),
    r"v\d+\.\d+": ("v1.20", "v1.20.3"),
    "(?i)canary.*": ("CaNaRy-7", "a canary"),
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}": (
        "123e4567-e89b-12d3-a456-426614174000",
        "123e4567-e89b-12d3-a456-42661417400",
    ),
    "^/pay/.*$": ("/pay/7", "/pay"),
    ".*foo.*bar.*": ("xfooxbarx", "barfoo"),
    ".*(foo|bar|baz).*(qux|quux).*": ("a baz quux", "qux"),
    "(.+)/(.+)/(.+)": ("a/b/c", "a/b"),
    "(?:[a-z]+-)*[a-z]+": ("a-bc-d", "a-"),
    r"\d+\.\d+\.\d+\.\d+": ("10.0.0.1", "10.0.1"),
    r"(\d{1,3}\.){3}\d{1,3}": ("10.0.0.1", "1000.0.0.1"),
    "([a-f0-9]{1,4}:){7}[a-f0-9]{1,4}": ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7"),
    r"^[\w.+-]+@[\w-]+\.[\w.-]+$": ("a.b@c.example.org", "a.b@c"),
    r".*(Chrome|Firefox)/\d+.*": ("Mozilla Firefox/130.0", "Firefox"),
    r"\d{1,3}(,\d{3})*(\.\d+)?": ("1,234,567.8", "12,34"),
    r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?": ("2024-02-29T10:00:00Z", "2024"),
    ".*error.*|.*fail.*": ("a failure", "fine"),
    r"[a-z]{1,63}(\.[a-z]{1,63})*": ("www.example.org", "www..org"),
    "[A-Za-z0-9+/]{86}==": ("a" * 86 + "==", "a==="),
    "[a-z0-9-]{1,253}": ("a", ""),
    r"Bearer [\w-]+\.[\w-]+\.[\w-]+": ("Bearer a.b.c-d", "Bearer a.b"),
    r".*\.(jpg|jpeg|png|gif|webp|svg|css|js)": ("/a.b.png", "/a.php"),
    '"[^"]*"(,"[^"]*")*': ('"a","b"', '"a",b'),
    r"(?>\d+)(?:px|em)": ("10px", "px"),
    r"\w++@\w++": ("a@b", "a@"),
    "a??b": ("ab", "aab"),
    "": ("", "a"),
}

RUNAWAY = [
    "(a+)+",
    "(a|a)*",
    "(a*)*",
    "(a|aa)+",
    "(.*a){20}",
    "([a-z]+)*$",
    ".*.*.*x",
    r"\d*\d*\d*x",
    "((a{1,100}){1,100}){1,100}",
    r"(\w+\s?)+",
    "(x+x+)+y",
    "([a-z]+-?)+",
    "(a|b|ab)*",
    ".*a.*b.*c.*d",
    "(a?){50}a{50}",
    "a?" * 25 + "a" * 25,
    "(a|a)" * 26,
    "a" + "(|)" * 40,
    "(?:a|b|(?:a|b)c)*(?:a|b|(?:a|b)c)*d" + "(e|e)*",
    "(?i)(a|A)*b+(b|B+)*c",
    "(foo|foobar|bar)*",
    "(?>(a+)+)b",
    "(a+)++b",
    r"(?s-i:(\d|\w|ab)+):",
]


@pytest.fixture
def no_re2(monkeypatch):
    monkeypatch.setitem(sys.modules, "re2", None)


@pytest.mark.parametrize("pattern", PRACTICAL)
def test_a_practical_pattern_is_accepted_and_matches_whole_texts(pattern, no_re2):
    accepted, refused = PRACTICAL[pattern]
    test = compile_pattern(pattern)
    assert test(accepted) is True
    assert test(refused) is False


@pytest.mark.parametrize("pattern", RUNAWAY)
def test_a_pattern_that_can_run_away_is_refused_with_the_part_and_the_remedy(pattern, no_re2):
    with pytest.raises(RuleError) as caught:
        compile_pattern(pattern)
    assert "run away" in str(caught.value) or "cannot be bounded" in str(caught.value)
    assert "pip install 'faultware[re2]'" in caught.value.hint
    assert caught.value.where == "regex"


@pytest.mark.parametrize(
    ("everything", "less"),
    [
        (".*a.*b.*", ".*a.*b[^x]*"),
        (".*.*.*", ".*.*[a-z]*"),
        (".*(a.*(b.*)?)?", ".*(a.*(b[^x]*)?)?"),
        (".*.*.*$", ".*.*.*$x"),
    ],
)
def test_a_final_repeat_of_every_character_is_free_and_of_fewer_is_not(everything, less, no_re2):
    compile_pattern(everything)
    with pytest.raises(RuleError, match="can run away"):
        compile_pattern(less)


def test_the_refusal_names_the_smallest_part_that_runs_away(no_re2):
    with pytest.raises(RuleError, match=r"can run away: \(a\+\)\+ matches one text in so many ways that 28 characters"):
        compile_pattern("/users/(a+)+/orders")
    for pattern, part in {
        "/a/.*.*.*x": ".*.*.*",
        "a|b(c+)+|d": "(c+)+",
        "^(?>x(a+)+)$": "(a+)+",
        "([^\\s\\S]|(a+)+)?b": "(a+)+",
        "([^a]|é+|\\x00|[a\\n])+": "([^a]|é+|\\x00|[\\x0aa])+",
    }.items():
        with pytest.raises(RuleError) as caught:
            compile_pattern(pattern)
        assert f"can run away: {part} matches" in str(caught.value)
    with pytest.raises(RuleError, match=r"cannot be bounded: \(b\*\)\* repeats what can be empty"):
        compile_pattern("a(b*)*")


@pytest.mark.parametrize("pattern", RUNAWAY)
def test_re2_runs_what_re_must_not(pattern):
    test = compile_pattern(pattern) if not pattern.startswith(("(?>", "(a+)++", "((a{1,100}")) else None
    if test is None:
        with pytest.raises(RuleError, match="RE2 cannot run it either"):
            compile_pattern(pattern)
    else:
        assert test("!" * 64) is False
        assert test("a" * MAX_SUBJECT + "\n") is False


def test_patterns_mean_the_same_on_re2():
    assert compile_pattern("(a+)+")("aaaa")
    assert not compile_pattern("(a+)+")("aaaab")
    assert compile_pattern("(.*.*.*)x|y")("\n\nx")
    assert compile_pattern("(a+)+", ignore_case=True)("aAa")
    assert not compile_pattern("(a+)+")("aAa")
    assert compile_pattern(r"(\d+)+\Z")("1")
    assert not compile_pattern(r"(\d+)+")("\u0661")
    assert compile_pattern(r"([é/+\n-]+)+")("é/+\n-")
    assert compile_pattern(r"(a{,2})+b")("aaaaab")
    assert compile_pattern(r"^(a+)+$")("aa")
    assert not compile_pattern(r"(a+)+\b!")("aa")
    assert not compile_pattern("(.+)+x")("\ud800x")


@given(st.text("ab1\n", max_size=12), st.sampled_from((*RUNAWAY[:11], "(a|b|[^b])+", r"(\w|b1|1)*", "(?i)(A|b|AB)*")))
def test_re2_and_re_agree_where_texts_are_short(subject, pattern):
    try:
        test = compile_pattern(pattern)
    except RuleError:
        assume(False)
    assert test(subject) == (re.compile(pattern, FLAGS).fullmatch(subject) is not None)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is no regular expression: missing )"),
        ("[a", "unterminated character set"),
        ("*a", "nothing to repeat"),
        (r"(a)\1", "a back-reference cannot be matched in bounded time"),
        ("(?P<n>a)(?P=n)", "a back-reference"),
        ("(a)?(?(1)b|c)", "a condition on a group"),
        ("(?=a)b", "look-around"),
        ("(?!a)b", "look-around"),
        ("(?<=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        ("(?!)", "look-around"),
        ("a{1001}", "a count of 1001 is too large (at most 1000"),
        ("a{2,60000}", "a count of 60000 is too large"),
        ("a{99999999999}", "the repetition number is too large"),
        ("(?u)a", "ASCII and UNICODE flags are incompatible"),
        ("(?L)a", "bad inline flags"),
        ("(?u:a)", "a group changes the alphabet"),
        ("[[:alpha:]]+", "[[:alpha:]] is [A-Za-z]"),
        ("[a--b]", "later Pythons may read otherwise"),
        ("a" * 257, "a pattern of 257 characters is too long (at most 256"),
        ("(" * 128 + ")" * 128, ""),
    ],
)
def test_what_is_no_usable_pattern_is_refused_even_with_re2(pattern, message):
    if not message:
        compile_pattern(pattern)
        return
    with pytest.raises(RuleError) as caught:
        compile_pattern(pattern)
    assert message in str(caught.value)
    assert caught.value.where == "regex"


def test_a_pattern_of_256_characters_is_accepted():
    assert compile_pattern("a" * 256)("a" * 256)


def test_a_long_text_never_matches():
    assert compile_pattern(".*")("a" * 1024)
    assert not compile_pattern(".*")("a" * 1025)
    assert not compile_pattern("(a+)+")("a" * 1025)


def test_a_dot_is_every_character_and_classes_and_case_are_of_ascii():
    assert compile_pattern("a.b")("a\nb")
    assert not compile_pattern("(?-s:a.b)")("a\nb")
    assert not compile_pattern(r"\d")("\u0661")
    assert not compile_pattern(r"\w")("é")
    assert not compile_pattern("é", ignore_case=True)("É")
    assert compile_pattern("Canary", ignore_case=True)("cANARY")


def test_safe_patterns_run_on_re_whether_re2_is_there_or_not(monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setitem(sys.modules, "re2", type("Re2", (), {"compile": refuse, "Options": refuse}))
    assert compile_pattern("[a-z]+")("abc")


@pytest.mark.filterwarnings("error")
@given(st.text("[]^-&~|\\ab()", max_size=10).map(lambda body: f"[{body}]"))
def test_no_set_makes_re_warn(source):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            re.compile(source, FLAGS)
        except re.error:
            return
        finally:
            re.purge()
    assert has_ambiguous_set(source) or not caught
