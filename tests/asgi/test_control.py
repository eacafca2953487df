"""The control endpoint inside the ASGI middleware, through an HTTP client that calls applications."""

from __future__ import annotations

import threading

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from faultware.control.messages import MAX_BODY
from tests.asgi.server import Application, Exchange, ask, http_scope, wrapped

TOKEN = "a-token-for-asgi-tests"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def time(time):
    # The endpoint works in a thread of its own: time must not run away meanwhile.
    time.stand_still()
    return time


def client(app, **headers):
    transport = httpx2.ASGITransport(app=app)
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers={**BEARER, **headers})


def test_a_kill_and_an_arming_take_effect_on_the_next_request(time):
    async def main():
        app = wrapped(Application(), "/ 100% abort 503", time, control_token=TOKEN)
        async with client(app) as http:
            assert (await http.get("/pay")).status_code == 503
            killed = await http.post("/_faultware/kill", json={"reason": "enough"})
            assert (killed.status_code, killed.json()["state"], killed.json()["reason"]) == (200, "killed", "enough")
            assert (await http.get("/pay")).status_code == 200
            armed = await http.post("/_faultware/arm")
            assert (armed.status_code, armed.json()["state"]) == (200, "armed")
            assert (await http.get("/pay")).status_code == 503

    time.run(main)


def test_it_answers_while_every_request_of_the_service_is_held_and_its_kill_releases_them(time):
    async def main():
        application = Application()
        app = wrapped(application, "/ 100% delay 30s as r", time, control_token=TOKEN, max_active_faults=50)
        exchanges = [Exchange(b"money") for _ in range(50)]
        async with client(app) as http, anyio.create_task_group() as tasks:
            for exchange in exchanges:
                tasks.start_soon(app, http_scope("/pay", method="POST"), exchange.receive, exchange.send)
            while len(app._injector.holding) < 50:
                await anyio.lowlevel.checkpoint()
            status = (await http.get("/_faultware/status")).json()
            assert (status["state"], status["active_faults"], status["held"]) == ("armed", 50, 50)
            assert (await http.post("/_faultware/kill")).json()["held"] == 0
        assert application.runs == 50
        assert {exchange.mark for exchange in exchanges} == {"r;delay"}
        assert app._injector.active_faults == 0

    time.run(main)


def test_it_answers_while_the_application_has_used_up_all_of_its_threads(time):
    async def main():
        app = wrapped(Application(), "/ 100% abort 503", time, control_token=TOKEN)
        threads = anyio.to_thread.current_default_thread_limiter()
        workers = [object() for _ in range(int(threads.total_tokens))]
        for worker in workers:
            await threads.acquire_on_behalf_of(worker)
        async with client(app) as http:
            assert (await http.post("/_faultware/kill")).json()["state"] == "killed"
        for worker in workers:
            threads.release_on_behalf_of(worker)

    time.run(main)


def test_rules_that_are_put_act_on_the_next_request(time):
    async def main():
        app = wrapped(Application(), "", time, control_token=TOKEN)
        async with client(app) as http:
            assert (await http.get("/pay")).status_code == 200
            rules = [{"name": "down", "match": {"path": "/pay"}, "percentage": 100, "abort": {"status": 418}}]
            put = await http.put("/_faultware/rules", json={"rules": rules})
            assert put.status_code == 200, put.text
            assert (await http.get("/pay")).status_code == 418
            assert (await http.delete("/_faultware/rules/down")).status_code == 204
            assert (await http.get("/pay")).status_code == 200

    time.run(main)


def test_neither_rules_nor_explaining_nor_an_inner_middleware_stand_before_it(time):
    async def main():
        application = Application()
        rules = "/ 100% abort 503; /_faultware/status 100% abort 500; / header:authorization=x 100% abort 500"
        inner = wrapped(application, rules, time, control_token=TOKEN)
        async with client(inner) as http:
            described = {"path": "/_faultware/status", "headers": {}}
            assert (await http.post("/_faultware/explain", json=described)).status_code == 200
            for _ in range(3):
                assert (await http.get("/_faultware/status")).status_code == 200
        async with client(wrapped(inner, "/ 100% abort 503", time)) as http:
            assert (await http.get("/_faultware/status")).status_code == 503  # the outer one has no endpoint
        assert application.runs == 0

    time.run(main)


def test_without_a_token_the_application_sees_its_path(time):
    async def main():
        application = Application()
        app = wrapped(application, "/pay 100% abort 503", time)
        for _ in range(2):
            assert (await ask(app, "/_faultware/status")).body == b"application "
        assert application.runs == 2

    time.run(main)


def test_neighbours_of_its_path_are_the_applications(time):
    async def main():
        app = wrapped(Application(), "", time, control_token=TOKEN, control_path="/ops/chaos")
        async with client(app) as http:
            for path in ("/ops", "/ops/chaosx", "/ops/chaos2/status", "/_faultware/status", "//ops/chaos"):
                assert (await http.get(path)).text == "application ", path
            assert (await http.get("/ops/chaos/status")).json()["state"] == "armed"
            assert (await http.post("/ops/chaos/kill")).json()["state"] == "killed"
            assert (await http.get("/ops/chaos")).status_code == 308

    time.run(main)


