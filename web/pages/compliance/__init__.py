"""Compliance: countries and their commissioning, texts, keywords, tasks, erasures and what all this asks of the employer.

desk.py       the blueprint, its tabs, who acts
countries.py  the list of countries, the set-up as a whole, exports for counsel
country.py    one country: commissioning, opt-in, quiet hours, rules
forms.py      the forms of these pages
texts.py      the texts that the box sends by itself, keywords, kinds
people.py     tasks, erasures and legal holds, periods of keeping
numbers.py    senders and their budgets
words.py      plain words
"""

from web.pages.compliance import countries, country, numbers, people, texts
from web.pages.compliance.desk import blueprint

__all__ = ["blueprint", "countries", "country", "numbers", "people", "texts"]
