"""What can be asked of the control endpoint. Each operation is given a request that has been admitted and routed."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from faultware.config.oneline import parse_rules
from faultware.config.quantities import parse_duration
from faultware.control import bodies
from faultware.control.bodies import read_json, read_object
from faultware.control.explaining import Explained, explain
from faultware.control.messages import Answer, ControlRequest, Problem
from faultware.control.trail import trail
from faultware.control.watching import counted, hits, shown
from faultware.core.rendering import rule_document
from faultware.core.rules import NAME, NAME_HINT
from faultware.errors import FaultwareError, RuleError, StoreError
from faultware.runtime.series import STEP_SECONDS
from faultware.telemetry.events import RulesChanged, SwitchArmed, SwitchKilled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultware.core.rules import Rule
    from faultware.runtime.build import Service
    from faultware.runtime.series import Series
    from faultware.state.store import Snapshot


class Operations:
    """The operations on one service.

    Args:
        service: What is controlled.
        series: What this process has seen lately.
    """

    def __init__(self, service: Service, series: Series) -> None:
        self._series = series
        self._service = service
        self._settings = service.settings
        self._injector = service.injector
        self._switch = service.injector.switch
        self._events = service.events
        self._wall = service.injector.clocks.wall

    def status(self, request: ControlRequest, _name: str) -> Answer:
        """Whether faults may happen, since when and by whom, and what this worker does now."""
        try:
            return self._status(request, self._switch.store.read())
        except StoreError as error:
            # Who asks because something is wrong must be told what this worker knows.
            return self._status(request, self._switch.store.known(), warning=str(error))

    def kill(self, request: ControlRequest, _name: str) -> Answer:
        """Stop all faults and release what is held, also if the body is then refused. May be repeated."""
        reason = str(bodies.KILL.read(request).get("reason", ""))[:200]
        try:
            self._injector.kill(request.actor, reason, origin=request.origin)
            return self._status(request, self._injector.refresh())
        except FaultwareError as error:
            # The killed bit is up all the same: what did not work is to write down who did it and why, or to read the
            # rules again, and neither is needed to stop.
            self._injector.failed("store", error)
            readings = self._injector.readings()
            known = {"rules": readings.rules, "active_faults": readings.active_faults, "version": readings.generation}
            return Answer({"state": "killed", **known, "warning": str(error)})
        finally:
            self._injector.release()
            self._injector.tell(SwitchKilled(self._wall(), request.by, reason))

    def arm(self, request: ControlRequest, _name: str) -> Answer:
        """Let faults happen, until killed or for a time."""
        data = bodies.ARM.read(request)
        seconds = None
        if "for" in data:
            try:
                seconds = parse_duration(data["for"])
            except RuleError as error:
                raise error.inside("for") from None
        snapshot = self._switch.arm(request.actor, seconds, origin=request.origin)
        self._injector.tell(SwitchArmed(self._wall(), request.by, snapshot.armed_until))
        self._refresh()
        return self._status(request, snapshot)

    def get_rules(self, request: ControlRequest, _name: str) -> Answer:
        """The rules in force, in a form that can be put back."""
        snapshot = self._switch.store.read()
        return Answer({"rules": self._switch.documents(snapshot)}, version=snapshot.version)

    def put_rules(self, request: ControlRequest, _name: str) -> Answer:
        """Replace all rules."""
        rules = _rules(read_json(request))
        snapshot = self._switch.replace_rules(rules, if_version=self._if_match(request), **_deed(request))
        self._changed(request, snapshot)
        return Answer({"rules": self._switch.documents(snapshot)}, version=snapshot.version)

    def get_guards(self, request: ControlRequest, _name: str) -> Answer:
        """The limits at which faults stop by themselves, and what this worker measured last."""
        return self._guards(self._switch.store.read())

    def put_guards(self, request: ControlRequest, _name: str) -> Answer:
        """Replace all guards, in every worker."""
        from faultware.config.guardlines import read_guards  # noqa: PLC0415  (needed here only)

        guards = read_guards(bodies.GUARDS.read(request)["abort_when"])
        self._service.watch.check(guards)
        snapshot = self._switch.replace_guards(guards, **_deed(request))
        self._refresh()
        return self._guards(snapshot)

    def get_rule(self, request: ControlRequest, name: str) -> Answer:
        """One rule."""
        return self._rule(self._switch.store.read(), name, HTTPStatus.OK)

    def put_rule(self, request: ControlRequest, name: str) -> Answer:
        """Add or replace one rule; its name stands in the path and may stand in the body."""
        data = read_object(request)
        if not NAME.fullmatch(name):
            raise RuleError(f"{name[:80]!r} is not a rule name", where="name", hint=NAME_HINT)
        if data.get("name", name) != name:
            raise RuleError("the names in the path and in the body differ", where=name, hint="leave one out")
        (rule,) = _rules({**data, "name": name})
        existed = any(document["name"] == name for document in self._switch.documents(self._switch.store.read()))
        snapshot = self._switch.put_rule(rule, if_version=self._if_match(request), **_deed(request))
        self._changed(request, snapshot)
        return self._rule(snapshot, name, HTTPStatus.OK if existed else HTTPStatus.CREATED)

    def delete_rule(self, request: ControlRequest, name: str) -> Answer:
        """Take one rule away."""
        try:
            snapshot = self._switch.delete_rule(name, if_version=self._if_match(request), **_deed(request))
        except KeyError:
            raise _no_rule(name) from None
        self._changed(request, snapshot)
        return Answer(status=HTTPStatus.NO_CONTENT)

    def parse(self, request: ControlRequest, _name: str) -> Answer:
        """Turn the one-line form into documents, and back into lines; nothing is changed."""
        rules = parse_rules(bodies.PARSE.read(request)["rules"])
        recent = self._injector.traffic.recent()
        return Answer(
            {
                "rules": [rule_document(rule) for rule in rules],
                "lines": [str(rule) for rule in rules],
                "hits": [hits(rule, recent, self._injector.exemptions) for rule in rules],
            }
        )

    def explain(self, request: ControlRequest, _name: str) -> Answer:
        """What would be tried and rolled for a described request; nothing fires and nothing is counted."""
        injector = self._injector
        asked = Explained(
            injector.live_rules(),
            injector.exemptions,
            self._switch.capabilities,
            injector.is_stopped,
            injector.clocks.monotonic(),
            self._settings.max_percentage,
        )
        return Answer(explain(asked, bodies.EXPLAIN.read(request)))

    def events(self, request: ControlRequest, _name: str) -> Answer:
        """What happened in this worker since an event's number."""
        since = _since(request, "the number of the last event that was seen")
        events, lost = self._events.since(since)
        return Answer({"events": events, "lost": lost, "worker": _worker()})

    def series(self, request: ControlRequest, _name: str) -> Answer:
        """What this worker has seen in the last quarter of an hour, in steps, and what its rules have done."""
        since = _since(request, "a time, in whole seconds since the epoch")
        return Answer(
            {
                "now": self._wall(),
                "step_seconds": STEP_SECONDS,
                "points": self._series.since(since),
                "rules": counted(self._injector),
                "worker": _worker(),
            }
        )

    def recent(self, request: ControlRequest, _name: str) -> Answer:
        """Which methods and paths this worker has measured lately."""
        requests = [shown(method, path) for method, path in self._injector.traffic.recent()]
        return Answer({"requests": requests, "worker": _worker()})

    def audit(self, request: ControlRequest, _name: str) -> Answer:
        """Who did what, from where, through whichever worker: the last changes, the newest last."""
        snapshot = self._switch.store.read()
        return Answer({"entries": trail(snapshot)}, version=snapshot.version)

    def metrics(self, request: ControlRequest, _name: str) -> Answer:
        """The metrics of this service and nothing else of the registry."""
        text, content_type = self._injector.metrics.render(request.headers.get("accept", ""))
        return Answer(text=text, content_type=content_type)

    def openapi(self, request: ControlRequest, _name: str) -> Answer:
        """What can be asked here, as an OpenAPI document."""
        from faultware.control.openapi import document  # noqa: PLC0415  (made from the table that names this method)

        return Answer(document(self._settings.control_path))

    def capabilities(self, request: ControlRequest, _name: str) -> Answer:
        """Which faults are possible in this process, on this server, by which means, and why the others are not."""
        return Answer({**self._switch.capabilities.document(), "worker": _worker()})

    def _status(self, request: ControlRequest, snapshot: Snapshot, warning: str = "") -> Answer:
        readings = self._injector.readings()
        data: dict[str, Any] = {
            "state": "killed" if self._injector.is_stopped else "armed",
            "rules": len(self._switch.rules(snapshot)),
            "active_faults": readings.active_faults,
            "version": snapshot.version,
            "since": snapshot.changed_at,
            "by": snapshot.actor,
            "reason": snapshot.reason,
            "armed_until": snapshot.armed_until,
            "dry_run": self._settings.dry_run,
            "max_active_faults": self._settings.max_active_faults,
            "held": len(self._injector.holding),
            "guards": self._service.watch.document(),
            "reload_successful": readings.last_reload_successful,
            "store": self._switch.store.url,
            "token": {"name": request.actor, "role": str(request.role)},
            "worker": _worker(),
            "workers": [] if warning else [worker.document(snapshot) for worker in self._switch.store.workers()],
        }
        if warning:
            data["warning"] = warning
        return Answer(data, version=snapshot.version)

    def _guards(self, snapshot: Snapshot) -> Answer:
        watch = self._service.watch
        texts = snapshot.abort_when
        in_force = list(map(str, watch.startup)) if texts is None else list(texts)
        # The watch takes new guards with its next look; what it has measured of the old ones is not asked for any more.
        known = {entry["guard"]: entry for entry in watch.document()}
        measured = [known.get(text, {"guard": text, "value": None, "shown": None}) for text in in_force]
        return Answer({"abort_when": in_force, "measured": measured}, version=snapshot.version)

    def _rule(self, snapshot: Snapshot, name: str, status: HTTPStatus) -> Answer:
        for document in self._switch.documents(snapshot):
            if document["name"] == name:
                return Answer(document, status=status, version=snapshot.version)
        raise _no_rule(name)

    def _changed(self, request: ControlRequest, snapshot: Snapshot) -> None:
        names = tuple(str(document["name"]) for document in self._switch.documents(snapshot))
        self._injector.tell(RulesChanged(self._wall(), request.by, snapshot.version, names))
        self._refresh()

    def _refresh(self) -> None:
        """Put in force here what was written; if it cannot be read now, the refresher goes on trying and says so."""
        with suppress(FaultwareError):
            self._injector.refresh()

    def _if_match(self, request: ControlRequest) -> int | None:
        """The version a client insists on (RFC 9110, section 13.1.1); a proxy may have weakened the tag."""
        tag = request.headers.get("if-match", "*").strip()
        if tag == "*":
            return None
        version = self._switch.store.read().version
        if str(version) not in [one.strip().removeprefix("W/").strip('"') for one in tag.split(",")]:
            detail = f'the rules have version "{version}", and the request is meant for {tag[:40]}: read them again'
            raise Problem(HTTPStatus.PRECONDITION_FAILED, detail)
        return version


def _rules(data: object) -> Sequence[Rule]:
    from faultware.config.documents import read_rules  # noqa: PLC0415

    return read_rules(data)


def _since(request: ControlRequest, meaning: str) -> int:
    given = parse_qs(request.query_string, keep_blank_values=True).get("since", ["0"])[-1]
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise Problem(HTTPStatus.BAD_REQUEST, f"since is {meaning}")
    return int(given)


def _no_rule(name: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"there is no rule named {name[:80]!r}")


def _deed(request: ControlRequest) -> dict[str, str]:
    return {"actor": request.actor, "origin": request.origin}


def _worker() -> dict[str, object]:
    return {"host": socket.gethostname(), "pid": os.getpid()}
