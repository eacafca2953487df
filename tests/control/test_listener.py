"""The endpoint on a socket of its own, over real sockets of this machine."""

from __future__ import annotations

import gc
import http.client
import json
import os
import pathlib
import socket
import stat
import threading
import time
import warnings
import weakref
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace

import pytest

from faultware.config.addresses import Address, read_address
from faultware.control import listener as module
from faultware.control.listener import MOST_CONNECTIONS, Listener
from faultware.control.messages import MAX_BODY
from faultware.control.mounting import mount
from faultware.control.sockets import claim
from faultware.telemetry.events import InternalError
from tests.control.kit import RULE, TOKEN, open_desk
from tests.servers.harness import free_port

PATIENCE_SECONDS = 20


@contextmanager
def listening(address=None, **settings):
    """A service whose endpoint listens; yields the desk and the address."""
    desk = open_desk("/pay 10% abort 503 as pay", **settings)
    address = address or Address("127.0.0.1", free_port())
    listener = Listener(desk.control, address)
    listener.tend(desk.injector)
    try:
        yield desk, address, listener
    finally:
        listener.after_fork()


def threads(address):
    return [thread for thread in threading.enumerate() if thread.name == f"faultware-control {address}"]


def connect(address):
    if address.path:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(address.path)
        return connection
    return socket.create_connection((address.host, address.port), PATIENCE_SECONDS)


def say(address, data):
    """What is answered to some bytes behind which nothing follows."""
    with closing(connect(address)) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        said = b""
        while chunk := connection.recv(65536):
            said += chunk
    return said


def ask(address, method, path, data=None, *, token=TOKEN, **headers):
    """Status, headers and body."""
    lines = {"host": "localhost", "authorization": f"Bearer {token}", **headers}
    body = b"" if data is None else json.dumps(data).encode()
    if data is not None:
        lines["content-type"] = "application/json"
    lines["content-length"] = str(len(body))
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    connection = connect(address)
    with closing(connection):
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        answer = response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, answer


def test_it_answers_as_the_endpoint_does_anywhere_else():
    with listening() as (desk, address, listener):
        assert listener.is_listening
        status, headers, body = ask(address, "GET", "/_faultware/status")
        assert (status, json.loads(body)["state"], headers["etag"]) == (200, "armed", '"1"')
        assert (headers["content-type"], headers["connection"]) == ("application/json", "close")
        assert ask(address, "PUT", "/_faultware/rules/new", RULE)[0] == 201
        assert ask(address, "DELETE", "/_faultware/rules/new")[::2] == (204, b"")
        assert ask(address, "HEAD", "/_faultware/status")[::2] == (200, b"")
        assert ask(address, "POST", "/_faultware/kill", {"reason": "fire"})[0] == 200
        assert desk.switch.killed
        assert json.loads(ask(address, "GET", "/_faultware/audit")[2])["entries"][-1]["origin"] == "127.0.0.1"


def test_the_same_checks_are_made():
    with listening() as (desk, address, _):
        assert ask(address, "POST", "/_faultware/kill", token="wrong")[0] == 401
        assert ask(address, "POST", "/_faultware/kill", host="evil.example")[0] == 403
        assert ask(address, "POST", "/_faultware/kill", sec_fetch_site="cross-site")[0] == 403
        assert ask(address, "POST", "/%5ffaultware/kill")[0] == 404
        assert ask(address, "POST", "//_faultware/kill")[0] == 404
        assert ask(address, "GET", "/")[0] == 404
        assert not desk.switch.killed


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /_faultware/status HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /_faultware/status HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", b"400"),
        (b"GET /_faultware/status HTTP/1.1\r\nhost : a\r\n\r\n", b"400"),
        (b"POST /_faultware/kill HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", b"400"),
        (b"GET /_faultware/status HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", b"431"),
        (b"GET /_faultware/status HTTP/2.0\r\nhost: a\r\n\r\n", b"401"),
        (b"GET /_faultware/status HTTP/1.0\r\n\r\n", b"401"),
    ],
)
def test_what_is_no_request_is_refused_and_does_no_harm(data, status):
    with listening() as (desk, address, _):
        assert say(address, data).startswith(b"HTTP/1.1 " + status)
        assert say(address, b"") == b""
        assert ask(address, "GET", "/_faultware/status")[0] == 200
        assert desk.injector.internal_errors == {}


def test_a_body_has_its_limit_and_who_is_not_let_in_has_none_read():
    with listening() as (desk, address, _):
        assert ask(address, "POST", "/_faultware/arm", " " * (MAX_BODY + 1))[0] == 413
        assert not desk.switch.killed
        assert ask(address, "POST", "/_faultware/kill", " " * (MAX_BODY + 1))[0] == 413
        assert desk.switch.killed
        head = f"POST /_faultware/kill HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n"
        chunks = b"".join(b"10000\r\n" + b" " * 65536 + b"\r\n" for _ in range(17))
        kind = "content-type: application/json\r\n"
        said = say(address, f"{head}{kind}transfer-encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 413 ")
        waits = f"{head}{kind}expect: 100-continue\r\ncontent-length: 2\r\n\r\n".encode()
        with closing(connect(address)) as connection:
            connection.sendall(waits)
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
            connection.sendall(b"{}")
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        with closing(connect(address)) as connection:
            connection.sendall(waits.replace(TOKEN.encode(), b"wrong"))
            assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(("path", "is_killed"), [("kill", True), ("arm", False)])
