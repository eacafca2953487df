"""What stops things works where nothing is installed but faultware and what it cannot do without."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from faultware.wsgi import FaultMiddleware
from tests.cli.conftest import RULES, TOKEN, application, listening

ROOT = Path(__file__).parents[2]
# Runs command lines where no module can be imported that an extra would bring, and says what comes of each.
PROGRAM = """
import contextlib, io, json, sys

class Extras:
    names = frozenset(json.loads(sys.argv[1]))

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Extras())
from faultware.cli.main import main

def run(words):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code
    return code, out.getvalue(), err.getvalue()

print(json.dumps([run(words) for words in json.loads(sys.argv[2])]))
"""


def base():
    """The distributions that a base install brings, by their names."""
    found, ahead = {"faultware"}, tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    while ahead:
        needed = Requirement(ahead.pop())
        name = canonicalize_name(needed.name)
        if name not in found and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
            found.add(name)
            ahead += requires(name) or ()
    return found


@pytest.fixture(scope="module")
def extras():
    """The top-level modules of everything else."""
    kept = base()
    modules = packages_distributions().items()
    return sorted(name for name, owners in modules if not kept & set(map(canonicalize_name, owners)))


@pytest.fixture
def shop(tmp_path, refreshed):
    directory, kill_file = tmp_path / "state", tmp_path / "no-faults"
    settings = {"enabled": True, "store": f"file:{directory}", "kill_file": kill_file, "control_token": TOKEN}
    server, thread = listening(FaultMiddleware(application, rules=RULES, environ={}, **settings))
    yield f"http://127.0.0.1:{server.server_port}", f"file:{directory}", kill_file
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(extras):
    def run_lines(*lines):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FAULTWARE_")}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(extras), json.dumps([list(map(str, words)) for words in lines])],
            cwd=ROOT,
            env={**environment, "FAULTWARE_CONTROL_TOKEN": TOKEN},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [Result(*result) for result in json.loads(done.stdout)]

    return run_lines


def test_extras_are_not_among_what_is_left(extras):
    assert {"rich", "redis", "yaml", "httpx2", "uvicorn", "flask"} <= set(extras)
    assert not {"faultware", "starlette", "werkzeug", "pydantic", "prometheus_client", "h11"} & set(extras)


def test_every_command_that_stops_or_shows_works_by_each_of_its_ways(run, shop):
    url, store, kill_file = shop
    both = [("status",), ("kill", "--wait"), ("arm", "--for", "5m"), ("rules", "put", "/a 5% abort 500 as a")]
    both += [("rules", "show"), ("explain", "/a"), ("events",)]
    for place in (("--url", url), ("--store", store)):
        plain = [(*words, *place) for words in both]
        formed = [(*words, "--json") for words in plain]
        lines = [*itertools.chain(*zip(plain, formed, strict=True)), ("rules", "delete", "a", *place)]
        for words, done in zip(lines, run(*lines), strict=True):
            assert (done.returncode, done.stderr) == (0, ""), words
            assert words not in formed or json.loads(done.stdout), words
    others = ("capabilities", "--url", url), ("validate", "/a 5% abort 500"), ("kill", "--kill-file", kill_file)
    assert [done.returncode for done in run(*others)] == [0, 0, 0]
    assert kill_file.exists()


def test_what_needs_an_extra_says_which(run, tmp_path):
    (tmp_path / "rules.yaml").write_text("rules: []")
    (done,) = run(("validate", tmp_path / "rules.yaml"))
    assert (done.returncode, "pip install 'faultware[yaml]'" in done.stderr) == (2, True)
    (done,) = run(("kill", "--store", "redis://127.0.0.1:1"))
    assert (done.returncode, "pip install 'faultware[redis]'" in done.stderr) == (2, True)
