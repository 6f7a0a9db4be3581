"""Roles, rights, terms and refusals in plain words. A right stands under the heading of its category (S3)."""

from collections.abc import Iterable
from typing import Any, Final

from gateway.rules import permissions as p
from gateway.rules.permissions import PERMISSIONS, ROLES, category_of
from web.pages.language import N_

ROLE_WORDS: Final = {
    "recruiter": (N_("Recruiter"), N_("Writes to candidates of the cases they work on.")),
    "recruiting_manager": (N_("Recruiting manager"), N_("Writes in every case of their unit, and reads reports.")),
    "viewer": (N_("Reader"), N_("Reads messages of their cases, writes none.")),
    "admin": (N_("Administrator"), N_("Looks after people, templates, compliance and settings. Does not send messages.")),
    "operator": (N_("Operator"), N_("Runs the box: modems, credits, licence, countries. Reads nobody's messages.")),
    "compliance": (N_("Compliance officer"), N_("Sees everything that was written and agreed to, and erases it on demand.")),
}
"""role → its word and a sentence."""

RIGHT_WORDS: Final = {
    p.SEND_SMS: (N_("Recruitment - SMS"), N_("Send SMS to candidates. It takes a seat as well.")),
    p.COMMUNICATIONS: (N_("Communications tab"), N_("See what was written with a candidate.")),
    p.ALL_CASES: (N_("Every case of the unit"), N_("Without being on the hiring team.")),
    p.ERASE: (N_("Erase candidates"), N_("Erase a candidate's data for good.")),
    p.MESSAGES_VIEW: (N_("See messages"), N_("One's own, and those of one's cases.")),
    p.MESSAGES_VIEW_ALL: (N_("See all messages"), N_("Of the whole organisation.")),
    p.MESSAGES_CANCEL: (N_("Cancel messages"), N_("Stop what has not left yet.")),
    p.MESSAGES_RESOLVE: (N_("Resolve unclear messages"), N_("Say whether one counts as sent.")),
    p.MODEMS_VIEW: (N_("See modems"), N_("Signal, SIM and state.")),
    p.MODEMS_OPERATE: (N_("Operate modems"), N_("Park, reset and test them.")),
    p.CREDITS_VIEW: (N_("Credits"), N_("See the balance and the ledger, redeem vouchers.")),
    p.CREDITS_GRANT: (N_("Top up credits"), N_("Only an operator gives this right.")),
    p.SEATS_LICENSE: (N_("Number of seats"), N_("Set how many the licence has. Only an operator gives this right.")),
    p.USERS_VIEW: (N_("See people"), N_("Names, roles and seats.")),
    p.USERS_EDIT: (N_("Edit people"), N_("Give roles, rights and seats.")),
    p.TEMPLATES_VIEW: (N_("Use templates"), N_("See them and write with them.")),
    p.TEMPLATES_EDIT: (N_("Edit templates"), N_("Write and change them.")),
    p.COMPLIANCE_VIEW: (N_("See compliance"), N_("Countries, rules, wordings.")),
    p.COMPLIANCE_EDIT: (N_("Edit compliance"), N_("Change rules and wordings.")),
    p.QUIET_HOURS_OVERRIDE: (N_("Write in quiet hours"), N_("About an interview, with a reason.")),
    p.COUNTRIES_ACTIVATE: (N_("Switch on countries"), N_("Only an operator gives this right.")),
    p.REPORTS_VIEW: (N_("See reports"), N_("Usage and chargeback.")),
    p.WEBHOOKS_EDIT: (N_("Edit webhooks"), N_("Where events are sent to.")),
    p.AUDIT_VIEW: (N_("See the audit"), N_("Who did what, and when.")),
    p.SETTINGS_EDIT: (N_("Edit settings"), N_("Of the organisation and its units.")),
}
"""right → its label and a sentence."""

CATEGORY_WORDS: Final = {
    "Candidate Management": N_("Candidate Management"),
    "Messages": N_("Messages"),
    "Templates": N_("Templates"),
    "Organisation": N_("Organisation"),
    "User Management": N_("User Management"),
    "Compliance": N_("Compliance"),
    "Reports": N_("Reports"),
    "Modems": N_("Modems"),
    "Webhooks": N_("Webhooks"),
    "Other": N_("Other"),
}
"""In the order in which the page shows them."""

TERM_WORDS: Final = {
    "account_active": (
        N_("The account is switched on"),
        N_("The account is switched off."),
        N_("Switch it on under “Account”."),
    ),
    "permission": (
        N_("Right “Recruitment - SMS”"),
        N_("The right “Recruitment - SMS” is missing here."),
        N_("Give the role Recruiter, or the right alone, at this unit."),
    ),
    "communications_tab": (
        N_("Right “Communications tab”"),
        N_("The right “Communications tab” is missing here."),
        N_("Give a role that has it, or the right alone, at this unit."),
    ),
    "team_or_role_scope": (
        N_("On the hiring team, or a right that reaches the case"),
        N_("Not on the hiring team of this case, and no right reaches it."),
        N_("Put them on the team in your applicant tracking system, or give the right “Every case of the unit”."),
    ),
    "seat": (N_("A messaging seat"), N_("There is no seat."), N_("Give one, or move one from somebody else.")),
}
"""term of S49 → its word, what to say where it is missing, and the cure."""

REFUSED: Final = {
    "unknown_role": N_("There is no such role."),
    "user_not_found": N_("Nobody here has this address."),
    "user_inactive": N_("That person's account is switched off."),
    "seat_required": N_("This person has no seat to give."),
    "unknown_permission": N_("There is no such right."),
    "organisation_not_found": N_("There is no such unit."),
    "unit_not_found": N_("There is no unit with this reference."),
    "unknown_column": N_("The column “%(column)s” is not known. Use those of the download."),
    "duplicate_row": N_("This address stands in another line already."),
}
GIFT: Final = N_("Only an operator gives this, or takes it away.")

COLUMN_WORDS: Final = {
    "name": N_("Name"),
    "email": N_("E-mail"),
    "unit": N_("Unit"),
    "roles": N_("Roles"),
    "seat": N_("Seat"),
    "active": N_("Switched on"),
}


def by_category(wanted: Iterable[str] = PERMISSIONS) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Rights below the headings of their categories: (heading, [(right, label, sentence)])."""
    order = list(RIGHT_WORDS)
    found: dict[str, list[tuple[str, str, str]]] = {heading: [] for heading in CATEGORY_WORDS}
    for right in sorted(wanted, key=lambda each: order.index(each) if each in order else len(order)):
        label, sentence = RIGHT_WORDS.get(right, (right, ""))
        found[category_of(right)].append((right, label, sentence))
    return [(CATEGORY_WORDS[heading], rights) for heading, rights in found.items() if rights]


def role_word(word: str) -> str:
    """A role or a right alone, in a word."""
    return ROLE_WORDS[word][0] if word in ROLE_WORDS else RIGHT_WORDS.get(word, (word,))[0]


def roles_of_right() -> dict[str, list[str]]:
    """Which roles bring a right."""
    return {right: [role for role, rights in ROLES.items() if right in rights] for right in PERMISSIONS}


def shared() -> dict[str, Any]:
    """What every template of this family may say."""
    return {"role_word": role_word, "role_words": ROLE_WORDS, "right_words": RIGHT_WORDS}
