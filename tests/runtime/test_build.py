"""From settings to a live injector: what is asked for arrives."""

from __future__ import annotations

import logging
import random

import pytest
from prometheus_client import CollectorRegistry

from faultware import Abort, Match, Raise, Rule
from faultware.core.request import Request
from faultware.errors import ConfigurationError, RuleError, SettingsError
from faultware.runtime import build as module
from faultware.runtime import stores
from faultware.runtime.build import build
from faultware.state.file import FileStore
from faultware.state.memory import MemoryStore
from tests.runtime.kit import names

PAY = "/pay 100% abort 503 as pay"


def make(environ=None, **options):
    given = {"enabled": True, "store": "memory:", "rules": PAY, "registry": CollectorRegistry(), **options}
    return build({"environ": environ or {}, **{name: value for name, value in given.items() if value is not None}})


@pytest.mark.parametrize("enabled", [None, False, "false", "0", "no", "off", ""])
def test_nothing_is_set_up_unless_it_is_enabled(enabled, monkeypatch):
    def never(*_args, **_kwargs):
        raise AssertionError("this is not inert")

    for name in ("Injector", "Switch", "open_store", "EventRing", "LogObserver"):
        monkeypatch.setattr(module, name, never)
    monkeypatch.setattr(module, "_metrics", never)
    assert make(enabled=enabled, store=None) is None


@pytest.mark.parametrize("beside", [{}, {"FAULTWARE_CONFIG_FILE": ""}])
def test_rules_in_a_variable_that_nobody_enables_are_told_of(caplog, beside):
    assert build({"environ": {"FAULTWARE_RULES": "/payments 10% abort 503", **beside}}) is None
    assert caplog.messages == [
        "FAULTWARE_RULES does nothing, since faultware is not enabled: set FAULTWARE_ENABLED=true"
    ]


@pytest.mark.parametrize(
    ("environ", "options"),
    [
        ({}, {"rules": "/payments 10% abort 503"}),
        ({"FAULTWARE_RULES": "/payments 10% abort 503"}, {"enabled": False}),
        ({"FAULTWARE_RULES": "/payments 10% abort 503", "FAULTWARE_ENABLED": "off"}, {}),
        ({"FAULTWARE_RULES": " "}, {}),
    ],
)
def test_whoever_says_off_or_nothing_is_told_nothing(caplog, environ, options):
    assert build({"environ": environ, **options}) is None
    assert caplog.messages == []


@pytest.mark.parametrize("by", ["FAULTWARE_CONFIG_FILE", "config_file"])
def test_whoever_says_off_in_a_file_is_told_nothing(caplog, tmp_path, by):
    file = tmp_path / "faults.toml"
    file.write_text("enabled = false", encoding="utf-8")
    environ = {"FAULTWARE_RULES": "/payments 10% abort 503"}
    given = {"environ": {**environ, by: str(file)}} if by.isupper() else {"environ": environ, by: str(file)}
    assert build(given) is None
    assert caplog.messages == []


def test_whoever_says_off_wins():
    assert make({"FAULTWARE_ENABLED": "false"}) is None
    assert make({"FAULTWARE_ENABLED": "true"}, enabled=False) is None


def test_a_service_that_is_built_faults():
    service = make()
    assert names(service.injector) == ["pay"]
    assert service.events.last == 0


def test_every_setting_arrives(tmp_path):
    service = make(
        armed=False,
        exclude="/pay/free",
        max_active_faults=7,
        max_delay="2s",
        max_percentage=40,
        seed=5,
        dry_run=True,
        kill_file=str(tmp_path / "kill"),
    )
    injector = service.injector
    assert injector.switch.killed
    assert [path.value for path in injector.exemptions.excluded] == ["/pay/free"]
    assert injector.caps.budgets.active == 7
    assert injector.hang_seconds(None) == 2.0
    assert injector._engine.limits.max_percentage == 40
    assert injector._engine._dice._seed == 5
    assert injector.dry_run
    assert not injector.switch.kill_file_exists()
    (tmp_path / "kill").touch()
    assert injector.switch.kill_file_exists()


def test_the_same_settings_arrive_from_the_environment(tmp_path):
    environ = {
        "FAULTWARE_ENABLED": "yes",
        "FAULTWARE_ARMED": "off",
        "FAULTWARE_RULES": "/other 100% abort 503 as other",
        "FAULTWARE_EXCLUDE": "/pay/free",
        "FAULTWARE_MAX_ACTIVE_FAULTS": "7",
        "FAULTWARE_MAX_DELAY": "2s",
        "FAULTWARE_MAX_PERCENTAGE": "40%",
        "FAULTWARE_SEED": "5",
        "FAULTWARE_DRY_RUN": "true",
        "FAULTWARE_STORE": f"file:{tmp_path}/state",
        "FAULTWARE_KILL_FILE": str(tmp_path / "kill"),
        "FAULTWARE_CONTROL_TOKEN": "0123456789abcdef",
    }
    service = build({"environ": environ, "registry": CollectorRegistry()})
    injector = service.injector
    assert injector.switch.killed
    assert [entry.rule.name for entry in injector.live_rules()] == ["other"]
    assert (injector.caps.budgets.active, injector.hang_seconds(None), injector.dry_run) == (7, 2.0, True)
    assert injector.switch.store.url == f"file:{tmp_path}/state"
    assert "0123456789abcdef" not in repr(service)


