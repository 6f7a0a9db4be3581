"""Plain words of templates: kinds, channels, types of fields, and what the linter finds."""

from typing import Final

from web.pages.language import N_

KINDS: Final = {
    "contact": N_("Contact"),
    "interview_invite": N_("Interview invitation"),
    "interview_reminder": N_("Interview reminder"),
    "offer_notice": N_("Offer"),
    "job_alert": N_("Job alert"),
    "consent_reminder": N_("Reminder of consent"),
    "talent_pool": N_("Talent pool"),
    "rejection": N_("Rejection (e-mail only)"),
}
CHANNELS: Final = {"sms": N_("SMS"), "whatsapp": N_("WhatsApp"), "email": N_("E-mail")}
TYPES: Final = {
    "text": N_("Text"),
    "number": N_("Number"),
    "date": N_("Date"),
    "time": N_("Time"),
    "url": N_("Web address"),
}
FIELDS: Final = {
    "candidate.first_name": N_("The candidate's first name"),
    "candidate.last_name": N_("The candidate's last name"),
    "user.name": N_("Who writes"),
    "company": N_("Your organisation"),
    "case.title": N_("The title of the job"),
    "case.ref": N_("The reference of the case"),
    "purpose": N_("What it is about"),
    "interview_link": N_("The link to answer an invitation"),
    "interview.date": N_("The day of the interview"),
    "interview.time": N_("The time of the interview"),
    "interview.starts_at": N_("Day and time of the interview"),
    "interview.location": N_("Where the interview is"),
    "interview.slots": N_("The times to choose from"),
}
FINDINGS: Final = {
    "may_be_too_long": (
        "bad",
        N_("Could be refused"),
        N_("With the longest values it needs more parts than this template may have, and the message would be refused."),
    ),
    "forces_ucs2": (
        "wait",
        N_("Doubles the cost"),
        N_("A character outside the standard alphabet of SMS: each part then holds 70 characters instead of 160."),
    ),
    "counts_twice": ("quiet", N_("Counts twice"), N_("Such a character takes the place of two.")),
    "value_forces_ucs2": (
        "wait",
        N_("A value may double the cost"),
        N_("A value that may be filled in holds a character outside the standard alphabet; that message may cost twice."),
    ),
    "identity_missing": (
        "wait",
        N_("Who writes?"),
        N_("Nothing says who writes, and the candidate sees only a number. Add {{company}}."),
    ),
    "opt_out_missing": (
        "wait",
        N_("How to stop?"),
        N_("Nothing says how to stop these messages, such as: Reply STOP to opt out."),
    ),
}
"""code → tone, heading, sentence."""
REFUSALS: Final = {
    "invalid_name": N_("Give it a name of 1 to 100 characters."),
    "kind_not_allowed_on_channel": N_("Messages of this kind never go by this channel. Choose e-mail, or another kind."),
    "looks_like_rejection": N_(
        "“%(phrase)s” reads like a rejection, which never goes by SMS or WhatsApp. If it is none, tick the box and save again."
    ),
    "missing_merge_field": N_("A template of this kind needs the field {{%(merge_field)s}}: put it in, then save again."),
    "too_long": N_("It needs %(segments)s parts before any field is filled in; this template may have %(max)s."),
    "out_of_range": N_("Choose a number from 1 to 10."),
}
