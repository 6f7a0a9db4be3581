"""Candidates' own pages, apart from everything else: another application on an address of its own.

    app.py       the wiring: no session, no cookie, no key; a CSP that allows a form and one style sheet
    consent.py   /c/<token>: yes or no to a consent request
    interview.py /i/<token>: yes or no to an interview, or one of its times

A DMZ proxy publishes /c/* and /i/* alone. A link's token is all the right there is; GET never changes anything.
"""
