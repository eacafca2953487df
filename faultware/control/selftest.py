"""One fault on one request, to see what a client makes of it: the request that asks for it.

It asks below the control path and with the token. The middleware then does to this very request what a rule would do,
around a small application of its own whose answer is known. Nothing is stored and nobody else is touched; the kill
switch, the dry run, the caps and the refusal of what is not possible hold as for any rule.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from faultware.config.oneline import parse_rules
from faultware.control.messages import Problem
from faultware.core.faults import RateLimit
from faultware.core.matching import Match
from faultware.core.ruleset import LiveRule, RuleSet
from faultware.errors import RuleError
from faultware.runtime.view import View

if TYPE_CHECKING:
    from faultware.core.plan import Plan
    from faultware.core.request import Request
    from faultware.core.rules import Rule
    from faultware.runtime.injector import Injector

# Below the control path.
PATH: Final = "/selftest"
# What the application answers, in so many pieces.
PIECES: Final = 4
BODY: Final = b"".join(b"%015d\n" % number for number in range(256))
# It repeats this request header in its answer, and says how many bytes of the request's body it has read.
ECHO: Final = "faultware-selftest"
# For this value its answer has no Content-Length.
UNKNOWN_LENGTH: Final = "no-length"
READ: Final = "faultware-selftest-read"

_MOST_SPENT: Final = 1000


def head(echo: str, read: int) -> list[tuple[str, str]]:
    """The headers of the application's answer, whose status is 200.

    Args:
        echo: The value of the request's `ECHO` header; empty: there was none.
        read: The length of the request's body.
    """
    headers = [("content-type", "text/plain"), (READ, str(read))]
    if echo:
        headers.append((ECHO, echo))
    if echo != UNKNOWN_LENGTH:
        headers.append(("content-length", str(len(BODY))))
    return headers


def pieces() -> list[bytes]:
    """The body of the application's answer."""
    size = len(BODY) // PIECES
    return [BODY[start : start + size] for start in range(0, len(BODY), size)]


def plan(injector: Injector, request: Request, *, is_websocket: bool) -> Plan:
    """What is to be done to this request.

    Args:
        injector: Decides, as it does for any rule.
        request: Its query has the faults, `fault=` in the one-line form.
        is_websocket: Whether it is the handshake of a WebSocket.

    Raises:
        Problem: Nothing may be done now.
        RuleError: What is asked for cannot be read, or is not possible here.
    """
    given = parse_qs(request.query_string, keep_blank_values=True)
    if set(given) != {"fault"} or len(given["fault"]) != 1:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "name one fault: ?fault=abort+503")
    rule = _rule(given["fault"][0])
    injector.switch.check(rule)
    if rule.is_websocket is not is_websocket:
        which = "the handshake of a WebSocket" if rule.is_websocket else "a request over HTTP"
        raise RuleError("this fault is for another kind of request", where="fault", hint=f"ask by {which}")
    injector.current()
    if injector.switch.killed or injector.switch.kill_file_exists():
        raise Problem(HTTPStatus.CONFLICT, "the switch is killed: arm it first")
    live = LiveRule(rule, began=injector.clocks.monotonic())
    view = View(0, RuleSet([live]))
    # A budget is used up by requests that nobody sends.
    limits = [fault.limit for fault in rule.everything if isinstance(fault, RateLimit)]
    for _ in range(min(sum(limits), _MOST_SPENT)):
        injector.decide(view, [live], request)
    planned = injector.decide(view, [live], request)
    if planned is None:
        why = ", ".join(live.tally.suppressed) or "chance"
        raise Problem(HTTPStatus.CONFLICT, f"the request would pass untouched: {why}")
    return planned


def _rule(faults: str) -> Rule:
    rules = parse_rules(f"/ 100% {faults}")
    if len(rules) != 1:
        raise RuleError("these are several rules", where="fault", hint="several faults of one rule are joined by +")
    return replace(rules[0], name="selftest", match=Match(), lifetime_seconds=None, count=None)
