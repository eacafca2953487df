"""The configurations of meshes beside the examples do on a real server what they say."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import pytest
import yaml

from faultware import Abort, Delay, Match, Rule, TextMatch
from faultware.interop.envoyexport import export_envoy
from faultware.interop.istioexport import export_istio
from faultware.interop.load import import_file, import_text
from faultware.interop.writing import written
from tests.servers.harness import ROOT, serve

pytestmark = pytest.mark.server

MESH = ROOT / "examples" / "mesh"
FILES = sorted(path.name for path in MESH.iterdir())
SERVERS = ("uvicorn", "gunicorn-gthread")
DOWN = Abort(503, body="fault filter abort", content_type="text/plain")
TRIES = 300


def serving(kind, name, app=""):
    # With a seed each path is decided alike every time: what was seen once is seen for ever.
    return serve(kind, {"FAULTWARE_CONFIG_FILE": str(MESH / name), "FAULTWARE_SEED": "7"}, app=app)


def within(hits, share):
    return abs(hits - TRIES * share) <= 5 * math.sqrt(TRIES * share * (1 - share))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        (
            "envoy.yaml",
            Rule(match=Match(headers={":path": TextMatch(prefix="/payment")}), percentage=10, abort=DOWN),
        ),
        ("istio.yaml", Rule(percentage=20, abort=DOWN)),
        (
            "istio-both.yaml",
            Rule(
                percentage=100,
                delay=Delay(5, percentage=30),
                abort=Abort(503, body="fault filter abort", content_type="text/plain", percentage=20),
            ),
        ),
    ],
)
def test_the_snippets_that_everybody_copies_become_these_rules(name, rule):
    assert import_file(MESH / name).rules == (rule,)
    assert import_file(MESH / name).losses == ()


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_read_and_nothing_of_it_is_lost(name):
    imported = import_file(MESH / name)
    assert imported.rules
    assert not imported.losses


@pytest.mark.parametrize(
    ("name", "export"), [("envoy.yaml", export_envoy), ("istio.yaml", export_istio), ("istio-both.yaml", export_istio)]
)
def test_files_of_meshes_survive_the_way_there_and_back(name, export):
    imported = import_file(MESH / name)
    exported = export(imported.rules)
    assert exported.losses == ()
    assert import_text(written(exported.documents), "f.yaml").rules == imported.rules


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize(("name", "path", "share"), [("envoy.yaml", "/payment", 0.1), ("istio.yaml", "/", 0.2)])
def test_a_share_of_requests_is_aborted(kind, name, path, share):
    with serving(kind, name) as server:
        replies = [server.get(f"{path}{number}") for number in range(TRIES)]
        others = {server.get(f"/other{number}").status for number in range(20)} if path != "/" else {200}
    aborted = [reply for reply in replies if reply.status == 503]
    assert {reply.status for reply in replies} == {200, 503}
    assert within(len(aborted), share)
    assert {(reply.body, reply.headers["content-type"]) for reply in aborted} == {(b"fault filter abort", "text/plain")}
    assert others == {200}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_route_of_apisix_answers_who_asks_for_it_and_holds_everybody(kind):
    with serving(kind, "apisix.yaml") as server:
        began = time.monotonic()
        replies = [server.get(f"/payment/{number}", x_chaos="on", x_user="7") for number in range(12)]
        assert time.monotonic() - began >= 1.2
        others = {server.get(f"/payment/{number}").status for number in range(2)}
    aborted = [reply for reply in replies if reply.status == 503]
    assert aborted
    assert {(reply.body, reply.headers["retry-after"]) for reply in aborted} == {(b'{"down for": "7"}', "5")}
    assert {reply.headers["content-type"] for reply in aborted} == {"application/json"}
    assert others == {200}


@pytest.mark.parametrize("kind", SERVERS)
def test_latency_of_toxiproxy_holds_a_response_for_half_a_second_give_or_take_a_tenth(kind):
    with serving(kind, "toxiproxy-latency.json") as server:
        for number in range(3):
            began = time.monotonic()
            assert server.get(f"/{number}").status == 200
            assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("kind", SERVERS)
def test_a_timeout_of_toxiproxy_ends_the_connection_after_a_second(kind):
    with serving(kind, "toxiproxy-timeout.json") as server, server.connect() as connection:
        began = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert connection.recv(1000) == b""
        assert time.monotonic() - began >= 1


@pytest.mark.parametrize("kind", SERVERS)
def test_a_bandwidth_of_toxiproxy_passes_ten_kilobytes_a_second(kind):
    app = f"tests.interop.echo_{'asgi' if kind == 'uvicorn' else 'wsgi'}:app"
    with serving(kind, "toxiproxy-bandwidth.json", app) as server:
        began = time.monotonic()
        reply = server.ask("POST", "/", b"x" * 10_000)
        assert reply.body == b"x" * 10_000
        assert time.monotonic() - began >= 0.9


def test_comments_in_the_files_say_what_becomes_of_them():
    text = (MESH / "istio.yaml").read_text()
    assert "never reached" in text
    remarks = [str(remark) for remark in import_file(MESH / "istio.yaml").remarks]
    assert any("never reached" in remark for remark in remarks)
    assert len(yaml.safe_load(text)["spec"]["http"]) == 2


PAGES = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("how-to/mesh.md", "reference/cli.md")}


@pytest.mark.parametrize("name", FILES)
def test_the_page_on_meshes_names_every_file(name):
    assert f"`{name}`" in PAGES["how-to/mesh.md"]


@pytest.mark.parametrize(("page", "name"), [("how-to/mesh.md", "istio.yaml"), ("reference/cli.md", "istio-both.yaml")])
def test_the_pages_show_what_import_says(page, name):
    command = [sys.executable, "-m", "faultware", "import", f"examples/mesh/{name}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert f"$ faultware import examples/mesh/{name}" in PAGES[page]
    assert done.stderr in PAGES[page]
    assert page == "reference/cli.md" or done.stdout in PAGES[page]
