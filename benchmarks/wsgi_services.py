"""The WSGI applications that the servers of the benchmarks run, as factories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, Response

from faultware.wsgi import FaultMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = bytes(65536)


def flask():
    """A Flask service without faultware."""
    app = Flask(__name__)

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/orders/<int:number>")
    def order(number: int) -> dict[str, int]:
        return {"order": number}

    @app.get("/slow")
    def slow() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/body/<kind>/<int:rate>/<int:size>")
    def body(kind: str, rate: int, size: int) -> Response:
        return Response(_pieces(size), headers={"content-length": str(size)})

    return app


def _pieces(size: int) -> Iterator[bytes]:
    for left in range(size, 0, -len(PIECE)):
        yield PIECE[:left]


def flask_with_faults():
    """The same, with the middleware added as its users add it."""
    app = flask()
    app.wsgi_app = FaultMiddleware(app.wsgi_app)
    return app
