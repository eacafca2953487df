"""A misconfigured service does not start, and its log says why without a look at our internals."""

from __future__ import annotations

import subprocess

import pytest

from tests.servers.harness import PATIENCE_SECONDS, launch

pytestmark = pytest.mark.server

WRONG = {
    "FAULTWARE_ENABLED": "true",
    "FAULTWARE_RULES": "/payments 10% abort 5O3",
    "FAULTWARE_CONTROL_TOKEN": "a-secret-that-stays-secret",
}


@pytest.mark.parametrize("kind", ["uvicorn", "hypercorn", "granian", "gunicorn-uvicorn", "gunicorn-sync", "waitress"])
def test_a_misconfigured_service_refuses_to_start_and_says_what_is_wrong(kind):
    server = launch(kind, WRONG)
    try:
        code = server.process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail(f"{kind} started all the same:\n{server.stop()}")
    log = server.stop()
    assert code != 0 or kind == "hypercorn", log  # which ends with status 0 when its workers could not start
    assert "FAULTWARE_RULES" in log, log
    assert "5O3" in log, log
    assert "faultware/config" not in log, log
    assert "faultware/runtime" not in log, log
    assert "a-secret-that-stays-secret" not in log, log
