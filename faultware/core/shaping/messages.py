"""What becomes of the messages of a WebSocket in one direction. What happens to one depends on its number alone."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Literal

from faultware.core.shaping.chance import uniform
from faultware.core.shaping.corrupting import Corruption
from faultware.core.shaping.effects import Send

if TYPE_CHECKING:
    from faultware.core.faults import WebsocketMessages

# What takes the place of a character of a text: whatever it is, the text can be sent.
_FIRST_LETTER, _LETTERS = 0x21, 94


class MessageShaper:
    """Loses, doubles and damages messages. What takes time is the adapter's business.

    Args:
        fault: Says how.
        direction: The one whose messages come here.
        draw: Where chance begins.
    """

    def __init__(self, fault: WebsocketMessages, direction: Literal["incoming", "outgoing"], draw: float) -> None:
        self._fault = fault
        # The directions have chances of their own.
        self._draw = uniform(draw, direction, 0)
        self._numbers = count()
        self._corruption = Corruption("GET", fault.corrupt, "bytes", self._draw) if fault.corrupt else None
        self.acts = fault.of in (direction, "both")
        self.delay_seconds = fault.delay_seconds if self.acts else 0.0

    def shape(self, message: bytes | str) -> list[bytes | str]:
        """What is passed on in the place of a message: nothing, one or two."""
        if not self.acts:
            return [message]
        number = next(self._numbers)
        if self._hits("drop", number, self._fault.drop):
            return []
        if self._corruption is not None and message:
            message = self._damaged(self._corruption, message)
        return [message] * (2 if self._hits("duplicate", number, self._fault.duplicate) else 1)

    def _hits(self, purpose: str, number: int, percentage: float) -> bool:
        return uniform(self._draw, purpose, number) * 100 < percentage

    def _damaged(self, corruption: Corruption, message: bytes | str) -> bytes | str:
        if isinstance(message, bytes):
            return _through(corruption, message)
        # Where zeros are changed, a character is hit.
        marks = _through(corruption, bytes(len(message)))
        letters = list(message)
        for index, mark in enumerate(marks):
            if mark:
                letter = chr(_FIRST_LETTER + mark % _LETTERS)
                letters[index] = letter if letter != letters[index] else chr(_FIRST_LETTER + (mark + 1) % _LETTERS)
        return "".join(letters)


def _through(corruption: Corruption, data: bytes) -> bytes:
    return b"".join(effect.data for effect in corruption.take(data) if isinstance(effect, Send))
