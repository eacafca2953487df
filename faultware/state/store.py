"""What every store offers, and the snapshot it keeps.

One synchronous interface serves every worker and every protocol: writing happens in the control endpoint, reading in
the refresher's thread. The request path only looks at `flag`. The refresher waits for no network: of what is far away
it is given what was heard last, and how long ago that was.
"""

from __future__ import annotations

import sys
from ctypes import c_bool
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from faultware.core.quantities import duration
from faultware.core.rendering import rule_document
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faultware.core.rules import Rule

# The killed bit has the lowest byte of the signal to itself, so that a request can look at that alone.
KILLED: Final = 1
_VERSION_BITS: Final = 8
# 256 times a version, and one, must fit into the signal.
MOST_VERSIONS: Final = 2**55

# What arrives at run time lives so long unless it says otherwise, and so long at most.
DEFAULT_LIFETIME_SECONDS = 600.0
MAX_LIFETIME_SECONDS = 3600.0

# So many deeds are remembered; each is written with every change of the state, so they must not be many or long.
MAX_DEEDS = 64
MAX_DEED_TEXT = 200


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A run-time rule as the store keeps it.

    Args:
        document: The rule in the document form.
        expires_at: Wall-clock time in seconds; None: never (it came from the service's own start-up rules).
        since: Wall-clock time from which its schedule counts.
    """

    document: Mapping[str, Any]
    expires_at: float | None
    since: float = 0.0

    @classmethod
    def of(cls, rule: Rule, expires_at: float | None, since: float) -> StoredRule:
        """A rule as it is kept: how long it lives, the times say, and not its document."""
        return cls({key: value for key, value in rule_document(rule).items() if key != "for"}, expires_at, since)

    @property
    def name(self) -> str:
        """The rule's."""
        return str(self.document["name"])


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did to the state. Kept with the state, so that every worker can tell what went through any other.

    Args:
        at: Wall-clock time in seconds.
        actor: Who did it: a token's name, never its value.
        origin: From where; empty where nobody knows.
        action: `kill`, `arm`, `put_rules`, `put_rule`, `delete_rule` or `put_guards`.
        detail: The reason, the names of the rules, or the guards.
        before: The version it found.
    """

    at: float
    actor: str
    origin: str
    action: str
    detail: str
    before: int

    @property
    def by(self) -> str:
        """Who did it, and from where if that is known."""
        return f"{self.actor} from {self.origin}" if self.origin else self.actor


@dataclass(frozen=True, slots=True)
class Planned:
    """When a fault that comes by itself is due; the first process to claim it does it.

    Args:
        rule: The rule's name.
        at: Wall-clock time in seconds.
        day: The day of the last one, as ISO 8601 writes it; empty: there was none.
        count: How many there were on that day.
        last: Wall-clock time of the last one; 0: there was none.
    """

    rule: str
    at: float
    day: str = ""
    count: int = 0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The shared state at one version.

    Args:
        version: Grows by one with every write.
        killed: Latches: only arming undoes it.
        created_at: Wall-clock time of the first write, from which the start-up rules' own lifetimes count.
        rules: The run-time rules; None: every process has its own start-up rules.
        armed_until: Wall-clock time at which arming ends by itself; None: it does not.
        changed_at: Wall-clock time of the last kill or arm.
        actor: Who did that.
        reason: Why, in the actor's words.
        deeds: The last changes, the newest last. The version that a deed led to is the next one's `before`, or this
            snapshot's.
        plans: When the faults that come by themselves are due.
        abort_when: The guards that arrived at run time; None: every process has those of its start.
    """

    version: int
    killed: bool
    created_at: float
    rules: tuple[StoredRule, ...] | None = None
    armed_until: float | None = None
    changed_at: float = 0.0
    actor: str = ""
    reason: str = ""
    deeds: tuple[Deed, ...] = ()
    plans: tuple[Planned, ...] = ()
    abort_when: tuple[str, ...] | None = None


class Signal(Protocol):
    """A number that changes with every write: 256 times the version, plus one while killed."""

    def __getitem__(self, index: int, /) -> int:
        """`signal[0]` is the number; nothing else is asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that serves, as it reported itself.

    Args:
        host: The machine's name, or the container's.
        pid: Its process number there.
        version: Of the state that is in force in it.
        killed: Whether faults are off in it, and nothing is held.
        silent_seconds: How long nothing was heard of it.
        took_seconds: From the last kill until this worker had obeyed it; None: it has not yet, or
            it began to serve afterwards, or nobody can tell.
    """

    host: str
    pid: int
    version: int
    killed: bool
    silent_seconds: float
    took_seconds: float | None = None

    def has_confirmed(self, snapshot: Snapshot) -> bool:
        """Whether it has obeyed the kill that a snapshot tells of."""
        return snapshot.killed and self.killed and self.version >= snapshot.version

    def document(self, snapshot: Snapshot) -> dict[str, Any]:
        """As a status tells it."""
        has_confirmed = self.has_confirmed(snapshot)
        return {
            "host": self.host,
            "pid": self.pid,
            "state": "killed" if self.killed else "armed",
            "version": self.version,
            "silent_seconds": round(self.silent_seconds, 3),
            "confirmed": has_confirmed,
            "took_seconds": self.took_seconds if has_confirmed else None,
        }


class Store(Protocol):
    """The switch and the run-time rules of a service.

    Every method may raise `StoreError`, but `begin`, `stop` and `report`, which wait for nothing. `kill` takes effect
    on `signal` even then, as far as it can.
    """

    @property
    def signal(self) -> Signal:
        """What is in force; looked up again after `follow` and after every write."""
        ...

    @property
    def flag(self) -> c_bool:
        """The killed bit of `signal`, where requests look. It is replaced when `signal` is."""
        ...

    @property
    def url(self) -> str:
        """Where the state is, as a setting would name it; without secrets."""
        ...

    @property
    def age_seconds(self) -> float:
        """How long ago it was certain that `known` is the present state; infinity: never in this process."""
        ...

    def begin(self, wake: Callable[[], object]) -> None:
        """This process serves from now on: call `wake` when something may have changed. May start threads."""
        ...

    def follow(self) -> None:
        """Make sure that `signal` is the one everybody looks at; it may be replaced here, and by writing."""
        ...

    def known(self) -> Snapshot:
        """The state as this process knows it; waits for no network."""
        ...

    def read(self) -> Snapshot:
        """The present state."""
        ...

    def update(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Replace the state by what `change` makes of it; nobody else writes in between. The version is the store's.

        `change` may be called several times, with what others have made of the state meanwhile. What it raises passes
        through, and nothing is written.
        """
        ...

    def stop(self) -> None:
        """Raise the killed bit of `signal` at once, here and as far as shared memory reaches."""
        ...

    def kill(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """`stop`, and then `update`; the bit stays up even if nothing can be written."""
        ...

    def report(self, version: int, *, killed: bool, switched_at: float) -> None:
        """Tell others which state is in force in this process; called again and again, also as a sign of life.

        Args:
            version: Of the state.
            killed: Whether nothing can happen here any more.
            switched_at: When the switch was set last, as far as this process knows, in wall-clock seconds.
        """
        ...

    def workers(self) -> tuple[Worker, ...]:
        """Who has reported, and has not gone."""
        ...


def noted(after: Snapshot, deed: Deed) -> Snapshot:
    """The state with a deed on its trail; the version is still the one that the deed found."""
    deed = replace(deed, detail=deed.detail[:MAX_DEED_TEXT], before=after.version)
    return replace(after, deeds=(*after.deeds, deed)[-MAX_DEEDS:])


def killed_by(before: Snapshot, deed: Deed) -> Snapshot:
    """The state after a kill, with the deed on its trail."""
    after = replace(before, killed=True, armed_until=None, changed_at=deed.at, actor=deed.by, reason=deed.detail)
    return noted(after, deed)


def arriving(rule: Rule, since: float) -> StoredRule:
    """A rule that arrives at run time, to be kept from a wall-clock time on.

    Raises:
        RuleError: It is to live for too long.
    """
    lifetime = DEFAULT_LIFETIME_SECONDS if rule.lifetime_seconds is None else rule.lifetime_seconds
    check_lifetime(lifetime)
    return StoredRule.of(rule, since + lifetime, since)


def check_lifetime(seconds: float) -> None:
    """Refuse a time for which nothing may live that arrives at run time; raises `RuleError`."""
    if seconds <= 0:
        raise RuleError(f"{duration(seconds)} is no time at all", where="for", hint="such as 5m")
    if seconds > MAX_LIFETIME_SECONDS:
        message = f"{duration(seconds)} is longer than what arrives at run time may live"
        raise RuleError(message, where="for", hint=f"at most {duration(MAX_LIFETIME_SECONDS)}")


def was_killed(snapshot: Snapshot, version: int) -> bool:
    """Whether somebody has killed the switch since it had this version, as far as the trail goes back."""
    return any(deed.action == "kill" and deed.before >= version for deed in snapshot.deeds)


def word(snapshot: Snapshot) -> int:
    """What `signal[0]` is for a snapshot."""
    return snapshot.version << _VERSION_BITS | (KILLED if snapshot.killed else 0)


def version_of(word: int) -> int:
    """The version of the snapshot that `signal[0]` stands for."""
    return word >> _VERSION_BITS


def local_signal() -> memoryview:
    """A signal in this process alone."""
    return memoryview(bytearray(8)).cast("Q")


def flag_of(signal: memoryview) -> c_bool:
    """The killed bit of a signal, in the same memory: asking whether it is true makes no number out of that first."""
    return c_bool.from_buffer(signal, 0 if sys.byteorder == "little" else signal.itemsize - 1)
