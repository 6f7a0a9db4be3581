"""To the outside: webhooks and mail, each queued as rows in the act's own transaction and sent from here."""
