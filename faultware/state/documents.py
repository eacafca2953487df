"""Snapshots as JSON, for stores that keep them outside of this process. What is not clearly one is refused."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

from faultware.state.store import MOST_VERSIONS, Deed, Planned, Snapshot, StoredRule

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_snapshot(snapshot: Snapshot) -> bytes:
    """A snapshot as JSON."""
    # Not by `asdict`, which copies everything: who kills waits for this.
    return json.dumps(snapshot, default=_fields, allow_nan=False).encode()


def _fields(part: Snapshot | Deed | Planned | StoredRule) -> dict[str, Any]:
    return {field.name: getattr(part, field.name) for field in fields(part)}


def read_snapshot(content: bytes) -> Snapshot:
    """The snapshot in JSON.

    Raises:
        ValueError: It is none.
    """
    try:
        return _snapshot(json.loads(content))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(type(error).__name__) from None


def _snapshot(data: Mapping[str, Any]) -> Snapshot:
    rules = data["rules"]
    return Snapshot(
        version=_version(data["version"]),
        killed=data["killed"] is not False,
        created_at=_time(data["created_at"]),
        rules=None if rules is None else tuple(map(_stored_rule, rules)),
        armed_until=None if data["armed_until"] is None else _time(data["armed_until"]),
        changed_at=_time(data["changed_at"]),
        actor=str(data["actor"]),
        reason=str(data["reason"]),
        # A state that an earlier version has written has none.
        deeds=tuple(map(_deed, data.get("deeds", ()))),
        plans=tuple(map(_planned, data.get("plans", ()))),
        abort_when=_texts(data.get("abort_when")),
    )


def _deed(data: Mapping[str, Any]) -> Deed:
    texts = {name: str(data[name]) for name in ("actor", "origin", "action", "detail")}
    return Deed(at=_time(data["at"]), before=_version(data["before"]), **texts)


def _texts(data: object) -> tuple[str, ...] | None:
    if data is None:
        return None
    if not isinstance(data, list):
        raise TypeError
    return tuple(str(item) for item in cast("list[object]", data))


def _planned(data: Mapping[str, Any]) -> Planned:
    count = data["count"]
    if not isinstance(count, int):
        raise TypeError
    return Planned(str(data["rule"]), _time(data["at"]), str(data["day"]), count, _time(data["last"]))


def _stored_rule(data: Mapping[str, Any]) -> StoredRule:
    document, expires_at = dict(data["document"]), data["expires_at"]
    if not isinstance(document["name"], str):
        raise TypeError
    # A state that an earlier version has written does not say since when.
    return StoredRule(document, None if expires_at is None else _time(expires_at), _time(data.get("since", 0.0)))


def _version(value: object) -> int:
    if not isinstance(value, int) or not 0 < value < MOST_VERSIONS:
        raise ValueError
    return value


def _time(value: object) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    return float(value)
