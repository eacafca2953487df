"""The switch and the run-time rules, with the promises that hold for them whatever store keeps them.

Run-time rules expire: ten minutes unless said otherwise, an hour at most. A kill latches; only arming undoes it, and
while the kill file exists nothing does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from faultware.core.quantities import duration
from faultware.core.ruleset import LiveRule, RuleSet, Tally
from faultware.errors import ConflictError, RuleError
from faultware.runtime.capabilities import Capabilities
from faultware.runtime.timetable import check_zone
from faultware.state.store import (
    KILLED,
    MAX_LIFETIME_SECONDS,
    Deed,
    StoredRule,
    arriving,
    check_lifetime,
    killed_by,
    noted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from faultware.core.bringing import Asking
    from faultware.core.exemptions import Exemptions
    from faultware.core.guards import Guard
    from faultware.core.rules import Rule
    from faultware.runtime.exceptions import Exceptions
    from faultware.state.store import Snapshot, Store

# Who ends what was armed for a time, and why, as the audit log has it.
CLOCK: Final = "clock"
TIME_OVER: Final = "the time for which it was armed is over"

Rules: TypeAlias = tuple[StoredRule, ...]


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two times a service lives by, both in seconds.

    Args:
        monotonic: For deadlines.
        wall: For what is shared with other processes and shown to people.
    """

    monotonic: Callable[[], float]
    wall: Callable[[], float]


