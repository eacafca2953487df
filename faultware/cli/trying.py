"""Trying every fault on a running service, each on a request of our own, and telling what a client saw of it."""

from __future__ import annotations

import json
import ssl
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import quote

from faultware.cli.ending import NoAnswerError, RefusedError
from faultware.cli.talking import talk
from faultware.cli.trials import HTTP, LEFT_OUT, MESSAGES, WEBSOCKETS, Trial
from faultware.cli.watching import Address, exchange, request_bytes
from faultware.control.selftest import PATH
from faultware.core.faults import Needs
from faultware.runtime.capabilities import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faultware.cli.endpoint import Endpoint
    from faultware.cli.trials import Conversation
    from faultware.cli.watching import Response

# `ok`: seen as expected; `wrong`: something else; `refused`: not possible here, and the service says so; `untried`.
Verdict: TypeAlias = Literal["ok", "wrong", "refused", "untried"]

_NOT_THERE: Final = 404
# A client that is held up itself sees at once what came in pieces.
_MORE_TRIES: Final = 2
_RAW: Final = frozenset(name for name, fault in FORMS if fault.needs is Needs.RAW)
# A handshake cannot be refused with any status everywhere.
_REFUSED: Final = (422, 403)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one trial.

    Args:
        fault: As `GET capabilities` names it.
        line: How it was asked for.
        expected: What a client was to see.
        seen: What it saw.
        verdict: Whether the two agree.
    """

    fault: str
    line: str
    expected: str
    seen: str
    verdict: Verdict

    def document(self) -> dict[str, str]:
        """As JSON says it."""
        return asdict(self)


class Tester:
    """Tries faults on one service.

    Args:
        endpoint: Of the service; its token needs the role `control`.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        tls = ssl.create_default_context() if endpoint.scheme == "https" else None
        port = endpoint.port or (80 if tls is None else 443)
        self._address = Address(endpoint.host, port, tls)
        self._url = endpoint.url
        self._path = endpoint.path + PATH
        self._headers = {"host": self._address.authority, **endpoint.headers}
        self._patience = endpoint.timeout_seconds

    def run(self, told: Mapping[str, Any], *, harm: bool = False) -> Iterator[Outcome]:
        """Try everything.

        Args:
            told: What the service says of its capabilities.
            harm: Also what acts on the whole process, where that is allowed: `block`, `cpu`, `memory`, `descriptors`.

        Raises:
            NoAnswerError: The service cannot be reached.
            RefusedError: There is no self-test.
        """
        means = {one["fault"]: one["means"] for one in told["faults"]}
        for trial in (*HTTP, *WEBSOCKETS):
            is_possible = means.get(trial.fault) != "impossible"
            hindrance = _hindrance(trial, harm=harm, is_tls=self._address.tls is not None) if is_possible else ""
            if hindrance:
                yield Outcome(trial.fault, trial.line, trial.expected, hindrance, "untried")
                continue
            try:
                yield self._try(trial, is_possible=is_possible)
            except OSError as error:
                raise NoAnswerError(f"{self._url}: no connection for {trial.line}: {error}") from None
        for fault, reason in LEFT_OUT.items():
            yield Outcome(fault, fault, "", reason, "untried")

    def _try(self, trial: Trial | Conversation, *, is_possible: bool) -> Outcome:
        target = f"{self._path}?fault={quote(trial.line)}"
        if isinstance(trial, Trial):
            headers = {**self._headers, **trial.headers, "connection": "close"}
            request = request_bytes(trial.method, target, headers, trial.body)
            came = exchange(self._address, request, self._patience)
            for _ in range(_MORE_TRIES if trial.is_paced and is_possible else 0):
                if trial.is_met(came):
                    break
                came = exchange(self._address, request, self._patience)
            status, is_met, seen, told = came.response.status, trial.is_met(came), str(came), _detail(came.response)
        else:
            heard = talk(self._address, target, self._headers, MESSAGES, self._patience)
            status, is_met, seen, told = heard.status, trial.is_met(heard), str(heard), ""
        if status == _NOT_THERE:
            hint = "it needs the control endpoint on the service's own address, and not on one of its own"
            raise RefusedError(f"{self._url}: there is no self-test here", hint=hint)
        if not is_possible:
            verdict: Verdict = "refused" if status in _REFUSED else "wrong"
            return Outcome(trial.fault, trial.line, "it is refused", told or seen, verdict)
        seen = f"{seen}: {told}" if told else seen
        return Outcome(trial.fault, trial.line, trial.expected, seen, "ok" if is_met else "wrong")


def _hindrance(trial: Trial | Conversation, *, harm: bool, is_tls: bool) -> str:
    """Why a possible fault is not tried; empty: it is."""
    if isinstance(trial, Trial) and trial.harms and not harm:
        return "it acts on all requests"
    return "bytes past the server need a connection without TLS" if is_tls and trial.fault in _RAW else ""


def _detail(response: Response) -> str:
    """What a refusal says."""
    if response.headers.get("content-type") != "application/problem+json":
        return ""
    try:
        return str(json.loads(response.body)["detail"])
    except (ValueError, KeyError, TypeError):
        return ""
