"""`python -m tests.cases DIR [--family F] [-o json]`: how many cases of each family pass, and which do not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from tests.cases.runner import case_files, known_families, run_case

Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with case files (*.yaml)")]
Only = Annotated[list[str] | None, typer.Option("--family", help="Run this family only; may be repeated")]
Format = Annotated[str, typer.Option("-o", "--output", help="text or json")]


def main(folder: Folder, family: Only = None, output: Format = "text") -> None:
    """Run every case file of a folder; exit code 1 when a case fails that is not left out on purpose."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the report has stdout for itself
    report = [_family_report(name, cases) for name, cases in case_files(folder) if not family or name in family]
    if unknown := set(family or ()) - {entry["family"] for entry in report}:
        raise typer.BadParameter(f"no cases of {', '.join(sorted(unknown))} in {folder}")
    typer.echo(json.dumps(report, indent=2) if output == "json" else _as_text(report))
    raise typer.Exit(any(entry["failed"] for entry in report))


def _family_report(name: str, cases: list[Any]) -> dict[str, Any]:
    family = known_families().get(name)
    if family is None:
        return {"family": name, "total": len(cases), "passed": 0, "run": False, "failed": [], "quirks": []}
    outcomes = [run_case(family, case) for case in cases]
    different = [outcome for outcome in outcomes if outcome.difference]
    return {
        "family": name,
        "total": len(cases),
        "passed": len(outcomes) - len(different),
        "run": True,
        "failed": [{"id": each.case.id, "difference": each.difference} for each in different if not each.quirk],
        "quirks": [{"id": each.case.id, "reason": each.quirk} for each in different if each.quirk],
    }


def _as_text(report: list[dict[str, Any]]) -> str:
    lines = []
    for entry in report:
        counted = f"{entry['passed']}/{entry['total']} passed" if entry["run"] else f"{entry['total']} not run"
        lines.append(f"{entry['family']:22} {counted}")
        lines += [f"  {each['id']}: {each['difference']}" for each in entry["failed"]]
        lines += [f"  {each['id']}: left out on purpose: {each['reason']}" for each in entry["quirks"]]
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
