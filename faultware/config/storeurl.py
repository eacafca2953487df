"""Reads the URL of a store that is reached over the network. Loads no client, asks nobody.

A URL may hold a password: no `repr` and no log repeats any part of it but its host names, and an error not even them,
since a password may stand in their place: `redis://user:password` without a host, or one that holds a `/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

from faultware.config.mistakes import did_you_mean, shown
from faultware.config.quantities import parse_duration
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Mapping

_URL: Final = re.compile(
    r"(?P<scheme>rediss?)(?:\+(?P<kind>sentinel|cluster))?://"
    r"(?:(?P<user>[^@/?#]*)@)?(?P<hosts>[^@/?#]*)(?P<path>/[^@?#]*)?(?:\?(?P<query>[^@#]*))?",
    re.ASCII,
)
_HOST: Final = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_PORTS: Final = {"": 6379, "cluster": 6379, "sentinel": 26379}
_OPTIONS: Final = ("name", "timeout", "ca", "cert", "key", "sentinel_username", "sentinel_password")
_TLS: Final = ("ca", "cert", "key")
_MOST_DATABASES: Final = 16384


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Where a Redis or a Valkey is, and how to get in.

    Args:
        kind: Empty for a single server, else `sentinel` or `cluster`.
        tls: Whether the connection is encrypted and the server's certificate checked.
        hosts: Names and ports: of the server, of the sentinels, or of some nodes.
        service: What the sentinels call the server.
        database: Its number.
        username: Of the server.
        password: Of the server.
        name: What the state is called there: services that name the same share it.
        timeout_seconds: How long to wait for an answer.
        options: Files for TLS, and what opens the sentinels.
    """

    kind: str
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    service: str = ""
    database: int = 0
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    name: str = "faultware"
    timeout_seconds: float = 1.0
    options: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def __str__(self) -> str:
        """As a URL, without what is secret."""
        scheme = ("rediss" if self.tls else "redis") + (f"+{self.kind}" if self.kind else "")
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        path = f"/{self.service}" if self.service else ""
        if self.database or not (self.kind or path):
            path += f"/{self.database}"
        return f"{scheme}://{hosts}{path}" + (f"?name={self.name}" if self.name != "faultware" else "")


def read_redis_url(text: str) -> RedisUrl:
    """What a URL says.

    Raises:
        RuleError: It is not possible.
    """
    found = _URL.fullmatch(text)
    if found is None:
        hint = "such as redis://HOST:6379/0; in a password write @, :, /, ? and # as %40, %3A, %2F, %3F and %23"
        raise RuleError("this is not the URL of a Redis", hint=hint)
    kind, tls = found["kind"] or "", found["scheme"] == "rediss"
    hosts = tuple(_host(host, _PORTS[kind]) for host in found["hosts"].split(","))
    if len(hosts) > 1 and not kind:
        raise RuleError("a single Redis has one host", hint="redis+sentinel:// and redis+cluster:// take several")
    username, colon, password = (found["user"] or "").partition(":")
    if username and not colon:
        raise RuleError("the URL has a user and no password", hint="write USER:PASSWORD@, or :PASSWORD@")
    service, database = _path(kind, found["path"] or "")
    options = _options(found["query"] or "", kind, tls=tls)
    return RedisUrl(
        kind,
        tls,
        hosts,
        service,
        database,
        unquote(username),
        unquote(password),
        _state_name(options.pop("name", "faultware")),
        _timeout(options.pop("timeout", "1s")),
        options,
    )


def _host(text: str, port: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if found is None:
        raise RuleError("this is not a host" if text else "a host is missing", hint="such as redis:6379")
    number = int(found["port"] or port)
    if not 0 < number < 2**16:
        raise RuleError("the port is not possible", hint="1 to 65535")
    return found["six"] or found["name"], number


def _path(kind: str, path: str) -> tuple[str, int]:
    """The service and the number of the database."""
    parts = [unquote(part) for part in path.split("/")[1:] if part]
    service = ""
    if kind == "sentinel":
        if not parts:
            raise RuleError(
                "what the sentinels call the service is missing", hint="redis+sentinel://HOST:26379/SERVICE"
            )
        service, parts = parts[0], parts[1:]
    if kind == "cluster" and parts:
        raise RuleError("a cluster has no databases", hint="leave out what follows the hosts")
    if len(parts) > 1:
        raise RuleError("the path has too many parts", hint="the number of a database, such as /0")
    database = parts[0] if parts else "0"
    if not (database.isascii() and database.isdigit() and len(database) <= 5 and int(database) < _MOST_DATABASES):
        raise RuleError(f"{shown(database)} is not the number of a database", hint="such as /0")
    return service, int(database)


def _options(query: str, kind: str, *, tls: bool) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise RuleError(f"unknown option {shown(name)}", hint=did_you_mean(name, _OPTIONS))
        if name in options:
            raise RuleError(f"the option {name} is given twice", hint="leave one out")
        if not value:
            raise RuleError(f"the option {name} is empty", hint="leave it out")
        if name in _TLS and not tls:
            raise RuleError(f"the option {name} is for encrypted connections", hint="write rediss")
        if name.startswith("sentinel_") and kind != "sentinel":
            raise RuleError(f"the option {name} is for sentinels", hint="write redis+sentinel")
        options[name] = value
    return options


def _state_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise RuleError(f"{shown(name)} is not a name for a state", hint="letters, digits and ._-, 64 at most")
    return name


def _timeout(text: str) -> float:
    seconds = parse_duration(text)
    if not 0.05 <= seconds <= 10:
        raise RuleError(f"{shown(text)} is not possible as timeout", hint="50ms to 10s")
    return seconds
