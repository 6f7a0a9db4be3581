"""Pages that no address opens: the answers to a form, the second step of a login, a box that nobody has set up yet.

A scene is played in the office of tests/browser/test_every_page.py and leaves what its other pages show as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.flows import setting_up, sign_in
from gateway.rules import totp
from gateway.store.database import Database
from tests.browser.conftest import Office, Window
from tests.browser.furnished.cases import WELDER, token
from tests.browser.furnished.inbox import KIM, thread_id
from tests.support import ManualClock
from tests.web.pages_fixtures import PASSWORD, add_gateway, add_modem, email, message_id

Act = Callable[[Window, Office], None]


@dataclass(frozen=True)
class Scene:
    """Which template an act leads to, with which status, and who acts."""

    template: str
    role: str | None
    status: int
    act: Act


SCENES: dict[str, Scene] = {}
"""Every scene by its name, in the order of this file."""


def scene(template: str, role: str | None, status: int = 200) -> Callable[[Act], Act]:
    """Make a scene of an act; its name is the act's."""

    def keep(act: Act) -> Act:
        SCENES[act.__name__.replace("_", "-")] = Scene(template, role, status, act)
        return act

    return keep


def press(w: Window, name: str) -> None:
    """Press the button of this name."""
    w.page.get_by_role("button", name=name, exact=True).first.click()


def _tamper(w: Window, selector: str, value: str) -> None:
    w.page.eval_on_selector_all(selector, "(found, value) => found.forEach((each) => { each.value = value; })", value)


def _upload(w: Window, *lines: str) -> None:
    text = "\n".join(("email;name;seat", *lines, ""))
    w.open("/admin/users/upload")
    w.page.get_by_label("CSV file").set_input_files({"name": "people.csv", "mimeType": "text/csv", "buffer": text.encode()})
    press(w, "Show what would change")


def _type_password(w: Window, address: str) -> None:
    w.open("/admin/login")
    w.page.get_by_label("E-mail").fill(address)
    w.page.get_by_label("Password").fill(PASSWORD)
    press(w, "Sign in")


# --- signing in ------------------------------------------------------------------------------------------------------


@scene("login/code.html", None)
def the_code_after_the_password(w: Window, office: Office) -> None:
    _type_password(w, email("compliance"))


@scene("login/show.html", None, 429)
def a_login_locked_for_a_while(w: Window, office: Office) -> None:
    now = office.clock.now_ms()
    with office.store.write() as tx:
        for _ in range(sign_in.TRIES_PER_EMAIL):
            sign_in.turn_away(tx, sign_in.look_up(tx, "locked@acme.example", "192.0.2.7", now), "password", "192.0.2.7", now)
    _type_password(w, "locked@acme.example")


