"""Settings of the organisation and the box, and API keys.

desk.py   the blueprint and the first page
keys.py   API keys        words.py  plain words
"""

from web.pages.settings import desk, keys
from web.pages.settings.desk import blueprint

__all__ = ["blueprint", "desk", "keys"]
