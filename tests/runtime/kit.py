"""A service put together by hand: a clock that only tests move, a store in memory, no thread."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from faultware import Abort, Match, Rule
from faultware.config.oneline import parse_rules
from faultware.core.engine import Engine, Limits
from faultware.core.exemptions import Exemptions
from faultware.core.request import Request
from faultware.core.sampling import Dice
from faultware.errors import StoreError
from faultware.runtime.capabilities import Capabilities
from faultware.runtime.caps import Budgets, Caps
from faultware.runtime.exceptions import Exceptions
from faultware.runtime.injector import Injector
from faultware.runtime.switch import Clocks, Switch
from faultware.state.memory import MemoryStore
from faultware.state.store import KILLED, Snapshot
from faultware.telemetry.prometheus import Metrics

BEGIN = 1_000_000.0
PATIENCE_SECONDS = 30
PAY = "/pay 100% abort 503 as pay"


class Time:
    """Both times of a service. They pass together, and only when told."""

    def __init__(self) -> None:
        self.now = 500.0
        self.wall_now = BEGIN
        self.clocks = Clocks(lambda: self.now, lambda: self.wall_now)

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.wall_now += seconds

    def jump(self, seconds: float) -> None:
        """The wall clock is set by somebody."""
        self.wall_now += seconds


class StillRefresher:
    """In place of the thread: only notes that it was woken. Tests call `tick` themselves."""

    def __init__(self, owner) -> None:
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1


class Heard:
    """Remembers every event."""

    def __init__(self) -> None:
        self.events = []

    def notice(self, event) -> None:
        self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


class BrokenStore(MemoryStore):
    """A store that can be made to fail; its signal goes on working."""

    def __init__(self, initial: Snapshot) -> None:
        super().__init__(initial)
        self.broken: set[str] = set()
        self.reads = 0

    def _check(self, what: str) -> None:
        if what in self.broken:
            raise StoreError(f"cannot {what}")

    def follow(self) -> None:
        self._check("follow")

    def read(self) -> Snapshot:
        self._check("read")
        self.reads += 1
        return super().read()

    def update(self, change):
        self._check("update")
        return super().update(change)

    def kill(self, change):
        self._signal[0] |= KILLED
        return super().kill(change)


def memory(*, killed: bool = False, kind=MemoryStore, **fields):
    return kind(Snapshot(1, killed=killed, created_at=BEGIN, changed_at=BEGIN, actor="settings", **fields))


def rules_of(text: str):
    return parse_rules(text) if text else []


def make_switch(rules="", *, time=None, store=None, exceptions=(), kill_file=None) -> Switch:
    rules = rules_of(rules) if isinstance(rules, str) else rules
    return Switch(
        store or memory(),
        rules,
        exceptions=Exceptions(exceptions),
        clocks=(time or Time()).clocks,
        kill_file=kill_file,
        capabilities=Capabilities(allow_instance_faults=True),
    )


def make_injector(
    rules="",
    *,
    time=None,
    store=None,
    exceptions=(),
    kill_file=None,
    most=100,
    dry_run=False,
    heard=None,
    limits=None,
    grace=30.0,
) -> Injector:
    time = time or Time()
    switch = make_switch(rules, time=time, store=store, exceptions=exceptions, kill_file=kill_file)
    return Injector(
        switch,
        Engine(Dice(lambda: 0.5), limits or Limits()),
        exemptions=Exemptions(),
        exceptions=Exceptions(exceptions),
        observers=[heard] if heard else [],
        clocks=time.clocks,
        caps=Caps(Budgets(most), time.clocks.monotonic),
        dry_run=dry_run,
        metrics=Metrics.on(CollectorRegistry()),
        grace_seconds=grace,
    )


def ask(injector: Injector, path: str = "/pay"):
    """What a middleware does with a request: the plan, or None."""
    view = injector.current()
    request = Request("GET", path)
    return injector.decide(view, view.rules.candidates(request), request)


def names(injector: Injector, path: str = "/pay") -> list[str]:
    """The rules that fire."""
    plan = ask(injector, path)
    return [] if plan is None else [injection.live.rule.name for injection in plan.injections]


class Held:
    """A request that waits."""

    def __init__(self) -> None:
        self.releases = 0

    def __call__(self) -> None:
        self.releases += 1


def other_worker(injector, time):
    """The switch of another process that shares the store."""
    return make_switch([entry.rule for entry in injector.live_rules()], time=time, store=injector.switch.store)


class FakeRequest:
    method, path = "GET", "/pay"


# Rules in a switch.


def rule(name="a", path="/pay", **more):
    return Rule(name, Match(path=path), **{"percentage": 100, "abort": Abort(503), **more})


def loaded(switch, known=None):
    """The rules in force, by name."""
    rules = switch.rule_set(switch.store.read(), Exemptions(), known)
    return {entry.rule.name: entry for entry in rules.live}


def lives(switch, time):
    """How long each rule in force still lives, by name."""
    return {name: entry.deadline - time.now for name, entry in loaded(switch).items()}


def shown(switch):
    """How long each rule is said to live, by name."""
    return {document["name"]: document.get("for") for document in switch.documents(switch.store.read())}
