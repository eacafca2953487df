"""Faults for WSGI applications: Flask, Django, any other."""

from faultware.wsgi.middleware import FaultMiddleware

__all__ = ["FaultMiddleware"]