@scene("account/codes.html", "nobody")
def recovery_codes(w: Window, office: Office) -> None:
    w.open("/admin/account/second-step")
    w.page.get_by_text("Type it instead").click()
    secret = totp.from_base32("".join(w.page.locator(".secret").inner_text().split()))
    w.page.get_by_label("Code from the app").fill(totp.code_at(secret, office.clock.now_ms() // totp.STEP_MS))
    press(w, "Switch it on")


# --- what a form answers ---------------------------------------------------------------------------------------------


@scene("layout/stale.html", "admin", 409)
def somebody_was_faster(w: Window, office: Office) -> None:
    w.open("/admin/users/usr_viewer")
    _tamper(w, "[name=shown]", "as it was before")
    w.page.get_by_label("Name").fill("Vera Viewer-Lindqvist")
    press(w, "Save")


@scene("users/compared.html", "admin")
def people_compared_with_a_file(w: Window, office: Office) -> None:
    _upload(w, f"{email('recruiter')};Rita Recruiter;yes", f"{email('viewer')};;no", "nora@acme.example;Nora Ny;no")


@scene("users/compared.html", "admin")
def a_file_that_changes_nothing(w: Window, office: Office) -> None:
    _upload(w, f"{email('viewer')};Viewer Person;no")


@scene("users/upload.html", "admin", 422)
def a_file_with_mistakes(w: Window, office: Office) -> None:
    _upload(w, f"{email('viewer')};Vera;perhaps", "nobody;Nils;no")


@scene("users/link.html", "admin")
def a_link_to_a_new_password(w: Window, office: Office) -> None:
    w.open("/admin/users/usr_u_18")
    press(w, "Make a password link")


@scene("composer/show.html", "recruiter", 422)
def a_text_that_is_too_long(w: Window, office: Office) -> None:
    w.open(f"/admin/inbox/{thread_id(KIM)}")
    w.page.get_by_label("Message", exact=True).fill("This is far too long. " * 40)
    press(w, "Send")


@scene("candidates/privacy.html", "admin", 422)
def an_erasure_of_the_wrong_reference(w: Window, office: Office) -> None:
    w.open(f"/admin/candidates/cs-lea/privacy?case={WELDER}")
    w.page.get_by_text("Erase this candidate").click()
    w.page.get_by_label("The candidate's reference").fill("cs-lin")
    press(w, "Yes, erase everything")


@scene("users/new.html", "admin", 422)
def nobody_to_add(w: Window, office: Office) -> None:
    w.open("/admin/users/new")
    press(w, "Add")


@scene("templates/edit.html", "admin", 422)
def a_template_without_a_text(w: Window, office: Office) -> None:
    w.open("/admin/templates/new")
    press(w, "Save")


@scene("webhooks/edit.html", "admin", 422)
def a_webhook_to_nowhere(w: Window, office: Office) -> None:
    w.open("/admin/webhooks/new")
    press(w, "Add it")


@scene("settings/new_key.html", "admin", 422)
def a_key_without_a_name(w: Window, office: Office) -> None:
    w.open("/admin/settings/keys/new")
    press(w, "Make it")


@scene("settings/keys.html", "admin")
def a_key_shown_once(w: Window, office: Office) -> None:
    w.open("/admin/settings/keys/new")
    w.page.get_by_label("Name").fill("Our ATS")
    press(w, "Make it")


@scene("layout/error.html", "recruiter", 400)
def a_form_that_is_too_old(w: Window, office: Office) -> None:
    w.open(f"/admin/messages/{message_id(2)}")
    _tamper(w, "[name=csrf_token]", "of another session")
    w.page.get_by_text("Cancel this message").click()
    press(w, "Yes, cancel it")


@scene("audit/verify.html", "admin")
def a_chain_walked(w: Window, office: Office) -> None:
    w.open("/admin/audit")
    w.page.locator("form[action$='/verify'] button").click()
    w.page.get_by_role("status").wait_for()


# --- candidates' own pages -------------------------------------------------------------------------------------------


@scene("candidate/consent.html", None, 422)
def their_yes_to_nothing(w: Window, office: Office) -> None:
    w.open(f"/c/{token('B')}")
    w.page.locator("[value=grant]").click()


# --- a box that nobody has set up yet --------------------------------------------------------------------------------

SETUP_STEPS = ("organisation", "zone", "modem", "pin", "sender", "country", "test", "credits", "key", "backup", "finish")
"""The steps once somebody is signed in; each is a template of web/templates/setup."""


def first_code(store: Database, clock: ManualClock) -> str:
    """The code that a fresh box prints."""
    with store.write() as tx:
        return setting_up.new_code(tx, "cli:root", clock.now_ms())


def make_first_account(w: Window) -> None:
    """Fill the wizard's form for it."""
    for label, typed in (("Your name", "Eva Lind"), ("E-mail", "eva@acme.example"), ("Password again", PASSWORD)):
        w.page.get_by_label(label).fill(typed)
    w.page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(w, "Make the account")


def plug_in(store: Database, clock: ManualClock) -> None:
    """Two sticks, one of them locked, and a Swedish organisation that tests its country: every step has something to show."""
    now = clock.now_ms()
    with store.write() as tx:
        add_gateway(tx, now)
        tx.flush()
        tx.execute("UPDATE gateway SET pin_key = ?", "00" * 32)
        add_modem(tx, "stick-1", "ready", now, operator="Telia", technology="LTE", signal_dbm=-67, iccid="8946071111")
        add_modem(tx, "stick-2", "sim", now, reason="pin_required", locked_iccid="8946072222", pin_tries=3)
        tx.execute("UPDATE organisation SET name = 'Nordrek AB', region = 'SE', zone = 'Europe/Stockholm'")
        tx.execute("DELETE FROM country WHERE iso = 'SE' AND channel = 'sms'")
        tx.insert("country", iso="SE", channel="sms", state="testing", requested_at=now, updated_at=now)
