"""Where a command acts: at the control endpoint of a service, in its store, or by its kill file.

Secrets come from files and variables. What stands on the command line can be read by everybody on the machine, and
stays in the history of a shell.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from faultware.cli.direct import Direct
from faultware.cli.ending import UsageError
from faultware.cli.endpoint import Endpoint
from faultware.config.tokens import read_token, read_token_file
from faultware.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    Place: TypeAlias = Endpoint | Direct

URL: Final = "FAULTWARE_CONTROL_URL"
TOKEN: Final = "FAULTWARE_CONTROL_TOKEN"  # noqa: S105  (its name)
TOKEN_FILE: Final = "FAULTWARE_CONTROL_TOKEN_FILE"  # noqa: S105
STORE: Final = "FAULTWARE_STORE"
KILL_FILE: Final = "FAULTWARE_KILL_FILE"
_LONGEST_WAIT: Final = 86_400.0


def seconds(text: str) -> float:
    """A time to wait, as an option gives it."""
    value = float(text)
    if not 0 < value <= _LONGEST_WAIT:
        raise ValueError(text)
    return value


def endpoint_options(parser: ArgumentParser) -> None:
    """How to reach the control endpoint."""
    _endpoint_options(parser.add_argument_group("where", f"Without any of these: {URL}.").add_argument)


def place_options(parser: ArgumentParser, *, kill_file: bool = False) -> None:
    """How to reach the control endpoint, the store, or also by a kill file."""
    variables = [URL, STORE, *([KILL_FILE] if kill_file else [])]
    group = parser.add_argument_group(
        "where", f"Without any of these, the first that is set of {', '.join(variables)}."
    )
    _endpoint_options(group.add_argument)
    group.add_argument("--store", metavar="URL", default="", help="the store of the service, which is then not asked")
    if kill_file:
        group.add_argument("--kill-file", metavar="PATH", type=Path, help="make this file, which the service watches")


def open_endpoint(arguments: Namespace) -> Endpoint:
    """The control endpoint that is meant.

    Raises:
        UsageError: None is, or there is no token.
    """
    url = arguments.url or os.environ.get(URL, "")
    if not url:
        raise UsageError("which service?", hint=f"--url http://HOST:PORT, or {URL}")
    return Endpoint(url, _token(arguments.token_file), host=arguments.host, timeout_seconds=arguments.timeout)


def open_place(arguments: Namespace) -> Place:
    """The control endpoint or the store that is meant.

    Raises:
        UsageError: None is, two are, or there is no token.
        NoAnswerError: The store does not answer.
    """
    given = [name for name in ("url", "store", "kill_file") if getattr(arguments, name, None)]
    if len(given) > 1:
        ways = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{ways} exclude each other", hint="use one")
    url, store = arguments.url or os.environ.get(URL, ""), os.environ.get(STORE, "")
    if arguments.store or (store and not url):
        return Direct(arguments.store or store)
    if not url:
        raise UsageError("which service?", hint=f"--url http://HOST:PORT or --store URL, or {URL} or {STORE}")
    return open_endpoint(arguments)


def chosen_kill_file(arguments: Namespace) -> Path | None:
    """The kill file, where it is the way that is meant."""
    if arguments.kill_file:
        return None if arguments.url or arguments.store else arguments.kill_file
    named = os.environ.get(KILL_FILE, "")
    is_first = not any((arguments.url, arguments.store, os.environ.get(URL), os.environ.get(STORE)))
    return Path(named).expanduser() if named and is_first else None


def _endpoint_options(add: Callable[..., object]) -> None:
    add("--url", metavar="URL", default="", help="such as http://127.0.0.1:8000 or unix:/run/shop/chaos.sock")
    add("--token-file", metavar="PATH", type=Path, help=f"holds the control token; else {TOKEN} or {TOKEN_FILE} does")
    add("--host", metavar="NAME", default="", help="the name to call the service by, such as localhost")
    add("--timeout", metavar="SECONDS", type=seconds, default=5.0, help="how long to wait for an answer (%(default)g)")


def _token(file: Path | None) -> str:
    named = os.environ.get(TOKEN_FILE, "")
    try:
        if file is not None:
            return read_token_file(file)
        if os.environ.get(TOKEN):
            return read_token(os.environ[TOKEN])
        if named:
            return read_token_file(Path(named).expanduser())
    except ConfigurationError as error:
        raise UsageError(f"the control token cannot be used: {error}") from None
    raise UsageError("there is no control token", hint=f"{TOKEN}, {TOKEN_FILE} or --token-file PATH")
