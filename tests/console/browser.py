"""Finds the browser that tries the console, or gets it: `python -m tests.console.browser`.

Looked for, in this order: what CHROMIUM names, Chromium or Chrome on the PATH, and what Playwright has installed.
If there is none, it is installed: by apt where that is possible, else by Playwright itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ADVICE = """There is no Chromium or Chrome, and none could be installed. Any of these will do:
  Debian, Ubuntu   sudo apt-get install chromium
  Fedora           sudo dnf install chromium
  anywhere         .venv/bin/playwright install --with-deps chromium
  your own         make console CHROMIUM=/path/to/chromium"""


def find() -> str | None:
    """The path of a browser; None: there is none."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    for name in NAMES:
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> None:
    """Try to get one."""
    ways = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        ways.insert(
            0, ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
        )
        subprocess.run(["apt-get", "update", "-qq"], check=False, stdout=subprocess.DEVNULL)
    for way in ways:
        print("No browser yet:", *way, flush=True)
        if subprocess.run(way, check=False, stdout=subprocess.DEVNULL).returncode == 0 and find():
            return


def main() -> int:
    if not find():
        install()
    found = find()
    print(f"The console is tried in {found}" if found else ADVICE, file=sys.stdout if found else sys.stderr)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
