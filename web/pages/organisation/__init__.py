"""Organisation: the tree of units, and of each node what may be seen of it in tabs.

desk.py        the blueprint; who may see which node and which tabs
tree.py        Overview and Settings: add, rename, move
credits.py     Credits: balance, ledger, grants, vouchers, warnings
allowances.py  Allowances: what a unit may spend in a month
chargeback.py  Chargeback: what was charged by month, team and case
"""

from web.pages.organisation import allowances, chargeback, credits, tree
from web.pages.organisation.desk import blueprint

__all__ = ["allowances", "blueprint", "chargeback", "credits", "tree"]
