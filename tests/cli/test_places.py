"""Where a command acts, and what it says when nobody is there."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry

from faultware.cli import kill
from faultware.wsgi import FaultMiddleware
from tests.cli.conftest import TOKEN, application


def test_options_win_over_variables(ask, shop, monkeypatch, tmp_path):
    monkeypatch.setenv("FAULTWARE_CONTROL_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN", "the-wrong-token-this-is")
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert ask("status", "--url", shop.url, "--token-file", file).code == 0


def test_a_token_may_stand_in_a_file_that_a_variable_names(run, shop, monkeypatch, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN_FILE", str(tmp_path / "token"))
    assert run("status", "--url", shop.url).code == 0


@pytest.mark.parametrize("path", ["", "/", "/_faultware", "/_faultware/"])
def test_the_url_is_that_of_the_service_or_of_the_endpoint(ask, shop, path):
    assert ask("status", "--url", shop.url + path).code == 0


def test_a_service_may_be_called_by_a_name_that_it_knows(ask, shop, monkeypatch):
    shop.middleware._control._door._hosts = frozenset({"shop.example"})
    refused = ask("status")
    assert refused.code == 1
    assert "the host '127.0.0.1:" in refused.err
    assert ask("status", "--host", "shop.example").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("status",),
            "which service? (--url http://HOST:PORT or --store URL, or FAULTWARE_CONTROL_URL or FAULTWARE_STORE)",
        ),
        (("capabilities",), "which service? (--url http://HOST:PORT, or FAULTWARE_CONTROL_URL)"),
        (
            ("status", "--url", "http://127.0.0.1:1"),
            "there is no control token (FAULTWARE_CONTROL_TOKEN, FAULTWARE_CONTROL_TOKEN_FILE or --token-file PATH)",
        ),
        (
            ("status", "--url", "http://127.0.0.1:1", "--token-file", "/nowhere/token"),
            "the control token cannot be used: /nowhere/token: there is no such file",
        ),
        (
            ("status", "--url", "http://127.0.0.1:1", "--token-file", "0123456789abcdef"),
            "the control token cannot be used: there is no such file (the path of a file that holds it)",
        ),
    ],
)
def test_what_is_missing_is_named(run, words, message):
    result = run(*words)
    assert (result.code, result.out, result.err) == (2, "", f"faultware: {message}\n")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8000", "the URL is not that of a service (such as http://127.0.0.1:8000)"),
        ("127.0.0.1", "the URL is not that of a service (such as http://127.0.0.1:8000)"),
        ("ftp://localhost", "the URL is not that of a service (such as http://127.0.0.1:8000)"),
        ("http://", "the URL is not that of a service (such as http://127.0.0.1:8000)"),
        ("http://me:secret@localhost", "the URL has more than a host and a path (the token has its own place)"),
        ("http://me:se/cret@localhost", "the URL has more than a host and a path (the token has its own place)"),
        ("http://localhost/?a", "the URL has more than a host and a path (the token has its own place)"),
        ("http://localhost:99999", "the URL is not possible: Port out of range 0-65535"),
        ("http://local host", "the URL holds a blank or a control character"),
        ("http://localhost\x01", "the URL holds a blank or a control character"),
        ("http://localhost/\u00fc", "the path in the URL is not plain (it is FAULTWARE_CONTROL_PATH of the service)"),
        ("unix:/s:/\u00fc", "the path in the URL is not plain (it is FAULTWARE_CONTROL_PATH of the service)"),
    ],
)
def test_a_url_that_is_none_is_refused(ask, url, message):
    result = ask("status", "--url", url)
    assert (result.code, result.err) == (2, f"faultware: {message}\n")


@pytest.mark.parametrize("url", ["http://" + "a" * 300, "http://a..b"])
def test_a_name_that_no_resolver_takes_is_refused(ask, url):
    result = ask("status", "--url", url)
    assert result.code == 2
    assert result.err.startswith("faultware: the URL is not possible: ")


@pytest.mark.parametrize("name", ["a\nb", "a b", "\u00fc"])
def test_a_name_that_no_header_holds_is_refused(ask, name):
    result = ask("status", "--host", name)
    message = "the name to call the service by is not one (such as --host localhost)"
    assert (result.code, result.err) == (2, f"faultware: {message}\n")


@pytest.mark.parametrize(("words", "what"), [(["status", "--timeout"], "seconds"), (["kill", "--wait"], "patience")])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e9", "soon"])
def test_a_time_that_nobody_can_wait_is_refused(ask, words, what, value):
    result = ask(*words, value)
    assert result.code == 2
    assert f"invalid {what} value: '{value}'" in result.err


def test_an_answer_needs_more_than_no_time(ask):
    assert "invalid seconds value: '0'" in ask("status", "--timeout", "0").err


@pytest.mark.parametrize("token", ["\u00e9" * 20, "\u20ac" * 20])
def test_a_token_may_be_of_any_letters(run, serve, monkeypatch, token):
    options = {"enabled": True, "control_token": token, "store": "memory:", "registry": CollectorRegistry()}
    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN", token)
    assert run("kill", "--url", serve(FaultMiddleware(application, environ={}, **options))).code == 0


def test_a_wrong_token_is_refused_and_never_shown(ask, monkeypatch):
    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN", "the-wrong-token-this-is")
    result = ask("status")
    assert result.code == 1
    assert "the control token is wrong" in result.err
    assert "the-wrong" not in result.err
    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN", "too short")
    assert "short" not in ask("status").err


def test_who_calls_it_by_a_name_that_it_refuses_is_told_the_way_in(ask):
    result = ask("status", "--host", "shop.example")
    assert result.code == 1
    assert result.err.endswith("names those that are (in a hurry: the header host: localhost, or --host localhost)\n")
    assert ask("status", "--host", "localhost").code == 0


def test_nobody_listening_is_exit_code_3_and_a_kill_names_the_other_way(ask):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        result = ask("status", "--url", url)
        assert (result.code, result.err) == (3, f"faultware: {url}/_faultware: no answer: Connection refused\n")
        assert "a kill file needs no answer: --kill-file PATH" in ask("kill", "--url", url, "--timeout", "0.05").err


def test_a_service_that_does_not_answer_is_given_up(ask):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        url = f"http://127.0.0.1:{busy.getsockname()[1]}"
        result = ask("status", "--url", url, "--timeout", "0.05")
        assert (result.code, result.err) == (3, f"faultware: {url}/_faultware: no answer within 0.05 s\n")


def answering(status, headers, body):
    def app(environ, start_response):
        start_response(status, headers)
        return [body]

    return app


@pytest.mark.parametrize(
    "words", [["status"], ["kill"], ["arm"], ["rules", "show"], ["explain", "/"], ["events"], ["capabilities"]]
)
def test_somebody_else_who_answers_in_json_is_not_taken_for_the_endpoint(run, serve, monkeypatch, words):
    app = answering("200 OK", [("Content-Type", "application/json")], b'{"ok": true}')
    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN", TOKEN)
    result = run(*words, "--url", serve(app))
    assert result.code == 3
    assert "this is not the control endpoint: it answers something else (is faultware enabled there" in result.err


@pytest.mark.parametrize("statuses", [["404 Not Found"], ["502 Bad Gateway", "503 Unavailable", "404 Not Found"]])
def test_a_kill_is_asked_again_of_a_proxy_with_nobody_behind_and_not_of_somebody_else(
    run, serve, monkeypatch, statuses
):
    left = [*statuses, "404 Not Found"]

    def app(environ, start_response):
        start_response(left.pop(0), [("Content-Type", "text/plain")])
        return [b""]

    monkeypatch.setenv("FAULTWARE_CONTROL_TOKEN", TOKEN)
    monkeypatch.setattr(kill, "_TURN_SECONDS", 60.0)
    result = run("kill", "--url", serve(app), "--timeout", "60")
    assert (result.code, left) == (3, ["404 Not Found"])


@pytest.mark.parametrize("words", [["status"], ["kill"], ["rules", "show"]])
def test_no_option_is_taken_for_another_that_begins_alike(run, words):
    result = run(*words, "--token-fil", "x")
    assert result.code == 2
    assert "unrecognized arguments: --token-fil" in result.err


@pytest.mark.parametrize(
    "words", [["kill", "--token", "s3cret"], ["kill", "--token=s3cret"], ["--token", "s3cret", "kill"]]
)
def test_a_token_on_the_command_line_is_refused_and_not_repeated(run, words):
    result = run(*words)
    ways = "FAULTWARE_CONTROL_TOKEN, FAULTWARE_CONTROL_TOKEN_FILE or --token-file PATH"
    assert (result.code, result.err) == (2, f"faultware: there is no option for a token ({ways})\n")


@pytest.mark.parametrize(
    ("status", "headers", "body", "message"),
    [
        ("200 OK", [("Content-Type", "text/html")], b"<p>", "this is not the control endpoint: status 200"),
        ("404 Not Found", [("Content-Type", "text/plain")], b"", "this is not the control endpoint: status 404"),
        (
            "301 Moved Permanently",
            [("Location", "https://example.org/")],
            b"",
            "this is not the control endpoint: status 301, see https://example.org/",
        ),
        ("200 OK", [("Content-Type", "application/json")], b"[", "the answer is not JSON"),
        ("200 OK", [("Content-Type", "application/json")], b"[]", "the answer is not JSON"),
    ],
)
def test_something_else_that_answers_is_not_taken_for_the_endpoint(ask, serve, status, headers, body, message):
    result = ask("status", "--url", serve(answering(status, headers, body)))
    assert result.code == 3
    assert message in result.err


def test_a_refusal_that_says_nothing_is_one_all_the_same(ask, serve):
    app = answering("403 Forbidden", [("Content-Type", "application/problem+json")], b"{")
    result = ask("status", "--url", serve(app))
    assert (result.code, result.err.endswith(": refused without a reason\n")) == (1, True)


def test_a_kill_file_is_made_and_may_be_made_twice(run, tmp_path):
    for _ in range(2):
        result = run("kill", "--kill-file", tmp_path / "no-faults")
        assert (result.code, result.err) == (0, "")
        assert (tmp_path / "no-faults").exists()


def test_the_variable_of_the_service_names_the_kill_file_where_no_url_is_given(run, shop, monkeypatch):
    monkeypatch.setenv("FAULTWARE_KILL_FILE", str(shop.kill_file))
    assert run("kill").code == 0
    assert shop.kill_file.exists()
    monkeypatch.setenv("FAULTWARE_CONTROL_URL", shop.url)
    assert "there is no control token" in run("kill").err


def test_a_kill_file_in_no_directory_is_refused(run, tmp_path):
    result = run("kill", "--kill-file", tmp_path / "nowhere" / "no-faults")
    assert result.code == 2
    assert "there is no such directory (is it the path in FAULTWARE_KILL_FILE" in result.err


def test_a_kill_file_that_cannot_be_made_is_told(run, tmp_path):
    result = run("kill", "--kill-file", tmp_path)
    assert (result.code, "the kill file cannot be made: Is a directory" in result.err) == (3, True)


def test_two_ways_at_once_are_refused(run):
    assert run("kill", "--url", "http://localhost", "--kill-file", "/x").code == 2


def test_the_module_is_the_command_too_and_a_kill_loads_little():
    code = (
        "import sys; from faultware.cli.main import main; main(['kill', '--kill-file', '/nowhere/x'])\n"
        "print([name for name in ('asyncio', 'pydantic', 'starlette', 'werkzeug', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "[]\n"
    done = subprocess.run([sys.executable, "-m", "faultware"], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, "usage: faultware" in done.stderr) == (2, True)
