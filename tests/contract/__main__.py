"""`python -m tests.contract`: write `wire.json` anew from the code."""

from __future__ import annotations

import sys

from tests.contract.wire import FILE, document, text

FILE.write_text(text(document()))
sys.stdout.write(f"{FILE} is written: have its diff reviewed line by line\n")
