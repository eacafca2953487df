"""A stage that changes bytes. Which ones and how depends on the fault's draw and their position, and on nothing else.

A body is a row of blocks, and each block has a mask that it is XORed with. A mask is made in layers that are drawn
independently, so that together they hit with exactly the share asked for: dense ones, whose share is a multiple of
1/256 and which are made of whole blocks of noise, and a sparse one for what is left, which jumps from hit to hit.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Final, Literal

from faultware.core.shaping.chance import noise
from faultware.core.shaping.effects import BodyStage, Send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faultware.core.shaping.effects import Effects

BLOCK: Final = 8192
# What is passed on at once, at most.
_PIECE: Final = 8 * BLOCK
# In little-endian order no byte has to move on the machines that people have; any fixed order would do.
_ORDER: Final = "little"
_STEPS: Final = 256
# What a byte is XORed with is never 0: 0 becomes one of the other values, which is a little likelier for it.
_NEVER_ZERO: Final = bytes([0x55, *range(1, 256)])


class Masks:
    """The masks of all blocks.

    Args:
        share: Of the bytes or bits that are hit, 0 to 1.
        unit: `bytes`: a byte that is hit becomes any other one. `bits`: a bit that is hit is turned.
        draw: Where chance begins.
    """

    def __init__(self, share: float, unit: Literal["bytes", "bits"], draw: float) -> None:
        self._unit = unit
        self._draw = draw
        # How many of 256 values of a byte of noise hit, and what such a byte is translated with.
        self._layers: list[tuple[int, bytes]] = []
        left = share
        while left >= 1 / _STEPS:
            steps = min(_STEPS, int(left * _STEPS))
            self._layers.append((steps, b"\xff" * steps + bytes(_STEPS - steps)))
            # What is hit by one layer or another: 1 - (1 - one) (1 - other).
            left = (left - steps / _STEPS) / (1 - steps / _STEPS) if steps < _STEPS else 0.0
        self._log_miss = math.log1p(-max(0.0, left))
        self._expected = left * BLOCK * (8 if unit == "bits" else 1)

    def mask(self, number: int) -> int:
        """What the block with this number is XORed with, as a number in little-endian order."""
        mask = 0
        for layer, (steps, hits) in enumerate(self._layers):
            mask |= self._dense(number, f"dense {layer}", steps, hits)
        if self._log_miss:
            mask |= self._sparse(number)
        if self._unit == "bits" or not mask:
            return mask
        return mask & int.from_bytes(noise(self._draw, "values", number, BLOCK).translate(_NEVER_ZERO), _ORDER)

    def _dense(self, number: int, purpose: str, steps: int, hits: bytes) -> int:
        """What is hit is set, each bit or each whole byte with a chance of `steps` in 256."""
        if steps == _STEPS:
            return (1 << 8 * BLOCK) - 1
        if self._unit == "bytes":
            return int.from_bytes(noise(self._draw, purpose, number, BLOCK).translate(hits), _ORDER)
        # From its last binary digit to the first, each halves the chance so far, and adds a half if it is 1.
        digits = f"{steps:08b}".rstrip("0")
        data = noise(self._draw, purpose, number, BLOCK * len(digits))
        mask = 0
        for index, digit in enumerate(reversed(digits)):
            some = int.from_bytes(data[index * BLOCK : (index + 1) * BLOCK], _ORDER)
            mask = mask | some if digit == "1" else mask & some
        return mask

    def _sparse(self, number: int) -> int:
        hits = bytearray(BLOCK)
        if self._unit == "bits":
            for position in self._sparse_hits(number, BLOCK * 8):
                hits[position >> 3] |= 1 << (position & 7)
        else:
            for position in self._sparse_hits(number, BLOCK):
                hits[position] = 0xFF
        return int.from_bytes(hits, _ORDER)

    def _sparse_hits(self, number: int, size: int) -> Iterator[int]:
        """Positions in a block of so many; the gaps between hits are geometric, so a block may begin anywhere."""
        count = int(self._expected * 1.1) + 8
        position = -1
        for part in range(size):
            raw = noise(self._draw, f"gaps {part}", number, 8 * count)
            for value in struct.unpack(f"<{count}Q", raw):
                # What is drawn lies below 1, so there is a logarithm of what is missing to 1.
                gap = math.log1p(-(value >> 11) / 2**53) / self._log_miss
                position += 1 + int(min(gap, size))
                if position >= size:
                    return
                yield position


class Corruption(BodyStage):
    """Changes a share of a body's bytes or bits; its length stays.

    Args:
        method: Of the request.
        share: 0 to 100.
        unit: See `Masks`.
        draw: Where chance begins.
    """

    def __init__(self, method: str, share: float, unit: Literal["bytes", "bits"], draw: float) -> None:
        super().__init__(method)
        self._masks = Masks(share / 100, unit, draw)
        self._number = -1
        self._mask = b""
        self._position = 0

    def take(self, data: bytes) -> Effects:
        """See `Stage`. A large piece is passed on in smaller ones."""
        view = memoryview(data)
        while view:
            piece = view[:_PIECE]
            view = view[len(piece) :]
            self.held = view
            yield Send(self._changed(piece))

    def _changed(self, piece: memoryview) -> bytes:
        changed: list[bytes] = []
        while piece:
            number, offset = divmod(self._position, BLOCK)
            part, piece = bytes(piece[: BLOCK - offset]), piece[BLOCK - offset :]
            if number != self._number:
                self._number = number
                self._mask = self._masks.mask(number).to_bytes(BLOCK, _ORDER)
            mask = int.from_bytes(self._mask[offset : offset + len(part)], _ORDER)
            changed.append((int.from_bytes(part, _ORDER) ^ mask).to_bytes(len(part), _ORDER))
            self._position += len(part)
        return b"".join(changed)
