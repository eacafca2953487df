"""Which framework is wrapped, and what its router overlooks. `tests/frameworks` asks the frameworks themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.runtime.routing import django, litestar, plain, quart, route_of, starlette, werkzeug
from tests.frameworks import applications

PATHS = st.lists(st.sampled_from(["/", "//", "a", "api", "pay", "%", " ", "."]), max_size=6).map("".join)
ROOTS = st.sampled_from(["", "/api", "/a/b", "/"])
FAMILIES = (plain, starlette, django, werkzeug, quart, litestar)
# What Quart hands to its router where nothing can match.
NOWHERE = " "


def made_in(module, **attributes):
    """An object whose class says that it comes from a module."""
    return type("App", (), {"__module__": module, **attributes})()


@pytest.mark.parametrize(
    ("module", "family"),
    [
        ("starlette.applications", starlette),
        ("fastapi.applications", starlette),
        ("flask.app", werkzeug),
        ("quart.app", quart),
        ("django.core.handlers.wsgi", django),
        ("litestar.app", litestar),
        ("falcon.asgi", plain),
        ("starlettelike", plain),
        ("flask_restful.app", plain),
        ("mine", plain),
    ],
)
def test_a_framework_is_known_by_the_module_of_its_class(module, family):
    assert route_of(made_in(module)) is family


def test_a_subclass_of_the_users_own_is_of_its_family():
    class Mine(type(made_in("flask.app"))):
        pass

    assert route_of(Mine()) is werkzeug


def test_a_bound_method_is_of_its_objects_family():
    app = made_in("flask.app", wsgi_app=lambda self: None)
    assert route_of(app.wsgi_app) is werkzeug


def test_a_framework_is_found_behind_wrappers():
    app = made_in("litestar.app")
    for module in ("mine", "werkzeug.middleware.proxy_fix", "uvicorn.middleware.proxy_headers"):
        app = made_in(module, app=app)
    assert route_of(app) is litestar


@pytest.mark.parametrize("name", ["app", "application", "wsgi_application", "wsgi", "_app", "__wrapped__"])
def test_a_framework_is_found_wherever_a_wrapper_keeps_it(name):
    assert route_of(made_in("mine", **{name: made_in("flask.app")})) is werkzeug
    assert route_of(made_in("mine", **{name: "shop:app"})) is plain


def test_the_innermost_framework_decides():
    """Starlette's middlewares stand before applications of any framework, and route nothing."""
    assert route_of(made_in("starlette.middleware.cors", app=made_in("litestar.app"))) is litestar
    assert route_of(made_in("starlette.middleware.cors", app=made_in("mine"))) is starlette


def test_functions_and_other_things_route_plainly():
    for app in (lambda environ, start_response: [], print, None, 5, made_in("mine", app=None)):
        assert route_of(app) is plain


def test_wrappers_without_an_end_are_given_up():
    app = made_in("mine")
    app.app = app
    assert route_of(app) is plain
    one, other = made_in("mine"), made_in("mine")
    one.app, other.app = other, one
    assert route_of(one) is plain

    class Endless:
        @property
        def app(self):
            return Endless()

    assert route_of(Endless()) is plain


@pytest.mark.parametrize(
    ("name", "family"),
    [("starlette", starlette), ("fastapi", starlette), ("litestar", litestar), ("quart", quart)],
)
def test_real_asgi_frameworks_are_known_as_the_middleware_meets_them(name, family):
    met = []

    class Spy:
        def __init__(self, app):
            self.app = app
            met.append(route_of(app))

        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)

    app = getattr(applications, name)()
    assert route_of(app) is family
    if name in ("starlette", "fastapi"):
        app = getattr(applications, name)(Spy)
        app.build_middleware_stack()
        assert met == [family]


def test_real_wsgi_frameworks_are_known_as_the_middleware_meets_them():
    from flask import Flask
    from werkzeug.middleware.proxy_fix import ProxyFix

    app = Flask("app")
    assert route_of(app.wsgi_app) is werkzeug
    assert route_of(ProxyFix(app.wsgi_app)) is werkzeug


@pytest.mark.parametrize(
    ("family", "path", "root", "routed"),
    [
        (plain, "/pay", "", "/pay"),
        (plain, "", "", "/"),
        (plain, "/api/pay", "/api", "/pay"),
        (plain, "/api", "/api", "/"),
        (plain, "/apipay", "/api", "/apipay"),
        (plain, "/pay", "/api", "/pay"),
        (plain, "//pay/", "", "//pay/"),
        (plain, "*", "", "*"),
        (starlette, "/pay\n", "", "/pay"),
        (starlette, "/pay\n\n", "", "/pay\n"),
        (starlette, "/api/pay", "/api", "/pay"),
        (starlette, "\n", "", "/"),
        (django, "/api/pay", "/api", "/pay"),
        (django, "/apipay", "/api", "pay"),
        (django, "/api", "/api", "/"),
        (werkzeug, "//pay", "", "/pay"),
        (werkzeug, "/pay//7/", "", "/pay//7/"),
        (werkzeug, "", "", "/"),
        (werkzeug, "/api//pay", "/api", "/pay"),
        (quart, "/api//pay", "/api", "/pay"),
        (quart, "//pay/", "", "/pay/"),
        (quart, "/api", "/api", NOWHERE),
        (quart, "/pay", "/api", NOWHERE),
        (quart, "http://localhost//pay", "", "/pay"),
        (quart, "http://[/pay", "", NOWHERE),
        (litestar, "//pay//7/", "", "/pay/7"),
        (litestar, "/x/api/pay", "/api", "/pay"),
        (litestar, "/api", "/api", "/"),
        (litestar, "/", "", "/"),
    ],
)
def test_a_family_overlooks_what_its_router_overlooks(family, path, root, routed):
    assert family(path, root) == routed


@pytest.mark.parametrize("family", FAMILIES)
@given(path=PATHS, root=ROOTS)
def test_a_path_that_was_routed_by_is_routed_to_itself(family, path, root):
    """Middlewares remember the routed path, and look up the path of the next request before it is routed."""
    routed = family("/" + path, root)
    if routed != NOWHERE and routed.startswith("/"):
        assert family(routed, "") == routed
