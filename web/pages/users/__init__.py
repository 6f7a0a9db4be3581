"""Users & seats: who may do what, and who holds a seat.

desk.py     the blueprint, and whom the viewer may see
words.py    roles, rights and terms in plain words
listing.py  the list, and the file to download
person.py   one person: add, edit, switch off, a link to a new password, forget
rights.py   what somebody may do and why, term by term; rights given singly; all roles
seats.py    who holds a seat, moving one, the number of the licence
upload.py   a file of people: read, compared line by line, taken whole or not at all
"""

from web.pages.users import listing, person, rights, seats, upload
from web.pages.users.desk import blueprint

__all__ = ["blueprint", "listing", "person", "rights", "seats", "upload"]
