"""Faults that a request asks for itself, by the headers of Envoy's fault filter. Source: Envoy 1.40, as measured.

A rule says which kinds may be asked for, and how often at most; a header lowers that, and never raises it. What is no
number is no wish, and the request passes. Who may ask at all, the engine is told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from faultware.core.delays import MAX_SECONDS
from faultware.core.faults import BODILESS, Abort, Delay, Throttle
from faultware.core.faults.forms import MAX_SIZE, Form, Text, Whole, settle_fields
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faultware.core.faults import Fault
    from faultware.core.request import Request

ABORT: Final = "x-envoy-fault-abort-request"
GRPC_ABORT: Final = "x-envoy-fault-abort-grpc-request"
DELAY: Final = "x-envoy-fault-delay-request"
LIMIT: Final = "x-envoy-fault-throughput-response"
DEFAULT_BODY: Final = "fault filter abort"
CONTENT_TYPE: Final = "text/plain"

_DENOMINATORS: Final = (100, 10_000, 1_000_000)
_UINT32: Final = 2**32 - 1
_UINT64: Final = 2**64 - 1
# Any number of zeros may lead.
_NUMBER: Final = re.compile(r"[ \t]*\+?0*([0-9]{1,20})[ \t]*", re.ASCII)
_HINT: Final = "100, 10000 or 1000000"


@dataclass(frozen=True, slots=True)
class ByHeaders:
    """Which faults a request may ask for, and how often each comes about at most.

    A header with the ending `-percentage` gives another numerator, which counts if it is smaller.

    Args:
        abort: So many of `abort_of` requests that ask are answered with the status of `x-envoy-fault-abort-request`, or
            with that of `x-envoy-fault-abort-grpc-request`. 0: none.
        delay: … are held for the milliseconds of `x-envoy-fault-delay-request`.
        limit: … get their response with the KiB per second of `x-envoy-fault-throughput-response`.
        abort_of: 100, 10,000 or 1,000,000; so `delay_of` and `limit_of`.
        body: Of an abort; empty: Envoy's.

    Raises:
        RuleError: A number is not possible, or nothing may be asked for.
    """

    abort: Annotated[int, Form("abort", Whole(0, _UINT32))] = 0
    delay: Annotated[int, Form("delay", Whole(0, _UINT32))] = 0
    limit: Annotated[int, Form("limit", Whole(0, _UINT32))] = 0
    abort_of: Annotated[int, Form("abort_of", Whole(1, 1_000_000))] = 100
    delay_of: Annotated[int, Form("delay_of", Whole(1, 1_000_000))] = 100
    limit_of: Annotated[int, Form("limit_of", Whole(1, 1_000_000))] = 100
    body: Annotated[str, Form("body", Text())] = ""

    def __post_init__(self) -> None:
        settle_fields(self)
        for where in ("abort_of", "delay_of", "limit_of"):
            if getattr(self, where) not in _DENOMINATORS:
                raise RuleError(f"{getattr(self, where)} is not possible", where=where, hint=_HINT)
        if not (self.abort or self.delay or self.limit):
            raise RuleError("nothing may be asked for", hint="such as {abort: 100}")

    def asked(self, request: Request) -> Iterator[Fault]:
        """What a request asks for, each with the chance that it comes about."""
        if self.delay and (milliseconds := _number(request, DELAY, _UINT64)):
            share = _share(request, DELAY, self.delay, self.delay_of)
            yield Delay(min(milliseconds / 1000, MAX_SECONDS), percentage=share)
        if self.abort and (abort := self._abort(request)) is not None:
            yield abort
        if self.limit and (kib := _number(request, LIMIT, _UINT64)):
            share = _share(request, LIMIT, self.limit, self.limit_of)
            yield Throttle(min(kib * 1024, MAX_SIZE), percentage=share)

    def _abort(self, request: Request) -> Abort | None:
        body = self.body or DEFAULT_BODY
        # One header of percentages is for both.
        share = _share(request, ABORT, self.abort, self.abort_of)
        status = _number(request, ABORT, _UINT64)
        if status is not None and 200 <= status <= 599:
            if status in BODILESS:
                return Abort(status, percentage=share)
            return Abort(status, body=body, content_type=CONTENT_TYPE, percentage=share)
        code = _number(request, GRPC_ABORT, _UINT64)
        if code is None:
            return None
        abort = Abort(200, body=body, content_type=CONTENT_TYPE, grpc_status=0, percentage=share)
        # Passed on as it is, also where gRPC knows no such status; no rule can be written with one.
        object.__setattr__(abort, "grpc_status", code & _UINT32)
        return abort

    def chances(self) -> Iterator[float]:
        """The chances of all that may be asked for, 0 to 1."""
        for most, of in ((self.abort, self.abort_of), (self.delay, self.delay_of), (self.limit, self.limit_of)):
            yield min(most / of, 1.0)


def _number(request: Request, name: str, most: int) -> int | None:
    """The number in the first line of a header; None: there is none, or it is no such number."""
    lines = request.header(name)
    found = _NUMBER.fullmatch(lines[0]) if lines else None
    if found is None:
        return None
    value = int(found[1])
    return value if value <= most else None


def _share(request: Request, name: str, most: int, of: int) -> float:
    asked = _number(request, f"{name}-percentage", _UINT32)
    return min(100.0 * (most if asked is None else min(asked, most)) / of, 100.0)
