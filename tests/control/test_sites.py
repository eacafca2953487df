"""What a browser on the operator's machine can be made to send, and paths that are written to be misread."""

from __future__ import annotations

import json

import pytest

from faultware.control.messages import MAX_HEADERS, MAX_TARGET, ControlRequest
from faultware.control.service import Admitted
from tests.control.kit import TOKEN

HOST = "localhost:8000"


# Other sites.


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": " Same-Origin "},
        {"sec_fetch_site": "same-origin", "origin": "http://localhost:8000"},
        {"sec_fetch_site": "same-origin", "origin": "https://chaos.example"},
        {"origin": "http://localhost:8000"},
        {"origin": "HTTPS://LOCALHOST:8000"},
        {"origin": "http://localhost", "host": "localhost"},
        {"origin": "http://localhost", "host": "localhost:80"},
        {"origin": "https://localhost:443", "host": "localhost"},
        {"origin": "http://[::1]:8000", "host": "[::1]:8000"},
    ],
)
def test_what_the_page_of_the_endpoint_itself_sends_is_answered(desk, headers):
    assert desk("POST", "/kill", **headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": ""},
        {"sec_fetch_site": "same-origin, cross-site"},
        {"sec_fetch_site": "cross-site", "origin": "http://localhost:8000"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:8001"},
        {"origin": "http://localhost:80"},
        {"origin": "https://localhost", "host": "localhost:80"},
        {"origin": "http://localhost:8000@evil.example"},
        {"origin": "http://localhost:8000, http://evil.example"},
        {"origin": "http://[::1"},
        {"origin": "localhost:8000"},
        {"origin": "file://"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/kill"), ("GET", "/status"), ("GET", "/nothing")])
def test_what_another_site_has_a_browser_send_is_refused(desk, headers, method, path):
    before = desk.state()
    reply = desk(method, path, **headers)
    assert (reply.status, reply.data["detail"]) == (403, "this was sent by a page of another site")
    assert desk.state() == before
    assert desk.injector.refusals == {"site": 1}


def test_who_has_no_token_does_not_learn_what_else_is_wrong(desk):
    assert desk("POST", "/kill", token=None, sec_fetch_site="cross-site").status == 401


# Spellings of the path. What is decoded is the same each time.


def spelt(desk, raw, path="/kill", prefix_is_left=True):
    headers = {"authorization": f"Bearer {TOKEN}", "host": HOST}
    return desk.send(ControlRequest("POST", path, headers=headers, raw_path=raw))


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "/_faultware/kill",
        "/_faultware/kill?a=%2f",
        "/svc/_faultware/kill",
        "/a/b.c/_faultware/kill",
        "http://localhost:8000/_faultware/kill",
    ],
)
def test_a_path_that_is_written_plainly_is_answered(desk, raw):
    assert spelt(desk, raw).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        "/%5ffaultware/kill",
        "/%5Ffaultware/kill",
        "/_faultware%2fkill",
        "/_faultware%2Fkill",
        "/_faultware/%6bill",
        "/_faultware//kill",
        "//_faultware/kill",
        "/x/../_faultware/kill",
        "/./_faultware/kill",
        "/x//_faultware/kill",
        "/_faultware/x/../kill",
        "/_faultware/./kill",
        "/_faultware;x/kill",
        "/%73vc/_faultware/kill",
        "/_faultware/kill/",
        "/_FAULTWARE/kill",
        "/_faultware\\kill",
        "/_faultwarе/kill",
        "_faultware/kill",
        "*",
        "http:///x//_faultware/kill",
    ],
)
def test_a_path_that_hides_what_it_is_from_a_proxy_reaches_nothing(desk, raw):
    before = desk.state()
    reply = spelt(desk, raw)
    assert reply.status == 404
    assert reply.data["detail"] == "write the path plainly, without % and //, as /_faultware and what is below it"
    assert desk.state() == before


# Sizes.


def test_headers_have_a_limit(desk):
    reply = desk("GET", "/status", x_long="x" * MAX_HEADERS)
    assert (reply.status, reply.data["detail"]) == (431, "the headers have at most 32768 bytes")
    assert desk("GET", "/status", token=None, x_long="x" * MAX_HEADERS).status == 431
    assert desk("GET", "/status", x_long="x" * (MAX_HEADERS - 200)).status == 200


def test_path_and_query_have_a_limit(desk):
    reply = desk("GET", "/events", query="since=" + "0" * MAX_TARGET)
    assert (reply.status, reply.data["detail"]) == (414, "path and query have at most 8192 bytes")
    assert desk("GET", "/rules/" + "x" * MAX_TARGET).status == 414


@pytest.mark.parametrize("length", ["1048577", "9" * 15, "9" * 400])
def test_a_body_that_is_said_to_be_too_large_is_refused_before_it_is_read(desk, length):
    headers = {"authorization": f"Bearer {TOKEN}", "host": HOST, "content-length": length}
    refused = desk.control.admit(ControlRequest("POST", "/arm", headers=headers))
    assert refused.status == 413
    assert json.loads(refused.body)["detail"] == "a body has at most 1048576 bytes"
    # A kill is admitted whatever it says: it holds, and what it says is refused behind that.
    assert isinstance(desk.control.admit(ControlRequest("POST", "/kill", headers=headers)), Admitted)


@pytest.mark.parametrize("length", ["1048576", "-1", "x", "", "²"])
def test_any_other_length_is_the_servers_business(desk, length):
    headers = {"authorization": f"Bearer {TOKEN}", "host": HOST, "content-length": length}
    assert isinstance(desk.control.admit(ControlRequest("POST", "/kill", headers=headers)), Admitted)
