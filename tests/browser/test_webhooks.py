"""Webhooks on a real box: an endpoint added by hand, a test with its answer, a dead letter replayed and arriving once."""

from tests.ats import Hook
from tests.browser.conftest import Desk
from tests.processes import until


def test_a_dead_webhook_is_replayed_from_the_page_and_arrives_once_with_its_id(desk: Desk) -> None:
    operator = desk.person("olle", "operator")
    hook = Hook([500] * 500)
    try:
        with desk.window(operator) as w:
            w.open("/admin/webhooks")
            w.page.get_by_role("link", name="Add an endpoint").click()
            w.page.get_by_label("Address").fill(hook.url)
            w.page.get_by_label("Everything, also what later versions bring").uncheck()
            w.page.get_by_label("Credits run low").check()
            w.page.get_by_role("button", name="Add it").click()
            assert w.page.locator("code.secret").inner_text().startswith("whsec_")
            w.page.reload()
            assert w.page.locator("code.secret").count() == 0
            w.page.get_by_role("button", name="Send a test").click()
            until(lambda: hook.requests, timeout_s=60, about="the test is tried")
            page = w.page
            page.locator(".told", has_text="500").wait_for(timeout=30_000)
            event = dict(hook.requests[0][0])["webhook-id"]
            address = page.url.removeprefix(w.url).split("?")[0]
        desk.box.advance(73 * 3600)
        until(lambda: _state(desk, event) == "dead", timeout_s=90, about="it is given up")
        hook._statuses.clear()
        before = len(hook.requests)
        with desk.window(operator) as w:  # three days later one signs in again
            w.open(address + "?state=dead")
            w.page.get_by_role("button", name=f"Send again: {event}").click()
            w.page.locator("progress").wait_for()
            until(lambda: _state(desk, event) == "delivered", timeout_s=90, about="it arrives")
            w.page.reload()
            assert "Delivered" in w.page.locator(".deliveries").inner_text()
            assert w.page.locator("progress").get_attribute("value") == "1"
            w.check("a replay")
        arrived = [headers["webhook-id"] for headers, _ in hook.requests[before:]]
        assert arrived == [event]
    finally:
        hook.close()


def _state(desk: Desk, event: str) -> str | None:
    with desk.box.site.store.read() as view:
        found: str | None = view.value("SELECT state FROM delivery WHERE event_id = ?", event)
        return found
