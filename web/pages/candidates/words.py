"""Plain words about candidates: consents, interviews, reminders, and why something is refused."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from wtforms.fields.choices import SelectChoice  # type: ignore[import-untyped]

from web.pages import refusals
from web.pages.language import N_, _, ngettext
from web.pages.words import Word, zone_of

CONSENTS: Final = {
    "none": Word(N_("Not asked"), "quiet", N_("Nobody has asked for it yet.")),
    "requested": Word(N_("Asked"), "busy", N_("The candidate has a link and has not answered yet.")),
    "pending_double_opt_in": Word(N_("Waits for START"), "wait", N_("It counts once the candidate replies START.")),
    "granted": Word(N_("Granted"), "good", N_("The candidate may be written to.")),
    "refused": Word(N_("Refused"), "bad", N_("The candidate said no; nobody may ask again for 30 days.")),
    "revoked": Word(N_("Withdrawn"), "bad", N_("Only START, sent from the candidate's own number, undoes this.")),
    "expired": Word(N_("Expired"), "quiet", N_("A new consent is needed.")),
}
"""Status → word and tone in one table, so that text and colour never disagree (S36)."""
PURPOSES: Final = {
    "recruiting_process": N_("Their application"),
    "talent_pool": N_("Talent pool"),
    "job_alerts": N_("Job alerts"),
}
CHANNELS: Final = {"sms": "SMS", "whatsapp": "WhatsApp", "email": N_("E-mail")}
MODULES: Final = {"smartrecruit": "SmartRecruit", "smartcrm": "SmartCRM"}
SOURCES: Final = {
    "application": N_("in the application"),
    "email_link": N_("on the page behind our link"),
    "inbound_keyword": N_("by SMS"),
    "paper": N_("on paper"),
    "ats_import": N_("imported by the tracking system"),
    "ats": N_("told by the tracking system"),
    "keyword": N_("by SMS"),
    "told_to_colleague": N_("told to a colleague"),
    "restore": N_("after a restore"),
}
CANNOT_ASK: Final = {
    "number_missing": N_("The candidate has no usable mobile number, and consent belongs to a number."),
    "opted_out": N_("The candidate has withdrawn. Only START from their number undoes that."),
    "already_granted": N_("Already granted."),
    "recently_refused": N_("The candidate said no less than 30 days ago."),
}
PHONES: Final = {
    "missing": N_("No number"),
    "invalid": N_("This is no telephone number"),
    "not_mobile": N_("Not a mobile number"),
}
INTERVIEWS: Final = {
    "invited": Word(N_("Invited"), "wait", N_("The candidate has not answered yet.")),
    "confirmed": Word(N_("Confirmed"), "good", N_("The candidate will come.")),
    "declined": Word(N_("Declined"), "bad", N_("The candidate will not come.")),
    "cancelled": Word(N_("Cancelled"), "quiet", N_("It was called off.")),
}
TYPES: Final = {"scheduled": N_("One time"), "self_schedule": N_("Times to choose from")}
ANSWERS: Final = {"confirm": N_("Yes"), "decline": N_("No")}
ANSWERED_BY: Final = {"page": N_("on the page"), "sms": N_("by SMS"), "ats": N_("through the tracking system")}
OUTCOMES: Final = {
    "changed": "",
    "repeated": N_("said again"),
    "late": N_("too late: the interview had begun"),
    "taken": N_("the time was taken by somebody else"),
}
REMINDERS: Final = {
    "waiting": Word(N_("Waits for a time"), "wait", N_("It is planned once the candidate has chosen a time.")),
    "planned": Word(N_("Planned"), "busy"),
    "fired": Word(N_("Sent"), "good"),
    "skipped": Word(N_("Left out"), "bad"),
    "deleted": Word(N_("Deleted"), "quiet"),
}
SKIPPED: Final = {
    "quiet_hours": N_("every time for it lies in quiet hours"),
    "reminder_in_past": N_("its time had passed already"),
    "reminder_too_close": N_("it came too near to another one"),
    "insufficient_credits": N_("there were not enough credits"),
    "opted_out": N_("the candidate wants no more messages"),
    "consent_required": N_("there is no consent any more"),
    "cancelled": N_("the message was cancelled"),
    "number_changed": N_("the number has changed"),
    "expired": N_("the interview had begun"),
}
UNITS: Final = {
    "weeks": N_("weeks before"),
    "days": N_("days before"),
    "hours": N_("hours before"),
    "minutes": N_("minutes before"),
}
REFUSALS: Final = {
    "permission_denied": N_("You lack the right “Recruitment - SMS” here. An administrator can grant it."),
    "invalid_number": N_("The candidate's number is wrong. Correct it in the tracking system."),
    "not_mobile": N_("The candidate's number is no mobile number. Correct it in the tracking system."),
    "opted_out": N_("The candidate wants no more messages. Only START from their number undoes that."),
    "invalid_timezone": N_("This is no time zone. Write one like Europe/Stockholm."),
    "missing_merge_field": N_("The text needs {{interview_link}}, by which the candidate answers."),
    "template_not_found": N_("This template is not there any more."),
    "too_long": N_("The text needs %(segments)s parts; at most %(max)s are allowed."),
    "interview_declined": N_("The candidate has declined; no reminder is needed."),
    "interview_not_found": N_("This interview was cancelled before."),
    "reminder_not_found": N_("This reminder was deleted before."),
    "already_granted": N_("The candidate has already consented to this."),
    "recently_refused": N_("The candidate said no less than 30 days ago."),
    "legal_hold": N_("A legal hold keeps this candidate's data. Lift it first."),
    "requested_in_future": N_("This day lies in the future."),
    "reason_missing": N_("Say why it is urgent."),
}
"""Code of a refusal → what to say here, where that is another thing than on all pages."""
HOLDS: Final = {
    "pending_opt_in": N_("It waits until the candidate replies START."),
    "waits_for": N_("It leaves right after the message before it."),
    "thread_paused": N_("It waits until a colleague has looked at the candidate's last message."),
    "quiet_hours": N_("It waits until quiet hours end."),
    "scheduled": N_("It waits for its time."),
    "sim_budget": N_("It waits for the SIM card's allowance."),
    "no_modem": N_("It waits for a modem."),
    "clock_untrusted": N_("It waits until the box knows the time."),
}


def choices(words: Iterable[tuple[str, str]]) -> list[SelectChoice]:
    """What a field offers: value and word, in the reader's language where there is one."""
    return [SelectChoice(value, _(word)) for value, word in words]


