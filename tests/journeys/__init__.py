"""Journeys of strangers, played from the documents alone: `python -m tests.journeys`.

Each takes its commands out of its pages, in their order, and types them in an embedded world. Addresses and names that
a page leaves to its reader are filled in. A command that needs more than the world has is read and not played, with the
reason. `tests/docs` holds each command and option to be one that there is.
"""
