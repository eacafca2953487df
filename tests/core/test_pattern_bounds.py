"""The bound on the work of a pattern holds: first against a count of all paths, then against the clock."""

from __future__ import annotations

import re
import time

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from faultware.core.backtracking import runs_away_at
from faultware.core.expressions import has_ambiguous_set, read, text
from faultware.core.patterns import MAX_STEPS, MAX_SUBJECT
from faultware.errors import RuleError
from tests.conftest import let_threads_end

FLAGS = re.DOTALL | re.ASCII

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
        self.calls = 0

    def walk(self, node, position, then):
        # Loops over nothing visit no character and have paths without end; what was counted before holds.
        self.calls += 1
        if self.calls > 50 * self.limit:
            raise _Overrun
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
@example("a(?:|\\b){40}", "a", 1)
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
    let_threads_end()
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
