r"""Regular expressions in RE2's syntax, as Envoy and Istio have them, turned into the same expressions for Python.

Envoy matches the bytes of a header, read as Latin-1, and so does a rule: a letter outside ASCII in a pattern stands
for its bytes in UTF-8. What RE2 refuses is refused, by its name: look-around, back-references, possessive repeats. What
only RE2 knows is rewritten: `[[:alpha:]]`, `\z`, `\Q…\E`, flags in mid-pattern. Unicode classes (`\pL`) are the only
thing RE2 knows that is refused here.

`.` and `\s` stay as they are, though RE2's do not match a line break and a vertical tab: no header holds either.
Source: the syntax page of RE2, measured against RE2 itself in the tests.
"""

from __future__ import annotations

import re
from typing import Final

from faultware.config.mistakes import shown
from faultware.core.expressions import read, text
from faultware.errors import RuleError

# What matches nothing but an empty text. A pattern that is empty itself counts as a missing one everywhere.
EMPTY: Final = "(?:)"
_MAX_REPEAT: Final = 1000
_PYTHON: Final = re.DOTALL | re.ASCII
_END: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\Z")
_RE2_END: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\z")
_MAX_DEPTH: Final = 100
_COUNT: Final = re.compile(r"\{([0-9]{1,5})(,([0-9]{0,5}))?\}", re.ASCII)
_FLAGS: Final = re.compile(r"\(\?([imsU]*)(-[imsU]+)?([:)])", re.ASCII)
_NAMED: Final = re.compile(r"\(\?P?<(\w+)>", re.ASCII)
_POSIX: Final = re.compile(r"\[:(\^?)([a-z]+):\]")
_SIMPLE: Final = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_CONTROL: Final = {"\a": r"\a", "\f": r"\f", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\v": r"\v"}
# What a group does to case: nothing, ignore it, heed it.
_OPENINGS: Final = ("(?:", "(?i:", "(?-i:")
_ANCHORS: Final = frozenset({"^", "$", r"\A", r"\Z", r"\b", r"\B"})
_SPECIAL: Final = frozenset(r"\.^$|?*+()[]{}")
_CLASS_SPECIAL: Final = frozenset(r"\[]^-&~|")
# Ranges of each named set; the order is RE2's own list.
_SETS: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"!-~",
    "lower": "a-z",
    "print": r" -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t-\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_COMPLEMENTS: Final = {
    "alnum": r"\x00-/:-@\[-`{-\xff",
    "alpha": r"\x00-@\[-`{-\xff",
    "ascii": r"\x80-\xff",
    "blank": r"\x00-\x08\n-\x1f!-\xff",
    "cntrl": r" -~\x80-\xff",
    "digit": r"\x00-/:-\xff",
    "graph": r"\x00- \x7f-\xff",
    "lower": r"\x00-`{-\xff",
    "print": r"\x00-\x1f\x7f-\xff",
    "punct": r"\x00- 0-9A-Za-z\x7f-\xff",
    "space": r"\x00-\x08\x0e-\x1f!-\xff",
    "upper": r"\x00-@\[-\xff",
    "word": r"\x00-/:-@\[-\^`{-\xff",
    "xdigit": r"\x00-/:-@G-`g-\xff",
}


def from_re2(pattern: str) -> str:
    """The same regular expression for a rule.

    Raises:
        RuleError: RE2 refuses it, or it asks for a Unicode class.
    """
    return _Translator(pattern).whole()


def to_re2(pattern: str) -> str | None:
    """A rule's pattern in RE2's spelling, for bytes read as Latin-1; None: RE2 has no such pattern.

    What comes out is read back by `from_re2` as the same expression.
    """
    tree = read(pattern, _PYTHON)
    for written in (_END.sub(r"\1\\z", pattern), text(tree)):
        spelling = "".join(letter if letter.isascii() else _plain(letter) for letter in written)
        try:
            if read(from_re2(spelling), _PYTHON) == tree:
                return spelling
        except RuleError:
            continue
    return None


def in_python(pattern: str) -> str:
    """A pattern in the spelling that RE2 shares, with Python's name for the end of a text."""
    return _RE2_END.sub(r"\1\\Z", pattern)


def quote(value: str) -> str:
    """A pattern for exactly this text, given as bytes read as Latin-1."""
    return "".join(map(_literal, value))


