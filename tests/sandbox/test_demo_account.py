"""The account of the demonstration is readable on the terminal that is there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sandbox.demo import print_account

METRICS = [{"name": "error-rate", "successful": 5, "failed": 0}, {"name": "p99-latency", "successful": 5, "failed": 0}]
RELEASE: dict[str, Any] = {
    "scenario": "good",
    "outcome": "RolloutAborted",
    "reason": "a gate failed",
    "url": "http://127.0.0.1:8233/namespaces/default/workflows/rollout%2Fdefault%2Fpayments%2Fcheckout/0123",
    "incident": None,
    "compensations": [],
    "weights": [{"set": 10, "counted": 10.28}, {"set": 100, "counted": None}],
    "analyses": [{"kind": "Background", "status": {"metrics": METRICS}}],
    "requests": {"registry.internal/payments/checkout:1.1.0": {"requests": 2323, "failures": 0}},
    "secondsFromVerdictToZero": 0.3,
}
SENTENCE = "Harm, errors: 68 of 1,413 canary requests against 82 of 4,383 of stable"
COMPARED = {**RELEASE, "scenario": "worse", "reason": f"a gate failed: {SENTENCE}"}
DOCUMENT: dict[str, Any] = {
    "releases": [*[RELEASE] * 3, COMPARED],
    "residentMegabytes": {"temporal": 239.7},
    "secondsInAll": 91.2,
    "temporalUi": "http://127.0.0.1:24961",
    "incidents": "http://127.0.0.1:39961/",
    "messages": "http://127.0.0.1:45981/releases",
}


@pytest.mark.parametrize("width", [80, 140])
def test_no_word_of_it_is_cut(width: int) -> None:
    out = io.StringIO()
    print_account(Console(file=out, width=width), DOCUMENT, Path("demo.json"))
    said = out.getvalue()
    for word in ("RolloutAborted", "p99-latency: 5 good, 0 bad (Background)", "100 % (- %)", "1.1.0: 2323 (0)"):
        assert said.count(word) == 4
    assert SENTENCE in " ".join(said.split())
    assert "…" not in said
    assert all(len(line) <= width for line in said.splitlines() if "http" not in line)
