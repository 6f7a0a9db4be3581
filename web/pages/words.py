"""Plain words for what the store calls by codes, and the times of a viewer's own zone.

Words are English here, marked by `N_`, and pass through gettext in the templates. A code nobody wrote a word for is shown as
it is, with blanks for underscores: a new state must never break a page.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from flask import Flask, g
from markupsafe import Markup

from gateway.clock import rfc3339
from gateway.flows.sign_in import Viewer
from web import sessions
from web.pages.language import N_, _, ngettext
from web.pages.territories import country_name


@dataclass(frozen=True, slots=True)
class Word:
    """A word, the tone it is shown in (`good`, `busy`, `wait`, `bad`, `odd`, `quiet`), and a sentence where one helps."""

    word: str
    tone: str
    sentence: str = ""


STATES: Final = {
    "held": Word(N_("Waiting"), "wait"),
    "queued": Word(N_("In the queue"), "wait"),
    "sending": Word(N_("Being sent"), "busy"),
    "sent": Word(N_("Sent"), "busy", N_("The network has taken it; the phone has not confirmed it yet.")),
    "delivered": Word(N_("Delivered"), "good", N_("The candidate's phone has confirmed it.")),
    "undelivered": Word(N_("Not delivered"), "bad", N_("The network took it, but could not deliver it to the phone.")),
    "failed": Word(N_("Failed"), "bad", N_("It could not be sent.")),
    "expired": Word(N_("Too late"), "bad", N_("It could not be sent while it was still valid.")),
    "cancelled": Word(N_("Cancelled"), "quiet", N_("It was stopped before it was sent.")),
    "unknown": Word(N_("Unclear"), "odd", N_("Nobody can tell whether it was sent; it will not be sent again by itself.")),
}
HOLDS: Final = {
    "pending_opt_in": N_("until the candidate replies START"),
    "waits_for": N_("for the message before it"),
    "quiet_hours": N_("until quiet hours end"),
    "scheduled": N_("for its time"),
    "sim_budget": N_("for the SIM card's allowance"),
    "no_modem": N_("for a modem"),
    "clock_untrusted": N_("until the clock is right"),
    "thread_paused": N_("until a colleague has looked at the candidate's own words"),
}
PARTS: Final = {
    "ready": Word(N_("Not sent yet"), "wait"),
    "submitting": Word(N_("Being sent"), "busy"),
    "sent": Word(N_("Sent"), "busy"),
    "delivered": Word(N_("Delivered"), "good"),
    "undelivered": Word(N_("Not delivered"), "bad"),
    "failed": Word(N_("Failed"), "bad"),
    "unknown": Word(N_("Unclear"), "odd"),
}
MODEMS: Final = {
    "starting": Word(N_("Starting"), "busy", N_("It is being set up.")),
    "ready": Word(N_("Ready"), "good", N_("It can send and receive.")),
    "resolving": Word(
        N_("Listening"), "wait", N_("It looks for traces of a message that was on its way, before it sends anything.")
    ),
    "parked": Word(N_("Parked"), "quiet", N_("Somebody took it out of use.")),
    "sim": Word(N_("SIM card trouble"), "bad", N_("Take the SIM card out, clean it and put it back.")),
    "silent": Word(N_("Does not answer"), "bad", N_("It is tried again. If this lasts, unplug the modem and plug it in again.")),
    "absent": Word(N_("Not plugged in"), "bad", N_("Plug the modem in; it is picked up by itself.")),
}
SIMS: Final = {
    "pin_required": Word(
        N_("SIM is locked"), "bad", N_("Enter its PIN on the modem's page, or name a file with it in the configuration.")
    ),
    "pin_withheld": Word(
        N_("SIM is locked"),
        "bad",
        N_("The PIN is not tried, so that the card is not blocked. Enter the right one on the modem's page."),
    ),
    "pin_refused": Word(
        N_("Wrong PIN"),
        "bad",
        N_(
            "That PIN was wrong. It is not tried again, so that the card is not blocked. Enter the right one on the modem's page."
        ),
    ),
    "puk": Word(N_("SIM is blocked"), "bad", N_("Put the SIM card into a phone and enter its PUK.")),
    "absent": Word(N_("No SIM card"), "bad", N_("Put a SIM card into the modem.")),
    "failed": Word(N_("SIM does not answer"), "bad", N_("Take the SIM card out, clean it and put it back.")),
    "wrong": Word(N_("Wrong SIM card"), "bad", N_("Put in the SIM card that belongs here, or change the configuration.")),
    "locked": Word(N_("Locked to a network"), "bad", N_("This modem accepts only its own operator's SIM cards.")),
    "busy": Word(N_("SIM is busy"), "wait", N_("It is tried again.")),
}
"""What a modem in state `sim` suffers from: the first word of its reason."""
REGISTRATIONS: Final = {
    "off": N_("Not registered"),
    "home": N_("Registered"),
    "searching": N_("Looking for a network"),
    "denied": N_("Refused by the network"),
    "unknown": N_("Not known"),
    "roaming": N_("Registered, roaming abroad"),
}
MOMENTS: Final = {
    "accepted": N_("Accepted"),
    "part_submitted": N_("Handed to the modem"),
    "part_sent": N_("Taken by the network"),
    "part_delivered": N_("Confirmed by the phone"),
    "part_undelivered": N_("Could not be delivered"),
    "part_reported": N_("Reported on by the network"),
    "settled": N_("Credits settled"),
    "failed": N_("Failed"),
    "expired": N_("No longer valid"),
    "cancelled": N_("Cancelled"),
    "unknown": N_("Became unclear"),
}
LEDGER: Final = {"grant": N_("Topped up"), "reserve": N_("Reserved"), "refund": N_("Given back"), "settle": N_("Charged")}
ACTORS: Final = {
    "cli": N_("Command line"),
    "gateway": N_("The box itself"),
    "network": N_("The network"),
    "candidate": N_("The candidate"),
    "user": N_("Somebody"),
    "key": N_("An API key"),
}
KINDS: Final = {
    "contact": N_("Contact"),
    "interview_invite": N_("Interview invitation"),
    "interview_reminder": N_("Interview reminder"),
    "consent_optin": N_("START invitation"),
    "identification": N_("Introduction"),
    "offer_notice": N_("Offer"),
    "job_alert": N_("Job alert"),
}
GROUPS: Final = {
    "waiting": N_("Waiting"),
    "on_the_way": N_("On the way"),
    "delivered": N_("Delivered"),
    "problems": N_("Problems"),
    "cancelled": N_("Cancelled"),
}
ALPHABETS: Final = {
    "gsm7": N_("Standard alphabet"),
    "ucs2": N_("Unicode (shorter parts)"),
}
_SIGNALS: Final = (N_("No signal"), N_("Very weak"), N_("Weak"), N_("Good"), N_("Very good"))
_CANCELLED: Final = {
    "cancelled": (N_("The message was cancelled. It will not be sent."), "success"),
    "partly_sent": (N_("Part of the message had already left. The rest will not be sent."), "warning"),
    "too_late": (N_("Too late: the message had already been sent."), "warning"),
    "already": (N_("There was nothing to cancel: the message had already come to its end."), "warning"),
}
RESOLVED: Final = {
    "send_again": N_("The message is in the queue again."),
    "treat_as_sent": N_("The message now counts as sent."),
}


def cancelled(outcome: str, credits_refunded: int) -> tuple[str, str]:
    """What became of a cancellation, and its tone."""
    text, tone = _CANCELLED[outcome]
    if credits_refunded == 0:
        return _(text), tone
    back = ngettext("One credit was given back.", "%(count)s credits were given back.", credits_refunded)
    return f"{_(text)} {back}", tone


def modem_word(state: str, reason: str, parked: bool) -> Word:
    """How a modem is, the reason behind SIM trouble included."""
    if parked:
        return MODEMS["parked"]
    trouble = SIMS.get(reason.partition(":")[0]) if state == "sim" else None
    return trouble or _word(MODEMS, state)


def modem_detail(reason: str) -> str:
    """What the gateway adds to a modem's word: its reason without the code that the word already says."""
    code, _colon, detail = reason.partition(": ")
    return detail if code in SIMS else reason


