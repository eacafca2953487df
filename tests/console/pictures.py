"""Writes the pictures of the console that the documentation shows: `python -m tests.console.pictures`.

Takes about six minutes, since what the plots show has to happen first.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from contextlib import suppress

from tests.console.kit import browser, example, seat
from tests.servers.harness import ROOT

IMAGES = ROOT / "docs" / "images"
RULES = (
    "POST /payments 10% abort 503 as payments-503; GET /search 30% delay 200ms±50ms as search-slow; "
    "POST /orders 5% delay 1s + abort 504 as orders-504"
)
SETTINGS = {
    "FAULTWARE_RULES": RULES,
    "FAULTWARE_ARMED": "false",
    "FAULTWARE_ABORT_WHEN": "error_share > 5%; p99 > 2s; lag > 500ms; memory > 1024MiB",
}


def customers(server, stop: threading.Event) -> None:
    """Somebody who shops, now slower and now faster."""
    begun = time.monotonic()
    while not stop.is_set():
        with suppress(OSError):
            server.get("/search?q=rocket")
            if random.random() < 0.6:
                server.post("/payments", {"amount": "9.90"})
            if random.random() < 0.3:
                server.post("/orders", {"item": "anvil"})
            if random.random() < 0.1:
                server.get("/healthz")
        busy = 1 + 0.6 * ((time.monotonic() - begun) // 25 % 3)
        time.sleep(random.expovariate(14 * busy))


def main() -> int:
    seconds = float(os.environ.get("PICTURE_SECONDS", "360"))
    IMAGES.mkdir(exist_ok=True)
    stop = threading.Event()
    with example("uvicorn-4", SETTINGS) as server, browser() as running, seat(running, server) as desk:
        page = desk.page
        threads = [threading.Thread(target=customers, args=(server, stop), daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        desk.open()
        page.wait_for_timeout(1000 * seconds * 0.35)
        page.select_option("#arm-for", "10m")
        page.click("#arm-button")
        page.wait_for_timeout(1000 * seconds * 0.45)
        shoot(page, "console-armed.png", full_page=True)
        page.emulate_media(color_scheme="dark")
        shoot(page, "console-dark.png", full_page=True)
        page.emulate_media(color_scheme="light")
        page.fill("#line", "GET /search 20 delay 1s")
        desk.wait("#line-problem", "write")
        page.locator("#rules").screenshot(path=IMAGES / "console-rule.png")
        page.keyboard.press("Escape")
        page.click("#kill")
        desk.wait("#confirmed", "4 of 4")
        page.wait_for_timeout(1000 * seconds * 0.2)
        shoot(page, "console-killed.png")
        stop.set()
    for path in sorted(IMAGES.glob("console-*.png")):
        print(path.relative_to(ROOT), f"{path.stat().st_size / 1000:.0f} kB")
    return 0


def shoot(page, name: str, *, full_page: bool = False) -> None:
    page.wait_for_timeout(1500)
    page.screenshot(path=IMAGES / name, full_page=full_page)


if __name__ == "__main__":
    sys.exit(main())
