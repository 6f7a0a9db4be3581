"""Plain words for what the store calls by codes, and the times of a viewer's own zone.

Words are English here and pass through gettext in the templates. A code nobody wrote a word for is shown as it is, with blanks
for underscores: a new state must never break a page.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from flask import Flask, g
from markupsafe import Markup

from gateway.clock import rfc3339
from gateway.flows.sign_in import Viewer
from web import sessions


@dataclass(frozen=True, slots=True)
class Word:
    """A word, the tone it is shown in (`good`, `busy`, `wait`, `bad`, `odd`, `quiet`), and a sentence where one helps."""

    word: str
    tone: str
    sentence: str = ""


STATES: Final = {
    "held": Word("Waiting", "wait"),
    "queued": Word("In the queue", "wait"),
    "sending": Word("Being sent", "busy"),
    "sent": Word("Sent", "busy", "The network has taken it; the phone has not confirmed it yet."),
    "delivered": Word("Delivered", "good", "The candidate's phone has confirmed it."),
    "undelivered": Word("Not delivered", "bad", "The network took it, but could not deliver it to the phone."),
    "failed": Word("Failed", "bad", "It could not be sent."),
    "expired": Word("Too late", "bad", "It could not be sent while it was still valid."),
    "cancelled": Word("Cancelled", "quiet", "It was stopped before it was sent."),
    "unknown": Word("Unclear", "odd", "Nobody can tell whether it was sent; it will not be sent again by itself."),
}
HOLDS: Final = {
    "pending_opt_in": "until the candidate replies START",
    "waits_for": "for the message before it",
    "quiet_hours": "until quiet hours end",
    "scheduled": "for its time",
    "sim_budget": "for the SIM card's allowance",
    "no_modem": "for a modem",
    "clock_untrusted": "until the clock is right",
}
PARTS: Final = {
    "ready": Word("Not sent yet", "wait"),
    "submitting": Word("Being sent", "busy"),
    "sent": Word("Sent", "busy"),
    "delivered": Word("Delivered", "good"),
    "undelivered": Word("Not delivered", "bad"),
    "failed": Word("Failed", "bad"),
    "unknown": Word("Unclear", "odd"),
}
MODEMS: Final = {
    "starting": Word("Starting", "busy", "It is being set up."),
    "ready": Word("Ready", "good", "It can send and receive."),
    "resolving": Word("Listening", "wait", "It looks for traces of a message that was on its way, before it sends anything."),
    "parked": Word("Parked", "quiet", "Somebody took it out of use."),
    "sim": Word("SIM card trouble", "bad", "Take the SIM card out, clean it and put it back."),
    "silent": Word("Does not answer", "bad", "It is tried again. If this lasts, unplug the modem and plug it in again."),
    "absent": Word("Not plugged in", "bad", "Plug the modem in; it is picked up by itself."),
}
SIMS: Final = {
    "pin_required": Word("SIM is locked", "bad", "Put the SIM card's PIN into the configuration."),
    "pin_withheld": Word(
        "SIM is locked", "bad", "The PIN is not tried, so that the card is not blocked. Check it, then start again."
    ),
    "pin_refused": Word(
        "Wrong PIN", "bad", "The PIN in the configuration is wrong. It is not tried again, so that the card is not blocked."
    ),
    "puk": Word("SIM is blocked", "bad", "Put the SIM card into a phone and enter its PUK."),
    "absent": Word("No SIM card", "bad", "Put a SIM card into the modem."),
    "failed": Word("SIM does not answer", "bad", "Take the SIM card out, clean it and put it back."),
    "wrong": Word("Wrong SIM card", "bad", "Put in the SIM card that belongs here, or change the configuration."),
    "locked": Word("Locked to a network", "bad", "This modem accepts only its own operator's SIM cards."),
    "busy": Word("SIM is busy", "wait", "It is tried again."),
}
"""What a modem in state `sim` suffers from: the first word of its reason."""
REGISTRATIONS: Final = {
    "off": "Not registered",
    "home": "Registered",
    "searching": "Looking for a network",
    "denied": "Refused by the network",
    "unknown": "Not known",
    "roaming": "Registered, roaming abroad",
}
MOMENTS: Final = {
    "accepted": "Accepted",
    "part_submitted": "Handed to the modem",
    "part_sent": "Taken by the network",
    "part_delivered": "Confirmed by the phone",
    "part_undelivered": "Could not be delivered",
    "part_reported": "Reported on by the network",
    "settled": "Credits settled",
    "failed": "Failed",
    "expired": "No longer valid",
    "cancelled": "Cancelled",
    "unknown": "Became unclear",
}
LEDGER: Final = {"grant": "Topped up", "reserve": "Reserved", "refund": "Given back", "settle": "Charged"}
ACTORS: Final = {
    "cli": "Command line",
    "gateway": "The box itself",
    "network": "The network",
    "candidate": "The candidate",
    "user": "Somebody",
    "key": "An API key",
}
KINDS: Final = {
    "contact": "Contact",
    "interview_invite": "Interview invitation",
    "interview_reminder": "Interview reminder",
    "consent_optin": "START invitation",
    "identification": "Introduction",
    "offer_notice": "Offer",
    "job_alert": "Job alert",
}
GROUPS: Final = {
    "waiting": "Waiting",
    "on_the_way": "On the way",
    "delivered": "Delivered",
    "problems": "Problems",
    "cancelled": "Cancelled",
}
ALPHABETS: Final = {
    "gsm7": "Standard alphabet",
    "ucs2": "Unicode (shorter parts)",
}
_CANCELLED: Final = {
    "cancelled": ("The message was cancelled. It will not be sent.", "success"),
    "partly_sent": ("Part of the message had already left. The rest will not be sent.", "warning"),
    "too_late": ("Too late: the message had already been sent.", "warning"),
    "already": ("There was nothing to cancel: the message had already come to its end.", "warning"),
}
RESOLVED: Final = {
    "send_again": "The message is in the queue again.",
    "treat_as_sent": "The message now counts as sent.",
}


def cancelled(outcome: str, credits_refunded: int) -> tuple[str, str]:
    """What became of a cancellation, and its tone."""
    text, tone = _CANCELLED[outcome]
    if credits_refunded == 1:
        text += " One credit was given back."
    elif credits_refunded > 1:
        text += f" {credits_refunded} credits were given back."
    return text, tone


def modem_word(state: str, reason: str, parked: bool) -> Word:
    """How a modem is, the reason behind SIM trouble included."""
    if parked:
        return MODEMS["parked"]
    trouble = SIMS.get(reason.partition(":")[0]) if state == "sim" else None
    return trouble or _word(MODEMS, state)


def signal_bars(dbm: int | None) -> int:
    """0 to 4 bars as a phone draws them."""
    if dbm is None:
        return 0
    return sum(dbm >= least for least in (-110, -100, -85, -70))


def signal_word(dbm: int | None) -> str:
    """The bars in a word."""
    return ("No signal", "Very weak", "Weak", "Good", "Very good")[signal_bars(dbm)]


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


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, _zone())


def _short(moment: datetime, seconds: bool) -> Markup:
    """`14:05` today, else `2026-11-21 14:05`, which may break only at the blank."""
    clock = moment.strftime("%H:%M:%S" if seconds else "%H:%M")
    if moment.date() == _moment(sessions.services().clock.now_ms()).date():
        return Markup("{}").format(clock)
    return Markup("<span>{}</span> <span>{}</span>").format(moment.date(), clock)


def when(at: int | None, *, seconds: bool = False) -> Markup:
    """A time as people here read it, with the exact one (and its offset) on hovering."""
    if at is None:
        return Markup("–")
    moment = _moment(at)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        rfc3339(at), moment.strftime("%Y-%m-%d %H:%M:%S %z"), _short(moment, seconds)
    )


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
    env.globals.update(
        state_word=lambda code: _word(STATES, code),
        part_word=lambda code: _word(PARTS, code),
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
