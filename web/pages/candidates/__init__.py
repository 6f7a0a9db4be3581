"""A candidate, as met in a case: `/admin/candidates/{ref}?case={case_ref}`, where the ATS's "Contact candidate" leads.

common.py         who is met, the head of the page, its tabs
communication.py  the tab with what was written both ways, and the composer
consent.py        the tab Consent status: states, requests, evidence, paper, withdrawal
interviews.py     the tab Interviews: inviting, with a rehearsal of the message
one_interview.py  one interview: moving, cancelling, its reminders
privacy.py        the tab Data protection: export, legal hold, erasing
words.py          plain words of this family
"""

from web.pages.candidates import communication, consent, interviews, one_interview, privacy
from web.pages.candidates.common import blueprint

__all__ = ["blueprint", "communication", "consent", "interviews", "one_interview", "privacy"]
