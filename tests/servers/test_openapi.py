"""The control endpoint is tried by its own description: schemathesis asks what the OpenAPI document says can be asked,
and what it says cannot, and finds nothing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.harness import TOKEN, serve

pytestmark = pytest.mark.server

CONFIG = Path(__file__).with_name("schemathesis.toml")
RULES = "/pay 10% abort 503 as pay; /search 10% delay 200ms as search"


# Half a minute each: the other protocol in `make servers`.
@pytest.mark.parametrize("kind", ["uvicorn", pytest.param("waitress", marks=pytest.mark.matrix)])
def test_what_the_document_says_is_what_is_answered(kind, tmp_path):
    with serve(kind, {"FAULTWARE_RULES": RULES, "FAULTWARE_STORE": f"file:{tmp_path}/state"}) as server:
        url = f"http://127.0.0.1:{server.port}/_faultware/openapi.json"
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", url, "--no-color"]
        tried = subprocess.run(
            [*command, "--header", f"Authorization: Bearer {TOKEN}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert tried.returncode == 0, (tried.stdout + tried.stderr)[-4000:]
        assert "passed" in tried.stdout
        metrics = server.control("GET", "metrics").body.decode()
        assert server.status()["state"] in ("armed", "killed")
    # A stage that has not failed has no series.
    assert "faultware_internal_errors_total{" not in metrics
