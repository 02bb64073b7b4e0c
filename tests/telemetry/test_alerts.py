"""Alerts and dashboard read metrics that there are, and each alert leads to a page that says what mends it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import ROOT
from tests.docs.pages import section
from tests.telemetry.queries import COMMON, OF_TEMPORAL, OF_THE_TARGET, known, labels_of, metrics_of, panels, rules

RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = {rule["alert"]: rule for rule in rules()}
QUERIES = [*((name, rule["expr"]) for name, rule in ALERTS.items()), *panels()]
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian's package prometheus has it)"
)


@pytest.mark.parametrize(("name", "query"), QUERIES, ids=[name for name, _ in QUERIES])
def test_a_query_reads_metrics_and_labels_that_there_are(name: str, query: str) -> None:
    series, read = known(), metrics_of(query)
    assert read
    assert read - series.keys() == set()
    labels = {label for metric in read for label in series[metric]}
    assert labels_of(query) - labels - OF_THE_TARGET == set()


def test_what_the_check_looks_for_is_found() -> None:
    query = 'sum by (a, le) (rate(x_total{b=~"c.*",d!="e"}[5m])) / on (f) (y offset 1h) > 0.1 or vector(0) unless z'
    assert metrics_of(query) == {"x_total", "y", "z"}
    assert labels_of(query) == {"a", "le", "b", "d", "f"}


def test_each_metric_of_ours_is_on_the_dashboard_and_none_of_temporals_is_listed_in_vain() -> None:
    shown = {metric for _, query in panels() for metric in metrics_of(query)}
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known().keys() - OF_TEMPORAL.keys()}
    assert bases - {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} == set()
    read = {metric for _, query in QUERIES for metric in metrics_of(query)}
    assert OF_TEMPORAL.keys() - read == set()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_page_with_a_symptom_a_look_and_a_command(alert: str) -> None:
    rule, page = ALERTS[alert], RUNBOOKS / f"{alert}.md"
    assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{alert}.md")
    assert rule["labels"]["severity"] in ("page", "ticket")
    text = page.read_text()
    assert text.startswith(f"# {alert}\n")
    assert section(text, "Symptom").strip()
    assert "`" in section(text, "What to look at")
    assert "```sh\n" in section(text, "What mends it")


def test_no_page_is_left_of_an_alert_that_is_gone() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == ALERTS.keys()


def test_panels_do_not_overlap_and_have_a_title_and_a_unit() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((COMMON / "dashboard.json").read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["title"]
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"]


def promtool(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_promtool_reads_alerts_and_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    records = [{"record": f"panel:{number}", "expr": query} for number, (_, query) in enumerate(panels())]
    groups = [{"name": "alerts", "rules": rules()}, {"name": "dashboard", "rules": records}]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    assert f"{len(ALERTS) + len(records)} rules found" in promtool(tmp_path, "check", "rules", "rules.yaml")


@needs_promtool
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    # The address of the page is the same in each, and is held by a test of its own.
    plain: list[dict[str, Any]] = [
        {**rule, "annotations": {"summary": rule["annotations"]["summary"]}} for rule in rules()
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "alerts", "rules": plain}]}))
    shutil.copy(Path(__file__).parent / "alerts.yaml", tmp_path)
    assert "SUCCESS" in promtool(tmp_path, "test", "rules", "alerts.yaml")