def test_who_asks_and_goes_before_all_is_said_has_killed_or_has_asked_for_nothing(path, is_killed):
    with listening() as (desk, address, _):
        lines = f"host: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 20\r\n"
        said = say(
            address,
            f'POST /_faultware/{path} HTTP/1.1\r\n{lines}content-type: application/json\r\n\r\n{{"reas'.encode(),
        )
        assert said.startswith(b"HTTP/1.1 400 ")
        assert (desk.switch.killed, desk.switch.store.read().version) == (is_killed, 1 + is_killed)


def test_those_who_say_nothing_make_room_for_those_who_do():
    with listening() as (desk, address, _):
        silent = [connect(address) for _ in range(3 * MOST_CONNECTIONS)]
        try:
            assert ask(address, "POST", "/_faultware/kill")[0] == 200
            assert desk.switch.killed
        finally:
            for connection in silent:
                connection.close()


def test_those_who_were_let_in_and_never_finish_leave_room_for_a_kill(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 300.0)
    head = f"host: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 9\r\n"
    half = f"POST /_faultware/parse HTTP/1.1\r\n{head}content-type: application/json\r\n\r\n{{".encode()
    with listening() as (desk, address, _), ExitStack() as opened:
        slow, status = [], 200
        while status == 200:  # who asks before the others were let in may put them out
            crowd = [opened.enter_context(closing(connect(address))) for _ in range(2 * MOST_CONNECTIONS)]
            for connection in crowd:
                with suppress(ConnectionError):  # it had to make room for another one
                    connection.sendall(half)
            slow += crowd
            status, headers, answer = ask(address, "GET", "/_faultware/status")
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(answer)["detail"] == "24 others are being answered; only a kill is let in besides"
        assert ask(address, "POST", "/_faultware/kill")[0] == 200
        assert desk.switch.killed
        for connection in slow:
            connection.close()
        while ask(address, "GET", "/_faultware/status")[0] == 503:
            time.sleep(0.01)


def test_who_is_slow_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    # It may have been given up before it has said anything.
    with listening() as (_, address, _), closing(connect(address)) as connection, suppress(ConnectionError):
        connection.sendall(b"GET /_faultware/status HTTP/1.1\r\n")
        assert connection.recv(100) == b""


# A Unix socket.


class ScarceThread(threading.Thread):
    """Of the threads whose name is `scarce` the system has none left."""

    scarce = ""

    def start(self):
        if self.name == self.scarce:
            raise RuntimeError("can't start new thread")
        super().start()


