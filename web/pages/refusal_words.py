"""What a refusal of the gateway says on a page, where the page has no words of its own for it. By code, or by code and reason."""

from typing import Final

from web.pages.language import N_

_GONE: Final = N_("It is not here any more; perhaps somebody has removed it. Load the page again.")
_NO_CHOICE: Final = N_("This choice is not known here. Load the page again and choose anew.")
_LINK_OVER: Final = N_("This link has been used or has run out. Ask for a new one.")
REFUSALS: Final = {
    "permission_denied": N_("Your account lacks the right to do this. An administrator of your organisation can grant it."),
    "not_on_hiring_team": N_("You are not on the hiring team of this case. Ask a colleague to add you in the tracking system."),
    "seat_required": N_("You have no messaging seat. An administrator can give you one."),
    "communications_tab_required": N_("You lack the right “Communications tab” here. An administrator can grant it."),
    "stale_version": N_("Somebody has changed this meanwhile. Load the page again."),
    "link_expired": _LINK_OVER,
    "link_not_found": _LINK_OVER,
    # cases, candidates, interviews
    "title_missing": N_("A new case needs a title."),
    "invalid_ref": N_("A reference has 1 to 200 characters, all of them visible."),
    "slot_conflict": N_("One of these times is offered already, for longer or shorter, or for another number of people."),
    "too_many_slots": N_("At most 50 times can be offered."),
    "too_many_reminders": N_("An interview has at most five reminders. Delete one first."),
    # messages and templates
    "not_unknown": N_("What became of this message is known by now. Load the page again."),
    "too_old": N_("This message was charged as sent. Write a new one."),
    "erased": N_("The text of this message was erased."),
    "has_followers": N_("Texts wait behind this message. Cancel them, and it goes with the last."),
    "valid_until_past": N_("A message must stay valid for longer than it waits."),
    "channel_is_fixed": N_("A template keeps its channel. Make another one."),
    "template_not_approved": N_("WhatsApp has not approved this template."),
    "template_of_other_channel": N_("This template is for another channel."),
    "template_of_other_kind": N_("This template is for another kind of message."),
    "invalid_field": N_("A field has a name of its own in small letters, a type, and a sample of at most 200 characters."),
    "merge_value_invalid": N_("A value does not suit its field, which wants a number, or an address that begins with https://."),
    "unknown_merge_field": N_("The text holds a field that does not exist."),
    "invalid_field:name": N_("A field is named like note or office.floor, in small letters."),
    "invalid_field:twice": N_("The field %(name)s is declared already."),
    "invalid_field:sample": N_("The field %(name)s needs a sample of at most 200 characters."),
    "invalid_field:many": N_("A template declares at most %(most)s fields."),
    "unknown_merge_field:misspelt": N_("There is no field {{%(merge_field)s}}. Did you mean {{%(near)s}}?"),
    "unknown_merge_field:undeclared": N_("There is no field {{%(merge_field)s}}. Declare it, with a type and a sample."),
    "template_invalid": N_("The braces in the text are not right."),
    "template_invalid:no_partner": N_("Line %(line)s: %(found)s has no partner."),
    "template_invalid:not_a_field": N_("Line %(line)s: only fields in double braces may stand in a template."),
    "template_invalid:unknown_filter": N_("Line %(line)s: there is no filter “%(filter)s”."),
    "template_invalid:filter_values": N_("Line %(line)s: a filter takes plain values only."),
    "template_invalid:length": N_("A template has 1 to %(most)s characters."),
    "too_long": N_("The text is too long. Shorten it."),
    "invalid_phrases": N_("At most 200 phrases of 1 to 200 characters, each with a word in it."),
    "invalid_characters": N_("The text holds characters that no phone can show."),
    # numbers, cards, modems
    "invalid_number": N_("Enter a mobile number in international form, such as +46701740605."),
    "duplicate_number": N_("Another SIM card has this number."),
    "no_card": N_("No SIM card is ready in this modem."),
    "no_sender_number": N_("The SIM card in this modem has no number of its own here yet."),
    "number_has_stopped": N_("This number has sent STOP. Only START from it undoes that."),
    "opted_out": N_("This number has sent STOP. Only START from it undoes that."),
    "code_over": N_("This code has run out. Send another test message."),
    "too_many_codes": N_("Three codes went to this number today and none was typed. Use another number, or try tomorrow."),
    "test_under_way": N_("A test message is on its way already."),
    "modem_busy": N_("A message is leaving through this modem right now. Try again in a moment."),
    "query_refused": N_("The console only asks: a command that ends in ? or =?, or one of the list. It changes nothing."),
    "ussd_refused": N_("A USSD code is made of digits, *, # and +, such as *100#."),
    "ussd_refused:changes_the_card": N_(
        "This code would change the SIM card or its contract (PIN, forwarding, barring). Dial it in a phone."
    ),
    "invalid_pin": N_("A PIN has 4 to 8 digits."),
    "pin_not_wanted": N_("No SIM card in this modem waits for a PIN."),
    "pin_not_wanted:no_card": N_("The modem does not tell which card this is. Put the card into a phone and switch its PIN off."),
    "pin_not_wanted:no_key": N_("The gateway has not started since this version was installed. Start it, then try again."),
    "pin_not_wanted:last_try": N_("Too few attempts are left. Put the card into a phone, enter the PIN there and switch it off."),
    "pin_not_wanted:waiting": N_("A PIN was given a moment ago and is being tried."),
    # set-up, compliance, the box
    "set_up_already": N_("This box is set up. Sign in instead."),
    "setup_code_missing": N_("Type the code from the console first."),
    "steps_missing": N_("Some steps are not done yet."),
    "setup_incomplete": N_("The set-up is not complete yet."),
    "region_missing": N_("Choose the country in which the organisation is at home."),
    "invalid_region": N_("Choose the country in which the organisation is at home."),
    "no_country": N_("No country is being set up. Choose one first."),
    "text_missing": N_("This text is missing."),
    "unticked": N_("Tick each point once it is true."),
    "compliance_gaps": N_("Some active countries have no text in a language of an open job advertisement."),
    "no_restore": N_("No restored backup waits to be confirmed."),
    "lists_not_read": N_("The gateway has not read the STOPs since the backup yet. Start it, then confirm."),
    "clock_trusted": N_("The box trusts its clock already."),
    "endpoint_inactive": N_("This address is switched off. Switch it on first."),
    # accounts
    "wrong_code": N_("This is not the code that the app shows now. Is the phone's clock right?"),
    "proposal_over": N_("This picture is too old. Start again with a fresh one."),
    "user_inactive": N_("This account is switched off."),
    "invalid_email": N_("This is no e-mail address."),
    "duplicate_email": N_("Somebody has this e-mail address already."),
    "invalid_name": N_("A name has 1 to 200 characters in one line."),
    "duplicate_name": N_("A key with this name is in use; revoke it first, or choose another name."),
    "invalid_timezone": N_("Choose a time zone such as Europe/Stockholm."),
    "invalid_language": N_("Write a language such as sv, en or pt-BR."),
    "invalid_amount": N_("Enter a whole number from 1 to 1,000,000,000."),
    "out_of_range": N_("This number is too small or too large."),
}
FAMILIES: Final = (("_not_found", _GONE), ("unknown_", _NO_CHOICE))
"""What a code begins or ends with → words for all of its kind."""
