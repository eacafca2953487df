import logging

import pytest

from faultware.telemetry.events import (
    FaultInjected,
    InternalError,
    ReloadFailed,
    RulesChanged,
    SwitchArmed,
    SwitchKilled,
)
from faultware.telemetry.logs import LogObserver


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, logger="faultware")
    return caplog


def injected(rule="pay", path="/payments", delay=0.0, dry_run=False):
    return FaultInjected(1.5, rule, "abort", "POST", path, delay, dry_run)


@pytest.mark.parametrize(
    ("event", "logger", "level", "message"),
    [
        (
            injected(delay=0.2),
            "faultware",
            "INFO",
            "injected rule=pay fault=abort method=POST path=/payments delay_seconds=0.2 dry_run=false",
        ),
        (
            injected(dry_run=True),
            "faultware",
            "INFO",
            "would inject rule=pay fault=abort method=POST path=/payments delay_seconds=0 dry_run=true",
        ),
        (
            SwitchKilled(1.5, "ops@host", 'it "burns"'),
            "faultware.audit",
            "WARNING",
            'killed actor=ops@host reason="it \\"burns\\""',
        ),
        (SwitchArmed(1.5, "ops", None), "faultware.audit", "WARNING", "armed actor=ops until=null"),
        (
            SwitchArmed(1.5, "ops", 60.0),
            "faultware.audit",
            "WARNING",
            "armed actor=ops until=1970-01-01T00:01:00+00:00",
        ),
        (
            RulesChanged(1.5, "ops", 7, ("a", "b")),
            "faultware.audit",
            "WARNING",
            "rules changed actor=ops version=7 rules=2 names=a,b",
        ),
        (
            RulesChanged(1.5, "", 8, ()),
            "faultware.audit",
            "WARNING",
            'rules changed actor="" version=8 rules=0 names=-',
        ),
        (
            ReloadFailed(1.5, "faults.toml: line 3"),
            "faultware",
            "WARNING",
            'reload failed, the last good rules stay message="faults.toml: line 3"',
        ),
        (
            InternalError(1.5, "decide", "KeyError"),
            "faultware",
            "ERROR",
            "internal error stage=decide message=KeyError",
        ),
    ],
)
def test_an_event_is_one_readable_line(log, clock, event, logger, level, message):
    LogObserver(clock).notice(event)
    (record,) = log.records
    assert (record.name, record.levelname, record.getMessage()) == (logger, level, message)


def test_the_values_of_an_event_are_attributes_of_its_record(log, clock):
    LogObserver(clock).notice(injected(delay=0.2))
    values = {name: value for name, value in vars(log.records[0]).items() if name.startswith("faultware_")}
    assert values == {
        "faultware_event": "fault_injected",
        "faultware_at": 1.5,
        "faultware_rule": "pay",
        "faultware_fault": "abort",
        "faultware_method": "POST",
        "faultware_path": "/payments",
        "faultware_delay_seconds": 0.2,
        "faultware_dry_run": False,
    }


def test_a_path_cannot_forge_a_line_or_a_value(log, clock):
    LogObserver(clock).notice(injected(path="/x\nkilled actor=me dry_run=true"))
    message = log.records[0].getMessage()
    assert "\n" not in message
    assert 'path="/xkilled actor=me dry_run=true" delay_seconds=0 dry_run=false' in message


def test_a_busy_rule_gets_its_lines_a_second_and_the_next_line_says_what_was_left_out(log, clock):
    observer = LogObserver(clock, lines_per_second=2)
    for _ in range(10):
        observer.notice(injected())
    observer.notice(injected(rule="search"))
    assert [record.faultware_rule for record in log.records] == ["pay", "pay", "search"]
    clock.now += 1
    observer.notice(injected())
    observer.notice(injected())
    assert log.records[3].getMessage().endswith("dry_run=false left_out=8")
    assert log.records[3].faultware_left_out == 8
    assert "left_out" not in log.records[4].getMessage()


def test_what_was_left_out_adds_up_over_seconds_and_is_said_once(log, clock):
    observer = LogObserver(clock, lines_per_second=1)
    for _ in range(4):
        observer.notice(injected())
    clock.now += 0.999
    observer.notice(injected())
    assert len(log.records) == 1
    clock.now += 60
    observer.notice(injected())
    clock.now += 60
    observer.notice(injected())
    assert [getattr(record, "faultware_left_out", None) for record in log.records] == [None, 4, None]


def test_failures_of_one_stage_are_sampled_and_what_people_do_never_is(log, clock):
    observer = LogObserver(clock, lines_per_second=1)
    for _ in range(3):
        observer.notice(InternalError(0, "decide", "boom"))
        observer.notice(ReloadFailed(0, "boom"))
        observer.notice(SwitchKilled(0, "ops", ""))
    assert [record.levelname for record in log.records].count("ERROR") == 1
    assert [record.name for record in log.records].count("faultware.audit") == 3
    assert len(log.records) == 5


def test_rules_beyond_a_thousand_share_their_lines(log, clock):
    observer = LogObserver(clock, lines_per_second=1)
    for number in range(1500):
        observer.notice(injected(rule=f"r{number}"))
    assert len(log.records) == 1001
    assert len(observer._windows) == 1001


def test_nothing_is_counted_as_left_out_while_nobody_listens(caplog, clock):
    caplog.set_level(logging.WARNING, logger="faultware")
    observer = LogObserver(clock, lines_per_second=1)
    for _ in range(3):
        observer.notice(injected())
    caplog.set_level(logging.INFO, logger="faultware")
    observer.notice(injected())
    assert [record.getMessage().endswith("dry_run=false") for record in caplog.records] == [True]


def test_the_text_of_a_line_is_made_only_when_a_handler_asks(log, clock, monkeypatch):
    made = []
    monkeypatch.setattr("faultware.telemetry.logs._Pairs.__str__", lambda pairs: made.append(pairs) or "text")
    monkeypatch.setattr(logging.getLogger("faultware"), "propagate", False)  # pytest's own handlers ask
    LogObserver(clock).notice(injected())
    assert made == []
    monkeypatch.setattr(logging.getLogger("faultware"), "propagate", True)
    LogObserver(clock).notice(injected())
    assert log.records[-1].getMessage() == "injected text"


def test_no_handlers_are_added_and_no_levels_set(clock):
    LogObserver(clock).notice(injected())
    for name in ("faultware", "faultware.audit"):
        logger = logging.getLogger(name)
        assert (logger.handlers, logger.level, logger.propagate) == ([], logging.NOTSET, True)
