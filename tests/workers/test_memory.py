"""How many workflows are kept by how much memory there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.memory import FEWEST, MOST, cached_workflows, memory_limit

GIB = 2**30


def test_more_memory_keeps_more_and_never_more_than_there_is() -> None:
    kept = [cached_workflows(limit) for limit in (0, GIB // 4, GIB, 4 * GIB, 64 * GIB)]
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (FEWEST, MOST)
    assert 300 < kept[2] < 1024


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_the_limit_is_that_of_the_control_group(tmp_path: Path, name: str) -> None:
    machine = memory_limit(tmp_path)
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("134217728\n")
    assert memory_limit(tmp_path) == 134217728 < machine
    for unlimited in ("max\n", f"{2**63 - 4096}\n"):
        file.write_text(unlimited)
        assert memory_limit(tmp_path) == machine
