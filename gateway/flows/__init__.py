"""Use cases, one per file, each inside the transaction it is given: state, ledger, audit and event commit together.

No serial line and no network here. Every decision is asked of `gateway.rules`; every state change of a message goes through
`endings.move`. Lock order: the candidate's row first, then the balance.
"""