def test_clock_and_chance_may_be_given():
    service = make(clock=lambda: 42.0, random=lambda: 0.99, rules="/pay 98% abort 503 for 5m as pay")
    assert service.injector.clocks.monotonic() == 42.0
    assert names(service.injector) == []
    assert names(make(random=lambda: 0.97, rules="/pay 98% abort 503 as pay").injector) == ["pay"]


def test_a_seed_makes_decisions_repeatable():
    def decisions():
        injector = make(rules="/** 50% abort 503 as pay", seed=11).injector
        return [bool(names(injector, f"/{number}")) for number in range(50)]

    assert decisions() == decisions()
    assert len(set(decisions())) == 2


def test_exceptions_that_the_application_registers_may_be_raised():
    raising = Rule("a", Match(path="/pay"), percentage=100, raise_=Raise("TimeoutError"))
    with pytest.raises(RuleError, match="no exception is registered as 'TimeoutError'"):
        make(rules=[raising])
    service = make(rules=[raising], exceptions=[TimeoutError])
    assert isinstance(service.injector.exceptions.make("TimeoutError"), TimeoutError)
    with pytest.raises(SettingsError, match="cannot be injected"):
        make(exceptions=[SystemExit])


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("clock", 5, "clock: 5 cannot be called (such as time.monotonic)"),
        ("random", random, "random: a module cannot be called (such as random.random)"),
        ("health", True, "health: true cannot be called (such as a function)"),
        ("registry", "mine", "registry: 'mine' is no registry (write registry=CollectorRegistry())"),
        ("environ", ["A=1"], "environ: a list is not a mapping (write environ={})"),
    ],
)
def test_objects_of_the_wrong_kind_are_refused_before_the_first_request(option, value, message):
    with pytest.raises(SettingsError) as caught:
        make(**{option: value})
    assert str(caught.value) == message


def test_a_single_rule_needs_no_list():
    rule = Rule("one", Match(path="/pay"), percentage=100, abort=Abort(503))
    assert [entry.rule for entry in make(rules=rule).injector.live_rules()] == [rule]


def test_metrics_go_to_the_registry_that_was_given():
    registry = CollectorRegistry()
    service = make(registry=registry)
    service.injector.decide(service.injector.current(), service.injector.live_rules(), Request("GET", "/pay"))
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "pay"}) == 1.0


def test_a_misspelt_option_is_an_error():
    with pytest.raises(ConfigurationError, match="rulez"):
        make(rulez=PAY)


def test_the_grace_of_the_store_is_a_setting():
    assert make(store_grace="5s").injector._upkeep.grace_seconds == 5.0


def test_an_unusable_configuration_is_refused_before_anything_is_set_up(monkeypatch):
    monkeypatch.setattr(stores, "MemoryStore", lambda *_args: pytest.fail("too early"))
    with pytest.raises(ConfigurationError):
        make(rules="/pay abort 503")


# Stores.


def test_a_store_in_memory_is_made_when_it_is_asked_for():
    assert isinstance(make().injector.switch.store, MemoryStore)


def test_a_store_in_a_directory_is_made_when_it_is_asked_for(tmp_path):
    store = make(store=f"file:{tmp_path}/state").injector.switch.store
    assert isinstance(store, FileStore)
    assert store.read().actor == "settings"
    assert sorted(entry.name for entry in (tmp_path / "state").iterdir()) == ["lock", "state.json", "switch"]


def test_a_second_worker_of_a_service_finds_the_state_of_the_first(tmp_path):
    first = make(store=f"file:{tmp_path}/state")
    first.injector.switch.kill("me", "enough")
    second = make(store=f"file:{tmp_path}/state", armed=True)
    assert second.injector.switch.killed
    assert names(second.injector) == []


