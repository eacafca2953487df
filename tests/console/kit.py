"""A browser, and somebody who sits before it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.console.browser import ADVICE, find
from tests.servers.harness import PATIENCE_SECONDS, ROOT, SERVERS, TOKEN, serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser, Page

    from tests.servers.harness import Server

EXAMPLES = {"asgi": ("fastapi_app", "main:app"), "wsgi": ("flask_app", "app:app")}
VIEWER = "a-token-that-may-only-look"
RULES = "POST /payments 10% abort 503 as payments-503; GET /search 30% delay 200ms±50ms as search-slow"
SETTINGS = {
    "FAULTWARE_RULES": RULES,
    "FAULTWARE_ABORT_WHEN": "error_share > 5%; p99 > 20s; memory > 2048MiB",
    "FAULTWARE_CONTROL_TOKENS": f"grafana:view:{VIEWER}",
}
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@contextmanager
def example(kind: str, settings: Mapping[str, str] = SETTINGS, *more: str) -> Iterator[Server]:
    """One of the two examples, on a real server."""
    directory, app = EXAMPLES[SERVERS[kind].protocol]
    with serve(kind, settings, *more, app=app, cwd=ROOT / "examples" / directory) as server:
        yield server


@contextmanager
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = find()
    assert path, ADVICE
    with sync_playwright() as playwright:
        # In a container there is no sandbox for root; the pages are our own.
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        running = playwright.chromium.launch(executable_path=path, args=flags, timeout=1000 * PATIENCE_SECONDS)
        try:
            yield running
        finally:
            running.close()


@dataclass
class Desk:
    """An open console.

    Args:
        page: In the browser.
        server: Behind it.
        problems: What the browser complained of.
    """

    page: Page
    server: Server
    problems: list[str] = field(default_factory=list)

    def open(self, token: str = TOKEN) -> None:
        self.page.goto(f"http://127.0.0.1:{self.server.port}/_faultware")
        self.page.fill("#token", token)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#desk:not([hidden])")

    def wait(self, selector: str, text: str) -> None:
        """Until an element says something."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_contain_text(text, timeout=1000 * PATIENCE_SECONDS)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def rules(self) -> dict[str, dict]:
        """Those of the service."""
        return {rule["name"]: rule for rule in self.server.control("GET", "rules").json()["rules"]}


@contextmanager
def seat(running: Browser, server: Server, **options: object) -> Iterator[Desk]:
    """A fresh window, whose complaints are kept."""
    context = running.new_context(viewport={"width": 1400, "height": 1000}, **options)
    context.set_default_timeout(1000 * PATIENCE_SECONDS / 2)
    page = context.new_page()
    page.add_init_script(WATCH)
    desk = Desk(page, server)
    page.on("pageerror", lambda error: desk.problems.append(str(error)))
    page.on("console", lambda said: desk.problems.append(said.text) if said.type in ("error", "warning") else None)
    try:
        yield desk
    finally:
        context.close()
