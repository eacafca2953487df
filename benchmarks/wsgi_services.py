"""The WSGI applications that the servers of the benchmarks run, as factories."""

from __future__ import annotations

from flask import Flask

from faultware.wsgi import FaultMiddleware


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

    return app


def flask_with_faults():
    """The same, with the middleware added as its users add it."""
    app = flask()
    app.wsgi_app = FaultMiddleware(app.wsgi_app)
    return app
