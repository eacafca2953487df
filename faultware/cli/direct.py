"""Reaches into the store of a service, without asking the service: for when it does not answer.

What it writes, every process that shares the store obeys, as if it had come through one of them.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from faultware.cli.ending import NoAnswerError, RefusedError, UsageError
from faultware.errors import RuleError, SettingsError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultware.runtime.switch import Switch
    from faultware.state.store import Snapshot, Worker

ACTOR: Final = "command line"


class Direct:
    """The state of a service.

    Args:
        url: Of the store.

    Raises:
        UsageError: It is none.
        NoAnswerError: It does not answer.
    """

    def __init__(self, url: str) -> None:
        self._switch = _switch(url)
        self.url = self._switch.store.url

    def status(self) -> dict[str, Any]:
        """The state of the switch, and of everybody who shares it."""
        store = self._switch.store
        return self._told(store.read(), store.workers())

    def kill(self, reason: str = "") -> dict[str, Any]:
        """Stop all faults."""
        return self._told(self._switch.kill(ACTOR, reason, origin=_origin()), self._switch.store.workers())

    def arm(self, duration: str = "") -> dict[str, Any]:
        """Let faults happen."""
        from faultware.config.quantities import parse_duration  # noqa: PLC0415

        seconds = parse_duration(duration) if duration else None
        return self._told(self._switch.arm(ACTOR, seconds, origin=_origin()), self._switch.store.workers())

    def rules(self) -> dict[str, Any]:
        """The run-time rules."""
        snapshot = self._switch.store.read()
        return {"rules": self._switch.documents(snapshot), "startup": snapshot.rules is None}

    def put_rules(self, documents: list[dict[str, Any]]) -> dict[str, Any]:
        """Put these rules in the place of all others."""
        from faultware.config.documents import read_rules  # noqa: PLC0415  (loads pydantic)

        snapshot = self._switch.replace_rules(read_rules(documents), actor=ACTOR, origin=_origin())
        return {"rules": self._switch.documents(snapshot)}

    def delete_rule(self, name: str) -> None:
        """Take one rule away."""
        if self._switch.store.read().rules is None:
            hint = "put others in their place"
            raise RefusedError("the rules are those that each service was started with", hint=hint)
        try:
            self._switch.delete_rule(name, actor=ACTOR, origin=_origin())
        except KeyError:
            raise RefusedError(f"there is no rule named {name[:80]!r}") from None

    def explain(self, described: Mapping[str, Any]) -> dict[str, Any]:
        """What would become of a request, as far as the store knows: nothing of the settings of a service."""
        from faultware.control.explaining import Explained, explain  # noqa: PLC0415
        from faultware.control.messages import Problem  # noqa: PLC0415
        from faultware.core.exemptions import Exemptions  # noqa: PLC0415

        snapshot, exemptions = self._switch.store.read(), Exemptions()
        if snapshot.rules is None:
            raise RefusedError("the rules are those that each service was started with", hint="ask one: --url URL")
        rules = self._switch.rule_set(snapshot, exemptions).live
        try:
            return explain(
                Explained(rules, exemptions, self._switch.capabilities, snapshot.killed, time.monotonic()), described
            )
        except Problem as problem:
            raise RefusedError(problem.detail) from None

    def events(self, since: int) -> dict[str, Any]:
        """What was done to the state behind a version: what else happened, only the workers know."""
        from faultware.control.trail import trail  # noqa: PLC0415

        return {"entries": [one for one in trail(self._switch.store.read()) if one["version_after"] > since]}

    def _told(self, snapshot: Snapshot, workers: tuple[Worker, ...]) -> dict[str, Any]:
        return {
            "state": "killed" if snapshot.killed else "armed",
            "rules": None if snapshot.rules is None else len(self._switch.rules(snapshot)),
            "version": snapshot.version,
            "since": snapshot.changed_at,
            "by": snapshot.actor,
            "reason": snapshot.reason,
            "armed_until": snapshot.armed_until,
            "store": self.url,
            "workers": [worker.document(snapshot) for worker in workers],
        }


def _switch(url: str) -> Switch:
    from faultware.config.values import read_store  # noqa: PLC0415  (loads pydantic)
    from faultware.runtime.exceptions import Exceptions  # noqa: PLC0415
    from faultware.runtime.stores import reach  # noqa: PLC0415
    from faultware.runtime.switch import Clocks, Switch  # noqa: PLC0415

    try:
        store = reach(read_store(url))
    except (RuleError, SettingsError) as error:
        raise UsageError(f"the store: {error}") from None
    except StoreError as error:
        raise NoAnswerError(str(error)) from None
    return Switch(store, None, exceptions=Exceptions(), clocks=Clocks(time.monotonic, time.time))


def _origin() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # nobody has this number here, as in some containers
        user = str(os.geteuid())
    return f"{user}@{socket.gethostname()}"
