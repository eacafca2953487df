"""Who did what: the trail that is kept with the state."""

from __future__ import annotations

import json

from faultware.state.file import FileStore
from faultware.state.store import MAX_DEEDS, Snapshot
from tests.control.kit import RULE, TOKEN, open_desk
from tests.runtime.kit import BEGIN, BrokenStore, memory


def entries(desk):
    return desk("GET", "/audit").data["entries"]


def test_every_change_is_told_with_who_from_where_and_both_versions(desk):
    assert entries(desk) == []
    desk("POST", "/kill", {"reason": "checkout is slow"})
    desk.time.pass_(1)
    desk("POST", "/arm", {"for": "10m"})
    desk("POST", "/arm")
    desk("PUT", "/rules/new", RULE)
    desk("PUT", "/rules", [{**RULE, "name": "a"}, {**RULE, "name": "b"}])
    desk("DELETE", "/rules/a")
    common = {"actor": "control token", "origin": "10.0.0.7"}
    told = [
        (BEGIN, "kill", "checkout is slow"),
        (BEGIN + 1, "arm", "for 10m"),
        (BEGIN + 1, "arm", ""),
        (BEGIN + 1, "put_rule", "new"),
        (BEGIN + 1, "put_rules", "a, b"),
        (BEGIN + 1, "delete_rule", "a"),
    ]
    assert entries(desk) == [
        {
            "at": at,
            **common,
            "action": action,
            "detail": detail,
            "version_before": version,
            "version_after": version + 1,
        }
        for version, (at, action, detail) in enumerate(told, start=1)
    ]


def test_what_reads_and_what_is_refused_leaves_no_trace(desk):
    desk("GET", "/rules")
    desk("POST", "/explain", {})
    desk("POST", "/kill", token="wrong")
    desk("PUT", "/rules/new", RULE, if_match='"9"')
    desk("PUT", "/rules/new", {**RULE, "percentage": 0.5})
    desk("DELETE", "/rules/nobody")
    assert entries(desk) == []


def test_what_stops_by_itself_is_told_too(tmp_path):
    desk = open_desk(kill_file=tmp_path / "stop")
    desk("POST", "/arm", {"for": "1m"})
    desk.time.pass_(60)
    desk.injector.tick()
    desk("POST", "/arm")
    (tmp_path / "stop").touch()
    desk.injector.tick()
    assert [(one["actor"], one["origin"], one["action"]) for one in entries(desk)] == [
        ("control token", "10.0.0.7", "arm"),
        ("clock", "", "kill"),
        ("control token", "10.0.0.7", "arm"),
        ("kill file", "", "kill"),
    ]


def test_every_worker_tells_what_went_through_any(tmp_path):
    initial = Snapshot(1, killed=False, created_at=BEGIN)
    one, other = (open_desk(store=FileStore(tmp_path / "state", initial)) for _ in range(2))
    one("POST", "/kill", {"reason": "Schluß, «sofort»"})
    other("POST", "/arm")
    assert entries(one) == entries(other)
    assert [deed["action"] for deed in entries(one)] == ["kill", "arm"]
    assert entries(one)[0]["detail"] == "Schluß, «sofort»"


def test_a_state_that_was_written_without_a_trail_is_read(tmp_path):
    initial = Snapshot(1, killed=False, created_at=BEGIN)
    FileStore(tmp_path / "state", initial)
    path = tmp_path / "state/state.json"
    path.write_text(
        json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "deeds"})
    )
    desk = open_desk(store=FileStore(tmp_path / "state", initial))
    assert entries(desk) == []
    desk("POST", "/kill")
    assert len(entries(desk)) == 1


def test_the_trail_has_an_end_and_its_texts_have_one(desk):
    for _ in range(MAX_DEEDS + 10):
        desk("POST", "/kill", {"reason": "x" * 10_000})
    kept = entries(desk)
    assert len(kept) == MAX_DEEDS
    assert {len(deed["detail"]) for deed in kept} == {200}
    assert kept[-1]["version_after"] == desk("GET", "/status").data["version"]
    assert kept[0]["version_before"] == 11
    desk("PUT", "/rules", [{**RULE, "name": f"a-rule-with-a-long-name-{number}"} for number in range(100)])
    assert len(entries(desk)[-1]["detail"]) == 200


def test_what_cannot_be_printed_is_left_out(desk):
    desk("POST", "/kill", {"reason": "a\nb\x1b[31mc"})
    assert entries(desk)[0]["detail"] == "ab[31mc"


def test_a_kill_that_cannot_be_written_down_is_not_told_but_holds():
    store = memory(kind=BrokenStore)
    desk = open_desk(store=store)
    store.broken.add("update")
    assert desk("POST", "/kill").data["state"] == "killed"
    assert entries(desk) == []


def test_the_token_is_not_in_the_trail(desk):
    desk("POST", "/kill", {"reason": "x"})
    assert TOKEN not in desk("GET", "/audit").body.decode()
