"""A small shop: payments, a search, orders that pay over HTTP, and a stream of prices.

Nothing here knows about faults, but for the line that adds the middleware.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from uuid import uuid4

import httpx2
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from faultware.asgi import FaultMiddleware

CATALOGUE = {"anvil": Decimal("49.90"), "rocket skates": Decimal("129.00"), "giant magnet": Decimal("75.50")}


class Payment(BaseModel):
    amount: Decimal = Field(gt=0, decimal_places=2)


class Order(BaseModel):
    item: str
    quantity: int = Field(default=1, ge=1, le=100)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx2.AsyncClient(timeout=2) as client:
        app.state.client = client
        yield


app = FastAPI(title="Shop", lifespan=lifespan)
app.add_middleware(FaultMiddleware)


@app.get("/healthz")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/payments", status_code=201)
async def pay(payment: Payment) -> dict[str, str]:
    return {"payment": uuid4().hex, "amount": str(payment.amount)}


@app.get("/search")
async def search(q: str = "") -> dict[str, str]:
    return {item: str(price) for item, price in CATALOGUE.items() if q.lower() in item}


@app.post("/orders", status_code=201)
async def order(order: Order, request: Request) -> dict[str, str]:
    if order.item not in CATALOGUE:
        raise HTTPException(404, f"we do not sell {order.item!r}")
    amount = CATALOGUE[order.item] * order.quantity
    try:
        paid = await app.state.client.post(f"{payments_url(request)}/payments", json={"amount": str(amount)})
        paid.raise_for_status()
    except httpx2.HTTPError as error:
        raise HTTPException(502, "the payment did not go through, nothing was ordered") from error
    return {"order": uuid4().hex, "payment": paid.json()["payment"], "amount": str(amount)}


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def prices() -> AsyncIterator[str]:
        for item, price in CATALOGUE.items():
            yield f"{item}: {price}\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(prices(), media_type="text/plain")


def payments_url(request: Request) -> str:
    """Where payments are made: another service if one is named, else this one."""
    _, port = request.scope["server"]
    return os.environ.get("PAYMENTS_URL", f"http://127.0.0.1:{port}")
