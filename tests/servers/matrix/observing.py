"""Runs a server with a rule for every fault, and looks at each with every client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from faultware.cli.talking import talk
from faultware.cli.trials import MESSAGES, Conversation, Trial
from faultware.cli.watching import Address, exchange, request_bytes
from faultware.control.selftest import BODY
from tests.servers.harness import SERVERS as KINDS
from tests.servers.harness import serve
from tests.servers.matrix import clients
from tests.servers.matrix.columns import FALLBACK_STATUS, ROWS, SERVERS, STREAMS, Row
from tests.servers.matrix.streams import Pair

if TYPE_CHECKING:
    from collections.abc import Container

    from faultware.cli.watching import Seen

CLIENTS = {"httpx2": clients.httpx, "requests": clients.requests_, "curl": clients.curl}
# Also for servers that keep a connection open although they are asked to close it.
PATIENCE_SECONDS = 10.0
AT_ONCE = 4
AS_EXPECTED = "✓ "
FAULTS = frozenset(row.fault for row in ROWS)

# By the name of a client, `raw` among them.
Cells = dict[str, str]


def observe(label: str, only: Container[str] = FAULTS) -> dict[str, Cells]:
    """What every fault looks like under one server.

    Args:
        label: One of `SERVERS`.
        only: These faults.
    """
    column = SERVERS[label]
    protocol = KINDS[column.kind].protocol
    rows = [row for row in ROWS if row.fault in only and _is_asked(row, protocol, column.version)]
    settings = {"FAULTWARE_RULES": "; ".join(row.rule for row in rows)}
    with serve(column.kind, settings, *column.options, app=f"tests.servers.matrix.{protocol}_app:app") as server:
        told = server.control("GET", "capabilities").json()["faults"]
        impossible = {one["fault"] for one in told if one["means"] == "impossible"}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            looks = [
                pool.submit(_look, row, server.port, column.version, is_impossible=row.fault in impossible)
                for row in rows
            ]
            seen = {row.fault: look.result() for row, look in zip(rows, looks, strict=True)}
        assert server.is_up(), f"{label} is no longer there:\n{server.log[-3000:]}"
    return seen


def _is_asked(row: Row, protocol: str, version: int) -> bool:
    """WebSockets need ASGI, and HTTP/1.1 (RFC 6455); streams are those of HTTP/2."""
    if isinstance(row.trial, Conversation):
        return protocol == "asgi" and version == 1
    return row.trial not in STREAMS or version == 2


def _look(row: Row, port: int, version: int, *, is_impossible: bool) -> Cells:
    trial = row.trial
    if isinstance(trial, Conversation):
        heard = talk(Address("127.0.0.1", port), row.path, {"host": "localhost"}, MESSAGES, 2.0)
        # Some servers refuse a handshake with 403, whatever is wished.
        if is_impossible and heard.status in (FALLBACK_STATUS, 403):
            return {"raw": "fallback"}
        return {"raw": f"{AS_EXPECTED if trial.is_met(heard) else ''}{heard}"}
    if row.fault == "rate_limit":
        _use_up(row, trial, port, version)
    cells = {"raw": _raw(row, trial, port, version)}
    for name, ask in CLIENTS.items():
        cells[name] = ask(f"http://127.0.0.1:{port}{row.path}", trial, version)
    return cells


def _use_up(row: Row, trial: Trial, port: int, version: int) -> None:
    """Each process keeps a budget of its own; in a row of refusals all have been used up."""
    refused = 0
    while refused < 10:
        refused = refused + 1 if _raw(row, trial, port, version).startswith(AS_EXPECTED) else 0


def _raw(row: Row, trial: Trial, port: int, version: int) -> str:
    if version == 2:
        seen, words = Pair(port, PATIENCE_SECONDS).see(row.path, "/innocent", trial)
        met = _is_stream_cut(trial, seen, words) if "reset" in trial.fault else trial.is_met(seen)
    else:
        headers = {"host": "localhost", "connection": "close", **trial.headers}
        request = request_bytes(trial.method, row.path, headers, trial.body)
        seen = exchange(Address("127.0.0.1", port), request, PATIENCE_SECONDS)
        words, met = str(seen), trial.is_met(seen)
    return _word(seen, words) if not met else f"{AS_EXPECTED}{words}"


def _is_stream_cut(trial: Trial, seen: Seen, words: str) -> bool:
    """What a reset is among streams: one ends where the connection would have ended, and the others go on."""
    if "other stream whole" not in words:
        return False
    if trial in STREAMS:
        return f"stream reset with {trial.line.split()[1]};" in words
    size = 1000 if trial.fault.startswith("truncate") else 0
    return "stream reset with" in words and seen.response.body == BODY[:size]


def _word(seen: Seen, words: str) -> str:
    if seen.response.status == FALLBACK_STATUS:
        return "fallback"
    is_marked = "faultware-fault" in seen.response.headers
    return words if is_marked or not seen.response.is_whole else f"untouched: {words}"
