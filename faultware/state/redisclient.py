"""Connections to a Redis, and its errors in our own words. Loads redis-py, and with it asyncio, when one is opened."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from faultware.errors import MissingExtraError, StoreError

if TYPE_CHECKING:
    from collections.abc import Generator

    from faultware.config.storeurl import RedisUrl


# How a Redis before version 7 tells what went wrong in a script: the error itself stands behind the second place.
_IN_SCRIPT: Final = re.compile(r"Error running script .*?@user_script: \d+: -?", re.DOTALL)
_NOT_LET_IN: Final = "HELLO must be called with the client already authenticated"


class Unreachable(StoreError):  # noqa: N818  (a store error that says where it comes from)
    """The server does not answer, or refuses to."""


def check_installed() -> None:
    """Raise `MissingExtraError` unless redis-py is there."""
    try:
        import redis  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise MissingExtraError("A store in Redis", "redis") from None


def connect(url: RedisUrl) -> Any:
    """A client with connections of its own, which are opened when they are used. Any thread may use it.

    What waits longer than the timeout is given up, after one more try: the server may have closed an idle connection.
    """
    import redis  # noqa: PLC0415
    import redis.cluster  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    how: dict[str, Any] = {
        "username": url.username or None,
        "password": url.password or None,
        "socket_timeout": url.timeout_seconds,
        "socket_connect_timeout": url.timeout_seconds,
        "socket_keepalive": True,
        "client_name": "faultware",
        # Not the library's own patience, which tries for a minute.
        "retry": Retry(NoBackoff(), 1),
    }
    if url.tls:
        how |= _encrypted(url)
    (host, port), *_ = url.hosts
    match url.kind:
        case "sentinel":
            return _behind_sentinels(url, how)
        case "cluster":
            node: Any = redis.cluster.ClusterNode
            nodes: Any = [node(name, number) for name, number in url.hosts]
            return redis.RedisCluster(startup_nodes=nodes, require_full_coverage=False, **how)
        case _:
            return redis.Redis(host, port, url.database, **how)


def _behind_sentinels(url: RedisUrl, how: dict[str, Any]) -> Any:
    import redis.sentinel  # noqa: PLC0415

    sentinels: Any = redis.sentinel.Sentinel

    opening: dict[str, Any] = {name: how[name] for name in ("socket_timeout", "socket_connect_timeout", "retry")}
    if url.tls:
        opening |= _encrypted(url)
    for name in ("username", "password"):
        opening[name] = url.options.get(f"sentinel_{name}")
    return sentinels(list(url.hosts), sentinel_kwargs=opening).master_for(url.service, db=url.database, **how)


def _encrypted(url: RedisUrl) -> dict[str, Any]:
    names = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
    files = {theirs: url.options[ours] for ours, theirs in names.items() if ours in url.options}
    for ours in names.keys() & url.options.keys():
        if not os.access(url.options[ours], os.R_OK):
            raise FileNotFoundError(f"the file of the option {ours} is not there, or cannot be read")
    # Earlier versions of redis-py do not compare the name unless they are told to.
    return {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True, **files}


@contextmanager
def translated(where: str) -> Generator[None, None, None]:
    """Foreign errors become ours, which name the place."""
    from redis.exceptions import RedisClusterException, RedisError  # noqa: PLC0415

    try:
        yield
    except (RedisError, RedisClusterException, OSError) as error:
        reason = str(error).strip() or type(error).__name__
        if reason.startswith(_NOT_LET_IN):
            reason = "it wants a password, and the URL has none"
        raise Unreachable(f"{where}: {_IN_SCRIPT.sub('', reason).splitlines()[0][:200]}") from None
