"""Plain words for the composer: why a channel is closed and what to do about it, what is wrong with a text, what became of it."""

from typing import Final

from gateway.errors import Refused
from gateway.flows.writing import Sent
from web.pages import refusals, words
from web.pages.language import N_, _

CHANNELS: Final = {"sms": N_("SMS"), "whatsapp": N_("WhatsApp"), "email": N_("E-mail")}
KINDS: Final = {
    "contact": N_("General"),
    "interview_invite": N_("About an interview"),
    "interview_reminder": N_("Reminder of an interview"),
    "offer_notice": N_("About an offer"),
    "talent_pool": N_("Talent pool"),
    "job_alert": N_("Job alert"),
    "rejection": N_("Rejection"),
}
_ATS: Final = N_("Correct it in your applicant tracking system; it arrives here by itself.")
_ADMIN: Final = N_("Ask an administrator of your organisation.")
CLOSED: Final = {
    "permission_denied": (
        N_("You may read here, but not send."),
        N_("An administrator can give you the right “Recruitment - SMS”."),
    ),
    "communications_tab_required": (N_("You lack the right to candidates' communication."), _ADMIN),
    "not_on_hiring_team": (
        N_("You are not on the hiring team of this case."),
        N_("Ask somebody on the team to add you in the applicant tracking system."),
    ),
    "seat_required": (
        N_("You have no messaging seat, so you can read but not send."),
        N_("An administrator can give you one under Users & seats."),
    ),
    "user_inactive": (N_("Your account is switched off."), _ADMIN),
    "number_missing": (N_("The candidate has no phone number."), N_("Add it in your applicant tracking system.")),
    "not_mobile": (N_("The candidate's number is not a mobile number."), _ATS),
    "invalid_number": (N_("The candidate's number cannot be read."), _ATS),
    "country_disabled": (
        N_("Messages to the candidate's country are not switched on."),
        N_("Whoever looks after compliance can prepare the country; the operator then switches it on."),
    ),
    "no_sender_for_country": (
        N_("No SIM card of this box may write to the candidate's country."),
        N_("An administrator can allow it for a SIM card."),
    ),
    "kind_not_allowed_on_channel": (N_("This kind of message does not go by this channel here."), N_("Choose another kind.")),
    "opted_out": (
        N_("The candidate has opted out."),
        N_("Only they can undo it, by sending START from their phone. Until then, call or write an e-mail."),
    ),
    "consent_required": (
        N_("The candidate has not agreed to get messages."),
        N_("Ask for their consent: they get a link by e-mail and decide for themselves. You can still read what they send."),
    ),
    "unknown_sender": (
        N_("Nobody is known to have this number."),
        N_("Connect the conversation to a candidate and a case first; then you can answer."),
    ),
    "channel_disabled": (N_("This channel is switched off here."), _ADMIN),
    "whatsapp_window_closed": (
        N_("The candidate has not written within the last 24 hours."),
        N_("Use an approved template, or another channel."),
    ),
    "not_set_up": (
        N_("The box is still being set up."),
        N_("Sending starts when an administrator has finished the checklist."),
    ),
    "candidate_erasing": (
        N_("The candidate is being erased."),
        N_("Nothing new can be sent; if they come back, they are a new candidate."),
    ),
    "context_missing": (
        N_("A message belongs to a case."),
        N_("Open the candidate from a case, or choose one, and write from there."),
    ),
}
"""Code of the gate that objects → why, and what to do."""
TROUBLE: Final = {
    "text_empty": N_("Write a message, or choose a template."),
    "too_long": N_("Too long: this would be %(segments)s parts; at most %(max)s can be sent. Shorten the text."),
    "looks_like_rejection": N_("“%(phrase)s” reads like a rejection, and rejections never go by text message."),
    "merge_value_missing": N_("Fill in all fields of the template."),
    "template_not_found": N_("This template is gone. Choose another one."),
    "link_not_allowed": N_("Texts to %(country)s may hold no web addresses. Ask for an answer by digits instead."),
}
"""Code → what is wrong with what was typed, filled with the refusal's facts."""


def trouble(refused: Refused) -> str:
    """What a refusal says to the writer."""
    if refused.code in CLOSED and refused.code not in TROUBLE:
        why, what = CLOSED[refused.code]
        return f"{_(why)} {_(what)}"
    if refused.code == "too_long" and "segments" not in refused.facts:
        return _("Far too long for a text message. Shorten the text.")
    return refusals.told(refused, TROUBLE)


def became(sent: Sent) -> tuple[str, str]:
    """What to say after sending, and its tone."""
    if sent.hold_reason is None:
        return _("The message is on its way."), "success"
    waits = _("The message is saved and waits %(reason)s.", reason=_(words.HOLDS.get(sent.hold_reason, sent.hold_reason)))
    leaves = None if sent.not_before is None else words.plain_time(sent.not_before)
    return waits if leaves is None else f"{waits} {_('It leaves at %(time)s.', time=leaves)}", "success"
