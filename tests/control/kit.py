"""The control endpoint of a service that was put together by hand, and somebody who calls it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faultware.config.guardlines import read_guards
from faultware.config.loading import load_settings
from faultware.control.messages import ControlRequest
from faultware.control.mounting import mount
from faultware.core.engine import Limits
from faultware.runtime.build import Service
from faultware.runtime.guard import Watch
from faultware.telemetry.events import EventRing
from tests.runtime.kit import Heard, Time, make_injector

if TYPE_CHECKING:
    from faultware.control.service import Control

TOKEN = "correct-horse-battery"
RULE = {"match": {"path": "/pay"}, "percentage": 10, "abort": {"status": 503}}


@dataclass
class Reply:
    """An answer of the control endpoint."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


@dataclass
class Desk:
    """A control endpoint and all that stands behind it.

    Args:
        control: The endpoint.
        service: Its service.
        time: Its clocks.
        heard: Every event.
        replies: Every answer so far.
    """

    control: Control
    service: Service
    time: Time
    heard: Heard
    replies: list[Reply] = field(default_factory=list)

    @property
    def injector(self):
        return self.service.injector

    @property
    def switch(self):
        return self.service.injector.switch

    def __call__(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        body: bytes | None = None,
        query: str = "",
        token: str | None = TOKEN,
        host: str | None = "localhost:8000",
        **headers: str,
    ) -> Reply:
        """Ask. `data` is sent as JSON; further headers are named with underscores; None takes one away."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"host": host, "authorization": None if token is None else f"Bearer {token}"}
        if data is not None:
            body = json.dumps(data).encode()
        if body is not None:
            sent["content-type"] = "application/json"
        sent = {name: value for name, value in {**sent, **given}.items() if value is not None}
        return self.send(ControlRequest(method, path, query, sent, body or b"", "10.0.0.7"))

    def send(self, request: ControlRequest) -> Reply:
        response = self.control.handle(request)
        reply = Reply(int(response.status), dict(response.headers), response.body)
        self.replies.append(reply)
        return reply

    def state(self):
        """Everything that a request could have changed."""
        store = self.switch.store
        return (
            store.read(),
            store.signal[0],
            self.service.events.last,
            [
                (
                    live.rule,
                    live.deadline,
                    live.tally.matched,
                    live.tally.rolled,
                    +live.tally.injected,
                    +live.tally.suppressed,
                )
                for live in self.injector.live_rules()
            ],
            self.injector.active_faults,
            dict(self.injector.internal_errors),
        )


def open_desk(rules="", *, store=None, kill_file=None, time=None, limits=None, exceptions=(), **settings) -> Desk:
    """A service with a control endpoint."""
    time, heard = time or Time(), Heard()
    loaded = load_settings({}, **{"enabled": True, "control_token": TOKEN, **settings})
    injector = make_injector(
        rules,
        time=time,
        store=store,
        kill_file=kill_file,
        limits=limits or Limits(max_percentage=loaded.max_percentage),
        exceptions=exceptions,
    )
    events = EventRing()
    injector.observers = (events, heard)
    watch = Watch(loaded.abort_when, read=read_guards)
    injector.chores.append(watch.tick)
    service = Service(loaded, injector, events, watch)
    return Desk(mount(service), service, time, heard)
