"""The pictures in docs/proof.md are those of the rollouts as they are judged now."""

from __future__ import annotations

import pytest

from benchmarks.judge.pictures import FOLDER, PICTURED, drawn


@pytest.mark.parametrize("name", PICTURED)
def test_a_picture_is_current_and_holds_no_script(name: str) -> None:
    kept = (FOLDER / name).read_text(encoding="utf-8")
    assert kept == drawn(PICTURED[name]), "write it anew: make pictures"
    assert "<script" not in kept
