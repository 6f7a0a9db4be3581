"""Who may do what: roles map to permissions, named as in requirements.md.

Pure. A person's `roles` may also name a permission itself, which then grants just that one (S3: per role or per user).
A word that is neither grants nothing, so that a role of a newer version never opens a door in an older one.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

SEND_SMS: Final = "candidate_management.recruitment_sms"
"""S3: "Recruitment - SMS" in the category "Candidate Management"."""
COMMUNICATIONS: Final = "candidate_management.communications"
"""S49: the right to the Communications tab of candidates."""
ALL_CASES: Final = "candidate_management.all_cases"
"""S49, role scope: the cases of the node where it is held, without being on their hiring team."""
MESSAGES_VIEW: Final = "messages.view"
"""Messages one has written and those of the cases whose hiring team one is on (S25)."""
MESSAGES_VIEW_ALL: Final = "messages.view_all"
"""Every message of the organisation."""
MESSAGES_CANCEL: Final = "messages.cancel"
MESSAGES_RESOLVE: Final = "messages.resolve"
MODEMS_VIEW: Final = "modems.view"
MODEMS_OPERATE: Final = "modems.operate"
CREDITS_VIEW: Final = "organisation.credits.view"
"""S15."""
CREDITS_GRANT: Final = "credits.grant"
"""S17: the vendor's operator only, never the customer's own administrator."""
SEATS_LICENSE: Final = "seats.license"
"""S48: how many seats there are is the operator's to say; who has them is the administrator's (`users.edit`)."""
USERS_VIEW: Final = "users.view"
USERS_EDIT: Final = "users.edit"
TEMPLATES_VIEW: Final = "templates.view"
TEMPLATES_EDIT: Final = "templates.edit"
COMPLIANCE_VIEW: Final = "compliance.view"
COMPLIANCE_EDIT: Final = "compliance.edit"
QUIET_HOURS_OVERRIDE: Final = "quiet_hours.override"
"""Write at any hour about an interview, with a reason; no recruiter has it unasked."""
COUNTRIES_ACTIVATE: Final = "countries.activate"
"""S28: a country becomes active by an operator's hand only."""
REPORTS_VIEW: Final = "reports.view"
WEBHOOKS_EDIT: Final = "webhooks.edit"
AUDIT_VIEW: Final = "audit.view"
SETTINGS_EDIT: Final = "settings.edit"
ERASE: Final = "candidates.erase"

ROLES: Final[dict[str, frozenset[str]]] = {
    "recruiter": frozenset({SEND_SMS, COMMUNICATIONS, MESSAGES_VIEW, MESSAGES_CANCEL, MESSAGES_RESOLVE, TEMPLATES_VIEW}),
    "recruiting_manager": frozenset(
        {SEND_SMS, COMMUNICATIONS, ALL_CASES, MESSAGES_VIEW, MESSAGES_CANCEL, MESSAGES_RESOLVE, TEMPLATES_VIEW, REPORTS_VIEW}
    ),
    "viewer": frozenset({COMMUNICATIONS, MESSAGES_VIEW}),
    "admin": frozenset(
        {
            COMMUNICATIONS,
            MESSAGES_VIEW,
            MESSAGES_VIEW_ALL,
            MESSAGES_CANCEL,
            MESSAGES_RESOLVE,
            MODEMS_VIEW,
            CREDITS_VIEW,
            USERS_VIEW,
            USERS_EDIT,
            TEMPLATES_VIEW,
            TEMPLATES_EDIT,
            COMPLIANCE_VIEW,
            COMPLIANCE_EDIT,
            QUIET_HOURS_OVERRIDE,
            REPORTS_VIEW,
            WEBHOOKS_EDIT,
            AUDIT_VIEW,
            SETTINGS_EDIT,
            ERASE,
        }
    ),
    "operator": frozenset(
        {
            MODEMS_VIEW,
            MODEMS_OPERATE,
            CREDITS_VIEW,
            CREDITS_GRANT,
            COMPLIANCE_VIEW,
            COUNTRIES_ACTIVATE,
            WEBHOOKS_EDIT,
            SEATS_LICENSE,
        }
    ),
    "compliance": frozenset(
        {
            COMMUNICATIONS,
            MESSAGES_VIEW,
            MESSAGES_VIEW_ALL,
            TEMPLATES_VIEW,
            COMPLIANCE_VIEW,
            COMPLIANCE_EDIT,
            REPORTS_VIEW,
            AUDIT_VIEW,
            ERASE,
        }
    ),
}
"""S31: no role but the recruiters' may send; an administrator grants it. The operator reads nobody's messages."""

PERMISSIONS: Final[frozenset[str]] = frozenset().union(*ROLES.values())

OPERATORS_OWN: Final[frozenset[str]] = frozenset({MODEMS_OPERATE, CREDITS_GRANT, COUNTRIES_ACTIVATE, SEATS_LICENSE})
"""What only who holds it may give away (S17, S28): an administrator cannot make himself the operator."""

CATEGORIES: Final[dict[str, str]] = {
    "candidate_management": "Candidate Management",
    "messages": "Messages",
    "organisation": "Organisation",
    "credits": "Organisation",
    "seats": "Organisation",
    "settings": "Organisation",
    "users": "User Management",
    "templates": "Templates",
    "compliance": "Compliance",
    "countries": "Compliance",
    "candidates": "Compliance",
    "audit": "Compliance",
    "quiet_hours": "Compliance",
    "reports": "Reports",
    "modems": "Modems",
    "webhooks": "Webhooks",
}
"""Under which heading a permission stands on the Users page, by the word before its dot."""
LABELS: Final[dict[str, str]] = {
    SEND_SMS: "Recruitment - SMS",
    COMMUNICATIONS: "Communications tab",
    ALL_CASES: "Every case of the unit",
    CREDITS_VIEW: "Credits",
}


def category_of(permission: str) -> str:
    """The heading of a permission."""
    return CATEGORIES.get(permission.partition(".")[0], "Other")


def label_of(permission: str) -> str:
    """A permission in words."""
    return LABELS.get(permission) or permission.partition(".")[2].replace("_", " ").replace(".", " ").capitalize()


def permissions_of(roles: str | Iterable[str]) -> frozenset[str]:
    """All that these roles allow; `roles` is a list of words, or the JSON text of one as `app_user.roles` holds it."""
    return _stored(roles) if isinstance(roles, str) else _granted(roles)


@lru_cache(maxsize=256)
def _stored(roles: str) -> frozenset[str]:
    """The same text stands in many rows, and every message asks."""
    return _granted(json.loads(roles))


def _granted(words: Iterable[str]) -> frozenset[str]:
    granted: set[str] = set()
    for word in words:
        granted |= ROLES.get(word, frozenset())
        if word in PERMISSIONS:
            granted.add(word)
    return frozenset(granted)


def may(roles: str | Iterable[str], permission: str) -> bool:
    """Whether these roles include the permission."""
    return permission in permissions_of(roles)
