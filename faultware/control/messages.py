"""What goes into and comes out of the control endpoint, whatever carries it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from faultware.config.tokens import Role
from faultware.errors import ConfigurationError, ConflictError, FaultwareError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BODY: Final = 1024 * 1024
MAX_HEADERS: Final = 32 * 1024
MAX_TARGET: Final = 8 * 1024

_COMMON: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """A request to the control endpoint.

    Args:
        method: In capitals.
        path: What follows the control path: `/status`.
        raw_path: The whole path as the client wrote it; empty where the server does not tell.
        query_string: Not decoded.
        headers: By lower-case name; a repeated header is joined by commas.
        body: Whole; one that is longer than `MAX_BODY` may be cut one byte behind that. Read when the rest is admitted.
        client: The peer's address, for the audit trail.
        actor: Whose token it shows; known once it is admitted, like its role.
        role: What that token is for.
    """

    method: str
    path: str
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    client: str = ""
    actor: str = ""
    raw_path: str = ""
    role: Role = Role.VIEW

    @property
    def origin(self) -> str:
        """Where it comes from, for people to read; it proves nothing."""
        return self.client or "an unknown address"

    @property
    def by(self) -> str:
        """Who asks and from where."""
        return f"{self.actor} from {self.origin}"


@dataclass(frozen=True, slots=True)
class ControlResponse:
    """What is answered; the server adds the length."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Answer:
    """A success.

    Args:
        data: Written as JSON, unless `text` is given.
        status: 200, 201 or 204.
        version: Becomes the ETag.
        text: Sent as it is.
        content_type: Of the text.
    """

    data: Any = None
    status: int = HTTPStatus.OK
    version: int | None = None
    text: bytes | None = None
    content_type: str = "application/json"

    def render(self) -> ControlResponse:
        """As a response."""
        if self.status == HTTPStatus.NO_CONTENT:
            return ControlResponse(self.status, headers=_COMMON)
        body = _json(self.data) if self.text is None else self.text
        headers = {**_COMMON, "content-type": self.content_type}
        if self.version is not None:
            headers["etag"] = f'"{self.version}"'
        return ControlResponse(self.status, body, headers)


class Problem(Exception):  # noqa: N818  (RFC 9457 calls it a problem)
    """A refusal, as a problem document (RFC 9457).

    Args:
        status: The HTTP status.
        detail: What is wrong with this request, for a person.
        headers: Added to the response.
        fields: Further members of the document.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.fields = dict(fields or {})

    @classmethod
    def of(cls, error: FaultwareError) -> Problem:
        """The refusal that one of our own errors means."""
        match error:
            case ConfigurationError():
                fields = {name: text for name, text in (("where", error.where), ("hint", error.hint)) if text}
                return cls(HTTPStatus.UNPROCESSABLE_ENTITY, error.message, fields=fields)
            case ConflictError():
                return cls(HTTPStatus.CONFLICT, str(error))
            case StoreError():
                return cls(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            case _:
                return cls(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))

    def render(self) -> ControlResponse:
        """As a response."""
        document = {"type": "about:blank", "title": self.status.phrase, "status": self.status.value}
        body = _json({**document, "detail": self.detail, **self.fields})
        headers = {**_COMMON, "content-type": "application/problem+json", **self.headers}
        return ControlResponse(self.status, body, headers)


def _json(data: object) -> bytes:
    # Half of a character, which a path or a header may hold, becomes the escape by which JSON can say it.
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
