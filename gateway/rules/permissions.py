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
USERS_VIEW: Final = "users.view"
USERS_EDIT: Final = "users.edit"
TEMPLATES_VIEW: Final = "templates.view"
TEMPLATES_EDIT: Final = "templates.edit"
COMPLIANCE_VIEW: Final = "compliance.view"
COMPLIANCE_EDIT: Final = "compliance.edit"
COUNTRIES_ACTIVATE: Final = "countries.activate"
"""S28: a country becomes active by an operator's hand only."""
REPORTS_VIEW: Final = "reports.view"
WEBHOOKS_EDIT: Final = "webhooks.edit"
AUDIT_VIEW: Final = "audit.view"
SETTINGS_EDIT: Final = "settings.edit"
ERASE: Final = "candidates.erase"

ROLES: Final[dict[str, frozenset[str]]] = {
    "recruiter": frozenset({SEND_SMS, MESSAGES_VIEW, MESSAGES_CANCEL, MESSAGES_RESOLVE, TEMPLATES_VIEW}),
    "viewer": frozenset({MESSAGES_VIEW}),
    "admin": frozenset(
        {
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
            REPORTS_VIEW,
            WEBHOOKS_EDIT,
            AUDIT_VIEW,
            SETTINGS_EDIT,
            ERASE,
        }
    ),
    "operator": frozenset(
        {MODEMS_VIEW, MODEMS_OPERATE, CREDITS_VIEW, CREDITS_GRANT, COMPLIANCE_VIEW, COUNTRIES_ACTIVATE, WEBHOOKS_EDIT}
    ),
    "compliance": frozenset(
        {
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
"""S31: no role but recruiter may send; an administrator grants it. The operator reads nobody's messages."""

PERMISSIONS: Final[frozenset[str]] = frozenset().union(*ROLES.values())


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