def test_it_is_below_the_mount_of_its_application(time):
    async def endpoint(request):
        return PlainTextResponse("page")

    async def main():
        shop = wrapped(Starlette(routes=[Route("/pay", endpoint)]), "/pay 100% abort 503", time, control_token=TOKEN)
        async with client(Starlette(routes=[Mount("/shop", app=shop)])) as http:
            assert (await http.get("/shop/pay")).status_code == 503
            assert (await http.post("/shop/_faultware/kill")).status_code == 200
            assert (await http.get("/shop/pay")).text == "page"
            assert (await http.post("/shop/_faultware/arm")).status_code == 200
            assert (await http.get("/shop/pay")).status_code == 503
            assert (await http.get("/_faultware/status")).status_code == 404

    time.run(main)


@pytest.mark.parametrize("sent", [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}])
def test_nobody_gets_in_without_the_token(time, sent):
    async def main():
        app = wrapped(Application(), "/pay 100% abort 503", time, control_token=TOKEN)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=sent) as http:
            refused = await http.post("/_faultware/kill")
            assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
            assert (await http.get("/pay")).status_code == 503

    time.run(main)


def test_a_token_that_comes_twice_is_no_token(time):
    async def main():
        app = wrapped(Application(), "/pay 100% abort 503", time, control_token=TOKEN)
        headers = [("host", "localhost"), ("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}")]
        assert (await ask(app, "/_faultware/status", headers=headers)).status == 401

    time.run(main)


def test_head_has_the_headers_of_get_and_no_body(time):
    async def main():
        app = wrapped(Application(), "", time, control_token=TOKEN)
        headers = [("host", "localhost"), *BEARER.items()]
        exchange = await ask(app, "/_faultware/status", method="HEAD", headers=headers)
        assert (exchange.status, exchange.body) == (200, b"")
        assert exchange.headers["etag"] == '"1"'

    time.run(main)


@pytest.mark.parametrize("chunk", [1000, 65_536, MAX_BODY * 2])
def test_a_body_beyond_the_limit_is_refused_and_not_kept(time, chunk):
    async def main():
        app = wrapped(Application(), "", time, control_token=TOKEN)
        body = b"x" * (MAX_BODY * 2)
        chunks = [body[at : at + chunk] for at in range(0, len(body), chunk)]
        headers = [("host", "localhost"), ("content-type", "application/json"), *BEARER.items()]
        exchange = await ask(app, "/_faultware/parse", *chunks, method="POST", headers=headers)
        assert exchange.status == 413
        assert sum(len(message["body"]) for message in exchange.received) <= MAX_BODY + chunk

    time.run(main)


@pytest.mark.parametrize(("path", "is_killed"), [("kill", True), ("arm", False)])
def test_a_client_that_leaves_while_it_sends_has_killed_or_has_asked_for_nothing(time, path, is_killed):
    async def main():
        app = wrapped(Application(), "", time, control_token=TOKEN)
        sent = []

        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        headers = [("host", "localhost"), ("content-type", "application/json"), *BEARER.items()]
        await app(http_scope(f"/_faultware/{path}", method="POST", headers=headers), receive, send)
        assert [message.get("status") for message in sent] == [499, None]
        assert (app._injector.switch.killed, app._injector.switch.store.read().version) == (is_killed, 1 + is_killed)

    time.run(main)


def test_who_is_not_let_in_has_no_body_read_and_takes_no_thread(time, monkeypatch):
    async def main():
        app = wrapped(Application(), "", time, control_token=TOKEN)
        sent = []

        async def receive():
            raise AssertionError("nobody reads this")

        async def send(message):
            sent.append(message)

        monkeypatch.setattr(anyio.to_thread, "run_sync", None)
        headers = [("host", "localhost"), ("authorization", "Bearer wrong"), ("content-length", "1000000")]
        await app(http_scope("/_faultware/kill", method="POST", headers=headers), receive, send)
        assert sent[0]["status"] == 401

    time.run(main)


def test_a_kill_does_not_wait_for_others_who_wait_for_the_store(time, monkeypatch):
    """All threads for other questions are taken."""

    async def main():
        app = wrapped(Application(), "", time, control_token=TOKEN)
        store, gate, asking = app._injector.switch.store, threading.Event(), []
        real = store.read

        def slow():
            asking.append(None)
            assert gate.wait(20)
            return real()

        async with client(app) as http, anyio.create_task_group() as tasks:
            with monkeypatch.context() as patch:
                patch.setattr(store, "read", slow)
                for _ in range(6):
                    tasks.start_soon(http.get, "/_faultware/status")
                while len(asking) < 4:
                    await anyio.lowlevel.checkpoint()
            assert (await http.post("/_faultware/kill")).json()["state"] == "killed"
            gate.set()

    time.run(main)
