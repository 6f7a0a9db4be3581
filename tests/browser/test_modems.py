"""One modem in the browser, on a real box: test message with its report, self test, USSD, the console that only asks, park."""

from tests.browser.conftest import Desk, Window
from tests.processes import until


def press(w: Window, name: str) -> None:
    w.page.get_by_role("button", name=name, exact=True).click()


def open_modem(w: Window) -> None:
    w.open("/admin/modems")
    w.page.get_by_role("link", name="stick1").click()
    w.page.get_by_role("heading", level=1, name="stick1").wait_for()


def tab(w: Window, name: str) -> None:
    w.page.get_by_role("navigation", name="Modem", exact=True).get_by_role("link", name=name, exact=True).click()


def test_a_self_test_and_a_test_message_with_its_report(desk: Desk) -> None:
    who = desk.person("olle", "operator")
    with desk.window(who) as w:
        open_modem(w)
        tab(w, "Tests")
        press(w, "Start the self test")
        w.page.get_by_text("Everything is in order").wait_for(timeout=30_000)
        assert w.page.get_by_text("It is registered with a network").is_visible()
        w.page.get_by_label("Your mobile number").fill("+46 70 174 06 91")
        press(w, "Send a test message")
        w.page.locator("#sent ~ ul .state", has_text="Delivered").wait_for(timeout=30_000)
        w.check("test delivered")
        [text] = [part.text for part in desk.box.on_air("+46701740691")]
        w.page.get_by_label("Code from the test message").fill(text.partition("Code: ")[2])
        press(w, "Confirm the number")
        assert "The number is confirmed" in w.page.get_by_role("status").first.inner_text()


def test_the_query_console_asks_and_refuses_what_would_delete(desk: Desk) -> None:
    who = desk.person("olle", "operator")
    with desk.window(who) as w:
        open_modem(w)
        tab(w, "Console")
        w.page.get_by_label("Question").fill("AT+CSQ")
        press(w, "Ask")
        w.page.get_by_text("+CSQ: ").wait_for(timeout=30_000)
        for forbidden in ("AT+CMGD=1,4", "AT+CMGS=20", 'AT+CPIN="0000"', "AT+CSQ;+CMGD=1"):
            w.page.get_by_label("Question").fill(forbidden)
            press(w, "Ask")
            assert w.page.get_by_text("The console only asks").is_visible()
            assert w.page.get_by_label("Question").input_value() == forbidden
        w.expected("422")
        w.check("refused")
        heard = desk.box.stick.control.heard()
        assert not [line for line in heard if line.startswith("AT+CMGD=1,4")]
        assert 'AT+CPIN="0000"' not in heard
    with desk.box.site.store.read() as view:
        told = view.all("SELECT data FROM audit WHERE action = 'modem.query'")
    assert len(told) == 1


def test_ussd_answers_appear_by_themselves(desk: Desk) -> None:
    desk.box.stick.control.set(ussd={"*100#": "Saldo: 120,50 kr"})
    with desk.window(desk.person("olle", "operator"), width=390) as w:
        open_modem(w)
        tab(w, "USSD")
        w.page.get_by_label("Code").fill("*100#")
        press(w, "Ask")
        w.page.get_by_text("Saldo: 120,50 kr").wait_for(timeout=30_000)
        w.check("ussd")


def test_taking_a_modem_out_of_use_holds_messages_until_it_is_back(desk: Desk) -> None:
    who = desk.person("olle", "operator")
    with desk.window(who) as w:
        open_modem(w)
        w.page.get_by_text("Take it out of use (park)").click()
        press(w, "Yes, take it out of use")
        w.page.locator(".state", has_text="Parked").wait_for(timeout=30_000)
        sent = desk.box.ats.accepted(desk.box.someone(), "Hej!")
        w.page.reload()
        press(w, "Put it back into use")
        desk.box.ats.until_state(sent["id"], "delivered")
        w.page.reload()
        until(lambda: not desk.box.modem()["parked"])
        tab(w, "Log")
        assert w.page.get_by_text("Taken out of use").count() >= 1
        assert w.page.get_by_text("Put back into use").count() >= 1
        w.check("log")


def test_an_administrator_looks_and_touches_nothing(desk: Desk) -> None:
    with desk.window(desk.person("ada", "admin")) as w:
        open_modem(w)
        assert w.page.get_by_text("Take it out of use").count() == 0
        assert w.page.get_by_role("link", name="Console").count() == 0
        w.page.goto(w.page.url + "/console")
        w.expected("403")
