"""Tokens in a mounted file that is swapped while every worker serves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.servers.harness import ask_every_worker, eventually, serve

pytestmark = pytest.mark.server
OLD, NEW = "an-old-token-of-the-operators", "a-new-token-of-the-operators"


def swap(volume, number, content):
    """As Kubernetes does it: a link to a directory is replaced."""
    fresh = volume / f"..{number}"
    fresh.mkdir()
    (fresh / "tokens").write_text(content)
    draft = volume / "..data_tmp"
    draft.symlink_to(fresh.name)
    draft.replace(volume / "..data")


def answers(server, token):
    """What a token gets, asked often enough and at once, so that every worker is asked."""
    with ThreadPoolExecutor(12) as pool:
        headers = {"authorization": f"Bearer {token}"}
        replies = pool.map(lambda _: server.get("/_faultware/status", **headers), range(48))
    return {reply.status for reply in replies}


@pytest.mark.parametrize("kind", ["uvicorn-4", "gunicorn-4"])
def test_tokens_are_rotated_in_every_worker_without_a_restart(kind, tmp_path):
    (tmp_path / "tokens").symlink_to("..data/tokens")
    swap(tmp_path, 1, f"ops:control:{OLD}\n")
    with serve(kind, {"FAULTWARE_CONTROL_TOKENS_FILE": str(tmp_path / "tokens")}) as server:
        before = {reply.headers["x-pid"] for reply in ask_every_worker(server, 4)}
        assert answers(server, OLD) == {200}
        assert answers(server, NEW) <= {401, 429}

        swap(tmp_path, 2, f"# both, while clients move over\nops:control:{OLD}\nops:control:{NEW}\n")
        eventually(lambda: answers(server, NEW) == {200}, "the new token is known everywhere")
        assert answers(server, OLD) == {200}

        swap(tmp_path, 3, f"ops:control:{NEW}\n")
        eventually(lambda: answers(server, OLD) <= {401, 429}, "the old token is gone everywhere")
        assert answers(server, NEW) == {200}
        assert {reply.headers["x-pid"] for reply in ask_every_worker(server, 4)} == before
        assert OLD not in server.log
        assert NEW not in server.log
