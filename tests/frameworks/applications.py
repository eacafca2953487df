"""One small application for each framework, all with the same routes, to ask where a path is routed to.

`/payments` and everything below it, and a catch-all elsewhere: each route answers with its name. What no route takes
is answered by the framework, with 404 or a redirect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PAYMENTS = "payments"
ELSEWHERE = "elsewhere"

Wrap = Callable[[Any], Any]


def _register_everything() -> None:
    """Starlette's own `path` stops at a line break."""
    from starlette.convertors import CONVERTOR_TYPES, PathConvertor, register_url_convertor

    class Everything(PathConvertor):
        regex = "(?s:.*)"

    if "everything" not in CONVERTOR_TYPES:
        register_url_convertor("everything", Everything())


def _everything() -> Any:
    """Werkzeug's own `path` does not begin with a slash and stops at a line break."""
    from werkzeug.routing import BaseConverter

    class Everything(BaseConverter):
        regex = "(?s:.*)"
        part_isolating = False

    return Everything


def starlette(wrap: Wrap | None = None, root: str = "") -> Any:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    _register_everything()

    async def payments(request):
        return PlainTextResponse(PAYMENTS)

    async def elsewhere(request):
        return PlainTextResponse(ELSEWHERE)

    routes = [Route("/payments", payments), Route("/payments/{rest:everything}", payments)]
    routes.append(Route("/{rest:everything}", elsewhere))
    app = Starlette(routes=routes)
    if wrap is not None:
        app.add_middleware(wrap)
    return app


def fastapi(wrap: Wrap | None = None, root: str = "") -> Any:
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse

    _register_everything()
    app = FastAPI(openapi_url=None, root_path=root)

    @app.get("/payments")
    @app.get("/payments/{rest:everything}")
    def payments():
        return PlainTextResponse(PAYMENTS)

    @app.get("/{rest:everything}")
    async def elsewhere():
        return PlainTextResponse(ELSEWHERE)

    if wrap is not None:
        app.add_middleware(wrap)
    return app


def litestar(wrap: Wrap | None = None, root: str = "") -> Any:
    from litestar import Litestar, MediaType, get

    @get(["/payments", "/payments/{rest:path}"], media_type=MediaType.TEXT, sync_to_thread=False)
    def payments() -> str:
        return PAYMENTS

    @get(["/", "/{rest:path}"], media_type=MediaType.TEXT, sync_to_thread=False)
    def elsewhere() -> str:
        return ELSEWHERE

    app = Litestar([payments, elsewhere], openapi_config=None)
    return app if wrap is None else wrap(app)


def quart(wrap: Wrap | None = None, root: str = "") -> Any:
    from quart import Quart

    app = Quart("oracle")
    app.url_map.converters["everything"] = _everything()

    @app.get("/payments")
    @app.get("/payments/<everything:rest>", endpoint="below")
    async def payments(rest=""):
        return PAYMENTS

    @app.get("/<everything:rest>")
    async def elsewhere(rest):
        return ELSEWHERE

    if wrap is not None:
        app.asgi_app = wrap(app.asgi_app)
    return app


def flask(wrap: Wrap | None = None, root: str = "") -> Any:
    from flask import Flask

    app = Flask("oracle")
    app.url_map.converters["everything"] = _everything()

    @app.get("/payments")
    @app.get("/payments/<everything:rest>", endpoint="below")
    def payments(rest=""):
        return PAYMENTS

    @app.get("/<everything:rest>")
    def elsewhere(rest):
        return ELSEWHERE

    if wrap is not None:
        app.wsgi_app = wrap(app.wsgi_app)
    return app


def django_asgi(wrap: Wrap | None = None, root: str = "") -> Any:
    from tests.frameworks import django_project

    django_project.set_up()
    from django.core.asgi import get_asgi_application

    app = get_asgi_application()
    return app if wrap is None else wrap(app)


def django_wsgi(wrap: Wrap | None = None, root: str = "") -> Any:
    from tests.frameworks import django_project

    django_project.set_up()
    from django.core.wsgi import get_wsgi_application

    app = get_wsgi_application()
    return app if wrap is None else wrap(app)


ASGI = {"starlette": starlette, "fastapi": fastapi, "litestar": litestar, "quart": quart, "django-asgi": django_asgi}
WSGI = {"flask": flask, "django-wsgi": django_wsgi}
