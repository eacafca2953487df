"""Regular expressions: what is refused and why, what is accepted, and that what is accepted never runs away."""

from __future__ import annotations

import re
import sys
import time
import warnings

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from faultware.core.backtracking import runs_away_at
from faultware.core.expressions import has_ambiguous_set, read, text
from faultware.core.patterns import MAX_STEPS, MAX_SUBJECT, compile_pattern
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


# What follows proves the bound: first against a count of all paths, then against the clock.

_sets = ("a", "b", "c", ".", "[ab]", "[^a]", r"\w", r"\d", "", "ab", "aa", "^", "$", r"\b")
_quantifiers = ("*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{1,3}", "{2,}", "*+", "{3,40}", "")


def _extended(inner):
    two = st.tuples(inner, inner)
    return st.one_of(
        two.map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda options: f"({'|'.join(options)})"),
        st.tuples(inner, st.sampled_from(_quantifiers)).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.tuples(st.sampled_from(_sets[:8]), st.sampled_from(_quantifiers)).map("".join),
        inner.map(lambda part: f"(?>{part})"),
    )


patterns = st.recursive(st.sampled_from(_sets), _extended, max_leaves=12)


def _read(source):
    try:
        return read(source, FLAGS)
    except RuleError:
        assume(False)


@given(patterns, st.text("ab1", max_size=8))
def test_a_tree_printed_and_read_again_means_the_same(source, subject):
    tree = _read(source)
    printed = text(tree).replace(r"\z", r"\Z")
    assert bool(re.compile(printed, FLAGS).fullmatch(subject)) == bool(re.compile(source, FLAGS).fullmatch(subject))


@given(st.text("abz09A_-^\\dDwWsS]\u00e9", max_size=8), st.booleans())
def test_character_sets_are_exact(body, ignore_case):
    source = f"[{body}]"
    flags = FLAGS | (re.IGNORECASE if ignore_case else 0)
    assume(not has_ambiguous_set(source))
    try:
        compiled = re.compile(source, flags)
    except re.error:
        assume(False)
    tree = read(source, flags)
    assume(hasattr(tree, "intervals"))
    for code in [*range(300), 0x17F, 0x212A, 0xFFFF, 0x10000, 0x10FFFF]:
        is_in = any(low <= code <= high for low, high in tree.intervals)
        assert is_in == (compiled.fullmatch(chr(code)) is not None), (source, code)


class _Overrun(Exception):
    pass


class _Matcher:
    """Tries every path, remembers nothing, never succeeds, and counts the character positions it visits."""

    def __init__(self, subject, limit):
        self.subject = subject
        self.limit = limit
        self.steps = 0

    def walk(self, node, position, then):
        getattr(self, type(node).__name__.lower())(node, position, then)

    def chars(self, node, position, then):
        if position < len(self.subject):
            code = ord(self.subject[position])
            if any(low <= code <= high for low, high in node.intervals):
                self.steps += 1
                if self.steps > self.limit:
                    raise _Overrun
                then(position + 1)

    def anchor(self, _node, position, then):
        then(position)

    def atomic(self, node, position, then):
        self.walk(node.item, position, then)

    def choice(self, node, position, then):
        for option in node.options:
            self.walk(option, position, then)

    def series(self, node, position, then, done=0):
        if done == len(node.items):
            then(position)
        else:
            self.walk(node.items[done], position, lambda after: self.series(node, after, then, done + 1))

    def repeat(self, node, position, then, done=0):
        if node.most is None or done < node.most:
            self.walk(node.item, position, lambda after: self.repeat(node, after, then, done + 1))
        if done >= node.least:
            then(position)


@settings(max_examples=300, deadline=None)
@given(patterns, st.text("ab1", min_size=1, max_size=4), st.integers(1, 8))
def test_the_bound_is_never_below_the_number_of_paths(source, pump, times):
    tree = _read(source)
    subject = (pump * times)[:14]
    matcher = _Matcher(subject, limit=3000)
    try:
        matcher.walk(tree, 0, lambda _position: None)
    except _Overrun:
        pass
    except RecursionError:
        assume(False)
    steps = min(matcher.steps, matcher.limit)
    if steps:
        # Were the allowance one step less than what is taken, the bound would have to say so.
        assert runs_away_at(tree, length=len(subject), limit=steps - 1, to_the_end=False) is not None


_NASTY = ("a", "b", "1", "ab", "ba", "aab", "abb", "a1", "aa1b", "ab1ab")


def _time_of(matches, subject):
    start = time.process_time()
    matches(subject)
    return time.process_time() - start


def test_what_is_accepted_takes_no_longer_than_a_multiple_of_squared_work():
    """The allowance is 50 times what a plainly quadratic pattern takes on the same machine in the same minute."""
    quadratic = re.compile("(?:ab|ac)*(?:ab|ac)*x", FLAGS).fullmatch
    allowed = 50 * max(sorted(_time_of(quadratic, "ab" * 512) for _ in range(5))[2], 1e-3)
    accepted = 0

    @settings(max_examples=250, deadline=None)
    @given(patterns, st.sampled_from(_NASTY), st.sampled_from(("", "!", "b", "1")))
    def check(source, pump, end):
        nonlocal accepted
        tree = _read(source)
        if runs_away_at(tree, length=MAX_SUBJECT, limit=MAX_STEPS) is not None:
            return
        accepted += 1
        matches = re.compile(source, FLAGS).fullmatch
        # Growing lengths, so that a mistake shows before it takes for ever.
        for length in (8, 12, 16, 18, 20, 22, 24, 26, 28, 32, 40, 64, 128, 256, 512, 1024):
            subject = (pump * length)[: length - len(end)] + end
            if _time_of(matches, subject) > allowed:
                assert min(_time_of(matches, subject) for _ in range(3)) <= allowed, (source, length)

    check()
    assert accepted > 50


def test_judging_a_pattern_takes_bounded_work_itself():
    """The worst patterns to judge: many states that many texts reach together."""
    quick = _time_of(lambda source: runs_away_at(read(source, FLAGS), length=MAX_SUBJECT, limit=MAX_STEPS), ".*.*x")
    for source in (
        ".{0,64}" * 36,
        "(?:a?b?)" * 32,
        ".*" + ".{60}" * 8,
        "(" + "|".join("ab" * 2 for _ in range(50)) + ")*",
    ):
        taken = _time_of(
            lambda source: runs_away_at(read(source, FLAGS), length=MAX_SUBJECT, limit=MAX_STEPS), source[:256]
        )
        assert taken < 1000 * max(quick, 1e-3), source
