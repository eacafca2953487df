"""Werkzeug's development server from the command line: an application (`module:name`), a port, and a file whose changes
start it again, if it is to be.
"""

from __future__ import annotations

import importlib
import logging
import sys

from werkzeug.serving import run_simple

if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    module, _, name = sys.argv[1].partition(":")
    app, watched = getattr(importlib.import_module(module), name), sys.argv[3:]
    run_simple(
        "127.0.0.1",
        int(sys.argv[2]),
        app,
        threaded=True,
        use_reloader=bool(watched),
        reloader_type="stat",
        reloader_interval=0,
        extra_files=watched,
    )
