"""Starts the programs of `tests.state.programs`."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 120


def command(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "tests.state.programs", name, *map(str, arguments)]


def run(name: str, *arguments: object) -> list[str]:
    """The lines that a program prints."""
    done = subprocess.run(command(name, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@contextmanager
def running(name: str, *arguments: object):
    """A program that has printed its first line; it ends when its standard input does."""
    with subprocess.Popen(
        command(name, *arguments), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(SECONDS)
