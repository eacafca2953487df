"""Stages that change what a response says: its status, its headers, its body."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from faultware.core.faults import BODILESS
from faultware.core.shaping.effects import MAX_KEPT, BodyStage, Head, Send, Stage, Start

if TYPE_CHECKING:
    from faultware.core.faults import ResponseHeaders
    from faultware.core.shaping.effects import Effects

_RESET_CONTENT: Final = 205


class StatusChange(Stage):
    """Puts another status in the place of the application's. If either allows no body, the body is dropped.

    Args:
        status: The new one.
    """

    def __init__(self, status: int) -> None:
        super().__init__()
        self._status = status

    def start(self, head: Head) -> Effects:
        """See `Stage`."""
        changed = Head(self._status, head.headers)
        if self._status in BODILESS:
            self.is_bound = True
            # What frames a body must not stand there (RFC 9110, section 8.6, and RFC 9112, section 6.1).
            changed = changed.without("content-length", "transfer-encoding")
            if self._status == _RESET_CONTENT:
                changed = changed.with_line("content-length", "0")
        elif head.status in BODILESS:
            # A server drops what an application sends behind such a status.
            self.is_bound = True
            if head.length:
                # A 304 may tell the length of the body that it does not have (RFC 9110, section 8.6).
                changed = changed.with_length(0)
        yield Start(changed)

    def feed(self, data: bytes) -> Effects:
        """See `Stage`."""
        if not self.is_bound:
            yield Send(data)


class HeaderChange(Stage):
    """Removes, sets and adds headers, in this order.

    Args:
        fault: Says which.
    """

    def __init__(self, fault: ResponseHeaders) -> None:
        super().__init__()
        self._gone = tuple(name.lower() for name in (*fault.remove, *(name for name, _ in fault.set)))
        self._new = (*fault.set, *fault.add)

    def start(self, head: Head) -> Effects:
        """See `Stage`."""
        kept = head.without(*self._gone)
        yield Start(Head(kept.status, (*kept.headers, *self._new), kept.reason))


class BodyReplacement(BodyStage):
    """Sends another body behind the application's head, at once; what the application sends of its own is dropped.

    Args:
        method: Of the request.
        body: The other body.
        content_type: Of it; None: the application's.
    """

    def __init__(self, method: str, body: bytes, content_type: str | None) -> None:
        super().__init__(method)
        self._body = body
        self._content_type = content_type

    def begin(self, head: Head) -> Effects:
        """See `Stage`."""
        self.is_bound = True
        # Its length is said in the head: from now on it has to come.
        self.held = self._body
        yield Start(_retyped(head.without("content-encoding"), self._content_type).with_length(len(self._body)))
        yield from self.let_go()

    def take(self, data: bytes) -> Effects:  # noqa: ARG002
        """See `Stage`."""
        return iter(())


class Patching(BodyStage):
    """Changes a JSON body by a merge patch (RFC 7396). Head and body are kept until the body is complete.

    A body is left alone if its content type is not JSON, if it is compressed, is no JSON after all, or is longer than
    1 MiB.

    Args:
        method: Of the request.
        patch: A JSON value, as text.
        content_type: Of the new body; None: the application's.
    """

    def __init__(self, method: str, patch: str, content_type: str | None) -> None:
        super().__init__(method)
        self._patch = patch
        self._content_type = content_type
        self._kept = bytearray()

    def begin(self, head: Head) -> Effects:
        """See `Stage`."""
        if _is_json(head) and (head.length or 0) <= MAX_KEPT:
            self.held_head = head
        else:
            yield Start(head)

    def take(self, data: bytes) -> Effects:
        """See `Stage`."""
        if self.held_head is None:
            yield Send(data)
            return
        self._kept += data
        self.held = self._kept
        if len(self._kept) > MAX_KEPT:
            yield from self.release()

    def end(self) -> Effects:
        """See `Stage`."""
        if self.held_head is None:
            return
        try:
            # One that holds what JSON has no number for is none.
            target = json.loads(self._kept, parse_constant=_refuse)
            changed = merged(target, json.loads(self._patch))
            body = json.dumps(changed, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except (ValueError, RecursionError):
            yield from self.release()
            return
        head, self.held_head, self.held = self.held_head, None, body
        yield Start(_retyped(head, self._content_type).with_length(len(body)))
        yield from self.let_go()


def merged(target: Any, patch: Any) -> Any:
    """A JSON value changed by a merge patch (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    changed: dict[str, Any] = dict(cast("dict[str, Any]", target)) if isinstance(target, dict) else {}
    for name, value in cast("dict[str, Any]", patch).items():
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = merged(changed.get(name), value)
    return changed


def _retyped(head: Head, content_type: str | None) -> Head:
    return head if content_type is None else head.without("content-type").with_line("content-type", content_type)


def _is_json(head: Head) -> bool:
    kind = head.media_type
    return (kind == "application/json" or kind.endswith("+json")) and not head.is_encoded


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
