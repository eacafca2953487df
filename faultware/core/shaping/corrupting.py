"""A stage that changes bytes. Which ones and how depends on the fault's draw and their position, and on nothing else.

A body is a row of blocks, and each block has a mask that it is XORed with. A mask is made in two layers that are drawn
independently, so that together they hit with exactly the share asked for: a dense one, whose share is a multiple of
1/256 and which is made of whole blocks of noise, and a sparse one for what is left, which jumps from hit to hit.
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
        self._steps = min(_STEPS, int(share * _STEPS))
        dense = self._steps / _STEPS
        # hit by one or the other: 1 - (1 - dense) (1 - sparse) = share
        sparse = 0.0 if dense >= 1 else max(0.0, (share - dense) / (1 - dense))
        self._log_miss = math.log1p(-sparse) if sparse else 0.0
        self._expected = sparse * BLOCK * (8 if unit == "bits" else 1)
        self._hits = bytes(0xFF if value < self._steps else 0 for value in range(256))

    def mask(self, number: int) -> int:
        """What the block with this number is XORed with, as a number in little-endian order."""
        if self._unit == "bits":
            mask = self._dense_bits(number)
            if self._log_miss:
                sparse = bytearray(BLOCK)
                for position in self._sparse_hits(number, BLOCK * 8):
                    sparse[position >> 3] |= 1 << (position & 7)
                mask |= int.from_bytes(sparse, _ORDER)
            return mask
        hits = bytearray(noise(self._draw, "dense", number, BLOCK).translate(self._hits) if self._steps else BLOCK)
        if self._log_miss:
            for position in self._sparse_hits(number, BLOCK):
                hits[position] = 0xFF
        chosen = int.from_bytes(hits, _ORDER)
        if not chosen:
            return 0
        values = noise(self._draw, "values", number, BLOCK).translate(_NEVER_ZERO)
        return chosen & int.from_bytes(values, _ORDER)

    def _dense_bits(self, number: int) -> int:
        """Bits that are set with a chance of `steps` in 256.

        From its last binary digit to the first, each halves the chance so far, and adds a half if it is 1.
        """
        if self._steps == _STEPS:
            return (1 << 8 * BLOCK) - 1
        digits = f"{self._steps:08b}".rstrip("0")
        data = noise(self._draw, "dense", number, BLOCK * len(digits)) if digits else b""
        mask = 0
        for index, digit in enumerate(reversed(digits)):
            layer = int.from_bytes(data[index * BLOCK : (index + 1) * BLOCK], _ORDER)
            mask = mask | layer if digit == "1" else mask & layer
        return mask

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
        """See `Stage`. A piece is passed on block by block."""
        view = memoryview(data)
        while view:
            number, offset = divmod(self._position, BLOCK)
            piece = view[: BLOCK - offset]
            view = view[len(piece) :]
            self.held = view
            self._position += len(piece)
            yield Send(self._changed(number, offset, bytes(piece)))

    def _changed(self, number: int, offset: int, piece: bytes) -> bytes:
        if number != self._number:
            self._number = number
            self._mask = self._masks.mask(number).to_bytes(BLOCK, _ORDER)
        mask = int.from_bytes(self._mask[offset : offset + len(piece)], _ORDER)
        return (int.from_bytes(piece, _ORDER) ^ mask).to_bytes(len(piece), _ORDER) if mask else piece
