"""Faults for ASGI applications: FastAPI, Starlette, Litestar, Quart, Django."""

from faultware.asgi.middleware import FaultMiddleware

__all__ = ["FaultMiddleware"]
