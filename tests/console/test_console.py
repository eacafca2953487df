"""The console in a real browser, before both examples on real servers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.console.kit import VIEWER, seat
from tests.servers.harness import TOKEN, eventually

pytestmark = pytest.mark.console


def kept(desk) -> str | None:
    return desk.page.evaluate("sessionStorage.getItem('faultware-token')")


# The switch.


def test_one_click_kills_and_the_page_says_who_has_confirmed(desk):
    desk.wait("#state", "Armed")
    desk.page.click("#kill")
    desk.wait("#state", "Killed")
    assert desk.server.status()["state"] == "killed"

    def confirmed():
        # One that has just served for the first time reports a little later.
        workers = len(desk.server.status()["workers"])
        return workers and f"{workers} of {workers} worker" in desk.text("#confirmed")

    eventually(confirmed, "all have confirmed", pause=0.2)
    desk.wait("#audit-rows", "kill")
    desk.wait("#event-rows", "switch killed")
    assert desk.page.title().startswith("■ Killed")


def test_the_keyboard_alone_kills(desk):
    desk.page.reload()
    desk.page.wait_for_selector("#kill:focus")
    desk.page.keyboard.press("Enter")
    desk.wait("#state", "Killed")
    assert desk.server.status()["state"] == "killed"


def test_arming_counts_down_to_its_end(desk):
    desk.page.click("#kill")
    desk.wait("#state", "Killed")
    desk.page.select_option("#arm-for", "5m")
    desk.page.click("#arm-button")
    desk.wait("#state", "Armed")
    desk.wait("#countdown", "4:")
    status = desk.server.status()
    assert (status["state"], round(status["armed_until"] - status["since"])) == ("armed", 300)


def test_it_kills_while_everything_is_slow(desk):
    slow = {"match": {"path": "/search"}, "percentage": 100, "delay": "2s"}
    assert desk.server.control("PUT", "rules", [{**slow, "name": "slow"}]).status == 200
    with ThreadPoolExecutor(6) as pool:
        held = [pool.submit(desk.server.get, "/search?q=a") for _ in range(6)]
        desk.page.click("#kill")
        desk.wait("#state", "Killed")
        assert {reply.result().status for reply in held} == {200}
    assert desk.server.status()["state"] == "killed"


def test_a_kill_that_is_not_answered_is_sent_again_until_it_is(desk):
    lost = []

    def lose(route):
        lost.append(route)
        route.abort() if len(lost) < 3 else route.continue_()

    desk.page.route("**/kill", lose)
    desk.page.click("#kill")
    desk.wait("#state", "Killed")
    assert len(lost) == 3
    assert desk.page.locator("#alarm").is_hidden()


def test_when_nothing_is_answered_it_says_so_and_goes_on_when_something_is(desk):
    desk.page.route("**/status", lambda route: route.abort())
    desk.wait("#link", "what you see is old")
    desk.page.unroute("**/status")
    desk.wait("#link", "live")


# Rules.


def test_a_wrong_rule_is_answered_with_the_parsers_own_words(desk):
    wrong = "POST /payments 10 abort 503"
    problem = desk.server.control("POST", "parse", {"rules": wrong}).json()
    desk.page.fill("#line", wrong)
    desk.wait("#line-problem", problem["detail"].splitlines()[0])
    assert desk.page.get_attribute("#line", "aria-invalid") == "true"
    desk.page.keyboard.press("Enter")
    desk.wait("#line-problem", problem["hint"])
    assert set(desk.rules()) == {"payments-503", "search-slow"}
    desk.page.keyboard.press("Escape")
    assert desk.text("#line-problem") == ""


def test_an_answer_about_a_line_that_was_given_up_is_not_shown(desk):
    held = []
    desk.page.route("**/parse", lambda route: held.append(route))
    desk.page.fill("#line", "POST /payments 10 abort 503")
    with desk.page.expect_request("**/parse"):
        desk.page.keyboard.press("Enter")
    desk.page.keyboard.press("Escape")
    with desk.page.expect_response("**/parse"):
        held[-1].continue_()
    desk.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert desk.text("#line-problem") == ""


def test_rules_are_added_changed_and_deleted(desk):
    desk.page.fill("#line", "GET /orders 5% abort 500 for 5m as orders-500")
    desk.page.keyboard.press("Enter")
    desk.wait("#line-hits", "Added orders-500.")
    desk.wait("#rule-rows", "orders-500")
    assert desk.rules()["orders-500"]["abort"] == {"status": 500}

    desk.page.click("button[aria-label='Edit payments-503']")
    assert desk.page.input_value("#line") == "POST /payments 10% abort 503 as payments-503"
    desk.page.fill("#line", "POST /payments 20% abort 503")
    desk.page.click("#save")
    desk.wait("#line-hits", "Changed payments-503.")
    desk.wait("#rule-rows", "20 %")
    assert desk.rules()["payments-503"]["percentage"] == 20

    desk.page.click("button[aria-label='Edit payments-503']")
    desk.page.fill("#line", "POST /payments 20% abort 503 as pay")
    desk.page.click("#save")
    desk.wait("#line-hits", "Changed pay.")
    assert set(desk.rules()) == {"pay", "search-slow", "orders-500"}

    desk.page.click("button[aria-label='Delete orders-500']")
    desk.wait("#line-hits", "Deleted orders-500.")
    assert set(desk.rules()) == {"pay", "search-slow"}


def test_a_rule_in_the_making_shows_what_it_would_hit(desk):
    desk.page.click("#kill")
    desk.wait("#state", "Killed")

    def seen():
        for _ in range(4):
            desk.server.get("/search?q=a")
        return desk.page.locator("#paths li").filter(has_text="GET /search").count()

    eventually(seen, "the path on the page")
    desk.page.fill("#line", "GET /search 5% abort 500")
    eventually(lambda: desk.page.locator("#paths li.hit").all_inner_texts(), "a hit")
    assert "GET /search" in desk.text("#paths li.hit")
    assert "Would match 1 of" in desk.text("#line-hits")


def test_counts_shares_and_plots_follow_the_traffic(desk):
    everything = {"name": "down", "match": {"path": "/search"}, "percentage": 100, "abort": {"status": 503}}
    assert desk.server.control("PUT", "rules", [everything]).status == 200

    def drawn():
        for _ in range(10):
            desk.server.get("/search?q=a")
        return "0/s injected" not in desk.text("#now-requests") and "100 % of 100 %" in desk.text("#rule-rows")

    eventually(drawn, "figures", pause=0.2)
    eventually(lambda: desk.page.locator("#plot-requests path.injected").count(), "a plot")
    desk.wait("#event-rows", "down: abort on GET /search")


# Who may, and what others write.


def test_a_token_that_is_refused_is_forgotten_at_once(desk):
    assert kept(desk) == TOKEN

    def spoil(route):
        route.continue_(headers={**route.request.headers, "authorization": "Bearer not-any-more"})

    desk.page.route("**/status", spoil)
    desk.page.wait_for_selector("#door:not([hidden])")
    assert kept(desk) is None
    assert "the control token is wrong" in desk.text("#token-problem")
    assert desk.page.locator("#desk").is_hidden()
    assert desk.page.locator("#rule-rows tr").count() == 0


def test_the_reason_stays_when_the_other_questions_of_the_moment_are_refused_too(desk):
    desk.page.evaluate("""() => {
      const unread = (signal) => new ReadableStream({
        start: (told) => signal.addEventListener("abort", () => told.error(signal.reason)),
      });
      const reason = '{"detail": "the control token is wrong"}';
      window.fetch = async (path, how) =>
        new Response(/^(series|events)/.test(path) ? unread(how.signal) : reason, {status: 401});
    }""")
    desk.page.wait_for_selector("#door:not([hidden])")
    assert desk.text("#token-problem") == "the control token is wrong"


def test_the_token_stays_in_the_tab(desk):
    assert TOKEN not in desk.page.url
    assert desk.page.context.cookies() == []
    assert desk.page.evaluate("localStorage.length") == 0
    assert TOKEN not in desk.page.content()
    desk.page.click("#leave")
    assert kept(desk) is None


def test_a_wrong_token_opens_nothing(running, server):
    with seat(running, server) as desk:
        desk.page.goto(f"http://127.0.0.1:{server.port}/_faultware/")
        desk.page.fill("#token", "not the token")
        desk.page.keyboard.press("Enter")
        desk.wait("#token-problem", "the control token is wrong")
        assert desk.page.locator("#desk").is_hidden()
        assert kept(desk) is None


def test_who_may_only_look_sees_everything_and_changes_nothing(desk, running, server):
    with seat(running, server) as looking:
        looking.open(VIEWER)
        looking.wait("#rule-rows", "payments-503")
        looking.wait("#guard-rows", "p99 > 20s")
        looking.wait("#worker-rows", "armed")
        for selector in ("#kill", "#arm-button", "#save", "button[aria-label='Delete search-slow']"):
            assert looking.page.get_attribute(selector, "aria-disabled") == "true"
            looking.page.locator(selector).click(force=True)
        looking.wait("#alarm", "the role control is needed; yours has the role view")
    assert server.status()["state"] == "armed"
    assert set(desk.rules()) == {"payments-503", "search-slow"}


def test_what_a_client_writes_is_shown_and_nothing_more(desk):
    everywhere = {"name": "all", "match": {"path": {"glob": "/**"}}, "percentage": 100, "abort": {"status": 503}}
    assert desk.server.control("PUT", "rules", [everywhere]).status == 200
    markup = "/<img src=x onerror=violations.push('ran')>"

    def shown():
        desk.server.get("/%3Cimg%20src=x%20onerror=violations.push('ran')%3E")
        return markup in desk.text("#event-rows") and markup in desk.text("#paths")

    eventually(shown, "the path", pause=0.2)
    assert desk.page.locator("#event-rows img, #paths img").count() == 0


# For everybody.


def test_it_is_light_or_dark_as_the_system_is(desk):
    colours = []
    for scheme in ("light", "dark"):
        desk.page.emulate_media(color_scheme=scheme)
        colours.append(desk.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(238, 241, 244)", "rgb(13, 18, 24)"]


def test_everything_that_can_be_used_has_a_name_and_the_state_is_read_out(desk):
    desk.wait("#rule-rows", "payments-503")
    unnamed = desk.page.evaluate(
        "[...document.querySelectorAll('button, input, select')].filter((one) => !one.textContent.trim()"
        " && !one.labels?.length && !one.ariaLabel).map((one) => one.outerHTML)"
    )
    assert unnamed == []
    assert desk.page.get_attribute("#state", "aria-live") == "assertive"
    assert desk.page.locator("[style]").count() == 0


def test_who_has_not_confirmed_a_kill_stands_first(desk):
    status = eventually(lambda: (now := desk.server.status())["workers"] and now, "a worker has reported")
    mine = status["workers"][0]
    workers = [{**mine, "host": f"web-{number}", "confirmed": number != 7} for number in range(20)]
    told = {**status, "state": "killed", "workers": workers}
    desk.page.route("**/status", lambda route: route.fulfill(json=told))
    desk.wait("#confirmed", "19 of 20 workers have confirmed")
    desk.wait("#worker-rows tr:first-child", "web-7")


def test_a_warning_is_not_hidden_by_what_was_refused_here(desk):
    told = {**desk.server.status(), "warning": "the store does not answer"}
    desk.page.route("**/status", lambda route: route.fulfill(json=told))
    desk.page.route("**/rules/*", lambda route: route.fulfill(status=503, json={"detail": "not now"}))
    desk.page.locator("button[aria-label='Delete search-slow']").click()
    desk.wait("#alarm", "search-slow is not deleted: not now")
    desk.wait("#alarm", "the store does not answer")


def test_what_stands_below_many_rules_is_not_far_away(desk):
    rules = "; ".join(f"/{number} 10% abort 503 as rule-{number}" for number in range(100))
    assert desk.server.control("PUT", "rules", desk.server.control("POST", "parse", {"rules": rules}).json()["rules"])
    desk.wait("#rules-count", "100")
    assert desk.page.locator("#rule-rows tr").count() == 100
    assert desk.page.evaluate("document.documentElement.scrollHeight") < 3 * 1000


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_it_fits_into_any_window(desk, width):
    desk.page.set_viewport_size({"width": width, "height": 800})
    desk.wait("#rule-rows", "payments-503")
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= width
    name = desk.page.locator("#rule-rows .name", has_text="payments-503")
    assert len(name.evaluate("(name) => [...name.getClientRects()]")) == 1  # not broken into pieces
