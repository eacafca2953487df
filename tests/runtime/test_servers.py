"""Which server is recognised from the modules on the call stack. The stacks were seen under the servers themselves."""

from __future__ import annotations

import types

import pytest

from faultware.runtime import servers
from faultware.runtime.servers import IN_PROCESS, Server, recognise, running

APP = "app"
IMPORTING = "importlib._bootstrap importlib._bootstrap_external importlib"
GUNICORN = "gunicorn.workers.base gunicorn.arbiter gunicorn.app.base gunicorn.app.wsgiapp __main__"
STACKS = [
    ("asgi", f"{IMPORTING} uvicorn.importer uvicorn.config uvicorn.main click.core", "uvicorn", ""),
    ("asgi", "uvicorn.middleware.proxy_headers uvicorn.lifespan.on asyncio.runners uvicorn.server", "uvicorn", ""),
    ("asgi", "hypercorn.app_wrappers hypercorn.asyncio.task_group asyncio.events", "hypercorn", ""),
    ("asgi", "granian._futures granian.server.mp multiprocessing.process granian.cli", "granian", ""),
    ("wsgi", "granian.wsgi", "granian", ""),
    ("asgi", "asyncio.events asyncio.base_events twisted.internet.asyncioreactor daphne.server", "daphne", ""),
    ("wsgi", f"{IMPORTING} gunicorn.util gunicorn.app.wsgiapp {GUNICORN}", "gunicorn", ""),
    ("wsgi", f"{IMPORTING} gunicorn.util gunicorn.arbiter gunicorn.app.base", "gunicorn", ""),
    ("wsgi", f"gunicorn.workers.sync {GUNICORN}", "gunicorn", "sync"),
    ("wsgi", "gunicorn.workers.gthread concurrent.futures.thread threading", "gunicorn", "gthread"),
    ("wsgi", "gunicorn.workers.base_async gunicorn.workers.ggevent gevent.baseserver", "gunicorn", "gevent"),
    ("asgi", f"uvicorn.protocols.http.httptools_impl uvicorn_worker._workers {GUNICORN}", "gunicorn", "uvicorn"),
    ("asgi", f"gunicorn.asgi.protocol gunicorn.workers.gasgi {GUNICORN}", "gunicorn", "asgi"),
    ("wsgi", "waitress.proxy_headers waitress.task waitress.channel threading", "waitress", ""),
    ("wsgi", "cheroot.wsgi cheroot.server cheroot.workers.threadpool threading", "cheroot", ""),
    ("wsgi", "werkzeug.serving http.server socketserver threading", "werkzeug", ""),
    ("wsgi", "flask.app werkzeug.test flask.testing _pytest.python", IN_PROCESS, ""),
    ("asgi", "httpx._transports.asgi httpx._client asyncio.runners", IN_PROCESS, ""),
    ("asgi", "httpx._transports.asgi app uvicorn.protocols.http.h11_impl uvicorn.server", "uvicorn", ""),
    ("asgi", "asyncio.runners __main__", "", ""),
    ("wsgi", "uvicornish.server __main__", "", ""),
    ("wsgi", "", "", ""),
]


@pytest.mark.parametrize(("protocol", "callers", "name", "worker"), STACKS)
def test_a_server_is_recognised_by_who_calls(protocol, callers, name, worker):
    assert recognise(protocol, [APP, *callers.split()]) == Server(protocol, name, worker)


@pytest.mark.parametrize(
    ("options", "worker"),
    [
        (["http", "module"], "http"),
        (["https"], "http"),
        (["http", "http-socket"], "http"),
        (["http-socket"], "http-socket"),
        (["https-socket"], "http-socket"),
        (["socket"], "socket"),
        ([], "socket"),
    ],
)
def test_uwsgi_is_recognised_by_its_module_and_its_way_in_by_its_options(options, worker):
    assert recognise("wsgi", ["__main__"], options) == Server("wsgi", "uWSGI", worker)


def test_the_module_that_uwsgi_leaves_behind_is_read(monkeypatch):
    uwsgi = types.SimpleNamespace(opt={"http-socket": b"127.0.0.1:1"}, version=b"2.0.30")
    monkeypatch.setattr(servers, "_callers", lambda: iter(()))
    monkeypatch.setitem(servers.sys.modules, "uwsgi", uwsgi)
    server = running("wsgi")
    assert (str(server), server.version) == ("uWSGI (http-socket), WSGI", "2.0.30")


def test_the_call_stack_is_the_one_of_the_caller():
    namespace = {"__name__": "waitress.task", "running": running}
    exec("server = running('wsgi')", namespace)
    assert namespace["server"] == Server("wsgi", "waitress")


def test_a_test_is_no_server():
    assert running("asgi") == Server("asgi")


def test_a_server_names_itself_its_version_and_its_protocol():
    assert str(Server("wsgi", "gunicorn", "gthread")) == "gunicorn (gthread), WSGI"
    assert str(Server("asgi")) == "an unknown server, ASGI"
    assert str(Server()) == "an unknown server"
    assert Server("wsgi", "waitress").version.startswith("3.")
    assert Server("wsgi", "gone-and-forgotten").version == ""
    assert Server("asgi", IN_PROCESS).version == ""
