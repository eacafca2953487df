"""A small shop: payments, a search, orders that pay over HTTP, and a stream of prices.

Nothing here knows about faults, but for the line that wraps the application.
"""

import os
import time
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from uuid import uuid4

import httpx2
from flask import Flask, Response, abort, request

from faultware.wsgi import FaultMiddleware

CATALOGUE = {"anvil": Decimal("49.90"), "rocket skates": Decimal("129.00"), "giant magnet": Decimal("75.50")}

app = Flask(__name__)
app.wsgi_app = FaultMiddleware(app.wsgi_app)  # type: ignore[method-assign]


@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/payments")
def pay() -> tuple[dict[str, str], int]:
    try:
        amount = Decimal(str(request.get_json()["amount"]))
    except (KeyError, TypeError, InvalidOperation):
        abort(422, "amount must be a number")
    if not amount.is_finite() or amount <= 0:
        abort(422, "amount must be above zero")
    return {"payment": uuid4().hex, "amount": str(amount)}, 201


@app.get("/search")
def search() -> dict[str, str]:
    wanted = request.args.get("q", "").lower()
    return {item: str(price) for item, price in CATALOGUE.items() if wanted in item}


@app.post("/orders")
def order() -> tuple[dict[str, str], int]:
    item = request.get_json().get("item")
    if item not in CATALOGUE:
        abort(404, f"we do not sell {item!r}")
    try:
        paid = httpx2.post(f"{payments_url()}/payments", json={"amount": str(CATALOGUE[item])}, timeout=2)
        paid.raise_for_status()
    except httpx2.HTTPError:
        abort(502, "the payment did not go through, nothing was ordered")
    return {"order": uuid4().hex, "payment": paid.json()["payment"], "amount": str(CATALOGUE[item])}, 201


@app.get("/stream")
def stream() -> Response:
    def prices() -> Iterator[str]:
        for item, price in CATALOGUE.items():
            yield f"{item}: {price}\n"
            time.sleep(0.05)

    return Response(prices(), mimetype="text/plain")


def payments_url() -> str:
    """Where payments are made: another service if one is named, else this one."""
    return os.environ.get("PAYMENTS_URL", f"http://127.0.0.1:{request.environ['SERVER_PORT']}")
