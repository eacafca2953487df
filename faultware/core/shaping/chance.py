"""Chance as a function of a fault's draw and of what is asked, whatever the pieces are that a body comes in."""

from __future__ import annotations

import struct
from hashlib import blake2b, shake_128


def uniform(draw: float, purpose: str, number: int) -> float:
    """An even draw from [0, 1)."""
    value = int.from_bytes(blake2b(_key(draw, purpose, number), digest_size=8).digest(), "little")
    return (value >> 11) / 2**53


def noise(draw: float, purpose: str, number: int, size: int) -> bytes:
    """So many even bytes."""
    return shake_128(_key(draw, purpose, number)).digest(size)


def _key(draw: float, purpose: str, number: int) -> bytes:
    return struct.pack("<dQ", draw, number) + purpose.encode()
