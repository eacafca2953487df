"""An application that answers with what it was sent, behind the middleware, which reads its variables."""

from faultware.wsgi import FaultMiddleware
from tests.interop.wsgi_service import plain

app = FaultMiddleware(plain)
