import json
import re
import subprocess
import sys
import threading
from functools import partial

import pytest

from faultware.telemetry.events import (
    MAX_NAMES,
    MAX_PATH,
    MAX_TEXT,
    EventRing,
    FaultInjected,
    InternalError,
    ReloadFailed,
    RulesChanged,
    SwitchArmed,
    SwitchKilled,
    event_document,
    printable,
)


def injected(path="/payments", at=1.5, rule="pay"):
    return FaultInjected(at, rule, "abort", "POST", path, 0.25, dry_run=False)


@pytest.mark.parametrize(
    ("event", "document"),
    [
        (
            injected(),
            {
                "type": "fault_injected",
                "at": 1.5,
                "rule": "pay",
                "fault": "abort",
                "method": "POST",
                "path": "/payments",
                "delay_seconds": 0.25,
                "dry_run": False,
            },
        ),
        (
            SwitchKilled(2.0, "ops", "enough"),
            {"type": "switch_killed", "at": 2.0, "actor": "ops", "reason": "enough"},
        ),
        (SwitchArmed(2.0, "ops", None), {"type": "switch_armed", "at": 2.0, "actor": "ops", "until": None}),
        (
            RulesChanged(2.0, "ops", 7, ("a", "b")),
            {"type": "rules_changed", "at": 2.0, "actor": "ops", "version": 7, "rules": 2, "names": ["a", "b"]},
        ),
        (ReloadFailed(2.0, "no such file"), {"type": "reload_failed", "at": 2.0, "message": "no such file"}),
        (
            InternalError(2.0, "decide", "KeyError: 1"),
            {"type": "internal_error", "at": 2.0, "stage": "decide", "message": "KeyError: 1"},
        ),
    ],
)
def test_an_event_has_a_document_with_its_type_in_snake_case(event, document):
    assert event_document(event) == document
    assert json.loads(json.dumps(document)) == document


@pytest.mark.parametrize("hostile", ["\x00", "\n", "\r", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "\ud800"])
def test_what_others_wrote_loses_whatever_is_not_printable(hostile):
    text = f"before{hostile}after"
    for event in (
        injected(path=text, rule=text),
        SwitchKilled(0, text, text),
        SwitchArmed(0, text, None),
        RulesChanged(0, text, 1, (text,)),
        ReloadFailed(0, text),
        InternalError(0, text, text),
    ):
        written = json.dumps(event_document(event), ensure_ascii=False)
        written.encode()
        assert hostile not in written
        assert re.search("before.*after", written)


def test_printable_text_stays_as_it_is():
    assert printable("/zahlung/größe 30 %/日本") == "/zahlung/größe 30 %/日本"


def test_a_path_is_cut_at_200_characters_and_other_text_at_500():
    document = event_document(injected(path="/" + "x" * 5000))
    assert (len(document["path"]), MAX_PATH) == (200, 200)
    assert (len(event_document(ReloadFailed(0, "x" * 5000))["message"]), MAX_TEXT) == (500, 500)


def test_only_the_first_names_of_many_rules_are_listed_and_all_are_counted():
    document = event_document(RulesChanged(0, "ops", 1, tuple(f"r{number}" for number in range(10_000))))
    assert (document["rules"], len(document["names"]), document["names"][-1]) == (10_000, MAX_NAMES, "r99")


def test_a_ring_numbers_events_from_1_and_gives_those_after_a_number():
    ring = EventRing()
    assert (ring.last, ring.since(0)) == (0, ([], 0))
    for number in range(1, 6):
        ring.notice(injected(at=number))
    assert ring.last == 5
    events, lost = ring.since(3)
    assert ([(event["sequence"], event["at"]) for event in events], lost) == ([(4, 4), (5, 5)], 0)
    assert ring.since(5) == ([], 0)


def test_a_ring_says_how_many_events_it_no_longer_has():
    ring = EventRing(size=3)
    for number in range(1, 11):
        ring.notice(injected(at=number))
    for after, expected_lost, expected in ((0, 7, [8, 9, 10]), (5, 2, [8, 9, 10]), (7, 0, [8, 9, 10]), (8, 0, [9, 10])):
        events, lost = ring.since(after)
        assert ([event["sequence"] for event in events], lost) == (expected, expected_lost)


@pytest.mark.parametrize("sequence", [-1, 3, 10**30])
def test_a_number_that_was_never_given_out_gets_everything(sequence):
    ring = EventRing()
    ring.notice(injected(at=1))
    ring.notice(injected(at=2))
    events, lost = ring.since(sequence)
    assert ([event["at"] for event in events], lost) == ([1, 2], 0)


def test_a_ring_does_not_keep_a_long_path():
    ring = EventRing()
    ring.notice(injected(path="/" + "x" * 60_000))
    assert len(ring._events[0].path) == MAX_PATH


def test_a_ring_loses_no_number_when_many_threads_write(request):
    request.addfinalizer(partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)
    ring = EventRing(size=40_000)
    start = threading.Barrier(8)

    def write():
        start.wait()
        for _ in range(4000):
            ring.notice(injected())

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    seen = 0
    while any(thread.is_alive() for thread in threads):
        events, lost = ring.since(seen)
        assert [event["sequence"] for event in events] == list(range(seen + 1, seen + 1 + len(events)))
        assert lost == 0
        seen += len(events)
    for thread in threads:
        thread.join()
    assert ring.last == 32_000
    assert len(ring.since(0)[0]) == 32_000


def test_events_logs_and_readings_load_no_metrics_library():
    code = (
        "import sys, faultware.telemetry.events, faultware.telemetry.logs, faultware.telemetry.readings;"
        "print([name for name in sys.modules if name.startswith(('prometheus', 'pydantic', 'asyncio'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
