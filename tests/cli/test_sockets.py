"""Every service that has a control endpoint on a Unix socket can be steered through it."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from prometheus_client import CollectorRegistry

from faultware.cli import kill
from faultware.cli.ending import NoAnswerError
from faultware.cli.endpoint import Endpoint
from faultware.wsgi import FaultMiddleware
from tests.cli.conftest import RULES, TOKEN, application
from tests.state.test_stores import eventually
from tests.wsgi.server import ask


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN", TOKEN)
    return tmp_path / "chaos.sock"


@pytest.fixture
def shop(path, request, refreshed):
    options = {"control_path": request.param} if hasattr(request, "param") else {}
    app = FaultMiddleware(
        application,
        enabled=True,
        rules=RULES,
        store="memory:",
        control_token=TOKEN,
        control_listen=f"unix:{path}",
        environ={},
        registry=CollectorRegistry(),
        **options,
    )
    ask(app, "/other")
    eventually(lambda: listens(path))
    return app


def listens(path):
    """The file is there a moment before anybody listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_a_service_is_killed_through_its_socket(run, shop, path):
    result = run("kill", "--wait", "--url", f"unix:{path}", "--reason", "enough")
    assert (result.code, result.err) == (0, "")
    assert f"by             control token from user {os.getuid()} by a Unix socket" in result.out
    assert shop._injector.is_stopped
    assert run("arm", "--url", f"unix:{path}").code == 0


def test_a_kill_is_asked_again_while_one_worker_gives_way_to_the_next(run, shop, path, monkeypatch):
    asked, exchange = [], Endpoint._exchange

    def broken_off(endpoint, *words):
        asked.append(words)
        if len(asked) < 3:
            raise NoAnswerError("no answer: Connection reset by peer")
        return exchange(endpoint, *words)

    monkeypatch.setattr(Endpoint, "_exchange", broken_off)
    monkeypatch.setattr(kill, "_TURN_SECONDS", 60.0)
    result = run("kill", "--url", f"unix:{path}", "--timeout", "60")
    assert (result.code, result.err, len(asked)) == (0, "", 3)
    assert shop._injector.is_stopped


@pytest.mark.parametrize("shop", ["/chaos"], indirect=True)
def test_another_path_stands_behind_a_colon(run, shop, path):
    assert run("status", "--url", f"unix:{path}:/chaos").code == 0
    result = run("status", "--url", f"unix:{path}")
    nothing = "here is a control endpoint and nothing else"
    assert (result.code, result.err) == (1, f"faultware: unix:{path}:/_faultware: {nothing}\n")


@pytest.mark.parametrize(("is_there", "how"), [(False, "No such file or directory"), (True, "Connection refused")])
def test_a_socket_on_which_nobody_listens_is_exit_code_3(run, path, is_there, how):
    if is_there:
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(path))
    result = run("status", "--url", f"unix:{path}")
    assert (result.code, result.err) == (3, f"faultware: unix:{path}:/_faultware: no answer: {how}\n")


def test_faults_are_not_tried_there(run, shop, path):
    result = run("selftest", "--url", f"unix:{path}")
    assert (result.code, result.err) == (
        2,
        "faultware: faults are tried on the service's own address (--url http://HOST:PORT)\n",
    )


def test_a_socket_of_somebody_else_is_not_told_the_token(run, path, monkeypatch):
    heard = []
    with socket.socket(socket.AF_UNIX) as trap:
        trap.bind(str(path))
        trap.listen()

        def listen():
            connection, _ = trap.accept()
            with connection:
                heard.append(connection.recv(4096))

        thread = threading.Thread(target=listen)
        thread.start()
        user = os.getuid()
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
        result = run("kill", "--url", f"unix:{path}")
        thread.join(10)
    assert result.code == 1
    assert f"user {user} listens here (the service's user has to)" in result.err
    assert heard == [b""]


@pytest.mark.parametrize("url", ["unix:", "unix:chaos.sock"])
def test_what_is_no_absolute_path_is_no_url(run, path, url):
    result = run("status", "--url", url)
    assert (result.code, result.out) == (2, "")
    assert result.err == "faultware: the URL is not that of a service (such as http://127.0.0.1:8000)\n"
