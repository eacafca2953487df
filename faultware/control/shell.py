"""The page of the console: static files, which hold no data and so need no token.

Reads nothing from a request but method and path, and nothing from a disk once it is loaded.
"""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from faultware.control.messages import ControlResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES: Final = {
    "console.html": "text/html; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    **dict.fromkeys(
        ("console.js", "desk.js", "elements.js", "plots.js", "rules.js"),
        "text/javascript; charset=utf-8",
    ),
    "console.svg": "image/svg+xml",
}
_PAGE: Final = "/"
# Nothing but these files runs, is shown, asked or framed, and no text can become markup (CSP level 3; Trusted Types).
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; form-action 'none'; base-uri 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Shell:
    """The page and what belongs to it.

    Args:
        directory: The last segment of the control path.
    """

    def __init__(self, directory: str) -> None:
        self._files = _load()
        # The files are named relative to the page, so that they are found below any root path, and so is the page.
        headers = {**_HEADERS, "location": f"{directory}/"}
        self._redirect = ControlResponse(HTTPStatus.PERMANENT_REDIRECT, headers=headers)

    def find(self, method: str, path: str) -> ControlResponse | None:
        """What is answered to a path below the control path; None: it is no part of the console."""
        if method not in ("GET", "HEAD"):
            return None
        return self._files.get(path) if path else self._redirect


@cache
def _load() -> Mapping[str, ControlResponse]:
    folder = files("faultware.control") / "console"
    answers: dict[str, ControlResponse] = {}
    for name, content_type in _TYPES.items():
        headers = {**_HEADERS, "content-type": content_type}
        answers[f"/{name}"] = ControlResponse(HTTPStatus.OK, (folder / name).read_bytes(), headers)
    answers[_PAGE] = answers.pop("/console.html")
    return answers
