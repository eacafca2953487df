"""Faults that answer in the application's place: an abort, a budget that is used up, an exception."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, TypeAlias

from faultware.core.faults.forms import MAX_TEXT_BODY, SOME_SECONDS, Form, Key, Whole, settle
from faultware.core.faults.headers import check_header, read_headers
from faultware.core.faults.phases import Needs, Phase
from faultware.core.grpc import check_grpc_status, grpc_content_type, grpc_headers, grpc_status_of
from faultware.core.sampling import SampleBy, check_percentage
from faultware.core.variables import PLAIN, PREFIXES, filled, is_variable, names_in
from faultware.errors import RuleError

if TYPE_CHECKING:
    from faultware.core.request import Request

MAX_BODY: Final = MAX_TEXT_BODY
# Statuses whose answers have no body, whatever the request was (RFC 9110, sections 15.3 and 15.4).
BODILESS: Final = frozenset({204, 205, 304})
JSON: TypeAlias = Mapping[str, "JSON"] | list["JSON"] | str | int | float | bool | None

# More a header should not hold.
_MAX_FILLED: Final = 8192
_TEXT_TYPE: Final = "text/plain; charset=utf-8"
_CLIENT: Final = SampleBy("client")
_EXCEPTION_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Abort:
    """Answers in the application's place. Source: Envoy's `FaultAbort`.

    A request of gRPC or gRPC-Web is answered in its own terms, as Envoy does: 200 with `grpc-status` among the headers
    and no body. Without a `grpc_status` that is what the HTTP status means there.

    Args:
        status: 200 to 599; left out where a `grpc_status` is given: then 200.
        body: Text or bytes, or a JSON object or list. Left out: a line that says the fault was injected.
        headers: Added to the answer. Framing headers are the server's and are refused.
        content_type: Left out: `application/json` for JSON, else `text/plain; charset=utf-8`.
        after: Let the application answer first, and lose its answer.
        grpc_status: For requests of gRPC: 0 to 16.
        template: Body and headers have gaps, `${http_x_user ?? nobody}`, that each request fills. What it says is put
            in as it is, cut to 1 MiB; in a header, what no header may hold becomes `?`.
        percentage: Rolled after the rule's own percentage.

    Raises:
        RuleError: A status that is none, a header that would break the framing, a body where none may be.
    """

    kind: ClassVar = "abort"
    phase: ClassVar = Phase.TERMINAL
    needs: ClassVar = Needs.NOTHING
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]
    content_type: str
    after: bool
    grpc_status: int | None
    template: bool
    percentage: float
    is_default_body: bool = field(compare=False)

    def __init__(
        self,
        status: int | None = None,
        *,
        body: str | bytes | Mapping[str, JSON] | list[JSON] | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        content_type: str | None = None,
        after: bool = False,
        grpc_status: int | None = None,
        template: bool = False,
        percentage: float = 100,
    ) -> None:
        if grpc_status is not None:
            check_grpc_status(grpc_status)
            status = 200 if status is None else status
        if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
            raise RuleError(f"{status!r} is not a status", where="status", hint="a whole number from 200 to 599")
        content, natural_type = _body(status, body)
        if status in BODILESS and content:
            raise RuleError(f"an answer with status {status} has no body", where="body", hint="leave it out")
        if content_type is not None:
            check_header("content-type", content_type, "content_type")
        pairs = read_headers(headers, "headers")
        named_type = next((value for name, value in pairs if name.lower() == "content-type"), None)
        if content_type is not None and named_type is not None:
            raise RuleError("the content type is given twice", where="content_type", hint="leave one out")
        for where, switch in (("after", after), ("template", template)):
            if not isinstance(switch, bool):
                raise RuleError(f"{switch!r} is not true or false", where=where)
        if template:
            _check_gaps(content, pairs)
        object.__setattr__(self, "status", status)
        object.__setattr__(self, "body", content)
        object.__setattr__(self, "headers", pairs)
        object.__setattr__(self, "content_type", content_type or (natural_type if named_type is None else named_type))
        object.__setattr__(self, "after", after)
        object.__setattr__(self, "grpc_status", grpc_status)
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "percentage", check_percentage(percentage))
        object.__setattr__(self, "is_default_body", body is None)

    def __repr__(self) -> str:
        names_type = any(name.lower() == "content-type" for name, _ in self.headers)
        given = {
            "body": None if self.is_default_body else self.body,
            "headers": self.headers or None,
            "content_type": None if names_type or self.content_type == _TEXT_TYPE else self.content_type,
            "after": self.after or None,
            "grpc_status": self.grpc_status,
            "template": self.template or None,
            "percentage": None if self.percentage == 100 else self.percentage,
        }
        words = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return f"Abort({', '.join([str(self.status), *words])})"

    def response_headers(self) -> list[tuple[str, str]]:
        """The headers of the answer.

        HEAD gets the length the body would have had; 204, 205 and 304 get no type, 204 and 304 no length either
        (RFC 9110, sections 8.6, 15.3.5, 15.3.6 and 15.4.5).
        """
        headers = list(self.headers)
        if self.status not in BODILESS:
            if not any(name.lower() == "content-type" for name, _ in headers):
                headers.append(("content-type", self.content_type))
            headers.append(("content-length", str(len(self.body))))
        elif self.status == HTTPStatus.RESET_CONTENT:
            headers.append(("content-length", "0"))
        return headers

    def response_body(self, method: str) -> bytes:
        """The body of the answer to a request with this method: nothing for HEAD."""
        return b"" if method == "HEAD" else self.body

    def filled(self, request: Request) -> Abort:
        """The same with its gaps filled for a request."""
        text = filled(self.body.decode("utf-8"), request, MAX_BODY)
        body = text.encode("utf-8", "replace")[:MAX_BODY]
        headers = [(name, _in_header(filled(value, request, _MAX_FILLED))) for name, value in self.headers]
        has_type = any(name.lower() == "content-type" for name, _ in headers)
        return Abort(
            self.status,
            body=body or None if self.status in BODILESS else body,
            headers=headers,
            content_type=None if has_type or self.status in BODILESS else self.content_type,
            after=self.after,
            grpc_status=self.grpc_status,
            percentage=self.percentage,
        )

    def in_terms_of(self, request: Request) -> Abort:
        """The same as a request understands it: the answer to one of gRPC carries only trailers."""
        content_type = grpc_content_type(request.header("content-type"))
        if not content_type:
            return self
        status = grpc_status_of(self.status) if self.grpc_status is None else self.grpc_status
        # The line that is sent for want of another body ends with a break, which says nothing. Blanks around a header's
        # value are no part of it (RFC 9110, section 5.5).
        body = self.body.rstrip(b"\n") if self.is_default_body else self.body
        message = body.decode("utf-8", "replace").strip(" ")
        own = [(name, value) for name, value in self.headers if name.lower() != "content-type"]
        return Abort(200, body=b"", headers=[*grpc_headers(content_type, status, message), *own])


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Answers 429 once a caller has used up a budget, as an API with a rate limit would (RFC 6585, section 4).

    The budget fills up evenly over time and is kept by each process. The answer carries `Retry-After` (RFC 9110,
    section 10.2.3) and the fields of the IETF draft on rate limits.

    Args:
        limit: How many requests a caller may send in `per_seconds`.
        per_seconds: The time.
        by: What callers are told apart by; a request without it is not limited.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "rate_limit"
    phase: ClassVar = Phase.TERMINAL
    needs: ClassVar = Needs.NOTHING
    limit: Annotated[int, Form("limit", Whole(1, 10**6, what="limit"), is_first=True)]
    per_seconds: Annotated[float, Form("per", SOME_SECONDS)] = 60.0
    by: Annotated[SampleBy, Form("by", Key())] = _CLIENT
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)

    def answer(self, retry_after_seconds: int) -> Abort:
        """What a caller without budget gets."""
        headers = [
            ("retry-after", str(retry_after_seconds)),
            ("ratelimit-limit", str(self.limit)),
            ("ratelimit-remaining", "0"),
            ("ratelimit-reset", str(retry_after_seconds)),
        ]
        return Abort(429, headers=headers)


@dataclass(frozen=True, slots=True)
class Raise:
    """Raises an exception that the application registered under a name.

    Args:
        exception: The registered name. It is looked up in that list and nowhere else.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "raise"
    phase: ClassVar = Phase.TERMINAL
    needs: ClassVar = Needs.NOTHING
    exception: str
    percentage: float = 100

    def __post_init__(self) -> None:
        if not isinstance(self.exception, str) or not _EXCEPTION_NAME.fullmatch(self.exception):
            raise RuleError(
                f"{self.exception!r} is not an exception's name", where="exception", hint="such as TimeoutError"
            )
        object.__setattr__(self, "percentage", check_percentage(self.percentage))


def _body(status: int, body: object) -> tuple[bytes, str]:
    natural_type = _TEXT_TYPE
    if body is None:
        content = b"" if status in BODILESS else b"fault injected\n"
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


def _check_gaps(content: bytes, headers: Iterable[tuple[str, str]]) -> None:
    try:
        texts = [("body", content.decode("utf-8")), *((f"headers.{name}", value) for name, value in headers)]
    except UnicodeDecodeError:
        raise RuleError("bytes have no gaps", where="body", hint="write a text, or leave template out") from None
    for where, text in texts:
        for name in names_in(text):
            if not is_variable(name):
                hint = f"one of {', '.join(PLAIN)}, or {', '.join(PREFIXES)} and a name"
                raise RuleError(f"{name!r} is no variable of a request", where=where, hint=hint)


def _in_header(value: str) -> str:
    """What a header may hold of a text: a line break in it would begin another header."""
    return "".join(letter if " " <= letter <= "~" or "\xa0" <= letter <= "\xff" else "?" for letter in value)
