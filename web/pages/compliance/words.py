"""Plain words of compliance: states, steps, policies, texts, keywords, tasks."""

from collections.abc import Mapping
from typing import Final

from web.pages.language import N_, _, language_name
from web.pages.territories import country_name
from web.pages.words import Word

STATES: Final = {
    "off": Word(N_("Off"), "quiet", N_("Messages to this country are refused.")),
    "requested": Word(N_("Requested"), "wait", N_("The paper work has begun.")),
    "documents": Word(N_("Papers"), "wait", N_("The operator of the numbers has the papers.")),
    "testing": Word(N_("Testing"), "busy", N_("A test message has to reach a phone in the country.")),
    "active": Word(N_("Active"), "good", N_("Messages to this country are sent.")),
    "suspended": Word(N_("Suspended"), "bad", N_("Messages to this country are refused until it is active again.")),
}
STEPS: Final = ("off", "requested", "documents", "testing", "active")
MOVES: Final = {
    "requested": N_("Request this country"),
    "documents": N_("The papers are with the operator"),
    "testing": N_("Begin testing"),
    "active": N_("Make it active"),
    "suspended": N_("Suspend it"),
    "off": N_("Switch it off"),
}
CHECKLIST: Final = {
    "law_read": N_("The rules shown here were read and, where in doubt, taken to counsel."),
    "sim_terms": N_("The contract of the SIM card allows this use; a copy is filed with its expiry."),
    "opt_in_texts": N_("Opt-in and identification texts exist in every language of the country."),
    "budgets": N_("The budgets of the SIM card fit its contract."),
    "operator_consent": N_("The operator has agreed in writing, or a registered upstream provider sends."),
}
OPT_IN: Final = {"double": N_("Double: reply START first"), "single": N_("Single: introduce, then write")}
POLICIES: Final = {
    "links": (N_("Web addresses in texts"), {"allowed": N_("allowed"), "forbidden": N_("forbidden")}),
    "international": (
        N_("Numbers of other countries"),
        {"allow": N_("may write there"), "deny": N_("may not write there: only a local number")},
    ),
    "no_sender": (
        N_("Without a number that may write there"),
        {"refuse": N_("messages are refused"), "hold": N_("messages wait for one")},
    ),
    "sticky_down": (
        N_("When a conversation's modem is away"),
        {"hold": N_("messages wait for it"), "switch": N_("another number takes over")},
    ),
}
TEXTS: Final = {
    "identification": (N_("Introduction"), N_("Goes before the first message where the opt-in is single: who writes, and why.")),
    "consent_optin": (N_("START invitation"), N_("Asks the candidate to reply START, where the opt-in is double.")),
    "consent_reminder": (N_("Reminder of the invitation"), N_("Goes once where nobody answered the invitation.")),
    "stop_confirmation": (N_("Answer to STOP"), N_("Confirms that nothing more will come.")),
    "help": (N_("Answer to HELP"), N_("Says who writes and how to reach them.")),
    "start_confirm": (N_("Answer to START"), N_("Confirms that messages will come.")),
    "how_to_apply": (N_("Answer to strangers"), N_("Tells who is unknown here how to apply.")),
}
KEYWORDS: Final = {
    "stop": N_("Stops all messages"),
    "start": N_("Allows messages again"),
    "help": N_("Asks who writes"),
    "stop_phrase": N_("A phrase that may be a STOP: a person looks"),
    "ambiguous_stop": N_("Stops, unless an interview waits for an answer"),
    "pending_start": N_("Allows, while an invitation is open"),
    "confirm": N_("Confirms an interview"),
    "decline": N_("Declines an interview"),
}
TASKS: Final = {
    "possible_opt_out": N_("This may have been a STOP"),
    "stop_phrase": N_("This may have been a STOP"),
}
GAPS: Final = {
    "identity": N_("The organisation has no name or no country of its own, and texts must say who writes."),
    "sender": N_("There is no number to send from: bind the number of a SIM card."),
    "country": N_("No country is active yet."),
    "opt_in": N_("%(country)s has no opt-in mode."),
    "text": N_("%(country)s needs the text “%(kind)s” in %(language)s."),
}
PERIODS: Final = {
    "bodies_days": (N_("Texts and numbers"), N_("days after the case was closed")),
    "metadata_months": (N_("Messages without text and number"), N_("months")),
    "consent_months": (N_("Consents"), N_("months after they ended")),
    "raw_days": (N_("Raw messages as the network sent them"), N_("days")),
    "api_days": (N_("What was told to other programs"), N_("days")),
    "tokens_days": (N_("Links and sessions"), N_("days after they ran out")),
    "audit_months": (N_("Audit"), N_("months")),
    "backups_days": (N_("Backups"), N_("days")),
}
DAYS: Final = {
    "weekdays": N_("Monday to Friday"),
    "monday": N_("Monday"),
    "tuesday": N_("Tuesday"),
    "wednesday": N_("Wednesday"),
    "thursday": N_("Thursday"),
    "friday": N_("Friday"),
    "saturday": N_("Saturday"),
    "sunday": N_("Sunday"),
    "holidays": N_("Holidays"),
}
BUDGETS: Final = {
    "minute": N_("Messages a minute"),
    "hour": N_("Messages an hour"),
    "day": N_("Messages a day"),
    "month": N_("Messages a month"),
    "recipients": N_("Different people a month"),
}
REFUSALS: Final = {
    "invalid_number": N_("Write a mobile number of this country in international form, such as +46701740605."),
    "no_sender_for_country": N_("No number of this box may write there: bind one for this country, or an international one."),
    "country_not_found": N_("No country has this code. It has two letters, such as SE for Sweden."),
    "too_long": N_("A text has 1 to 4 parts."),
    "candidate_not_found": N_("Nobody has this reference."),
}


def gap_told(gap: Mapping[str, str]) -> str:
    """What the set-up still lacks, in words."""
    facts = dict(gap)
    if "country" in gap:
        facts["country"] = country_name(gap["country"])
    if "kind" in gap:
        facts["kind"] = _(TEXTS[gap["kind"]][0])
        facts["language"] = language_name(gap["language"])
    return _(GAPS[gap["what"]], **facts)
