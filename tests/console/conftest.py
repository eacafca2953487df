from __future__ import annotations

import pytest

from tests.console.kit import RULES, browser, example, seat
from tests.servers.harness import TOKEN


@pytest.fixture(scope="session")
def running():
    with browser() as found:
        yield found


@pytest.fixture(scope="session", params=["uvicorn", "gunicorn-sync"])
def server(request):
    with example(request.param) as found:
        yield found


@pytest.fixture
def desk(running, server):
    """An open console of a service that is armed and has the rules of the start."""
    parsed = server.control("POST", "parse", {"rules": RULES}).json()["rules"]
    assert server.control("PUT", "rules", parsed).status == 200
    assert server.control("POST", "arm", {}).status == 200
    with seat(running, server) as found:
        found.open(TOKEN)
        yield found
        # The browser itself tells of every answer with an error; nothing else may be said.
        assert not [said for said in found.problems if not said.startswith("Failed to load resource: ")]
        assert found.page.evaluate("window.violations") == []
