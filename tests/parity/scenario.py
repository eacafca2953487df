"""The words in which the tables of this directory say what faultware does, whatever carries the request.

A scenario is a set of rules, options, and requests in order, each with all of the answer that a client must get: the
status, every header, the body; and what it must not see: how often the application ran, how long it was held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from faultware import Abort, Match, Rule

TEXT = "text/plain; charset=utf-8"
INJECTED = b"fault injected\n"
FRAMING = ("content-type", "content-length")


@dataclass(frozen=True)
class Ask:
    """A request.

    Args:
        line: Method and path, with or without a query.
        headers: Pairs.
        body: Of the request.
        client: The peer's address; empty: there is none.
        after: How long nothing happens before it, in seconds.
        kill_after: When somebody kills the switch, in seconds after it began; None: nobody does.
        leave_after: When the client leaves, in seconds after it began; None: it stays.
    """

    line: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    client: str = "127.0.0.1"
    after: float = 0.0
    kill_after: float | None = None
    leave_after: float | None = None

    @property
    def method(self) -> str:
        return self.line.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.line.partition(" ")[2].partition("?")[0]

    @property
    def query(self) -> str:
        return self.line.partition("?")[2]

    @property
    def application_body(self) -> bytes:
        """What the application answers."""
        return b"" if self.method == "HEAD" else f"{self.method} {self.path} ".encode() + self.body

    @property
    def application_headers(self) -> list[tuple[str, str]]:
        seen = [(f"{name}-seen", value) for name, value in self.headers if name == "x-token"]
        length = ("content-length", str(len(self.application_body)))
        return [("content-type", "text/plain"), length, ("x-app", "yes"), *seen]


@dataclass(frozen=True)
class Seen:
    """What came of a request.

    Args:
        status: Of the answer; 0: there was none.
        headers: All of them, by lower-case name, in alphabetical order.
        body: Of the answer.
        runs: How often the application ran.
        raised: The type and the text of the exception that came out.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    runs: int
    raised: str = ""


@dataclass(frozen=True)
class Want:
    """What must come of a request.

    Args:
        status: Of the answer; None: the application's; 0: none.
        mark: The header by which faultware says what it did; empty: there is none.
        body: Of an answer that is not the application's; HEAD gets its length only.
        headers: Of such an answer, besides the mark and the length.
        runs: How often the application runs.
        held: How long, in seconds.
        raised: The type and the text of the exception.
    """

    status: int | None = None
    mark: str = ""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    has_length: bool = True
    runs: int = 1
    held: float = 0.0
    raised: str = ""

    def of(self, ask: Ask) -> Seen:
        """What this means for one request."""
        marks = [("faultware-fault", self.mark)] if self.mark else []
        if self.status is None:
            return Seen(200, sorted(ask.application_headers + marks), ask.application_body, self.runs)
        if not self.status:
            return Seen(0, [], b"", self.runs, self.raised)
        length = [("content-length", str(len(self.body)))] if self.has_length else []
        body = b"" if ask.method == "HEAD" else self.body
        return Seen(self.status, sorted([*self.headers.items(), *length, *marks]), body, self.runs)


@dataclass(frozen=True)
class Scenario:
    """Rules, requests, and what comes of them.

    Args:
        name: A sentence.
        rules: In one line, or as objects.
        steps: Requests in order, each with what must come of it.
        options: Of the middleware.
        draws: What the dice show, one after the other; empty: always 0.5.
    """

    name: str
    rules: str | list[Rule]
    steps: tuple[tuple[Ask, Want], ...]
    options: dict[str, Any] = field(default_factory=dict)
    draws: tuple[float, ...] = ()


def passes(mark: str = "", *, held: float = 0.0) -> Want:
    """The application answers."""
    return Want(mark=mark, held=held)


def aborts(
    status: int,
    mark: str = "r;abort",
    body: bytes = INJECTED,
    *,
    kind: str = TEXT,
    headers: dict[str, str] | None = None,
    held: float = 0.0,
    runs: int = 0,
) -> Want:
    """Faultware answers."""
    return Want(status, mark, body, {"content-type": kind, **(headers or {})}, runs=runs, held=held)


def aborts_bodiless(status: int, *, has_length: bool = False, headers: dict[str, str] | None = None) -> Want:
    """Faultware answers with a status that has no body."""
    return Want(status, "r;abort", headers=headers or {}, has_length=has_length, runs=0)


def raises(what: str, *, held: float = 0.0) -> Want:
    """An exception comes out."""
    return Want(0, runs=0, raised=what, held=held)


def leaves(held: float) -> Want:
    """The client is gone, and the application does not run."""
    return Want(499, runs=0, held=held)


def scenario(
    name: str, rules: str | Rule | list[Rule], *steps: tuple[Ask, Want], draws: tuple[float, ...] = (), **options: Any
) -> Scenario:
    return Scenario(name, [rules] if isinstance(rules, Rule) else rules, steps, options, draws)


def get(path: str, **headers: str) -> Ask:
    return Ask(f"GET {path}", headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()))


def rule(abort: Abort) -> Rule:
    return Rule("r", Match("/pay"), percentage=100, abort=abort)


DOWN = "/pay 100% abort 503 as r"