@pytest.mark.parametrize("place", ["/proc/nowhere", "{tmp}/file", "{tmp}/open", "{tmp}/broken"])
def test_a_directory_that_was_asked_for_and_cannot_be_used_is_refused(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    FileStore(tmp_path / "broken", MemoryStore(make().injector.switch.store.read()).read())
    (tmp_path / "broken" / "state.json").write_text("{")
    with pytest.raises(SettingsError) as caught:
        make(store="file:" + place.format(tmp=tmp_path))
    message = str(caught.value)
    assert message.startswith(f"FAULTWARE_STORE: file:{place.format(tmp=tmp_path)}: ")
    assert message.endswith("(a directory that this user can write to, on a local file system)")


def test_workers_share_a_directory_of_their_own_when_nobody_says_where(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "embedded_directory", lambda: tmp_path / "embedded")
    one, other = make(store=None), make(store=None)
    assert one.injector.switch.store.url == f"file:{tmp_path}/embedded"
    assert names(other.injector) == ["pay"]
    one.injector.switch.kill("me")
    assert names(other.injector) == []


@pytest.mark.parametrize("what", ["place", "directory"])
def test_where_nothing_can_be_written_the_switch_reaches_one_process_and_says_so(monkeypatch, caplog, tmp_path, what):
    from faultware.state import service

    if what == "place":
        monkeypatch.setattr(service, "_base", lambda: tmp_path / "file")
        (tmp_path / "file").touch()
    else:
        monkeypatch.setattr(stores, "embedded_directory", lambda: tmp_path / "file")
        (tmp_path / "file").touch()
    built = make(store=None)
    assert isinstance(built.injector.switch.store, MemoryStore)
    assert names(built.injector) == ["pay"]
    warning = next(record for record in caplog.records if "this process only" in record.getMessage())
    assert warning.levelno == logging.WARNING
    assert "set FAULTWARE_STORE=file:/a/directory" in warning.getMessage()


def test_where_there_is_no_temporary_directory_the_service_starts_all_the_same(monkeypatch):
    from faultware.state import service

    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(service, "_base", nowhere)
    assert isinstance(make(store=None).injector.switch.store, MemoryStore)


# What is announced.


def announced(caplog, **options):
    caplog.clear()
    make(**options)
    return [record.getMessage() for record in caplog.records if record.name == "faultware"]


def test_the_start_says_that_faults_may_happen_which_and_where_the_switch_is(caplog):
    assert announced(caplog) == ["faults are enabled (armed), switch memory:: /pay 100% abort 503 as pay"]


@pytest.mark.parametrize(
    ("options", "state"),
    [({"armed": False}, "killed"), ({"dry_run": True}, "dry run"), ({"armed": False, "dry_run": True}, "killed")],
)
def test_the_start_says_what_state_the_switch_is_in(caplog, options, state):
    assert announced(caplog, **options)[0].startswith(f"faults are enabled ({state}), ")


def test_the_start_says_killed_where_the_kill_file_exists(caplog, tmp_path):
    (tmp_path / "kill").touch()
    said = announced(caplog, kill_file=str(tmp_path / "kill"))[0]
    assert said.startswith(f"faults are enabled (killed by the kill file {tmp_path}/kill), ")


def test_the_start_warns_where_nobody_could_make_the_kill_file(caplog, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for missing in ("nowhere", "link", "nowhere/deeper"):
        (_, warning) = announced(caplog, kill_file=str(tmp_path / missing / "kill"))
        assert warning.startswith(f"kill_file: there is no directory {tmp_path / missing} yet, ")
    # What cannot be looked at is a kill, which is said.
    for there in ("kill", "file/kill"):
        assert len(announced(caplog, kill_file=str(tmp_path / there))) == 1


def test_the_start_says_when_there_are_no_rules(caplog):
    assert announced(caplog, rules="") == ["faults are enabled (armed), switch memory:: no rules"]


def test_the_start_names_ten_rules_at_most(caplog):
    rules = [Rule(f"r{number}", Match(path="/pay"), percentage=1, abort=Abort(503)) for number in range(11)]
    (message,) = announced(caplog, rules=rules[:10])
    assert message.count(" as r") == 10
    assert "more" not in message
    (message,) = announced(caplog, rules=rules)
    assert message.count(" as r") == 10
    assert message.endswith("; and 1 more")


def test_the_start_warns_of_rules_that_are_tried_on_every_new_path(caplog):
    messages = announced(caplog, rules="/**/pay* 1% abort 503 as wide; /pay 1% abort 503 as pay")
    assert messages[1] == "rules that are tried on every new path, since nothing in them is literal: wide"
    wide = "; ".join(f"/**/pay*{number} 1% abort 503 as wide-{number}" for number in range(13))
    assert announced(caplog, rules=wide)[1].endswith(", wide-9, and 3 more")


def test_the_token_is_in_no_log_line(caplog):
    caplog.set_level(logging.DEBUG)
    assert "a-secret-of-16-or-more" not in " ".join(announced(caplog, control_token="a-secret-of-16-or-more"))


def test_a_service_starts_without_faults_where_its_redis_does_not_answer(caplog):
    injector = make(store="redis://:s3cret@127.0.0.1:1/0?timeout=100ms").injector
    assert "no faults until the store answers: redis://127.0.0.1:1/0: " in caplog.text
    assert "s3cret" not in caplog.text
    assert names(injector) == []
    assert injector.is_stopped
    assert injector.readings().rules == 1


def test_a_mounted_file_says_what_may_happen_and_a_broken_one_stops_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "embedded_directory", lambda: tmp_path / "embedded")
    file = tmp_path / "faults.toml"
    file.write_text('rules = "/pay 100% abort 503 as mounted"')
    injector = make(store=f"mounted:{file}").injector
    assert names(injector) == ["mounted"]
    file.write_text("rules = 5")
    with pytest.raises(SettingsError, match=f"^FAULTWARE_STORE: {file}"):
        make(store=f"mounted:{file}")
