"""What the command line and the web page do with an app's clusters, and no app does.

Everything blocks: who has an event loop calls it in a thread. Start at `topics.py`,
what an app's topics are. `records.py` reads them decoded by the app's models, with
`jsontext.py` and `find.py`; `sending.py` checks and sends; `lag.py` says how far groups
are behind; `deadletters.py` reads why a record was parked, `parking.py` knows which
still are, and `replay.py` sends them back; `check.py` says what will not work.
"""
