"""An adapter that takes effects against a clock of its own, and writes down what a client would get, and when."""

from __future__ import annotations

from dataclasses import dataclass, field

from faultware.core.faults import DelayResponse
from faultware.core.plan import Injection
from faultware.core.shaping.build import shape
from faultware.core.shaping.effects import Cut, Head, Raw, Send, Start, Wait

MAX_DELAY = 30.0


class Time:
    """Seconds that pass when somebody waits."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@dataclass
class Played:
    """What came out.

    `kinds` are the effects in their order, `times` when each piece of the body was sent, `seconds` how long all took.
    """

    head: Head | None = None
    body: bytes = b""
    raw: bytes = b""
    end: str | None = None
    seconds: float = 0.0
    kinds: list = field(default_factory=list)
    times: list = field(default_factory=list)


class Adapter:
    """Drives a chain as an adapter does, and checks that what it is told is possible.

    Args:
        chain: What `shape` made; None: everything passes by.
        release_after: The switch is killed when so many effects have been taken.
        undoes_cuts: If that is while a connection drains before a cut, the cut is off.
    """

    def __init__(self, chain, time, release_after=None, undoes_cuts=True):
        self.chain = chain
        self.time = time
        self.played = Played()
        self._began = time.now
        self._left = release_after
        self._undoes_cuts = undoes_cuts

    @property
    def is_over(self):
        return self.played.end is not None

    def start(self, head):
        self._take(self.chain.start(head))

    def feed(self, data):
        self._take(self.chain.feed(data))

    def finish(self):
        self._take(self.chain.finish())
        self.played.seconds = self.time.now - self._began

    def _take(self, effects):
        for effect in effects:
            assert not self.is_over, f"{effect} behind a cut"
            if self._left == 0:
                # The effect in hand is a wait or a drain that is broken off; any other has been taken.
                is_broken_off = isinstance(effect, Wait) or (isinstance(effect, Cut) and self._undoes_cuts)
                if not is_broken_off:
                    self._do(effect)
                self._left = None
                if not self.is_over:
                    self._release()
                return
            self._left = None if self._left is None else self._left - 1
            self._do(effect)

    def _release(self):
        for effect in self.chain.release():
            assert not isinstance(effect, Wait), "a wait behind the release"
            assert not isinstance(effect, Cut) or self.played.raw, "a cut behind the release"
            self._do(effect)

    def _do(self, effect):
        played = self.played
        played.kinds.append(type(effect).__name__)
        match effect:
            case Start(head):
                assert played.head is None, "two heads"
                assert not played.raw, "a head behind raw bytes"
                played.head = head
            case Send(data):
                assert played.head is not None, "a body before its head"
                assert type(data) is bytes
                assert data, "an empty piece"
                played.body += data
                played.times.append((round(self.time.now - self._began, 9), len(data)))
            case Wait(until):
                assert until > self.time.now, "a wait for the past"
                self.time.now = until
            case Raw(data):
                assert played.head is None, "raw bytes behind a head"
                assert type(data) is bytes
                assert data
                played.raw += data
            case Cut(by):
                assert played.head is not None or played.raw, "an end before the beginning"
                played.end = by


def injections(faults, draw=0.25, live=None):
    """As the engine would have chosen them for one rule."""
    live = live or object()
    return [
        Injection(live, fault, fault.distribution.at(0.5) if isinstance(fault, DelayResponse) else 0.0, draw=draw)
        for fault in faults
    ]


def rules(faults, draw=0.25):
    """Each of a rule of its own, so that their order stands."""
    return [injection for fault in faults for injection in injections([fault], draw)]


def play(chosen, head, pieces, *, method="GET", gaps=(), release_after=None, undoes_cuts=True, max_delay=MAX_DELAY):
    """What a client gets of a response that the application sends in these pieces, with gaps of idle time before."""
    time = Time()
    chain = shape(chosen, method, max_delay, time)
    assert chain is not None
    adapter = Adapter(chain, time, release_after, undoes_cuts)
    adapter.start(head)
    idle = list(gaps) + [0.0] * len(pieces)
    for piece, gap in zip(pieces, idle, strict=False):
        time.now += gap
        adapter.feed(piece)
    adapter.finish()
    return adapter.played


def head_of(body=None, *, status=200, content_type="text/plain", headers=()):
    """A head; with Content-Length if the body is given."""
    lines = (("content-type", content_type), *headers)
    return Head(status, lines if body is None else (*lines, ("content-length", str(len(body)))))


def dechunked(raw):
    """The data of the chunks behind a head, and what follows the last one that is whole."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    data = b""
    while True:
        size, _, behind = rest.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            return data, rest
        if not length:
            return data, rest
        assert behind[length : length + 2] == b"\r\n"
        data += behind[:length]
        rest = behind[length + 2 :]