class Switch:
    """Kills, arms and changes rules in a store, and reads rules out of it.

    Args:
        store: Where the state lives.
        startup: The rules this service was started with; None: this is no service, and every rule that is kept counts.
        exceptions: What `raise` may name.
        clocks: The times.
        kill_file: While this file exists the switch is killed.
        capabilities: What this process can do; left out: whatever a rule asks for, but harm to the process.
        asking: Finds the rules that requests bring along; left out: they bring none.
    """

    def __init__(
        self,
        store: Store,
        startup: Sequence[Rule] | None,
        *,
        exceptions: Exceptions,
        clocks: Clocks,
        kill_file: Path | None = None,
        capabilities: Capabilities | None = None,
        asking: Asking | None = None,
    ) -> None:
        self.store = store
        self.capabilities = capabilities or Capabilities()
        self._startup = tuple(startup or ())
        self._is_service = startup is not None
        self._exceptions = exceptions
        self._clocks = clocks
        self._kill_file = kill_file
        self._asking = asking
        # A rule of the start that is kept beside run-time rules may live as long as it says.
        self._longest = {rule.name: rule.lifetime_seconds or 0.0 for rule in self._startup}
        # Documents of rules, and the rules that were read from them last.
        self._last_read: tuple[list[dict[str, Any]], Sequence[Rule]] = ([], ())
        # When what ends will do so, on the monotonic clock: settled when it is first seen, so that a wall clock that
        # jumps back afterwards prolongs nothing.
        self._ends: dict[tuple[str, float], float] = {}
        for rule in self._startup:
            try:
                self.check(rule)
            except RuleError as error:
                raise error.inside(rule.name) from None

    @property
    def killed(self) -> bool:
        """Whether faults are off, read from memory."""
        return bool(self.store.signal[0] & KILLED)

    def check(self, rule: Rule) -> None:
        """Refuse a rule that raises what nobody registered, or asks for what or when is not possible here.

        Raises:
            RuleError: Naming what is.
        """
        self._exceptions.check(rule.everything)
        self.capabilities.check(rule)
        check_zone(rule)

    @property
    def has_kill_file(self) -> bool:
        """Whether there is a kill file to look for."""
        return self._kill_file is not None

    def kill_file_exists(self) -> bool:
        """Whether somebody has asked for a stop by file. A place that cannot be looked at counts as one."""
        if self._kill_file is None:
            return False
        try:
            self._kill_file.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def missing_kill_directory(self) -> Path | None:
        """The directory of the kill file where there is none, so that nobody can make the file."""
        if self._kill_file is None:
            return None
        directory = self._kill_file.parent
        try:
            directory.stat()
        except FileNotFoundError:
            return directory
        except OSError:
            pass  # what cannot be looked at is a kill
        return None

    def kill(self, actor: str, reason: str = "", *, origin: str = "") -> Snapshot:
        """Stop all faults, here and in everybody who shares the store; raises `StoreError` if only here."""
        deed = self._deed(actor, origin, "kill", reason)
        return self.store.kill(lambda before: killed_by(before, deed))

    def arm(self, actor: str, for_seconds: float | None = None, *, origin: str = "") -> Snapshot:
        """Let faults happen again, for a time or until killed.

        Raises:
            ConflictError: The kill file exists.
            RuleError: The time is zero, or longer than an hour.
        """
        if self.kill_file_exists():
            raise ConflictError(f"the kill file {self._kill_file} exists: remove it first")
        if for_seconds is not None:
            check_lifetime(for_seconds)
        deed = self._deed(actor, origin, "arm", "" if for_seconds is None else f"for {duration(for_seconds)}")
        until = None if for_seconds is None else deed.at + for_seconds

        def armed(before: Snapshot) -> Snapshot:
            after = replace(before, killed=False, armed_until=until, changed_at=deed.at, actor=deed.by, reason="")
            return noted(after, deed)

        return self.store.update(armed)

    def end_arming(self) -> Snapshot | None:
        """Kill if the switch was armed for a time and that is over; None: it is not, or another process was quicker."""
        deed = self._deed(CLOCK, "", "kill", TIME_OVER)

        def ended(before: Snapshot) -> Snapshot:
            if before.killed or before.armed_until is None or before.armed_until > deed.at:
                raise _NotDue
            return killed_by(before, deed)

        try:
            return self.store.update(ended)
        except _NotDue:
            return None

    def replace_guards(self, guards: Sequence[Guard], *, actor: str = "", origin: str = "") -> Snapshot:
        """Put these guards in the place of all others, in every process."""
        texts = tuple(map(str, guards))
        deed = self._deed(actor, origin, "put_guards", "; ".join(texts))
        return self.store.update(lambda before: noted(replace(before, abort_when=texts), deed))

    def replace_rules(
        self, rules: Sequence[Rule], *, if_version: int | None = None, actor: str = "", origin: str = ""
    ) -> Snapshot:
        """Put these rules in the place of all others."""
        stored = self._stored(rules)
        names = ", ".join(entry.name for entry in stored)
        return self._change(lambda _before: stored, if_version, self._deed(actor, origin, "put_rules", names))

    def put_rule(self, rule: Rule, *, if_version: int | None = None, actor: str = "", origin: str = "") -> Snapshot:
        """Add one rule, or put it in the place of the one with its name."""
        (stored,) = self._stored((rule,))

        def put(before: Rules) -> Rules:
            names = [entry.name for entry in before]
            if rule.name not in names:
                return (*before, stored)
            position = names.index(rule.name)
            return (*before[:position], stored, *before[position + 1 :])

        return self._change(put, if_version, self._deed(actor, origin, "put_rule", rule.name))

    def delete_rule(self, name: str, *, if_version: int | None = None, actor: str = "", origin: str = "") -> Snapshot:
        """Take one rule away.

        Raises:
            KeyError: There is none with that name.
        """

        def without(before: Rules) -> Rules:
            left = tuple(entry for entry in before if entry.name != name)
            if len(left) == len(before):
                raise KeyError(name)
            return left

        return self._change(without, if_version, self._deed(actor, origin, "delete_rule", name))

    def rules(self, snapshot: Snapshot) -> Rules:
        """The rules of a snapshot that have not expired: the run-time ones, or this service's own."""
        now = self._clocks.wall()
        rules = self._entries(snapshot)
        return tuple(entry for entry in rules if entry.expires_at is None or entry.expires_at > now)

    def documents(self, snapshot: Snapshot) -> list[dict[str, Any]]:
        """The rules of a snapshot as documents that could be sent back.

        `for` is what is left of their lives, but no more than what is sent back may have.
        """
        now = self._clocks.wall()
        documents: list[dict[str, Any]] = []
        for entry in self.rules(snapshot):
            document = dict(entry.document)
            if entry.expires_at is not None:
                document["for"] = _left(entry.expires_at - now)
            documents.append(document)
        return documents

    def rule_set(
        self, snapshot: Snapshot, exemptions: Exemptions, known: Mapping[str, LiveRule] | None = None
    ) -> RuleSet:
        """The rules of a snapshot, ready to be asked.

        Args:
            snapshot: What to read.
            exemptions: Paths that rules do not reach.
            known: The rules in force until now, whose tallies go on where the rule is the same.
        """
        now, wall = self._clocks.monotonic(), self._clocks.wall()
        settled: dict[tuple[str, float], float] = {}

        def end(name: str, at: float | None, longest: float) -> float:
            if at is None:
                return math.inf
            # The wall clock may have jumped before; no run-time rule outlives its hour all the same.
            ends_at = settled[name, at] = min(now + min(at - wall, longest), self._ends.get((name, at), math.inf))
            return ends_at

        entries = self._entries(snapshot)
        parsed = self._startup if snapshot.rules is None else self._read(entries)
        live: list[LiveRule] = []
        disarmed_at = end("", snapshot.armed_until, MAX_LIFETIME_SECONDS)
        for rule, entry in zip(parsed, entries, strict=True):
            longest = max(MAX_LIFETIME_SECONDS, self._longest.get(rule.name, 0.0))
            deadline = min(disarmed_at, end(rule.name, entry.expires_at, longest))
            if deadline > now:
                old = known.get(rule.name) if known else None
                tally = old.tally if old is not None and _is_same(old.rule, rule) else Tally()
                began = now - max(wall - entry.since, 0.0)
                live.append(LiveRule(rule, deadline, tally, began))
        self._ends = settled
        return RuleSet(live, exemptions, asking=self._asking, asking_until=disarmed_at if self._asking else math.inf)

    def _deed(self, actor: str, origin: str, action: str, detail: str) -> Deed:
        return Deed(self._clocks.wall(), actor, origin, action, detail, 0)

    def _change(self, edit: Callable[[Rules], Rules], if_version: int | None, deed: Deed) -> Snapshot:
        def changed(before: Snapshot) -> Snapshot:
            if if_version is not None and if_version != before.version:
                raise ConflictError(f"the rules have version {before.version}, not {if_version}: read them again")
            return noted(replace(before, rules=edit(self.rules(before))), deed)

        return self.store.update(changed)

    def _read(self, entries: Rules) -> Sequence[Rule]:
        """The rules that stand in some entries. Read again only if they are others: a kill must not wait for that."""
        documents = [dict(entry.document) for entry in entries]
        known, rules = self._last_read
        if documents != known:
            from faultware.config.documents import read_rules  # noqa: PLC0415  (loads pydantic: not at import)

            rules = read_rules(documents)
            self._last_read = documents, rules
        return rules

    def _stored(self, rules: Iterable[Rule]) -> Rules:
        now = self._clocks.wall()
        stored: dict[str, StoredRule] = {}
        for rule in rules:
            try:
                self.check(rule)
                entry = arriving(rule, now)
            except RuleError as error:
                raise error.inside(rule.name) from None
            if rule.name in stored:
                raise RuleError("the name is used twice", where=rule.name, hint="a name is unique")
            stored[rule.name] = entry
        return tuple(stored.values())

    def _entries(self, snapshot: Snapshot) -> Rules:
        """The rules of a snapshot, expired or not.

        A stored rule that never expires is a copy of a start-up rule. A store may outlive the service, so that copy
        counts only while the service is still started with a rule of that name, and as it is now.
        """
        startup = self._startup_rules(snapshot.created_at)
        if snapshot.rules is None:
            return startup
        if not self._is_service:
            return snapshot.rules
        own = {entry.name: entry for entry in startup}
        entries = (own.get(entry.name) if entry.expires_at is None else entry for entry in snapshot.rules)
        return tuple(entry for entry in entries if entry is not None)

    def _startup_rules(self, created_at: float) -> Rules:
        ends = [None if rule.lifetime_seconds is None else created_at + rule.lifetime_seconds for rule in self._startup]
        return tuple(StoredRule.of(rule, end, created_at) for rule, end in zip(self._startup, ends, strict=True))


class _NotDue(Exception):  # noqa: N818  (a sign to ourselves)
    """Nothing is to be written."""


def _is_same(one: Rule, other: Rule) -> bool:
    return replace(one, lifetime_seconds=None) == replace(other, lifetime_seconds=None)


def _left(seconds: float) -> str:
    return duration(min(max(1, math.ceil(seconds)), MAX_LIFETIME_SECONDS))
