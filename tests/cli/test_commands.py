"""Every command against a service that listens."""

from __future__ import annotations

import json

import pytest


def fields(result):
    """What stands in two columns, by name."""
    return dict(line.split("  ", 1) for line in result.out.partition("\n\n")[0].splitlines()) if result.out else {}


def test_status_shows_the_state_and_who_made_it_so(ask):
    result = ask("status")
    shown = {name: value.strip() for name, value in fields(result).items()}
    assert (result.code, result.err) == (0, "")
    assert (shown["state"], shown["by"], shown["rules"], shown["version"]) == ("armed", "settings", "2", "1")


def test_a_kill_says_who_and_why_and_holds_until_somebody_arms(ask):
    result = ask("kill", "--reason", "checkout is slow")
    assert (result.code, result.err) == (0, "")
    assert fields(result)["reason"].strip() == "checkout is slow"
    assert fields(ask("status"))["state"].strip() == "killed"
    assert ask("arm").code == 0
    assert fields(ask("status"))["state"].strip() == "armed"


def test_arming_for_a_time_shows_its_end(ask):
    result = ask("arm", "--for", "10m")
    assert result.code == 0
    assert "armed until 20" in result.out


def test_what_the_endpoint_refuses_is_one_line_and_exit_code_1(ask, shop):
    result = ask("arm", "--for", "2h")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"faultware: {shop.url}/_faultware: for: 2h is longer than what arrives at run time may live (at most 1h)\n"
    )


def test_rules_are_shown_in_one_line_each(ask):
    result = ask("rules", "show")
    assert result.code == 0
    assert result.out.splitlines() == ["POST /pay 10% abort 503 as pay", "/search 30% delay 200ms as slow"]


def test_rules_are_replaced_by_one_line_and_by_a_file(ask, tmp_path):
    result = ask("rules", "put", "/a 100% abort 500 for 5m as a; /b 3x hang as b")
    assert result.code == 0
    assert result.out.splitlines() == ["/a 100% abort 500 for 5m as a", "/b 3x hang for 10m as b"]
    file = tmp_path / "faults.json"
    file.write_text('{"rules": [{"name": "c", "match": {"path": "/c"}, "percentage": 5, "abort": 504}]}')
    assert ask("rules", "put", file).out == "/c 5% abort 504 for 10m as c\n"
    assert ask("rules", "delete", "c").out == "c is gone\n"
    assert ask("rules", "show").out == "no rules\n"


def test_rules_without_an_action_shows_them(ask, shop):
    shown = ask("rules", "show")
    for words in (["rules"], ["rules", "--url", shop.url], ["rules", "--timeout", "9"]):
        assert ask(*words) == shown
    assert ask("rules", "--json") == ask("rules", "show", "--json") == ask("rules", "--json", "show")
    wrong = ask("rules", "set")
    assert (wrong.code, "invalid choice: 'set'" in wrong.err) == (2, True)
    assert "put rules in the place of all others" in ask("rules", "--help").out


def test_a_rule_that_is_not_there_cannot_be_taken_away(ask):
    result = ask("rules", "delete", "a/b")
    assert result.code == 1
    assert result.err.endswith("there is no rule named 'a/b'\n")


def test_explain_says_for_each_rule_whether_it_takes_part_and_why(ask):
    result = ask("explain", "-X", "POST", "/pay", "-H", "x-canary: 1", "--client", "10.0.0.1")
    assert result.code == 0
    assert result.out.splitlines() == [
        "POST /pay: armed, 10% chance of a fault in this worker",
        "rule  takes part  why",
        "pay   yes         10% for the rule",
        "slow  no          does not match: path",
    ]


def test_a_header_without_a_colon_is_wrong_usage(ask):
    result = ask("explain", "/pay", "-H", "x-canary")
    assert (result.code, result.err) == (2, "faultware: 'x-canary' is not a header (write 'x-canary: 1')\n")


def test_events_tell_what_happened_since_a_number(ask):
    ask("kill", "--reason", "enough")
    result = ask("events")
    assert result.code == 0
    assert "switch_killed" in result.out
    assert "reason=enough" in result.out
    assert ask("events", "--since", "1").out == "nothing has happened\n"
    assert ask("events", "--since", "-1").code == 2


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("status",), "state"),
        (("kill",), "state"),
        (("arm",), "state"),
        (("rules", "show"), "rules"),
        (("rules", "put", "/a 5% abort 500"), "rules"),
        (("rules", "delete", "pay"), "deleted"),
        (("validate", "/a 5% abort 500"), "rules"),
        (("explain", "/pay"), "rules"),
        (("events",), "events"),
    ],
)
def test_every_command_answers_programs_in_json(ask, words, key):
    result = ask(*words, "--json")
    assert (result.code, result.err) == (0, "")
    assert key in json.loads(result.out)


def test_json_may_be_asked_for_before_the_action_too(ask):
    assert "rules" in json.loads(ask("rules", "--json", "show").out)


def test_what_others_have_written_cannot_steer_a_terminal(ask):
    ask("kill", "--reason", "\x1b[2J\x9b2Jgone")
    assert "\x1b" not in ask("status").out
    assert "[2J2Jgone" in ask("status").out


def test_capabilities_are_shown_with_the_server_that_they_are_of(ask):
    result = ask("capabilities")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "an unknown server WSGI"
    assert lines[1].split() == ["fault", "means", "reason"]
    assert any(line.split()[:2] == ["abort", "native"] for line in lines)
    assert any(line.split()[:2] == ["kill", "impossible"] and "ALLOW_INSTANCE_FAULTS" in line for line in lines)


def test_capabilities_are_told_to_programs(ask):
    told = json.loads(ask("capabilities", "--json").out)
    assert told["server"]["protocol"] == "wsgi"
    assert {"fault": "abort", "means": "native", "reason": "By the means of WSGI."} in told["faults"]
