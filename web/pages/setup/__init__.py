"""The first-run wizard: from the code on the console to the first delivered message (design.md §5, §7).

frame.py    the blueprint, the steps in their order, and who may take them
opening.py  the code from the console, and the first account
box.py      organisation, zone, modem, PIN, sender number
sending.py  country and texts, test message, credits, API key, backup, and the end
"""

from web.pages.setup import box, opening, sending
from web.pages.setup.frame import blueprint

__all__ = ["blueprint", "box", "opening", "sending"]
