"""Stopping and steering a service through its store, without a word to the service itself."""

from __future__ import annotations

import json
import os
import time

import pytest

from faultware.cli import direct, kill
from faultware.cli.ending import NoAnswerError, RefusedError
from faultware.errors import StoreError
from faultware.state.file import FileStore
from faultware.state.store import Snapshot
from tests.cli.conftest import TOKEN
from tests.state.test_stores import eventually


@pytest.fixture
def url(shop):
    return f"file:{shop.directory}"


@pytest.fixture
def told(run, shop, monkeypatch):
    """What the service itself says."""
    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN", TOKEN)

    def ask(*words):
        return json.loads(run(*words, "--json", "--url", shop.url).out)

    return ask


@pytest.fixture
def reported(told, refreshed):
    """A service whose worker has served a request and reported."""
    return eventually(lambda: told("status")["workers"])


def test_a_kill_reaches_the_service_and_says_who_did_it_from_where(run, url, told):
    result = run("kill", "--store", url, "--reason", "no answer")
    assert (result.code, result.err) == (0, "")
    status = told("status")
    assert (status["state"], status["reason"]) == ("killed", "no answer")
    assert status["by"].startswith("command line from ")
    assert "@" in status["by"]


def test_arming_and_rules_reach_it_too(run, url, told):
    run("kill", "--store", url)
    assert run("rules", "show", "--store", url).out == "those that each service was started with\n"
    assert run("rules", "put", "/new 100% abort 500 for 5m as new", "--store", url).code == 0
    assert run("rules", "show", "--store", url).out == "/new 100% abort 500 for 5m as new\n"
    assert run("arm", "--for", "5m", "--store", url).code == 0
    status = told("status")
    assert (status["state"], status["rules"]) == ("armed", 1)
    assert run("rules", "delete", "new", "--store", url).code == 0
    assert told("rules", "show") == {"rules": []}


def test_rules_that_a_service_has_kept_from_its_start_are_not_lost(run, url, told, shop):
    """A copy of a start-up rule is known to the service alone."""
    rule = {"name": "more", "match": {"path": "/more"}, "percentage": 5, "abort": 500}
    told("status")
    FileStore(shop.directory, Snapshot(1, killed=False, created_at=0.0))
    shop.middleware._control._operations._switch.put_rule(_rule(rule))
    assert run("rules", "delete", "more", "--store", url).code == 0
    assert [entry["name"] for entry in told("rules", "show")["rules"]] == ["pay", "slow"]


def _rule(document):
    from faultware.config.documents import read_rules

    return read_rules([document])[0]


def test_start_up_rules_cannot_be_taken_away_one_by_one(run, url):
    result = run("rules", "delete", "pay", "--store", url)
    assert result.code == 1
    assert result.err == (
        "faultware: the rules are those that each service was started with (put others in their place)\n"
    )
    run("rules", "put", "/a 5% abort 500", "--store", url)
    assert "there is no rule named 'pay'" in run("rules", "delete", "pay", "--store", url).err


def test_the_status_shows_who_has_confirmed(run, url, reported):
    run("kill", "--store", url, "--wait")
    result = run("status", "--store", url)
    head, row = result.out.partition("\n\n")[2].splitlines()
    assert head.split() == ["host", "pid", "state", "version", "confirmed", "heard"]
    assert "killed" in row
    assert "after " in row
    assert "rules    those of the start" in result.out


def test_why_a_request_would_be_faulted_is_told_by_rules_of_run_time(run, url, told):
    result = run("explain", "/pay", "--store", url)
    assert (result.code, result.out) == (1, "")
    assert result.err == "faultware: the rules are those that each service was started with (ask one: --url URL)\n"
    run("rules", "put", "/pay header:x=1 20% abort 500 as one; /* 0% abort 500 as all", "--store", url)
    result = run("explain", "/pay", "-H", "x: 1", "--store", url)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "GET /pay: armed, 20% chance of a fault by what the store knows",
        "rule  takes part  why",
        "one   yes         20% for the rule",
        "all   yes         0% for the rule",
    ]
    assert json.loads(run("explain", "/healthz", "--store", url, "--json").out)["rules"][1]["hindrance"]
    run("kill", "--store", url)
    assert "killed, 0% chance" in run("explain", "/pay", "--store", url).out
    assert run("explain", "pay", "--store", url).err == "faultware: path begins with /\n"


def test_what_was_done_is_told_from_the_store_by_whomever_it_was(run, url, told):
    assert run("events", "--store", url).out == "nothing has happened\n"
    told("kill", "--reason", "enough")
    run("arm", "--for", "5m", "--store", url)
    head, first, second = run("events", "--store", url).out.splitlines()
    assert head.split() == ["version", "at", "done"]
    assert (first.split()[0], first.split()[3]) == ("2", "kill")
    assert first.endswith("by control token from 127.0.0.1 enough")
    assert second.split()[:1] == ["3"]
    assert " arm " in second
    assert "by command line from " in second
    (entry,) = json.loads(run("events", "--store", url, "--since", "2", "--json").out)["entries"]
    assert (entry["action"], entry["version_before"], entry["version_after"]) == ("arm", 2, 3)
    assert run("events", "--store", url, "--since", "3").out == "nothing has happened\n"


@pytest.mark.parametrize("place", ["url", "store"])
def test_waiting_ends_when_every_worker_has_confirmed(run, url, reported, shop, place):
    where = ("--url", shop.url) if place == "url" else ("--store", url)
    result = run("kill", *where, "--wait", "30", "--json")
    assert (result.code, result.err) == (0, "")
    (worker,) = json.loads(result.out)["workers"]
    assert worker["confirmed"]
    assert worker["took_seconds"] >= 0


