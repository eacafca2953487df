"""The wheel that users get: complete, typed, and the quick start runs from it alone."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

QUICK_START = """
import os

os.environ["FAULTWARE_ENABLED"] = "true"
os.environ["FAULTWARE_RULES"] = "/payments 100% abort 503"
os.environ["FAULTWARE_STORE"] = "memory:"

import faultware
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from faultware.asgi import FaultMiddleware

api = FastAPI()
api.add_middleware(FaultMiddleware)


@api.get("/{anything}")
def answer(anything: str):
    return "fine"


client = TestClient(api)
print(client.get("/payments").status_code, client.get("/search").status_code)

from faultware.wsgi import FaultMiddleware

app = Flask("shop")
app.wsgi_app = FaultMiddleware(app.wsgi_app)
app.get("/<anything>")(lambda anything: "fine")
client = app.test_client()
print(client.get("/payments").status_code, client.get("/search").status_code)
print(faultware.__file__)
"""


def run(*command: str | Path, cwd: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FAULTWARE_", "PYTHON"))}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=clean, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built as `make wheel` does it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=ROOT)
    (built,) = out.glob("faultware-*.whl")
    return built


def test_the_wheel_holds_the_package_its_types_and_its_licence_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "faultware").rglob("*.py")}
    assert sources <= names
    assert "faultware/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names} == {
        "faultware",
        f"{'-'.join(wheel.name.split('-')[:2])}.dist-info",
    }


def test_the_wheel_says_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    needed = {line.partition(";")[0].split(">")[0] for line in metadata.get_all("Requires-Dist") if "extra" not in line}
    assert needed == {"anyio", "h11", "prometheus-client", "pydantic", "pydantic-settings", "starlette", "werkzeug"}


def test_the_wheel_installs_into_an_empty_environment_and_runs_the_quick_start(wheel, tmp_path):
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel, cwd=tmp_path)
    installed = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    # What faultware depends on is taken from here, since a test must not need an index; faultware itself is not, since
    # its own copy in the empty environment comes first.
    (installed / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    (tmp_path / "quick_start.py").write_text(QUICK_START)
    *statuses, place = run(python, "-W", "error", "quick_start.py", cwd=tmp_path).split()
    assert statuses == ["503", "200", "503", "200"]
    assert Path(place) == installed / "faultware" / "__init__.py"
