"""The gateway decides what happens to a message and remembers it; it knows nothing of HTTP pages.

    rules/      pure decisions: gates, consent, keywords, routing, retry, lifecycle
    store/      the database: one place that knows the engine, migrations, questions for lists
    flows/      one use case per file, each inside the transaction it is given
    radio/      one worker per modem: claim, send, settle, take in
    outward/    webhooks, over one shared HTTP client
    appliance/  the box itself: housekeeping

Imports run one way: radio, outward, appliance → flows → rules, store. Only `radio` uses `modem.driver`.
"""

__version__ = "0.1.0"
