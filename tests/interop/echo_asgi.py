"""An application that answers with what it was sent, behind the middleware, which reads its variables."""

from faultware.asgi import FaultMiddleware
from tests.interop.asgi_service import plain

app = FaultMiddleware(plain)
