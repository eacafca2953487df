"""Rules in files and in one line, without a service."""

from __future__ import annotations

import io

import pytest


def test_rules_in_one_line_are_shown_as_they_are_understood(run):
    result = run("validate", "/pay 10% abort 503 as pay;/b 5% delay 0.2s")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[0] == "/pay 10% abort 503 as pay"
    assert result.out.splitlines()[-1] == "2 rules, all good"


def test_a_mistake_is_told_with_its_place_and_exit_code_1(run):
    result = run("validate", "/pay 10 abort 503")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("faultware: a share needs its sign\n    /pay 10 abort 503\n")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("faults.toml", '[[rules]]\nmatch = {path = "/pay"}\npercentage = 5\nabort = 503\n'),
        ("faults.json", '[{"match": {"path": "/pay"}, "percentage": 5, "abort": 503}]'),
        ("faults.yaml", "rules:\n- {match: {path: /pay}, percentage: 5, abort: 503}\n"),
        ("faults.toml", 'dry_run = true\nrules = "/pay 5% abort 503"\n'),
        ("off and on.toml", 'enabled = false\nrules = "/pay 5% abort 503"\n'),
    ],
)
def test_files_are_read_with_or_without_settings(run, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    result = run("validate", tmp_path / name)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("/pay 5% abort 503")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('rules = "/pay 5 abort 503"', "a share needs its sign"),
        ('dry_rum = true\nrules = "/pay 5% abort 503"', "unknown key 'dry_rum' (did you mean dry_run?)"),
        ('environment = "live"\nrules = "/pay 5% abort 503"', "faults are refused in live"),
    ],
)
def test_mistakes_in_files_name_the_file(run, tmp_path, content, message):
    (tmp_path / "faults.toml").write_text(content)
    result = run("validate", tmp_path / "faults.toml")
    assert result.code == 1
    assert message in result.err
    assert str(tmp_path / "faults.toml") in result.err


def test_a_file_that_is_not_there_is_named(run):
    result = run("validate", "/nowhere/faults.toml")
    assert (result.code, result.err) == (1, "faultware: /nowhere/faults.toml: there is no such file\n")


def test_rules_come_from_the_standard_input_too(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("/pay 5% abort 503"))
    assert run("validate", "-").code == 0
