"""Plain words of settings: what the scopes of a key allow, reasons of an untrusted clock."""

from typing import Final

from web.pages.language import N_

AREAS: Final = {
    "candidates": N_("Candidates and consents"),
    "organisations": N_("The organisation's tree"),
    "users": N_("People and seats"),
    "templates": N_("Templates and kinds"),
    "messages": N_("Messages and conversations"),
    "interviews": N_("Interviews and reminders"),
    "credits": N_("Credits"),
    "reports": N_("Reports"),
    "retention": N_("How long data is kept"),
    "compliance": N_("Countries, texts, keywords"),
    "modems": N_("Modems and numbers"),
    "events": N_("The list of events"),
    "webhooks": N_("Webhooks"),
    "audit": N_("The audit"),
    "operator": N_("What only the operator may"),
}
ACTS: Final = {
    "read": N_("read"),
    "write": N_("add and change"),
    "erase": N_("erase for good, set legal holds"),
    "export": N_("download everything about a person"),
    "redeem": N_("redeem vouchers"),
}
REFUSALS: Final = {
    "invalid_name": N_("Give it a name of 1 to 100 characters."),
    "unknown_scope": N_("Choose at least one thing that the key may do."),
}
CLOCK: Final = {
    "ok": N_("The time is right."),
    "untrusted": N_("The box does not trust its clock: what depends on the time waits until somebody says that it is right."),
}
NOTICES: Final = {
    "off": N_("No mail"),
    "at_once": N_("A mail at once"),
    "daily": N_("One mail a day, at eight in the morning"),
}
