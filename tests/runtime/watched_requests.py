"""A service whose requests are watched: `python -m tests.runtime.watched_requests PROTOCOL STORE`.

Prints what the thread that serves them has asked of a disk or of a network, as the interpreter's audit events say
(PEP 578), and which files it has looked for; once before it serves, and once while it does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading

from tests.asgi import server as asgi
from tests.state.test_stores import eventually
from tests.wsgi import server as wsgi

RULES = "/pay 100% abort 503 as pay; /roll 50% abort 503 as roll; /bad 100% corrupt 1% as bad"
PATHS = ("/pay", "/roll", "/other", "/bad", "/pay?x=1", "/_faultwares")
KINDS = ("open", "os", "socket", "fcntl", "mmap", "subprocess", "shutil", "tempfile", "glob", "pathlib")
# Asks nobody: it reads what the interpreter has at hand.
HARMLESS = {"os.putenv", "os.unsetenv"}


class Watch:
    """Sees what one thread does while it is on."""

    def __init__(self):
        self.is_on, self.seen, self.thread = False, set(), threading.get_ident()
        sys.addaudithook(self.hear)
        for name in ("stat", "lstat"):
            # These are no audit events.
            setattr(os, name, self.noting(getattr(os, name), f"os.{name}"))

    def hear(self, event, _arguments):
        if self.is_on and event.partition(".")[0] in KINDS and event not in HARMLESS:
            self.note(event)

    def noting(self, call, name):
        def noted(*arguments, **options):
            self.note(name)
            return call(*arguments, **options)

        return noted

    def note(self, event):
        if self.is_on and threading.get_ident() == self.thread:
            self.seen.add(event)


def asgi_service(options):
    app, loop = asgi.wrapped(asgi.Application(), RULES, **options), asyncio.new_event_loop()
    return app._injector, lambda path: loop.run_until_complete(asgi.ask(app, path)).status


def wsgi_service(options):
    app = wsgi.wrapped(wsgi.Application(), RULES, **options)
    return app._injector, lambda path: wsgi.ask(app, path).status


def main(protocol, store, kill_file):
    watch = Watch()
    options = {"store": store, "kill_file": kill_file, "abort_when": "in_flight > 1000", "max_faults_per_minute": 10**6}
    injector, ask = (asgi_service if protocol == "asgi" else wsgi_service)(options)
    print(threading.active_count())
    # What servers and frameworks load with their first request is theirs.
    warm = asgi_service if protocol == "asgi" else wsgi_service
    warm({"store": "memory:", "armed": False})[1]("/pay")

    watch.is_on = True
    for path in PATHS:
        ask(path)
    eventually(lambda: ask("/pay") == 503)
    for is_killed in (False, True, False, True):
        done = threading.Thread(target=injector.switch.kill if is_killed else injector.switch.arm, args=("me",))
        done.start()
        # Requests come before, in the moment of, and after the change.
        while done.is_alive():
            ask("/pay")
            done.join(0.0002)  # it needs the interpreter, too
        expected = 200 if is_killed else 503
        # It waits between the questions: the store's threads need the interpreter, too.
        eventually(lambda expected=expected: ask("/pay") == expected)
        for path in PATHS * 20:
            ask(path)
    print(*sorted(watch.seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
