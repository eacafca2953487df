"""Which path an application routes a request by, as its framework's own router computes it.

A rule means the path that the application's routes mean. Routers differ in what they overlook: repeated slashes, a
trailing slash or newline, the mount prefix. So the framework is recognised once, by the modules of the wrapped
objects' classes, and each family has one function from path and mount prefix to the path that is routed. All are
measured against the frameworks themselves in `tests/frameworks`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias
from urllib.parse import urlsplit

Route: TypeAlias = Callable[[str, str], str]

# What Quart hands to its router where nothing can match.
_NOWHERE: Final = " "
_SLASHES: Final = re.compile("/{2,}")
# Where wrappers keep what they wrap: nearly all; WhiteNoise; asgiref; OpenTelemetry's for WSGI; Werkzeug's profiler;
# functools and wrapt.
_INNER: Final = ("app", "application", "wsgi_application", "wsgi", "_app", "__wrapped__")
# A chain of wrappers that is longer has no end.
_MAX_DEPTH: Final = 50


def route_of(app: object, mount: str = "") -> Route:
    """How the application computes the path it routes by: `route(path, root_path)`.

    Args:
        app: What the middleware wraps: the framework's object, a bound method of it, or other middlewares that keep
            what they wrap (`_INNER`). The innermost that is known decides: one framework's middleware may stand before
            another framework's application.
        mount: The prefix that it puts in the place of the server's, if it has one (`mount_of`).
    """
    family: Route = plain
    for _, name in _frameworks(app):
        family = _FAMILIES[name]
    if not mount:
        return family

    def route(path: str, _root: str) -> str:
        return family(path, mount)

    return route


def folds_methods(app: object) -> bool:
    """Whether the application takes `post` for `POST`, as no other does (RFC 9110, section 9.1)."""
    names = [name for _, name in _frameworks(app)]
    return bool(names) and names[-1] in _FOLD_METHODS


def mount_of(app: object) -> str:
    """The mount prefix that an ASGI application puts in the place of the server's; empty: it does not.

    FastAPI has an argument for it, Django a setting. What stands inside of the application sees it as `root_path`.
    """
    mount: object = ""
    for found, name in _frameworks(app):
        if name == "django":
            mount = getattr(sys.modules["django.conf"].settings, "FORCE_SCRIPT_NAME", "")
        else:
            mount = getattr(found, "root_path", "") if name == "fastapi" else ""
    return mount if isinstance(mount, str) else ""


def _frameworks(app: object) -> Iterator[tuple[object, str]]:
    """What of an application and of what it wraps belongs to a known framework, from the outermost inwards."""
    for _ in range(_MAX_DEPTH):
        app = getattr(app, "__self__", app)
        packages = (kind.__module__.partition(".")[0] for kind in type(app).__mro__)
        name = next((package for package in packages if package in _FAMILIES), None)
        if name is not None:
            yield app, name
        inner = next((inner for name in _INNER if (inner := getattr(app, name, None)) is not None), None)
        if inner is None or inner is app:
            return
        app = inner


def plain(path: str, root: str) -> str:
    """Nothing is overlooked; the mount prefix is taken away where it ends on a segment border."""
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        path = path[len(root) :]
    return path or "/"


def starlette(path: str, root: str) -> str:
    """Its patterns end in `$`, before which Python's `re` overlooks one newline."""
    return plain(path, root).removesuffix("\n") or "/"


def django(path: str, root: str) -> str:
    """The prefix is taken away without regard to segments."""
    return path.removeprefix(root) or "/"


def werkzeug(path: str, root: str) -> str:
    """Slashes in front count as one. WSGI servers have taken the prefix away; what calls it under ASGI takes it."""
    return "/" + plain(path, root).lstrip("/")


def quart(path: str, root: str) -> str:
    """As Werkzeug; but a whole URL counts by its path, and what does not lie below the prefix is routed nowhere."""
    if not path.startswith("/"):
        try:
            path = urlsplit(path).path
        except ValueError:
            return _NOWHERE
    if root:
        if not path.startswith(root) or path == root:
            return _NOWHERE
        path = path[len(root) :]
    return werkzeug(path, "")


def litestar(path: str, root: str) -> str:
    """Repeated slashes count as one, a trailing one does not count, and the prefix may stand anywhere."""
    if root:
        path = path.split(root, 1)[-1]
    return "/" + _SLASHES.sub("/", path.strip("/"))


_FOLD_METHODS: Final = frozenset({"django", "flask", "quart"})
# By the top-level package of a class. FastAPI's classes are Starlette's.
_FAMILIES: Final[dict[str, Route]] = {
    "django": django,
    "fastapi": starlette,
    "flask": werkzeug,
    "litestar": litestar,
    "quart": quart,
    "starlette": starlette,
}
