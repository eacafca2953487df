"""The console's page, and what it asks for that nobody else does. In a browser it is tried by tests/console."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from faultware.control import shell
from faultware.runtime.series import STEP_SECONDS
from tests.control.kit import open_desk
from tests.runtime.kit import BEGIN

FOLDER = Path(shell.__file__).parent / "console"
SCRIPTS = ("console.js", "desk.js", "elements.js", "plots.js", "rules.js")
PARTS = {
    "/": "text/html; charset=utf-8",
    "/console.css": "text/css; charset=utf-8",
    **{f"/{name}": "text/javascript; charset=utf-8" for name in SCRIPTS},
    "/console.svg": "image/svg+xml",
}


@pytest.mark.parametrize("path", PARTS)
@pytest.mark.parametrize("token", [None, "wrong"])
def test_the_page_needs_no_token_and_holds_no_data(desk, path, token):
    before = desk.state()
    reply = desk("GET", path, token=token)
    assert (reply.status, reply.headers["content-type"]) == (200, PARTS[path])
    assert reply.body == (FOLDER / (path[1:] or "console.html")).read_bytes()
    assert desk("HEAD", path, token=token).status == 200
    assert desk.state() == before
    assert not desk.injector.refusals


def test_the_path_without_a_slash_leads_there_below_any_root_path():
    for control_path, place in (("/_faultware", "_faultware/"), ("/ops/chaos", "chaos/")):
        reply = open_desk(control_path=control_path)("GET", "", token=None)
        assert (reply.status, reply.headers["location"], reply.body) == (308, place, b"")


def test_nothing_else_may_run_be_shown_be_asked_or_frame_it(desk):
    for path in ("", *PARTS):
        headers = desk("GET", path, token=None).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            **dict.fromkeys(("script-src", "style-src", "img-src", "connect-src"), "'self'"),
            **dict.fromkeys(("frame-ancestors", "form-action", "base-uri", "trusted-types"), "'none'"),
            "require-trusted-types-for": "'script'",
        }
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert not [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["", *PARTS])
def test_it_is_checked_by_whom_and_how_it_is_called(desk, path):
    assert desk("GET", path, token=None, host="evil.example").status == 403
    assert desk("GET", path, token=None, x="y" * 40_000).status == 431
    # A runbook of another site may link to it.
    linked = desk("GET", path, token=None, sec_fetch_site="cross-site", sec_fetch_mode="navigate")
    assert linked.status in (200, 308)
    assert desk("POST", path, token=None).status == 401
    assert desk("POST", path).status == 404


def test_it_is_small_and_whole():
    sizes = [(FOLDER / (path[1:] or "console.html")).stat().st_size for path in PARTS]
    assert sum(sizes) < 60_000
    page = (FOLDER / "console.html").read_text()
    assert set(re.findall(r'(?:src|href)="([^"]+)"', page)) == {path[1:] for path in PARTS if path != "/"}
    assert {path.name for path in FOLDER.iterdir()} == {path[1:] or "console.html" for path in PARTS}
    imported = re.findall(r'from "([^"]+)"', "".join((FOLDER / name).read_text() for name in SCRIPTS))
    assert set(imported) == {f"./{name}" for name in SCRIPTS if name != "console.js"}
    for name in ("console.html", "console.css", *SCRIPTS):
        text = (FOLDER / name).read_text()
        assert not re.search(
            r"\bstyle=|\bon[a-z]+=|innerHTML|insertAdjacent|document\.write|eval\(|url\(|@import", text
        )
        assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}


# What it asks for.


def test_the_series_is_told_with_what_the_rules_have_done():
    desk = open_desk("/pay 10% delay 1s + abort 503 for 5m as pay")
    for _ in range(2):
        desk.injector.tick()
        desk.injector.traffic.note(0.001, 200, is_injected=False)
    desk.injector.tick()
    (live,) = desk.injector.live_rules()
    live.tally.matched, live.tally.rolled = 30, 20
    live.tally.injected.update(delay=3, abort=3)
    live.tally.suppressed["dry_run"] += 2
    data = desk("GET", "/series").data
    assert (data["now"], data["step_seconds"]) == (BEGIN, STEP_SECONDS)
    assert sum(point["measured"] for point in data["points"]) == 2
    assert data["rules"] == [
        {
            "name": "pay",
            "line": "/pay 10% delay 1s + abort 503 for 5m as pay",
            "percentage": 10.0,
            "matched": 30,
            "rolled": 20,
            "fired": 3,
            "injected": 6,
            "suppressed": 2,
            "expires_in": 300.0,
        }
    ]
    assert desk("GET", "/series", query=f"since={int(BEGIN) + 60}").data["points"] == []
    refused = desk("GET", "/series", query="since=yesterday")
    assert refused.data["detail"] == "since is a time, in whole seconds since the epoch"


def test_alternatives_are_counted_one_by_one_and_what_no_line_can_say_has_none():
    desk = open_desk("/pay 10% delay 1s as pay")
    rule = {
        "match": {"path": "/a"},
        "percentage": 10,
        "choose": [{"weight": 1, "abort": {"status": 503}}, {"weight": 1, "delay": "1s"}],
    }
    assert desk("PUT", "/rules/either", rule).status == 201
    live = desk.injector.live_rules()[-1]
    live.tally.injected.update(abort=3, delay=2)
    assert desk("GET", "/series").data["rules"][-1]["fired"] == 5
    quoted = {"match": {"path": {"exact": "/a b"}}, "percentage": 10, "abort": {"status": 503}}
    assert desk("PUT", "/rules/quoted", quoted).status == 201
    assert desk("GET", "/series").data["rules"][-1]["line"] is None


def test_what_was_asked_for_lately_is_told_and_which_of_it_a_new_rule_would_hit(desk):
    desk.injector.traffic.is_whole = True
    for method, path in (("GET", "/search"), ("POST", "/pay/7"), ("GET", "/pay"), ("GET", "/health"), ("GET", "/\x07")):
        desk.injector.traffic.wants(method, path)
    assert [tuple(one.values()) for one in desk("GET", "/recent").data["requests"]] == [
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/pay"),
        ("POST", "/pay/7"),
        ("GET", "/search"),
    ]
    parsed = desk("POST", "/parse", {"rules": "POST /pay header:x-canary=1 1% abort 503; /** 1% delay 1s"}).data
    assert [[one["path"] for one in hits] for hits in parsed["hits"]] == [
        ["/pay/7"],
        ["/", "/pay", "/pay/7", "/search"],
    ]
