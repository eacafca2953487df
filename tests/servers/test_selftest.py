"""`faultware selftest` against both examples: what a client sees is what was promised, or the refusal of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import trustme

from tests.servers.harness import ROOT, SERVERS, TOKEN, environment, eventually, launch, serve

pytestmark = pytest.mark.server

EXAMPLES = {"asgi": ("fastapi_app", "main:app"), "wsgi": ("flask_app", "app:app")}
KINDS = (
    "uvicorn",
    "uvicorn-h11",
    "hypercorn",
    "granian-ws",
    "gunicorn-uvicorn",
    "gunicorn-sync",
    "gunicorn-gthread",
    "gunicorn-gevent",
    "waitress",
    "cheroot",
    "uwsgi-http",
    "granian-wsgi",
)
ON_THE_SOCKET = {
    "reset",
    "close",
    "partial_head",
    "garbage",
    "truncate",
    "truncate by reset",
    "limit_data",
    "content_length",
    "malformed_chunk",
}
IMPOSSIBLE = {"granian-wsgi": ON_THE_SOCKET, "uwsgi-http": {"reset", "truncate by reset"}}


def selftest(server, *words):
    command = [sys.executable, "-m", "faultware", "selftest", "--url", f"http://127.0.0.1:{server.port}", *words]
    variables = environment({"FAULTWARE_CONTROL_TOKEN": TOKEN})
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)


# One of each protocol in `make test`, the others in `make servers`: each takes ten seconds.
@pytest.mark.parametrize(
    "kind",
    [
        kind if kind in ("uvicorn", "gunicorn-gthread") else pytest.param(kind, marks=pytest.mark.matrix)
        for kind in KINDS
    ],
)
def test_every_fault_is_seen_as_promised_or_refused_as_announced(kind):
    protocol = SERVERS[kind].protocol
    directory, app = EXAMPLES[protocol]
    settings = {"FAULTWARE_ALLOW_INSTANCE_FAULTS": "true", "FAULTWARE_RULES": "/payments 1% abort 503 as down"}
    with serve(kind, settings, app=app, cwd=ROOT / "examples" / directory) as server:
        done = selftest(server, "--json", "--instance-faults")
        told = json.loads(done.stdout)
        wrong = [(one["line"], one["expected"], one["seen"]) for one in told["trials"] if one["verdict"] == "wrong"]
        assert not wrong, server.log[-3000:]
        assert (done.returncode, done.stderr) == (0, "")
        refused = {one["fault"] for one in told["trials"] if one["verdict"] == "refused"}
        websockets = {one["fault"] for one in told["trials"] if one["fault"].startswith("websocket")}
        assert refused == IMPOSSIBLE.get(kind, set()) | (websockets if protocol == "wsgi" else set())

        # Nothing is left behind.
        status = eventually(lambda: (now := server.status())["active_faults"] == 0 and now, "nothing active")
        assert (status["rules"], status["version"]) == (1, 1)


def test_a_person_reads_a_table():
    with serve("gunicorn-gthread", {}, app="app:app", cwd=ROOT / "examples" / "flask_app") as server:
        done = selftest(server)
        lines = done.stdout.splitlines()
        assert lines[0].startswith("gunicorn ")
        assert "(gthread) WSGI" in lines[0]
        assert any(line.split()[:2] == ["ok", "reset"] and "RST, 0 bytes" in line for line in lines)
        assert done.returncode == 0


def test_under_tls_resets_and_cuts_are_seen_and_what_needs_plain_bytes_is_not_tried(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    app, cwd = "main:app", ROOT / "examples" / "fastapi_app"
    settings = {"FAULTWARE_ENABLED": "true", "FAULTWARE_CONTROL_TOKEN": TOKEN}
    server = launch("uvicorn", settings, "--ssl-certfile", str(tmp_path / "server.pem"), app=app, cwd=cwd)
    variables = environment({"FAULTWARE_CONTROL_TOKEN": TOKEN, "SSL_CERT_FILE": str(tmp_path / "ca.pem")})
    command = [sys.executable, "-m", "faultware", "selftest", "--json", "--url", f"https://localhost:{server.port}"]

    def tried():
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
        return None if "refused" in done.stderr else done

    try:
        done = eventually(tried, "a server with TLS", pause=0.2)
    finally:
        log = server.stop()
    told = {one["fault"]: one for one in json.loads(done.stdout)["trials"]}
    assert [one for one in told.values() if one["verdict"] == "wrong"] == [], log[-3000:]
    assert told["reset"]["seen"] == "RST, 0 bytes"
    assert told["truncate by reset"]["seen"] == "200, 1000 of 4096 body bytes, too short, RST"
    assert {fault for fault, one in told.items() if "TLS" in one["seen"]} == {
        "partial_head",
        "garbage",
        "content_length",
        "malformed_chunk",
    }
    assert done.returncode == 0
