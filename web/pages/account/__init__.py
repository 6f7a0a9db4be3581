"""One's own account: how one reads the pages, password, second step, and where one is signed in.

desk.py         the page itself: language and zone, notices, password, sessions
second_step.py  the authenticator app: on, off, recovery codes; taking it from somebody who has lost their phone
"""

from web.pages.account import second_step
from web.pages.account.desk import WEAK, blueprint

__all__ = ["WEAK", "blueprint", "second_step"]
