"""Werkzeug's development server from the command line: an application (`module:name`) and a port."""

from __future__ import annotations

import importlib
import logging
import sys

from werkzeug.serving import run_simple

if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    module, _, name = sys.argv[1].partition(":")
    run_simple("127.0.0.1", int(sys.argv[2]), getattr(importlib.import_module(module), name), threaded=True)
