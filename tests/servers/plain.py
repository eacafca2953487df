"""What the plain applications of the server tests answer: who they are and what they were sent."""

from __future__ import annotations

import hashlib
import os
import time

# How long a request for /who keeps its whole process busy, so that the next connection goes to another worker.
WHO_SECONDS = 0.03


def answer(path: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    """The body of the answer, and its headers."""
    if path == "/who":
        time.sleep(WHO_SECONDS)
    content = f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()
    return content, {"x-pid": str(os.getpid()), "content-type": "text/plain", "content-length": str(len(content))}
