"""What is asked of requests that are to pass as fast as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope


def is_free_of(names: frozenset[bytes], scope: Scope) -> bool:
    """Whether a request has no header of these names, and nothing that is odd."""
    try:
        for name, _ in scope["headers"]:
            if name in names:
                return False
    except (KeyError, TypeError, ValueError):
        return False
    return True
