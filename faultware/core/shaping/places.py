"""Places in a body: after so many bytes, or so many events of a stream. Found whatever the pieces are it comes in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from faultware.core.shaping.effects import Data, Head

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_CR, _LF = 13, 10
_EVENT_STREAM: Final = "text/event-stream"
_LINES: Final = frozenset(
    {
        "application/json-seq",
        "application/jsonl",
        "application/jsonlines",
        "application/ndjson",
        "application/stream+json",
        "application/x-jsonlines",
        "application/x-ndjson",
    }
)


class Finder(Protocol):
    """Looks for one place."""

    def find(self, data: Data) -> int | None:
        """How many bytes of this piece stand in front of the place; None: it is not in here, all of them do."""
        ...

    def is_at_end(self) -> bool:
        """Whether the place turns out to be the end of the body, which has now come."""
        ...


class ByteFinder:
    """After so many bytes.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._left = count

    def find(self, data: Data) -> int | None:
        """See `Finder`."""
        if self._left <= len(data):
            return self._left
        self._left -= len(data)
        return None

    def is_at_end(self) -> bool:
        """It would have been found before."""
        return False


class EventFinder:
    """After so many server-sent events (WHATWG HTML, section 9.2.6).

    An event is a block of lines that holds data and ends with a blank line; a line ends with CR LF, LF or CR. Comments
    that keep a connection alive are no events.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._left = count
        self._line = b""  # the beginning of a line that goes on in the next piece
        self._has_data = False
        self._is_behind_cr = False  # of which a line feed at the beginning of the next piece would be a part

    def find(self, data: Data) -> int | None:
        """See `Finder`."""
        if not data:
            return None if self._left or self._is_behind_cr else 0
        begin = 1 if self._is_behind_cr and data[0] == _LF else 0
        if not self._left:
            return begin
        for line_end in _LINE_END.finditer(data, begin):
            line = (self._line + data[begin : min(line_end.start(), begin + 5)])[:5]
            begin, self._line = line_end.end(), b""
            if line in (b"data", b"data:"):
                self._has_data = True
            elif not line and self._has_data:
                self._has_data = False
                self._left -= 1
                if not self._left and (begin < len(data) or data[begin - 1] == _LF):
                    return begin
        self._line = (self._line + data[begin : begin + 5])[:5]
        self._is_behind_cr = data[-1] == _CR
        return None

    def is_at_end(self) -> bool:
        """The last event ends with a CR, behind which a line feed could have come."""
        return not self._left


class LineFinder:
    """After so many lines that are not blank, as in newline-delimited JSON.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._left = count
        self._is_blank = True

    def find(self, data: Data) -> int | None:
        """See `Finder`."""
        raw, begin = bytes(data), 0
        while self._left:
            end = raw.find(b"\n", begin)
            self._is_blank = self._is_blank and not raw[begin : len(raw) if end < 0 else end].strip()
            if end < 0:
                return None
            begin = end + 1
            self._left -= not self._is_blank
            self._is_blank = True
        return begin

    def is_at_end(self) -> bool:
        """It would have been found before."""
        return False


def event_finder(head: Head, count: int) -> Finder | None:
    """What finds the end of an event in such a body; None: it has no events, or is compressed."""
    if head.is_encoded:
        return None
    if head.media_type == _EVENT_STREAM:
        return EventFinder(count)
    return LineFinder(count) if head.media_type in _LINES else None
