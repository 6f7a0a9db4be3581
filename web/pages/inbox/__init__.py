"""The inbox: conversations with candidates, as a messenger shows them.

    blueprint.py   the blueprint, and the words only the inbox has
    shown.py       rows of the store → what the templates show
    views.py       the list, a conversation, and what keeps both fresh
    acts.py        read, unread, assign, connect, close, and "they may have meant stop"
    settings.py    what one wants to be told of replies

inbox.js asks for news every three seconds; keys.js gives j, k, r and /.
"""

from web.pages.inbox.acts import WRONG
from web.pages.inbox.blueprint import blueprint
from web.pages.inbox.settings import WISHES
from web.pages.inbox.views import page

__all__ = ["WISHES", "WRONG", "blueprint", "page"]
