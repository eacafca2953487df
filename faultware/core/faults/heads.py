"""Faults that change what stands in front of a body: headers of the request and the response, and the status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeAlias

from faultware.core.faults.forms import Form, Lines, Names, Whole, settle
from faultware.core.faults.phases import Needs, Phase
from faultware.errors import RuleError

Pairs: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ResponseHeaders:
    """Sets, adds and removes headers of the response, in the order: remove, set, add.

    Args:
        set: In the place of all lines of that name.
        add: Beside them.
        remove: Names.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "response_headers"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.NOTHING
    set: Annotated[Pairs, Form("set", Lines())] = ()
    add: Annotated[Pairs, Form("add", Lines("+"))] = ()
    remove: Annotated[tuple[str, ...], Form("remove", Names())] = ()
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)
        if not (self.set or self.add or self.remove):
            raise RuleError("no header is named", hint="one of set, add, remove")


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    """Sets and removes headers of the request before the application sees it.

    Args:
        set: In the place of all lines of that name.
        remove: Names.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "request_headers"
    phase: ClassVar = Phase.REQUEST
    needs: ClassVar = Needs.NOTHING
    set: Annotated[Pairs, Form("set", Lines())] = ()
    remove: Annotated[tuple[str, ...], Form("remove", Names())] = ()
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)
        if not (self.set or self.remove):
            raise RuleError("no header is named", hint="one of set, remove")


@dataclass(frozen=True, slots=True)
class ReplaceStatus:
    """Puts another status in the place of the application's, whose handler has run. A status without a body loses it.

    Args:
        status: 200 to 599.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "replace_status"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.NOTHING
    status: Annotated[int, Form("status", Whole(200, 599, what="status"), is_first=True)]
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)
