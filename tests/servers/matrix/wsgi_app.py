"""The application of the matrix over WSGI: the one of the self-test."""

from __future__ import annotations

from faultware.wsgi import FaultMiddleware
from faultware.wsgi.selftest import application

app = FaultMiddleware(application)