def test_where_no_thread_is_left_for_a_request_it_is_answered_all_the_same(monkeypatch):
    with listening() as (desk, address, _):
        monkeypatch.setattr(module.threading, "Thread", ScarceThread)
        monkeypatch.setattr(ScarceThread, "scarce", "faultware-control-request")
        assert say(address, b"no request\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert ask(address, "POST", "/_faultware/kill")[0] == 200
        assert desk.injector.switch.killed
        monkeypatch.setattr(ScarceThread, "scarce", "")
        assert ask(address, "GET", "/_faultware/status")[0] == 200


def test_where_no_thread_is_left_to_listen_it_is_tried_again(monkeypatch):
    desk, address = open_desk("/pay 10% abort 503 as pay"), Address("127.0.0.1", free_port())
    listener = Listener(desk.control, address)
    monkeypatch.setattr(module.threading, "Thread", ScarceThread)
    monkeypatch.setattr(ScarceThread, "scarce", f"faultware-control {address}")
    with pytest.raises(RuntimeError):
        listener.tend(desk.injector)
    monkeypatch.setattr(ScarceThread, "scarce", "")
    listener.tend(desk.injector)
    try:
        assert ask(address, "GET", "/_faultware/status")[0] == 200
    finally:
        listener.after_fork()


def test_a_unix_socket_is_this_users_alone(tmp_path, monkeypatch):
    before = os.umask(0)
    try:
        with listening(Address(path=str(tmp_path / "chaos.sock"))) as (_, address, _):
            mode = (tmp_path / "chaos.sock").lstat().st_mode
            assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
            assert stat.S_IMODE((tmp_path / "chaos.sock.lock").stat().st_mode) == 0o600
            assert ask(address, "POST", "/_faultware/kill")[0] == 200
            assert json.loads(ask(address, "GET", "/_faultware/status")[2])["by"] == (
                f"control token from user {os.geteuid()} by a Unix socket"
            )
    finally:
        os.umask(before)


def test_there_is_no_moment_at_which_others_could_connect(tmp_path, monkeypatch):
    monkeypatch.setattr(pathlib.Path, "chmod", lambda *_: None)
    before = os.umask(0)
    try:
        with listening(Address(path=str(tmp_path / "chaos.sock"))):
            assert stat.S_IMODE((tmp_path / "chaos.sock").lstat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_unix_socket_that_was_left_behind_is_put_away(tmp_path):
    address = Address(path=str(tmp_path / "chaos.sock"))
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(address.path)
    with listening(address):
        assert ask(address, "GET", "/_faultware/status")[0] == 200


def test_what_is_no_socket_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("precious")
    with listening(Address(path=str(tmp_path / "file"))) as (desk, _, listener):
        assert not listener.is_listening
        for _ in range(3):
            listener.tend(desk.injector)
        (told,) = desk.heard.of(InternalError)
    assert (tmp_path / "file").read_text() == "precious"
    assert told.message.endswith("there is something that is no socket")


# Several workers.


@pytest.mark.parametrize("kind", ["port", "path"])
def test_one_listens_and_the_next_one_when_it_has_ended(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
    address = Address("127.0.0.1", free_port()) if kind == "port" else Address(path=str(tmp_path / "chaos.sock"))
    with listening(address) as (one, _, first), listening(address) as (other, _, second):
        assert (first.is_listening, second.is_listening) == (True, False)
        second.tend(other.injector)
        assert not second.is_listening
        assert ask(address, "POST", "/_faultware/kill")[0] == 200
        assert (one.switch.killed, other.switch.killed) == (True, False)
        first.after_fork()
        # A thread that waits on a socket keeps it open for a moment. A process that has ended does not.
        until = time.monotonic() + PATIENCE_SECONDS
        while not second.is_listening and time.monotonic() < until:
            second.tend(other.injector)
        assert second.is_listening
        assert ask(address, "POST", "/_faultware/kill")[0] == 200
        assert other.switch.killed
        assert one.injector.internal_errors == other.injector.internal_errors == {}


def test_an_address_that_is_not_this_machines_is_told_once():
    with listening(Address("192.0.2.1", 9901)) as (desk, _, listener):
        listener.tend(desk.injector)
        (told,) = desk.heard.of(InternalError)
    assert told.stage == "listen"
    assert told.message.startswith("OSError: cannot listen on 192.0.2.1:9901: ")


def test_a_forked_child_listens_no_more_and_takes_nothing_from_its_parent(tmp_path):
    with listening(Address(path=str(tmp_path / "chaos.sock"))) as (_, address, listener):
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # CPython 3.12 warns of a fork while other threads run
            child = os.fork()
        if not child:
            os.write(writing, b"no" if listener.is_listening else b"yes")
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 10) == b"yes"
        os.close(reading)
        os.close(writing)
        assert claim(address) is None
        assert ask(address, "GET", "/_faultware/status")[0] == 200


def test_no_thread_begins_before_the_refresher_tends_to_it():
    desk = open_desk(control_listen=f"127.0.0.1:{free_port()}")
    assert desk.control is None, "the middleware has nothing to answer for"
    address = desk.service.settings.control_listen
    assert threads(address) == []
    desk.injector.tick()
    assert len(threads(address)) == 1
    desk.injector.tick()
    assert len(threads(address)) == 1
    assert ask(address, "GET", "/_faultware/status")[0] == 200


def test_when_the_service_is_gone_the_socket_is_free_again(monkeypatch):
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
    desk = open_desk(control_listen=f"127.0.0.1:{free_port()}")
    address, gone = desk.service.settings.control_listen, weakref.ref(desk.injector)
    desk.injector.tick()
    (thread,) = threads(address)
    assert ask(address, "GET", "/_faultware/status")[0] == 200
    for answering in [one for one in threading.enumerate() if one.name == "faultware-control-request"]:
        answering.join(PATIENCE_SECONDS)
    del desk
    until = time.monotonic() + PATIENCE_SECONDS
    while thread.is_alive() and time.monotonic() < until:
        gc.collect()
        # While it looks whether anybody still wants it, it holds the service for a moment.
        thread.join(0.1)
    assert not thread.is_alive()
    assert gone() is None
    claim(address).close()


def test_its_own_address_is_a_name_that_is_allowed():
    desk = open_desk(control_listen="127.0.0.1:9901")
    settings = desk.service.settings.model_copy(update={"control_listen": read_address("[::2]:9901")})
    assert mount(replace(desk.service, settings=settings)) is None
    tend = desk.injector.chores[-1]
    door = tend.__self__._control._door
    assert door.allows_host("[::2]:9901")
    assert not door.allows_host("[::3]:9901")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("127.0.0.1:9901", "127.0.0.1:9901"),
        (" localhost:9901 ", "127.0.0.1:9901"),
        ("[::1]:9901", "[::1]:9901"),
        ("[0:0:0:0:0:0:0:1]:1", "[::1]:1"),
        ("unix:/run/shop/chaos.sock", "unix:/run/shop/chaos.sock"),
    ],
)
def test_an_address_is_read_and_written(text, written):
    address = read_address(text)
    assert str(address) == written
    assert read_address(written) == read_address(address) == address
    assert read_address("  ") is None
