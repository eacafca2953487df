"""Where a command acts: at the control endpoint of a service, or by its kill file.

Secrets come from files and variables. What stands on the command line can be read by everybody on the machine, and
stays in the history of a shell.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faultware.cli.ending import UsageError
from faultware.cli.endpoint import Endpoint
from faultware.config.tokens import read_token, read_token_file
from faultware.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

URL: Final = "FAULTWARE_CONTROL_URL"
TOKEN: Final = "FAULTWARE_CONTROL_TOKEN"  # noqa: S105  (its name)
TOKEN_FILE: Final = "FAULTWARE_CONTROL_TOKEN_FILE"  # noqa: S105
KILL_FILE: Final = "FAULTWARE_KILL_FILE"


def endpoint_options(parser: ArgumentParser) -> None:
    """How to reach the control endpoint."""
    group = parser.add_argument_group("where", f"Without any of these: {URL}.")
    group.add_argument("--url", metavar="URL", help="the service, such as http://127.0.0.1:8000")
    group.add_argument(
        "--token-file", metavar="PATH", type=Path, help=f"holds the control token; else {TOKEN} or {TOKEN_FILE} does"
    )
    group.add_argument("--host", metavar="NAME", default="", help="the name to call the service by, such as localhost")
    group.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=5.0, help="how long to wait for an answer (%(default)g)"
    )


def open_endpoint(arguments: Namespace) -> Endpoint:
    """The control endpoint that is meant.

    Raises:
        UsageError: None is, or there is no token.
    """
    url = arguments.url or os.environ.get(URL, "")
    if not url:
        raise UsageError("which service?", hint=f"--url http://HOST:PORT, or {URL}")
    return Endpoint(url, _token(arguments.token_file), host=arguments.host, timeout_seconds=arguments.timeout)


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
