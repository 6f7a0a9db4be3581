"""Modems: all of them at a glance, and one with its signal, budgets, tests, questions to the network and to itself, and log.

overview.py  the list, and one modem: signal, facts, budgets, PIN, taking it out of use
trying.py    self test, and a test message with its report
asking.py    USSD and the query console
curve.py     a signal as points of an SVG
phrases.py   what happens to a modem, in words
"""

from web.pages.modems import asking, trying
from web.pages.modems.overview import blueprint

__all__ = ["asking", "blueprint", "trying"]
