"""Mail: rows of the outbox `mail`, written by whoever decides, sent here by the gateway and nowhere else ([smtp]).

A row's text is sealed and forgotten once it has left. Delivery is at least once; the row's id is the Message-ID, so that a
second copy is recognised. Refuses to know: what a mail is about.
"""

import json
import logging
import smtplib
import ssl
import threading
from email.message import EmailMessage
from email.utils import formatdate

from gateway.clock import Clock
from gateway.config import Smtp
from gateway.keys import unseal
from gateway.store.database import Database, Row, StoreUnavailable, Transaction

log = logging.getLogger(__name__)

POLL_S = 5.0
TIMEOUT_S = 20.0
_FIRST_MS, _LONGEST_MS = 60_000, 3_600_000
_AT_ONCE = 20


class Mailer(threading.Thread):
    """One thread; `nudge` makes it look now."""

    def __init__(self, database: Database, clock: Clock, smtp: Smtp, seal_key: bytes) -> None:
        super().__init__(name="mail", daemon=True)
        self._database = database
        self._clock = clock
        self._smtp = smtp
        self._seal_key = seal_key
        self._bell = threading.Event()
        self._stopping = False

    def nudge(self) -> None:
        """Something changed."""
        self._bell.set()

    def stop(self) -> None:
        """End soon."""
        self._stopping = True
        self._bell.set()

    def run(self) -> None:
        """Round after round until stopped."""
        while not self._stopping:
            self._bell.clear()
            try:
                self.round()
            except StoreUnavailable as error:
                log.error("mail=%s", error)
            self._bell.wait(self._clock.real_seconds(POLL_S))
        self._database.close()

    def round(self) -> None:
        """Send what is due."""
        now = self._clock.now_ms()
        with self._database.read() as view:
            rows = view.all(
                "SELECT * FROM mail WHERE state = 'waiting' AND next_at <= ? ORDER BY next_at, id LIMIT ?", now, _AT_ONCE
            )
        for row in rows:
            if row["give_up_at"] <= now:
                self._settle(row, "dead", "too late", now)
                continue
            answer = self._send(row)
            self._settle(row, "waiting" if answer else "sent", answer, self._clock.now_ms())

    def _send(self, row: Row) -> str | None:
        """Why it could not be sent; None when the server took it."""
        try:
            subject, body = json.loads(unseal(self._seal_key, row["sealed"]))
            self._hand_over(row, subject, body)
        except Exception as error:  # whatever an odd address makes of the mail library: the next letter must leave all the same
            reason = f"{type(error).__name__}"
            log.warning("mail=%s attempt=%d failed=%s", row["id"], row["attempts"] + 1, reason)
            return reason
        return None

    def _hand_over(self, row: Row, subject: str, body: str) -> None:
        message = EmailMessage()
        message["From"] = self._smtp.sender
        message["To"] = row["address"]
        message["Subject"] = " ".join(subject.split())
        message["Date"] = formatdate(self._clock.now_ms() / 1000)
        message["Message-ID"] = f"<{row['id']}@{self._smtp.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body)
        settings = self._smtp
        context = ssl.create_default_context()
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=TIMEOUT_S, context=context)
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_S)
        with server:
            if settings.security == "starttls":
                server.starttls(context=context)
            if settings.username is not None and settings.password_file is not None:
                server.login(settings.username, settings.password_file.read_text(encoding="utf-8").strip())
            server.send_message(message)

    def _settle(self, row: Row, state: str, answer: str | None, now: int) -> None:
        def step(tx: Transaction) -> None:
            attempts = row["attempts"] + 1
            wait = min(_FIRST_MS * 2 ** min(attempts - 1, 6), _LONGEST_MS)
            gone = state != "waiting"
            tx.execute(
                "UPDATE mail SET state = ?, attempts = ?, next_at = ?, done_at = ?, answer = ?, address = ?, sealed = ?"
                " WHERE id = ? AND state = 'waiting'",
                state,
                attempts,
                now if gone else now + wait,
                now if gone else None,
                answer,
                "" if gone else row["address"],
                "" if gone else row["sealed"],
                row["id"],
            )
            if gone:
                tx.audit(now, "gateway:mail", f"mail.{state}", row["id"], {"kind": row["kind"], "attempts": attempts})

        self._database.transact(step)
