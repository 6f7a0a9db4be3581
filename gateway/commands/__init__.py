"""The commands of `ringpost`, one module per part of its help page; `gateway/cli.py` loads each when it is called.

common      what they share: the session (configuration, database, clock), printing, passwords
service     run, gateway, web, simulate-modem: start processes
demo        the whole product on a temporary directory
setting_up  init, check, apply, migrate
people      user, key, credit
traffic     send, queue, modems
audit       the chain walked
pdu         PDUs taken apart and made
dev_fill    a fresh store filled as after years, by what `crowd` makes up; for development
"""