def test_who_has_not_confirmed_in_time_is_named(run, url, shop):
    (shop.directory / "workers").mkdir(mode=0o700)
    report = {"host": "other", "version": 1, "killed": False, "since": 0.0}
    file = shop.directory / "workers" / "7-5-123"
    file.write_text(json.dumps(report))
    # As if it had just been written, however slow this machine is.
    os.utime(file, (time.time() + 3600, time.time() + 3600))
    result = run("kill", "--store", url, "--wait", "0.1")
    assert result.code == 4
    assert "state    killed" in result.out
    assert result.err == "faultware: killed, but not confirmed within 0.1 s: other 7 (armed)\n"
    result = run("kill", "--store", url, "--wait", "0")
    assert (result.code, result.err) == (4, "faultware: killed, but not confirmed within 0 s: other 7 (armed)\n")


@pytest.mark.parametrize("error", [NoAnswerError("gone"), RefusedError("no"), StoreError("away")], ids=str)
def test_a_service_that_falls_silent_behind_a_kill_has_not_confirmed_it(monkeypatch, error):
    worker = {"host": "here", "pid": 7, "confirmed": False, "silent_seconds": 0.0, "state": "armed"}

    class Silent:
        asked = 0

        def kill(self, _reason):
            return {"state": "killed", "rules": 1, "version": 2, "workers": [worker]}

        def status(self):
            self.asked += 1
            if self.asked == 1:
                raise error
            return {"state": "killed", "rules": 1, "version": 2, "workers": [{**worker, "confirmed": True}]}

    monkeypatch.setattr(kill, "_PAUSE_SECONDS", 0.0)
    silent = Silent()
    assert kill._wait(silent, silent.kill(""), 20.0)["workers"][0]["confirmed"]
    assert silent.asked == 2


def test_a_kill_that_the_store_does_not_know_of_is_not_complete(run, url, told, shop):
    told("status")
    (shop.directory / "state.json").write_text("{")
    result = run("kill", "--url", shop.url)
    assert result.code == 4
    assert "faultware: killed, but perhaps not everywhere: file:" in result.err
    assert run("kill", "--url", shop.url, "--wait", "0.1").code == 4


def test_who_answers_and_has_not_reported_yet_is_missing():
    own = {"host": "here", "pid": 7}
    assert list(kill._missing({"worker": own, "workers": []})) == ["here 7 (has not reported)"]
    assert list(kill._missing({"worker": own, "workers": [{**own, "confirmed": True}]})) == []


def test_a_worker_that_is_silent_is_said_to_be(monkeypatch):
    assert kill._excuse({"silent_seconds": 12.3, "state": "armed"}) == "silent for 12 s"


def test_the_variable_of_the_service_names_the_store_where_no_url_is_given(run, url, shop, monkeypatch):
    monkeypatch.setenv("FAULTWARE_STORE", url)
    monkeypatch.setenv("FAULTWARE_KILL_FILE", str(shop.kill_file))
    assert run("kill").code == 0
    assert not shop.kill_file.exists()
    assert run("status").out.startswith("state    killed\n")
    monkeypatch.setenv("FAULTWARE_CONTROL_URL", shop.url)
    assert "there is no control token" in run("status").err


def test_a_directory_without_a_state_is_refused_and_not_made(run, tmp_path):
    result = run("kill", "--store", f"file:{tmp_path / 'nowhere'}")
    assert (result.code, result.err) == (3, f"faultware: file:{tmp_path / 'nowhere'}: there is no state here\n")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("redis://:s3cret@127.0.0.1:1", 3, "redis://127.0.0.1:1/0: Error 111 connecting to 127.0.0.1:1."),
        ("redis://:s3cret@127.0.0.1:1/x", 2, "the store: 'x' is not the number of a database (such as /0)"),
        ("mounted:/etc/x.toml", 3, "this store can only be read; reach each service by its URL or its kill file"),
        ("memory:", 3, "only the process itself can reach what it keeps in its memory"),
        ("http://localhost", 2, "the store: "),
        ("/var/lib", 2, "the store: this is no store"),
    ],
)
def test_what_is_no_store_is_refused(run, url, code, message):
    result = run("status", "--store", url)
    assert result.code == code
    assert message in result.err
    assert "s3cret" not in result.err


def test_what_a_store_refuses_is_an_error_of_one_line(run, url, shop):
    assert run("arm", "--for", "2h", "--store", url).code == 1
    (shop.directory / "state.json").write_text("{")
    result = run("status", "--store", url)
    assert (result.code, "remove it to begin again" in result.err) == (3, True)


@pytest.mark.parametrize("words", [("--url", "http://a", "--store", "file:/a"), ("--kill-file", "/a", "--store", "b")])
def test_two_ways_at_once_are_refused(run, words):
    result = run("kill", *words)
    assert (result.code, "exclude each other (use one)" in result.err) == (2, True)


def test_a_kill_file_tells_nothing_about_workers(run, tmp_path):
    assert run("kill", "--wait", "--kill-file", tmp_path / "x").code == 2
    assert not (tmp_path / "x").exists()


def test_a_kill_that_nobody_answers_names_the_other_ways(run, monkeypatch):
    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN", TOKEN)
    result = run("kill", "--url", "http://127.0.0.1:1", "--timeout", "0.05")
    assert "--store URL; a kill file needs no answer: --kill-file PATH" in result.err


def test_a_user_without_a_name_is_a_number(monkeypatch):
    def nobody():
        raise KeyError

    monkeypatch.setattr(direct.getpass, "getuser", nobody)
    assert direct._origin().partition("@")[0].isdigit()
