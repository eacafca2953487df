"""Guards on real servers: what trips in one worker stops faults in all of them."""

from __future__ import annotations

import pytest

from tests.servers.harness import ask_every_worker, eventually, serve

pytestmark = pytest.mark.server

DOWN = "/down 100% abort 503 as down"


@pytest.mark.parametrize("kind", ["gunicorn-4", "uvicorn-4", "granian-4"])
def test_a_guard_that_arrives_at_run_time_and_is_tripped_stops_faults_in_every_worker(kind):
    with serve(kind, {"FAULTWARE_RULES": DOWN}) as server:
        ask_every_worker(server, 4)
        assert server.get("/down").status == 503
        reply = server.control("PUT", "guards", {"abort_when": "memory > 1B"})
        assert (reply.status, reply.json()["abort_when"]) == (200, ["memory > 1B"])
        status = eventually(lambda: killed(server), "the switch is killed")
        assert status["by"] == "guard"
        assert status["reason"].startswith("memory > 1B: ")
        replies = ask_every_worker(server, 4, "/down")
        assert {reply.status for reply in replies[-12:]} == {200}
        assert server.control("POST", "arm").status == 200
        eventually(lambda: killed(server), "it trips again")


def killed(server):
    status = server.status()
    # A worker stops before it has read by whom.
    return status if status["state"] == "killed" and status["by"] != "settings" else None


def killings(server):
    return [event for event in server.control("GET", "events").json()["events"] if event["type"] == "switch_killed"]


def test_a_loop_that_is_blocked_trips_its_guard():
    settings = {
        "FAULTWARE_RULES": "/block 100% block 3s as stuck",
        "FAULTWARE_ABORT_WHEN": "lag > 1s",
        "FAULTWARE_ALLOW_INSTANCE_FAULTS": "true",
    }
    with serve("uvicorn", settings) as server:
        server.get("/block")
        status = eventually(lambda: killed(server), "the switch is killed")
        assert status["reason"].startswith("lag > 1s: ")

        # It is seen wherever somebody may look. First it kills, and then it tells of it.
        killing = eventually(lambda: killings(server), "an event")
        assert [(event["actor"], event["reason"]) for event in killing] == [("guard", status["reason"])]
        assert server.control("GET", "audit").json()["entries"][-1]["actor"] == "guard"
        assert 'faultware_guard_trips_total{guard="lag"} 1.0' in server.control("GET", "metrics").body.decode()
        line = f'killed actor=guard reason="{status["reason"]}"'
        eventually(lambda: line in server.log, "a line in the log")
        # And it stays so, though the loop is not late any more.
        assert server.get("/block").status == 200
        assert server.status()["state"] == "killed"


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn-gthread"])
def test_a_service_that_answers_well_is_left_alone_and_measured(kind):
    with serve(kind, {"FAULTWARE_RULES": DOWN, "FAULTWARE_ABORT_WHEN": "error_share > 5% min 5"}) as server:

        def measured():
            for _ in range(10):
                assert server.get("/").status == 200
                assert server.get("/down").status == 503
            (guard,) = server.control("GET", "guards").json()["measured"]
            return guard["shown"]

        assert eventually(measured, "something is measured") == "0%"
        assert server.status()["state"] == "armed"
