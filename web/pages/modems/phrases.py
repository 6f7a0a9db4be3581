"""What happens to a modem, in words: its log, its commands, the steps of its self test."""

from typing import Final

from gateway.store.lists_modems import Asked, LogLine
from web.pages import words
from web.pages.language import N_, _
from web.pages.words import Word

VERBS: Final = {
    "park": N_("Taken out of use"),
    "unpark": N_("Put back into use"),
    "test": N_("Self test"),
    "ussd": N_("A question to the network"),
    "query": N_("A question at the console"),
    "reset": N_("Initialised again"),
}
ASKED: Final = {
    "waiting": Word(N_("Waiting for the modem"), "wait"),
    "running": Word(N_("Running"), "busy"),
    "done": Word(N_("Done"), "good"),
    "failed": Word(N_("Did not work"), "bad"),
    "expired": Word(N_("Nobody could run it"), "odd", N_("The modem was busy or away for too long. Try again.")),
}
STEPS: Final = {
    "answers": N_("The modem answers"),
    "card": N_("The SIM card is ready"),
    "centre": N_("The number of the message centre is known"),
    "network": N_("It is registered with a network"),
    "signal": N_("The signal is strong enough"),
    "reports": N_("Delivery reports come back"),
}
RESULTS: Final = {
    "good": Word(N_("Good"), "good"),
    "weak": Word(N_("Could be better"), "wait"),
    "bad": Word(N_("Not right"), "bad"),
}
HELP: Final = {
    ("answers", "bad"): N_("Unplug the modem and plug it in again."),
    ("card", "bad"): N_("Take the SIM card out, clean it and put it back; look whether it asks for its PIN."),
    ("centre", "bad"): N_(
        "Sending will fail. Ask the operator for the number of its message centre; a phone can write it to the card."
    ),
    ("network", "bad"): N_("Is there coverage, and is the SIM card activated? Try the card in a phone."),
    ("network", "weak"): N_("It is roaming: texts may cost more, or not leave at all."),
    ("signal", "bad"): N_("No signal is measured. Check the antenna."),
    ("signal", "weak"): N_("Move the box or its antenna to a window."),
    ("reports", "weak"): N_("Without them a text stays at “sent”: this modem cannot pass reports on."),
}
ERRORS: Final = {
    "a message may still be leaving": N_("A message may still be leaving, so nothing was asked. Try again in a moment."),
    "nobody could run it in time": N_("The modem was busy or away for too long. Try again."),
}


def logged(line: LogLine) -> Word:
    """A line of the log: the word, its tone, and a sentence."""
    if line.action == "modem.state":
        return words.modem_word(line.state, line.reason, False)
    if line.action == "modem.park":
        return Word(
            N_("Taken out of use"), "bad", N_("The SIM card refuses to send; somebody must look before it is used again.")
        )
    return Word(VERBS.get(line.verb, line.verb), "quiet")


def asked(command: Asked) -> Word:
    """How it stands with a command."""
    return ASKED.get(command.state) or Word(command.state, "quiet")


def went_wrong(command: Asked) -> str:
    """Why a command did not work, as far as there are words for it."""
    said = str(command.result.get("error") or "")
    return _(ERRORS[said]) if said in ERRORS else said


def test_over(steps: list[dict[str, str]]) -> Word:
    """What a self test comes to."""
    worst = next((result for result in ("bad", "weak") if any(step["result"] == result for step in steps)), "good")
    return {
        "good": Word(N_("Everything is in order"), "good"),
        "weak": Word(N_("It works, and could be better"), "wait"),
        "bad": Word(N_("Something is not right"), "bad"),
    }[worst]