def of(table: dict[str, Word], code: str) -> Word:
    """A word of a table; a code that nobody wrote a word for is shown as it is."""
    return table.get(code) or Word(code.replace("_", " ").capitalize(), "quiet")


def wall(at: int | None, zone: str) -> str:
    """A moment as the clock on the wall shows it in a zone: `Thu 2026-03-05 10:00`."""
    if at is None:
        return ""
    moment = datetime.fromtimestamp(at / 1000, zone_of(zone))
    return f"{_(_WEEKDAYS[moment.weekday()])} {moment:%Y-%m-%d %H:%M}"


_WEEKDAYS: Final = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
_LEAD: Final = re.compile(r"P(?:(?P<weeks>\d+)W|(?P<days>\d+)D|T(?:(?P<hours>\d+)H|(?P<minutes>\d+)M))")


def lead(offset: str) -> tuple[int | None, str]:
    """An ISO 8601 duration as the form asks for it: a number and a unit; (None, "hours") where it is more than that."""
    found = _LEAD.fullmatch(offset)
    if found is None or found.lastgroup is None:
        return None, "hours"
    return int(found[found.lastgroup]), found.lastgroup


def lead_words(offset: str) -> str:
    """`2 days before`."""
    count, unit = lead(offset)
    if count is None:
        return offset
    return _LEADS[unit](count)


_LEADS: Final[dict[str, Callable[[int], str]]] = {
    "weeks": lambda count: ngettext("%(count)s week before", "%(count)s weeks before", count),
    "days": lambda count: ngettext("%(count)s day before", "%(count)s days before", count),
    "hours": lambda count: ngettext("%(count)s hour before", "%(count)s hours before", count),
    "minutes": lambda count: ngettext("%(count)s minute before", "%(count)s minutes before", count),
}


def against(code: str | None) -> str:
    """What speaks against it, by its code alone; "" where there is nothing to say."""
    word = None if code is None else REFUSALS.get(code) or refusals.word_of(code)
    return "" if word is None or "%(" in word else _(word)