class _Translator:
    """Reads a pattern from left to right and writes it anew. Whether case counts may change inside any group."""

    def __init__(self, pattern: str) -> None:
        self._source = pattern
        self._text = pattern.encode("utf-8", "surrogatepass").decode("latin-1")
        self._at = 0
        # Whether case counts where RE2 stands, and where the pattern that is written would have it.
        self._ignores_case = False
        self._is_written: bool = False
        self._depth = 0
        # How often the last repeat repeats, and what the counts inside the last group come to.
        self._times = self._inside = 1

    def whole(self) -> str:
        # The usual way to ignore case, at the very beginning, is the same in both.
        head = ""
        if self._text.startswith("(?i)"):
            self._at, head = 4, "(?i)"
            self._ignores_case = self._is_written = True
        written = self._group()
        if self._at < len(self._text):
            raise self._refused("a closing parenthesis has no opening one")
        return head + written or EMPTY

    def _group(self) -> str:
        """Alternatives up to a closing parenthesis, or to the end."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._refused("groups are nested too deep")
        outside = self._ignores_case
        written: list[str] = []
        # Where the last thing begins that can be repeated; None: there is none.
        last: int | None = None
        times = most = 1
        while self._at < len(self._text) and self._text[self._at] != ")":
            letter = self._text[self._at]
            if letter == "|":
                self._at += 1
                written.append("|")
                last = None
            elif letter in "*+?" or (letter == "{" and _COUNT.match(self._text, self._at)):
                if last is None:
                    raise self._refused(f"nothing stands before {letter}")
                item = "".join(written[last:])
                written[last:] = [_repeated_anchor(item, self._repeat()) if item in _ANCHORS else item + self._repeat()]
                last = None
                if self._at < len(self._text) and self._is_repeat():
                    raise self._refused("a repeat of a repeat")
                most = max(most, times * self._times)
                if most > _MAX_REPEAT:
                    raise self._refused(f"counts inside counts come to more than {_MAX_REPEAT}")
            else:
                self._inside = 1
                atom = self._atom()
                times = self._inside
                most = max(most, times)
                # Flags and empty quotations are nothing: a repeat behind them repeats what stands before them.
                if atom:
                    last = len(written)
                    written.append(atom)
        self._ignores_case = outside
        self._depth -= 1
        self._inside = most
        return "".join(written)

    def _is_repeat(self) -> bool:
        return self._text[self._at] in "*+?" or _COUNT.match(self._text, self._at) is not None

    def _repeat(self) -> str:
        count = _COUNT.match(self._text, self._at)
        if count is None:
            written = self._text[self._at]
            self._at += 1
            self._times = 1
        else:
            least, most = int(count[1]), int(count[3]) if count[3] else None
            if least > _MAX_REPEAT or (most is not None and (most > _MAX_REPEAT or most < least)):
                raise self._refused(f"the count {count[0]} is not possible")
            written = count[0]
            self._at = count.end()
            self._times = max(least if most is None else most, 1)
        if self._at < len(self._text) and self._text[self._at] == "?":
            self._at += 1
            written += "?"
        return written

    def _atom(self) -> str:
        """One thing; empty, if it is none that matches something."""
        letter = self._text[self._at]
        match letter:
            case "(":
                return self._parenthesis()
            case "[":
                return self._cased(self._set())
            case "\\":
                return self._escape()
            case "." | "^" | "$":
                self._at += 1
                return letter
            case _:
                self._at += 1
                return self._cased(_literal(letter))

    def _parenthesis(self) -> str:
        if flags := _FLAGS.match(self._text, self._at):
            before, was_written = self._ignores_case, self._is_written
            self._ignores_case = ("i" in flags[1] or before) and "i" not in (flags[2] or "")
            self._at = flags.end()
            if flags[3] == ")":
                return ""
            self._is_written = self._ignores_case
            inner = self._group()
            opening = _OPENINGS[int(self._ignores_case) - int(was_written)]
            self._ignores_case, self._is_written = before, was_written
            return self._closed(opening, inner)
        if named := _NAMED.match(self._text, self._at):
            self._at = named.end()
            return self._closed("(?:", self._group())
        for start, name in _UNKNOWN_GROUPS.items():
            if self._text.startswith(start, self._at):
                raise self._refused(f"RE2 knows no {name}")
        self._at += 1
        return self._closed("(", self._group())

    def _closed(self, opening: str, inner: str) -> str:
        if self._at >= len(self._text):
            raise self._refused("a closing parenthesis is missing")
        self._at += 1
        return f"{opening}{inner})"

    def _escape(self) -> str:
        letter = self._text[self._at + 1 : self._at + 2]
        match letter:
            case "":
                raise self._refused("a backslash stands at the end")
            case "A" | "z" | "b" | "B":
                self._at += 2
                return {"z": r"\Z"}.get(letter, "\\" + letter)
            case "d" | "D" | "s" | "S" | "w" | "W":
                self._at += 2
                return "\\" + letter
            case "C":
                self._at += 2
                return "."
            case "Q":
                return self._quotation()
            case "p" | "P":
                raise self._refused("a Unicode class compares characters, and Envoy compares bytes")
            case _:
                return self._cased(_literal(self._character()))

    def _quotation(self) -> str:
        start = self._at + 2
        end = self._text.find(r"\E", start)
        quoted = self._text[start:] if end < 0 else self._text[start:end]
        self._at = len(self._text) if end < 0 else end + 2
        # A repeat behind it repeats the last character only.
        if len(quoted) > 1 and self._at < len(self._text) and self._is_repeat():
            self._at = (len(self._text) if end < 0 else end) - 1
            self._text = self._text[: self._at] + _literal(quoted[-1]) + self._text[end + 2 :]
            quoted = quoted[:-1]
        return self._cased("".join(map(_literal, quoted)))

    def _character(self) -> str:
        """The character an escape stands for."""
        rest = self._text[self._at + 1 :]
        letter = rest[:1]
        if octal := re.match(r"0[0-7]{0,2}|[1-7][0-7]{1,2}", rest):
            self._at += 1 + octal.end()
            return self._byte(int(octal[0], 8))
        if letter in "123456789":
            raise self._refused(f"RE2 knows no back-reference \\{letter}")
        if found := re.match(r"x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}", rest):
            self._at += 1 + found.end()
            return self._byte(int(found[1] or found[2], 16))
        if letter in _SIMPLE:
            self._at += 2
            return _SIMPLE[letter]
        if letter.isascii() and not letter.isalnum():
            self._at += 2
            return letter
        raise self._refused(f"RE2 knows no \\{letter}")

    def _byte(self, code: int) -> str:
        if code > 255:
            raise self._refused(f"\\x{{{code:x}}} is more than a byte")
        return chr(code)

    def _set(self) -> str:
        self._at += 1
        is_negated = self._text.startswith("^", self._at)
        self._at += is_negated
        parts: list[str] = []
        while True:
            if self._at >= len(self._text):
                raise self._refused("a closing bracket is missing")
            if self._text[self._at] == "]" and parts:
                self._at += 1
                return f"[{'^' if is_negated else ''}{''.join(parts)}]"
            parts.append(self._set_part())

    def _set_part(self) -> str:
        if posix := _POSIX.match(self._text, self._at):
            if posix[2] not in _SETS:
                raise self._refused(f"RE2 knows no {posix[0]}")
            self._at = posix.end()
            return (_COMPLEMENTS if posix[1] else _SETS)[posix[2]]
        escaped = self._text[self._at + 1 : self._at + 2] if self._text[self._at] == "\\" else ""
        if escaped and escaped in "dDsSwW":
            self._at += 2
            return "\\" + escaped
        if escaped and escaped in "pP":
            raise self._refused("a Unicode class compares characters, and Envoy compares bytes")
        low = self._set_character()
        if self._text.startswith("-", self._at) and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
            self._at += 1
            high = self._set_character()
            if high < low:
                raise self._refused(f"the range {low}-{high} is upside down")
            return f"{_member(low)}-{_member(high)}"
        return _member(low)

    def _set_character(self) -> str:
        letter = self._text[self._at]
        if letter != "\\":
            self._at += 1
            return letter
        if self._at + 1 >= len(self._text):
            raise self._refused("a backslash stands at the end")
        return self._character()

    def _cased(self, written: str) -> str:
        if self._ignores_case is self._is_written or not written:
            return written
        return f"{_OPENINGS[1 if self._ignores_case else -1]}{written})"

    def _refused(self, why: str) -> RuleError:
        return RuleError(f"{shown(self._source)} is no regular expression of RE2: {why}")


_UNKNOWN_GROUPS: Final = {
    "(?=": "look-ahead",
    "(?!": "look-ahead",
    "(?<=": "look-behind",
    "(?<!": "look-behind",
    "(?>": "atomic group",
    "(?P=": "back-reference",
    "(?#": "comment",
    "(?": "such group",
}


def _repeated_anchor(anchor: str, repeat: str) -> str:
    """An anchor that must hold once holds any number of times; one that may hold says nothing."""
    return "" if repeat[0] in "*?" or repeat.startswith(("{0}", "{0,")) else anchor


def _literal(letter: str) -> str:
    return "\\" + letter if letter in _SPECIAL else _plain(letter)


def _member(letter: str) -> str:
    return "\\" + letter if letter in _CLASS_SPECIAL else _plain(letter)


def _plain(letter: str) -> str:
    """A byte in ASCII, so that what is written can be read again, whatever it is."""
    return letter if " " <= letter <= "~" else _CONTROL.get(letter, f"\\x{ord(letter):02x}")
