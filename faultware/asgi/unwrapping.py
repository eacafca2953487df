"""The server's own `send` behind what middlewares outside of faultware's have put around it.

It leads to the server's objects. Starlette's `add_middleware` puts every middleware inside of one that wraps `send`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlette.types import Send

_MOST_HOPS: Final = 20


def innermost(send: Send) -> Send:
    """What a `send` calls in the end, as far as functions and partials keep it as `send`, which is what all call it."""
    for _ in range(_MOST_HOPS):
        hop: Any = send
        if isinstance(hop, functools.partial):  # Starlette's CORSMiddleware
            hop = hop.keywords.get("send")
        else:
            code = getattr(hop, "__code__", None)
            names = code.co_freevars if code is not None and hasattr(hop, "__closure__") else ()
            hop = hop.__closure__[names.index("send")].cell_contents if "send" in names else None
        if hop is None:
            break
        send = hop
    return send
