"""Templates in the organisation tree (S12–S14).

desk.py    the blueprint, who acts, finding a template where the viewer may see or change it
lists.py   the list, one template with its versions, archive, copy down
editor.py  the editor with its linter
form.py    its form        words.py  its words
"""

from web.pages.templates import editor, lists
from web.pages.templates.desk import blueprint

__all__ = ["blueprint", "editor", "lists"]
