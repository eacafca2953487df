"""What a terminal is shown, and what a pipe."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

from faultware.cli import main as entry
from faultware.cli.command import Command
from faultware.cli.ending import Ending
from faultware.cli.screen import Screen
from faultware.errors import MissingExtraError, StoreError


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream):
    screen = Screen(stream=stream)
    screen.table(("rule", "state"), [("[bold]a[/]", "killed"), ("b" * 20, "armed")])
    return stream.getvalue()


def test_a_pipe_gets_plain_columns():
    assert shown(io.StringIO()) == f"rule                  state\n[bold]a[/]            killed\n{'b' * 20}  armed\n"


def test_a_terminal_gets_the_same_by_rich_and_names_are_no_markup(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = shown(Terminal())
    assert "\x1b[" in text
    assert "[bold]a[/]" in text


def test_a_terminal_without_rich_gets_plain_columns(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert shown(Terminal()) == shown(io.StringIO())


def test_fields_without_a_value_are_left_out():
    stream = io.StringIO()
    Screen(stream=stream).fields({"state": "armed", "reason": "", "rules": 0, "by": None})
    assert stream.getvalue() == "state  armed\nrules  0\n"


def raising(monkeypatch, error):
    def run(_arguments, _screen):
        raise error

    command = Command("status", "", "", lambda _parser: None, run)
    monkeypatch.setattr(entry, "COMMANDS", (command,))
    return entry.main(["status"])


def test_errors_have_exit_codes_and_are_one_line(monkeypatch, capsys):
    assert raising(monkeypatch, StoreError("gone")) == Ending.NO_ANSWER == 3
    assert capsys.readouterr().err == "faultware: gone\n"
    assert raising(monkeypatch, MissingExtraError("This", "redis")) == Ending.USAGE == 2
    assert raising(monkeypatch, KeyboardInterrupt()) == Ending.INTERRUPTED == 130


def test_a_reader_that_has_seen_enough_is_no_error(monkeypatch):
    replaced = []
    monkeypatch.setattr(entry.os, "dup2", lambda *descriptors: replaced.append(descriptors))
    monkeypatch.setattr(entry.os, "open", lambda *_: 99)
    monkeypatch.setattr(entry, "sys", SimpleNamespace(stdout=SimpleNamespace(fileno=lambda: 98), stderr=sys.stderr))
    assert raising(monkeypatch, BrokenPipeError()) == Ending.DONE
    assert replaced == [(99, 98)]
