"""A WSGI application behind the middleware whose responses come in every way that PEP 3333 knows."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from faultware.wsgi import FaultMiddleware

SIZE = 2_000_000
_FILE = os.memfd_create("faultware-bodies")


def content(size: int = SIZE) -> bytes:
    """What is sent: no two blocks of it are alike."""
    return b"".join(number.to_bytes(8, "big") for number in range(size // 8))


BODY = content()
assert os.write(_FILE, BODY) == SIZE
CHUNKS = [BODY[at : at + 50_000] for at in range(0, SIZE, 50_000)]
TEXT = [("content-type", "application/octet-stream")]
LENGTH = [*TEXT, ("content-length", str(SIZE))]


class Closing:
    """Chunks, and a note in the log when they are closed."""

    def __init__(self, environ) -> None:
        self._environ = environ

    def __iter__(self):
        return iter(CHUNKS)

    def close(self) -> None:
        print("closed", self._environ["QUERY_STRING"], file=self._environ["wsgi.errors"], flush=True)


def plain(environ, start_response):
    kind = environ["PATH_INFO"].rpartition("/")[2]
    if kind == "upload":
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        answer = f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()
        start_response("200 OK", [*TEXT, ("content-length", str(len(answer)))])
        return [answer]
    if kind == "fds":
        answer = str(len(list(Path("/proc/self/fd").iterdir()))).encode()
        start_response("200 OK", [*TEXT, ("content-length", str(len(answer)))])
        return [answer]
    if kind == "written":
        write = start_response("200 OK", LENGTH)
        for chunk in CHUNKS:
            write(chunk)
        return []
    if kind == "late":
        return late(start_response)
    if kind == "file":
        start_response("200 OK", LENGTH)
        copy = os.fdopen(os.dup(_FILE), "rb")
        copy.seek(0)
        return environ.get("wsgi.file_wrapper", lambda file: iter(lambda: file.read(65536), b""))(copy)
    if kind == "chunked":
        start_response("200 OK", TEXT)
        return Closing(environ)
    if kind == "small":
        start_response("200 OK", [*TEXT, ("content-length", "5")])
        return [b"small"]
    start_response("200 OK", LENGTH)
    return Closing(environ)


def late(start_response):
    start_response("200 OK", LENGTH)
    yield from CHUNKS


app = FaultMiddleware(plain)
