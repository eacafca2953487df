"""What an import or an export has to say: what was not carried over, and what is carried over but worth knowing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faultware.config.mistakes import together
from faultware.core.engine import Limits
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from faultware.core.rules import Rule
    from faultware.interop.tree import Node


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that has to be said.

    Args:
        where: The place: file and line, or a rule.
        what: The field.
        reason: Why it was not carried over, or what there is to know.
        is_loss: Whether it was not carried over.
    """

    where: str
    what: str
    reason: str
    is_loss: bool

    def __str__(self) -> str:
        place = f"{self.where}: {self.what}" if self.what else self.where
        return f"{place}: {'not carried over: ' if self.is_loss else ''}{self.reason}"


class Remarks:
    """A list that is written while a document is read."""

    def __init__(self) -> None:
        self._found: dict[Remark, None] = {}
        self._mistakes: list[RuleError] = []

    @contextmanager
    def gathering(self) -> Generator[None]:
        """Goes on behind a mistake, to find the others, too; `check` tells them."""
        try:
            yield
        except RuleError as error:
            self._mistakes.append(error)

    def check(self) -> None:
        """Tell all mistakes together.

        Raises:
            RuleError: There are any.
        """
        if self._mistakes:
            raise together(list({str(mistake): mistake for mistake in self._mistakes}.values()))

    def lost(self, node: Node, reason: str) -> None:
        """Something is not carried over."""
        self._add(node, reason, is_loss=True)

    def note(self, node: Node, reason: str) -> None:
        """Something is carried over, and there is something to know about it."""
        self._add(node, reason, is_loss=False)

    def note_hold(self, node: Node, seconds: float) -> None:
        """A delay that is longer than what holds a request unless the settings say more."""
        most = Limits().max_delay_seconds
        if seconds > most:
            self.note(node, f"held no longer than FAULTWARE_MAX_DELAY, which is {most:g}s unless it says more")

    def note_at(self, where: str, reason: str) -> None:
        """Something to know about a place that is no value."""
        self._found[Remark(where, "", reason, is_loss=False)] = None

    def _add(self, node: Node, reason: str, *, is_loss: bool) -> None:
        # A filter that many routes share is read once and said once.
        self._found[Remark(f"{node.file}, line {node.line}", node.place, reason, is_loss)] = None

    def all(self) -> tuple[Remark, ...]:
        """Everything, in the order in which it was said."""
        return tuple(self._found)


@dataclass(frozen=True, slots=True)
class Imported:
    """What a foreign document became.

    Args:
        origin: Whose it was: envoy, istio, apisix or toxiproxy.
        rules: In the order in which they are tried.
        remarks: What was not carried over, and what there is to know.
        settings: Settings that the document brings along, such as `max_active_faults`.
    """

    origin: str
    rules: tuple[Rule, ...]
    remarks: tuple[Remark, ...]
    settings: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def losses(self) -> tuple[Remark, ...]:
        """What was not carried over."""
        return tuple(remark for remark in self.remarks if remark.is_loss)
