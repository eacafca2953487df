"""The servers of the matrix, and the faults that are tried on each: one rule for each, found by its path."""

from __future__ import annotations

from dataclasses import dataclass

from faultware.cli.trials import HTTP, WEBSOCKETS, Conversation, Trial

# What answers where a fault is not possible: a status that nothing else has.
FALLBACK_STATUS = 555


@dataclass(frozen=True)
class Column:
    """One server of the matrix.

    Args:
        code: Its heading in the table of all.
        kind: In the harness.
        version: Of HTTP, that clients speak.
        options: Of the server, besides those of its kind.
    """

    code: str
    kind: str
    version: int = 1
    options: tuple[str, ...] = ()


# As the page names them.
SERVERS = {
    "uvicorn (httptools)": Column("uv", "uvicorn"),
    "uvicorn (h11)": Column("uh", "uvicorn-h11"),
    "hypercorn": Column("hy", "hypercorn"),
    "hypercorn, HTTP/2": Column("h2", "hypercorn", 2),
    "granian": Column("gr", "granian-ws"),
    "granian, HTTP/2": Column("g2", "granian", 2),
    "daphne": Column("da", "daphne"),
    "gunicorn asgi": Column("ga", "gunicorn-asgi"),
    "gunicorn UvicornWorker": Column("gu", "gunicorn-uvicorn"),
    "gunicorn sync": Column("gs", "gunicorn-sync", options=("--workers", "1")),
    "gunicorn gthread": Column("gt", "gunicorn-gthread"),
    "gunicorn gevent": Column("ge", "gunicorn-gevent"),
    "waitress": Column("wa", "waitress"),
    "Werkzeug": Column("we", "werkzeug"),
    "cheroot": Column("ch", "cheroot"),
    "uWSGI --http-socket": Column("us", "uwsgi-http-socket"),
    "uWSGI --http": Column("ur", "uwsgi-http"),
    "granian WSGI": Column("gw", "granian-wsgi"),
}
# The client of the self-test speaks no HTTP/2; whether these are met, what looks at streams says.
STREAMS = (
    Trial("stream_reset", "stream_reset 2", "the stream reset with 2", lambda _seen: False),
    Trial("stream_reset with another code than 2", "stream_reset 8", "the stream reset with 8", lambda _seen: False),
)


@dataclass(frozen=True)
class Row:
    """One fault of the matrix, and the rule that does it."""

    trial: Trial | Conversation
    number: int

    @property
    def fault(self) -> str:
        return self.trial.fault

    @property
    def path(self) -> str:
        return f"/fault-{self.number}"

    @property
    def rule(self) -> str:
        """It never keeps a service from starting: where the fault is not possible, its fallback shows."""
        return f"{self.path} 100% {self.trial.line} or abort {FALLBACK_STATUS} as fault-{self.number}"


ROWS = tuple(
    Row(trial, number)
    for number, trial in enumerate((*HTTP, *STREAMS, *WEBSOCKETS))
    if not (isinstance(trial, Trial) and trial.harms)
)
