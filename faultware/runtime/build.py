"""The composition root: settings in, a live injector out."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict

from faultware.config.guardlines import read_guards
from faultware.config.mistakes import shown
from faultware.config.tokens import read_key_file
from faultware.core.engine import Engine, Limits
from faultware.core.exemptions import Exemptions
from faultware.core.matching import Match
from faultware.core.sampling import Dice
from faultware.errors import RuleError, SettingsError
from faultware.runtime.capabilities import Capabilities
from faultware.runtime.caps import Budgets, Caps
from faultware.runtime.exceptions import Exceptions
from faultware.runtime.foreign import ForeignFile
from faultware.runtime.guard import Watch
from faultware.runtime.injector import Injector
from faultware.runtime.nesting import NESTING
from faultware.runtime.servers import running
from faultware.runtime.signed import SignedRequests
from faultware.runtime.stores import open_store
from faultware.runtime.switch import Clocks, Switch
from faultware.runtime.timetable import Timetable
from faultware.runtime.watching import WatchedFile
from faultware.telemetry.events import EventRing
from faultware.telemetry.logs import LogObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from faultware.config.settings import Settings
    from faultware.core.guards import Guard
    from faultware.core.matching import PathMatch
    from faultware.core.request import Request
    from faultware.core.rules import Rule
    from faultware.runtime.exceptions import Registration
    from faultware.runtime.servers import Protocol
    from faultware.telemetry.prometheus import Metrics

_MOST_ANNOUNCED: Final = 10
_NOT_SETTINGS: Final = frozenset({"clock", "environ", "exceptions", "health", "random", "registry"})

_log = logging.getLogger("faultware")


class Options(TypedDict, total=False):
    """What both middlewares take as keyword arguments; all but the last six have a variable that wins over them.

    See docs/reference/settings.md for the settings. `rules` is the one-line form, a `pathlib.Path` of a file, or `Rule`
    objects. `exceptions` are those that `raise` may throw; `health` says whether the application is well; `registry` is
    the Prometheus registry, if not the default one. `clock` (monotonic seconds), `random` (an even draw from [0, 1))
    and `environ` are for tests.
    """

    enabled: bool | str
    armed: bool | str
    rules: str | Path | Rule | Iterable[Rule | str]
    config_file: str | Path
    exclude: str | Iterable[str | PathMatch]
    max_active_faults: int
    max_delay: str
    max_percentage: float | str
    max_faults: int
    max_faults_per_minute: int
    max_faults_per_client: int
    max_traffic_percentage: float | str
    abort_when: str | Iterable[str | Guard]
    prometheus_url: str
    seed: int
    dry_run: bool
    store: str
    store_grace: str
    control_token: str
    control_token_file: str | Path
    control_tokens: str | Iterable[str]
    control_tokens_file: str | Path
    control_listen: str
    fault_signing_key: str
    fault_signing_key_file: str | Path
    fault_propagation: bool | str
    control_path: str
    control_hosts: str | Iterable[str]
    kill_file: str | Path
    mark_responses: bool
    allow_production: bool
    allow_instance_faults: bool
    envoy_runtime: str | Mapping[str, int]
    envoy_headers: bool
    envoy_headers_from: str | Iterable[str]
    stats_style: str
    environment: str
    exceptions: Registration
    health: Callable[[], object]
    registry: CollectorRegistry
    clock: Callable[[], float]
    random: Callable[[], float]
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Service:
    """A service that hosts its own chaos.

    Args:
        settings: What was asked for.
        injector: The live object.
        events: What happened in this process lately.
        watch: The guards.
    """

    settings: Settings
    injector: Injector
    events: EventRing
    watch: Watch


def build(options: Options, protocol: Protocol = "") -> Service | None:
    """Read the settings and set everything up; None: not enabled, and nothing was.

    Args:
        options: What the middleware was given.
        protocol: Of the middleware.

    Raises:
        ConfigurationError: Something cannot be used; the service must not start.
        MissingExtraError: Something needs an extra that is not installed; nor must it start then.
        StoreError: What the store holds cannot be read any more.
    """
    # pydantic-settings loads asyncio and takes longer than all the rest: not before somebody builds a middleware.
    from faultware.config.loading import load_settings  # noqa: PLC0415

    _check_environ(options)
    foreign = ForeignFile()
    given: dict[str, object] = {name: value for name, value in options.items() if name not in _NOT_SETTINGS}
    settings = load_settings(options.get("environ"), foreign=foreign, **given)
    if not settings.enabled:
        return None
    _check_objects(options)
    clocks = Clocks(options.get("clock", time.monotonic), time.time)
    exceptions = Exceptions(options.get("exceptions", ()))
    capabilities = Capabilities(running(protocol), allow_instance_faults=settings.allow_instance_faults)
    key = _signing_key(settings)
    switch = Switch(
        open_store(settings, clocks),
        settings.rules,
        exceptions=exceptions,
        clocks=clocks,
        kill_file=settings.kill_file,
        capabilities=capabilities,
        asking=_asking(key, exceptions, capabilities, clocks, carries=settings.fault_propagation),
    )
    events, draw = EventRing(), options.get("random", random.random)
    injector = Injector(
        switch,
        Engine(Dice(draw, settings.seed), Limits(settings.max_delay, settings.max_percentage), _may_ask(settings)),
        exemptions=Exemptions(settings.exclude),
        exceptions=exceptions,
        observers=(events, LogObserver(clocks.monotonic)),
        clocks=clocks,
        caps=Caps(_budgets(settings), clocks.monotonic),
        dry_run=settings.dry_run,
        metrics=_metrics(options.get("registry"), settings.stats_style),
        grace_seconds=settings.store_grace,
    )
    if isinstance(key, WatchedFile):
        injector.chores.append(key.tend)
    watch = _watch(settings, options.get("health"), has_loop=protocol != "wsgi")
    injector.chores += [watch.tick, Timetable(draw, is_dry=settings.dry_run).tick]
    foreign.announce()
    _announce(settings, injector)
    NESTING.add(protocol)
    return Service(settings, injector, events, watch)


def _check_environ(options: Options) -> None:
    environ: object = options.get("environ")
    if environ is not None and not isinstance(environ, Mapping):
        raise SettingsError(f"{shown(environ)} is not a mapping", where="environ", hint="write environ={}")


def _check_objects(options: Options) -> None:
    """Refuse what would fail with the first request, or without a word that says why."""
    given: Mapping[str, object] = dict(options)
    for name, example in (("clock", "time.monotonic"), ("random", "random.random"), ("health", "a function")):
        if given.get(name) is not None and not callable(given[name]):
            raise SettingsError(f"{shown(given[name])} cannot be called", where=name, hint=f"such as {example}")
    registry = given.get("registry")
    if registry is not None and not hasattr(registry, "register"):
        raise SettingsError(
            f"{shown(registry)} is no registry", where="registry", hint="write registry=CollectorRegistry()"
        )


def _budgets(settings: Settings) -> Budgets:
    return Budgets(
        settings.max_active_faults,
        total=settings.max_faults,
        per_minute=settings.max_faults_per_minute,
        per_client=settings.max_faults_per_client,
        traffic_percentage=settings.max_traffic_percentage,
    )


def _signing_key(settings: Settings) -> WatchedFile[str] | str | None:
    """The key that requests may be signed with, and the file it is kept in."""
    if settings.fault_signing_key is None:
        return None
    key = settings.fault_signing_key.get_secret_value()
    if settings.fault_signing_key_file is None:
        return key
    return WatchedFile(settings.fault_signing_key_file, key, read_key_file, "keys")


def _asking(
    key: WatchedFile[str] | str | None,
    exceptions: Exceptions,
    capabilities: Capabilities,
    clocks: Clocks,
    *,
    carries: bool,
) -> SignedRequests | None:
    """Finds the rules that requests bring along; None: without a key they bring none."""
    if key is None:
        return None

    def allowed(rule: Rule) -> None:
        exceptions.check(rule.everything)
        capabilities.check(rule)

    def current() -> bytes:
        return (key if isinstance(key, str) else key.value).encode()

    return SignedRequests(current, allowed, clocks.wall, carries=carries)


def _watch(settings: Settings, health: Callable[[], object] | None, *, has_loop: bool) -> Watch:
    try:
        return Watch(
            settings.abort_when,
            read=read_guards,
            health=health,
            prometheus_url=settings.prometheus_url,
            has_loop=has_loop,
        )
    except RuleError as error:
        raise error.inside("abort_when") from None


def _may_ask(settings: Settings) -> Callable[[Request], bool] | None:
    """Whether a request may ask for faults by Envoy's headers: by the peer's address."""
    if not settings.envoy_headers:
        return None
    if "*" in settings.envoy_headers_from:
        return lambda _request: True
    return Match(client=settings.envoy_headers_from).accepts_rest


def _metrics(registry: CollectorRegistry | None, style: str) -> Metrics:
    # Loaded late, like the settings: whoever only imports a middleware does not pay for it.
    from faultware.telemetry.prometheus import Metrics  # noqa: PLC0415

    metrics = Metrics.on(registry)
    if style == "envoy":
        metrics.count_as_envoy()
    return metrics


def _announce(settings: Settings, injector: Injector) -> None:
    """Say at the start that faults may happen here, which, and how they are stopped."""
    rules = _first_of([entry.rule for entry in injector.live_rules()], "; ")
    state = "killed" if injector.switch.killed else "dry run" if settings.dry_run else "armed"
    if injector.switch.kill_file_exists():
        state = f"killed by the kill file {settings.kill_file}"
    _log.warning("faults are enabled (%s), switch %s: %s", state, injector.switch.store.url, rules or "no rules")
    missing = injector.switch.missing_kill_directory()
    if missing is not None:
        _log.warning(
            "kill_file: there is no directory %s yet, and without it nobody can stop the faults by file", missing
        )
    scanned = injector.scanned_rules()
    if scanned:
        _log.warning(
            "rules that are tried on every new path, since nothing in them is literal: %s", _first_of(scanned, ", ")
        )


def _first_of(items: Sequence[object], separator: str) -> str:
    """As many as a person reads, and how many more there are."""
    more = [f"and {len(items) - _MOST_ANNOUNCED} more"] if len(items) > _MOST_ANNOUNCED else []
    return separator.join([*map(str, items[:_MOST_ANNOUNCED]), *more])