def signal_bars(dbm: int | None) -> int:
    """0 to 4 bars as a phone draws them."""
    if dbm is None:
        return 0
    return sum(dbm >= least for least in (-110, -100, -85, -70))


def signal_word(dbm: int | None) -> str:
    """The bars in a word."""
    return _SIGNALS[signal_bars(dbm)]


def zone_words(name: str) -> Markup:
    """A zone as it is read: `America/New York`, which may break behind its slash."""
    return Markup("/<wbr>").join(name.replace("_", " ").split("/"))


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """The zone of this name; UTC where the name is wrong, so that a page with a wrong zone still opens."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _zone() -> tzinfo:
    who: Viewer | None = g.get("viewer")
    return UTC if who is None else zone_of(who.zone)


def local(at: int) -> datetime:
    """A moment in the reader's zone."""
    return datetime.fromtimestamp(at / 1000, _zone())


def _short(moment: datetime, seconds: bool, today: date) -> Markup:
    """`14:05` today, else `2026-11-21 14:05`, which may break only at the blank."""
    clock = moment.strftime("%H:%M:%S" if seconds else "%H:%M")
    if moment.date() == today:
        return Markup("{}").format(clock)
    return Markup("<span>{}</span> <span>{}</span>").format(moment.date(), clock)


def _today() -> date:
    return local(sessions.services().clock.now_ms()).date()


