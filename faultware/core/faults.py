"""What can be done to a request, as data.

Each fault says in which phase it acts. The engine asks for nothing else, so a new fault is a new class here and a new
field of `Rule`; adapters then learn to take its effect. Numbers carry their unit in their name; percentages run from 0
to 100.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import ClassVar, TypeAlias, cast

from faultware.core.delays import Distribution, Exponential, LogNormal, Normal, Pareto, Uniform, seconds
from faultware.core.matching import is_token
from faultware.core.sampling import check_percentage
from faultware.errors import RuleError

__all__ = [
    "HANG_OVER",
    "Abort",
    "Delay",
    "Distribution",
    "Exponential",
    "Fault",
    "Hang",
    "LogNormal",
    "Normal",
    "Pareto",
    "Phase",
    "Raise",
    "Terminal",
    "Uniform",
]

MAX_BODY = 1024 * 1024
JSON: TypeAlias = Mapping[str, "JSON"] | list["JSON"] | str | int | float | bool | None

# The server and the connection own these: a wrong one hangs clients, breaks framing or ends a worker.
_RESERVED_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_BODILESS = frozenset({204, 205, 304})
_EXCEPTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,79}")


class Phase(Enum):
    """When a fault acts. Within one rule faults act in this order."""

    DELAY = 1
    TERMINAL = 2
    RESPONSE = 3


@dataclass(frozen=True, slots=True, init=False)
class Delay:
    """Holds the request before the application sees it. Source: Envoy's `FaultDelay`, plus distributions.

    Args:
        delay_seconds: How long, at least 0; or a distribution to draw from.
        jitter_seconds: The delay is drawn evenly from `delay_seconds` ± this.
        percentage: Rolled after the rule's own percentage.

    Raises:
        RuleError: A number is negative, not finite or too large; the jitter exceeds the delay.
    """

    kind: ClassVar = "delay"
    phase: ClassVar = Phase.DELAY
    distribution: Distribution
    percentage: float

    def __init__(
        self, delay_seconds: float | Distribution, *, jitter_seconds: float = 0, percentage: float = 100
    ) -> None:
        if isinstance(delay_seconds, (int, float)):
            middle, jitter = seconds("fixed", delay_seconds), seconds("jitter", jitter_seconds)
            if jitter > middle:
                raise RuleError("the jitter is larger than the delay", where="jitter", hint=f"at most {middle:g} s")
            distribution: Distribution = Uniform(middle - jitter, middle + jitter)
        elif jitter_seconds:
            raise RuleError("a distribution brings its own spread", where="jitter", hint="leave it out")
        else:
            _check_distribution(delay_seconds)
            distribution = delay_seconds
        object.__setattr__(self, "distribution", distribution)
        object.__setattr__(self, "percentage", check_percentage(percentage))


@dataclass(frozen=True, slots=True, init=False)
class Abort:
    """Answers in the application's place. Source: Envoy's `FaultAbort`.

    Args:
        status: 200 to 599.
        body: Text or bytes, or a JSON object or list. Left out: a line that says the fault was injected.
        headers: Added to the answer. Framing headers are the server's and are refused.
        content_type: Left out: `application/json` for JSON, else `text/plain; charset=utf-8`.
        after: Let the application answer first, and lose its answer.
        percentage: Rolled after the rule's own percentage.

    Raises:
        RuleError: A status that is none, a header that would break the framing, a body where none may be.
    """

    kind: ClassVar = "abort"
    phase: ClassVar = Phase.TERMINAL
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]
    content_type: str
    after: bool
    percentage: float
    is_default_body: bool = field(repr=False, compare=False)

    def __init__(
        self,
        status: int,
        *,
        body: str | bytes | Mapping[str, JSON] | list[JSON] | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        content_type: str | None = None,
        after: bool = False,
        percentage: float = 100,
    ) -> None:
        if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
            raise RuleError(f"{status!r} is not a status", where="status", hint="a whole number from 200 to 599")
        if status in _BODILESS and body:
            raise RuleError(f"an answer with status {status} has no body", where="body", hint="leave it out")
        content, natural_type = _body(status, body)
        pairs = tuple(cast("Mapping[str, str]", headers).items() if isinstance(headers, Mapping) else headers)
        if content_type is not None:
            _check_header("content-type", content_type, "content_type")
        for name, value in pairs:
            _check_header(name, value, f"headers.{name}")
        named_type = next((value for name, value in pairs if name.lower() == "content-type"), None)
        if content_type is not None and named_type is not None:
            raise RuleError("the content type is given twice", where="content_type", hint="leave one out")
        if not isinstance(after, bool):
            raise RuleError(f"{after!r} is not true or false", where="after")
        object.__setattr__(self, "status", status)
        object.__setattr__(self, "body", content)
        object.__setattr__(self, "headers", pairs)
        object.__setattr__(self, "content_type", content_type or named_type or natural_type)
        object.__setattr__(self, "after", after)
        object.__setattr__(self, "percentage", check_percentage(percentage))
        object.__setattr__(self, "is_default_body", body is None)

    def response_headers(self) -> list[tuple[str, str]]:
        """The headers of the answer.

        HEAD gets the length the body would have had; 204, 205 and 304 get no type, 204 and 304 no length either
        (RFC 9110, sections 8.6, 15.3.5, 15.3.6 and 15.4.5).
        """
        headers = list(self.headers)
        if self.status not in _BODILESS:
            if not any(name.lower() == "content-type" for name, _ in headers):
                headers.append(("content-type", self.content_type))
            headers.append(("content-length", str(len(self.body))))
        elif self.status == HTTPStatus.RESET_CONTENT:
            headers.append(("content-length", "0"))
        return headers

    def response_body(self, method: str) -> bytes:
        """The body of the answer to a request with this method: nothing for HEAD."""
        return b"" if method == "HEAD" else self.body


@dataclass(frozen=True, slots=True)
class Raise:
    """Raises an exception that the application registered under a name.

    Args:
        exception: The registered name. It is looked up in that list and nowhere else.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "raise"
    phase: ClassVar = Phase.TERMINAL
    exception: str
    percentage: float = 100

    def __post_init__(self) -> None:
        if not isinstance(self.exception, str) or not _EXCEPTION_NAME.fullmatch(self.exception):
            raise RuleError(
                f"{self.exception!r} is not an exception's name", where="exception", hint="such as TimeoutError"
            )
        object.__setattr__(self, "percentage", check_percentage(self.percentage))


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answers: holds the request until the client leaves, the bound is reached or the switch is killed.

    Args:
        duration_seconds: The bound; left out: the `max_delay` setting.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "hang"
    phase: ClassVar = Phase.TERMINAL
    duration_seconds: float | None = None
    percentage: float = 100

    def __post_init__(self) -> None:
        if self.duration_seconds is not None:
            object.__setattr__(self, "duration_seconds", seconds("duration", self.duration_seconds, above_zero=True))
        object.__setattr__(self, "percentage", check_percentage(self.percentage))


