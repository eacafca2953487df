"""A store that can only be read: a file that somebody else puts there, such as a mounted ConfigMap.

The file says whether faults may happen and which. Its content is taken over into the store of this host, so that all
workers have one switch, and a kill by HTTP or by kill file reaches all of them and holds. What stands in the file is
never written. Kubernetes swaps a link to a directory: so the file is looked at through its links, four times a second.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from faultware.config.files import read_file
from faultware.errors import ConfigurationError, ConflictError, RuleError, SettingsError, StoreError
from faultware.state.store import Deed, Snapshot, StoredRule, arriving, noted

if TYPE_CHECKING:
    from collections.abc import Callable
    from ctypes import c_bool
    from pathlib import Path

    from faultware.core.rules import Rule
    from faultware.state.store import Signal, Store, Worker

_Signature: TypeAlias = tuple[int, int, int]
ACTOR: Final = "mounted file"
_KEYS: Final = ("armed", "rules", "abort_when")


class MountedStore:
    """Takes over what a file says, and keeps it in another store.

    Args:
        path: Of the file: TOML, YAML or JSON, with `armed`, `rules` and `abort_when`.
        local: Keeps the state for all workers of this host.
        wall: The time of day in seconds.

    Raises:
        ConfigurationError: The file is not there, or cannot be used.
    """

    def __init__(self, path: Path, local: Store, *, wall: Callable[[], float] = time.time) -> None:
        self._path = path
        self._local = local
        self._wall = wall
        self._seen: _Signature | None = None
        self._failing_since: float | None = None
        # The guards in the file; None: it says nothing of them.
        self._guards: tuple[str, ...] | None = None
        # Whether the file said `armed: false` when it was read last: only what was off can be armed by it again.
        self._was_off = False
        self._take_over()

    @property
    def signal(self) -> Signal:
        """Of the store of this host."""
        return self._local.signal

    @property
    def flag(self) -> c_bool:
        """Of the store of this host."""
        return self._local.flag

    @property
    def url(self) -> str:
        """Where the file is."""
        return f"mounted:{self._path}"

    @property
    def age_seconds(self) -> float:
        """How long the file has not been there."""
        missing = 0.0 if self._failing_since is None else time.monotonic() - self._failing_since
        return max(missing, self._local.age_seconds)

    def begin(self, wake: Callable[[], object]) -> None:
        """Have this process woken when another worker has taken something over."""
        self._local.begin(wake)

    def follow(self) -> None:
        """Look whether the file has changed; what cannot be used changes nothing."""
        self._local.follow()
        try:
            self._take_over()
        except ConfigurationError as error:
            raise StoreError(f"{self.url}: {error} (the last good rules stay)") from None

    def known(self) -> Snapshot:
        """The state of this host."""
        return self._local.known()

    def read(self) -> Snapshot:
        """The state of this host."""
        return self._local.read()

    def update(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Change what the file says nothing about.

        Raises:
            ConflictError: It is for the file to arm, to name the rules, and to name the guards if it names any.
        """

        def checked(before: Snapshot) -> Snapshot:
            after = change(before)
            is_other = (after.rules, after.armed_until) != (before.rules, before.armed_until)
            is_guarded = self._guards is not None and after.abort_when != before.abort_when
            if is_other or is_guarded or after.killed < before.killed:
                raise ConflictError(f"this store can only be read: write it into {self._path}")
            return after

        return self._local.update(checked)

    def stop(self) -> None:
        """Raise the killed bit on this host."""
        self._local.stop()

    def kill(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Kill on this host. It holds until the file has said `armed: false` and then `armed: true`."""
        return self._local.kill(change)

    def report(self, version: int, *, killed: bool, switched_at: float) -> None:
        """Say what is in force in this process."""
        self._local.report(version, killed=killed, switched_at=switched_at)

    def workers(self) -> tuple[Worker, ...]:
        """The workers of this host."""
        return self._local.workers()

    def _take_over(self) -> None:
        try:
            status = self._path.stat()
        except OSError as error:
            self._failing_since = self._failing_since or time.monotonic()
            raise SettingsError(f"this cannot be read: {error.strerror}", where=str(self._path)) from None
        signature = (status.st_mtime_ns, status.st_ino, status.st_size)
        if signature != self._seen:
            armed, rules, self._guards = self._read(status.st_mtime)
            self._merge(armed=armed, rules=rules)
            self._seen = signature
        self._failing_since = None

    def _read(self, written_at: float) -> tuple[bool, tuple[StoredRule, ...], tuple[str, ...] | None]:
        from faultware.config.guardlines import read_guards  # noqa: PLC0415  (for few)
        from faultware.config.values import read_rules_value, read_switch  # noqa: PLC0415  (loads pydantic)

        data = read_file(self._path)
        where = str(self._path)
        for key in data:
            if key not in _KEYS:
                raise SettingsError(f"unknown key {key[:40]!r}", where=where, hint="armed, rules and abort_when")
        try:
            armed = read_switch(data.get("armed", True))
            rules = read_rules_value(data.get("rules") or ())
            # Since it was written, and not since somebody looked: a restart gives nobody more time.
            begin = min(written_at, self._wall())
            stored = tuple(_stored(rule, begin) for rule in rules)
        except RuleError as error:
            raise error.inside(where) from None
        try:
            return armed, stored, tuple(map(str, read_guards(data["abort_when"]))) if "abort_when" in data else None
        except RuleError as error:
            raise SettingsError(str(error), where=f"{where}: abort_when") from None

    def _merge(self, *, armed: bool, rules: tuple[StoredRule, ...]) -> None:
        now = self._wall()
        is_armed_again = armed and self._was_off

        def merged(before: Snapshot) -> Snapshot:
            killed = not armed or (before.killed and not is_armed_again)
            after = before
            if rules != before.rules:
                names = ", ".join(rule.name for rule in rules)
                after = noted(replace(after, rules=rules), Deed(now, ACTOR, "", "put_rules", names, 0))
            if self._guards not in (None, before.abort_when):
                deed = Deed(now, ACTOR, "", "put_guards", "; ".join(self._guards or ()), 0)
                after = noted(replace(after, abort_when=self._guards), deed)
            if killed != before.killed:
                after = replace(after, killed=killed, changed_at=now, actor=ACTOR, reason="")
                after = noted(after, Deed(now, ACTOR, "", "kill" if killed else "arm", "", 0))
            if after is before:
                raise _NothingNew
            return after

        try:
            self._local.update(merged)
        except _NothingNew:
            pass
        except StoreError:
            if not armed:
                self._local.stop()
            raise
        self._was_off = not armed


class _NothingNew(Exception):  # noqa: N818  (a sign to ourselves)
    """Another worker was quicker, or only the time of the file has changed."""


def _stored(rule: Rule, begin: float) -> StoredRule:
    try:
        return arriving(rule, begin)
    except RuleError as error:
        raise error.inside(rule.name) from None