def when(at: int | None, *, seconds: bool = False) -> Markup:
    """A time as people here read it, with the exact one (and its offset) on hovering."""
    return Markup("–") if at is None else _when(at, _zone(), seconds, _today())


@lru_cache(maxsize=4096)
def _when(at: int, zone: tzinfo, seconds: bool, today: date) -> Markup:
    """Kept, because a list is full of them and asked for again and again."""
    moment = datetime.fromtimestamp(at / 1000, zone)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        rfc3339(at), moment.strftime("%Y-%m-%d %H:%M:%S %z"), _short(moment, seconds, today)
    )


def plain_time(at: int) -> str:
    """A time in the reader's zone as a part of a sentence."""
    return str(_short(local(at), False, _today()).striptags())


def number(value: int) -> str:
    """A number with thin gaps between thousands, and a real minus."""
    return f"{value:,}".replace(",", "\u202f").replace("-", "\u2212")


def _word(table: dict[str, Word], code: str) -> Word:
    return table.get(code) or Word(_plain(code), "quiet")


def _plain(code: str) -> str:
    return code.replace("_", " ").capitalize()


def install(app: Flask) -> None:
    """Give the templates these words."""
    env = app.jinja_env
    env.filters["when"] = when
    env.filters["number"] = number
    env.filters["zone"] = zone_words
    env.globals.update(
        country_name=country_name,
        state_word=lambda code: _word(STATES, code),
        part_word=lambda code: _word(PARTS, code),
        modem_detail=modem_detail,
        modem_word=modem_word,
        hold_words=lambda code: HOLDS.get(code, _plain(code).lower()),
        registration_word=lambda code: REGISTRATIONS.get(code, _plain(code)),
        moment_word=lambda code: MOMENTS.get(code, _plain(code)),
        ledger_word=lambda code: LEDGER.get(code, _plain(code)),
        actor_word=lambda who: ACTORS.get(who.partition(":")[0], who),
        kind_word=lambda code: KINDS.get(code, _plain(code)),
        group_word=lambda code: GROUPS.get(code) or _word(STATES, code).word,
        alphabet_word=lambda code: ALPHABETS.get(code, _plain(code)),
        signal_bars=signal_bars,
        signal_word=signal_word,
    )