def _check_distribution(value: object) -> None:
    if not isinstance(value, Distribution):
        hint = "a number, or one of Uniform, Normal, LogNormal, Exponential, Pareto"
        raise RuleError(f"{value!r} is not a number of seconds", where="fixed", hint=hint)


def _body(status: int, body: object) -> tuple[bytes, str]:
    natural_type = "text/plain; charset=utf-8"
    if body is None:
        content = b"" if status in _BODILESS else b"fault injected\n"
    elif isinstance(body, bytes):
        content = body
    elif isinstance(body, str):
        try:
            content = body.encode()
        except UnicodeEncodeError as error:
            raise RuleError(f"this text cannot be sent: {error}", where="body", hint="body_base64 for bytes") from None
    elif isinstance(body, (dict, list)):
        try:
            content = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise RuleError(f"this is no JSON: {error}", where="body") from None
        natural_type = "application/json"
    else:
        raise RuleError(f"{type(body).__name__} is no body", where="body", hint="a text, or a JSON object or list")
    if len(content) > MAX_BODY:
        raise RuleError(f"{len(content)} bytes are too many", where="body", hint=f"at most {MAX_BODY}")
    return content, natural_type


def _check_header(name: object, value: object, where: str) -> None:
    if not isinstance(name, str) or not is_token(name):
        raise RuleError(f"{name!r} is not a header name", where=where, hint="letters, digits and -")
    if name.lower() in _RESERVED_HEADERS:
        raise RuleError(f"{name} belongs to the server", where=where, hint="leave it out")
    if not isinstance(value, str):
        raise RuleError(f"{value!r} is not a text", where=where, hint="quote it")
    if any(ord(letter) > 255 or (ord(letter) < 32 and letter != "\t") or ord(letter) == 127 for letter in value):
        raise RuleError("a header value holds printable Latin-1 characters only", where=where)


Terminal: TypeAlias = Abort | Raise | Hang
Fault: TypeAlias = Delay | Terminal

# What a client hears that outlasts a hang: the service was a gateway to nowhere.
HANG_OVER = Abort(504)
