"""`explain`: query, value, verdict, and what the release did because of it, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from tidegate.analysis.compare.measurement import comparison_of
from tidegate.cli.analysis import comparison_lines, metric_lines
from tidegate.cli.exits import ExitCode
from tidegate.cli.formatting import marked
from tidegate.cli.options import Cluster, Namespace, Output, OutputOption, rollout_ref, run_ref, with_client
from tidegate.cli.output import document, print_json, print_lines
from tidegate.contract import AnalysisKind
from tidegate.manifests.plain_text import harmless
from tidegate.report import Explanation, GateExplanation, TimelineEntry
from tidegate.report.ages import clock
from tidegate.report.marks import BAD, mark

_RUN_PREFIXES = ("analysisrun/", "ar/")


def explain(
    name: Annotated[str, typer.Argument(help="Name of a Rollout, or analysisrun/NAME.")],
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    output: OutputOption = Output.TEXT,
) -> int:
    """Say why the newest release did what it did: query, value, verdict, and what followed; also after its end."""
    prefix = next((each for each in _RUN_PREFIXES if name.startswith(each)), "")
    if prefix:
        run = run_ref(name.removeprefix(prefix), namespace, cluster)
        account = with_client(lambda client: client.explain_run(run))
    else:
        rollout = rollout_ref(name, namespace, cluster)
        account = with_client(lambda client: client.explain(rollout))
    if output is Output.JSON:
        print_json(document(account))
    else:
        print_lines(explanation_view(account))
    return ExitCode.OK


def explanation_view(account: Explanation) -> list[Text]:
    """The account as lines: first what became of it and the one reason, then gate by gate."""
    lines = [Text.assemble((mark(account.phase), ""), f" {harmless(account.headline)}", style="bold")]
    for gate in account.gates:
        lines += [Text(), *_gate(gate)]
    is_shown = any(gate.name == account.decided_by for gate in account.gates)
    if account.ending and not is_shown:
        lines += [Text(), Text("How it ended (UTC):"), *_timeline(account.ending, 2)]
    if not account.gates and account.decided_by == "" and not account.ending:
        lines += [Text(), Text("No analysis run was started.")]
    return lines


def _gate(gate: GateExplanation) -> list[Text]:
    lines = [Text.assemble((_where(gate), "bold"), "  ", marked(gate.phase), _when(gate))]
    if gate.message and not gate.metrics:
        lines.append(Text(f"  {harmless(gate.message)}"))
    for each in gate.metrics:
        sentence = marked(harmless(each.sentence), mark(each.metric.phase))
        # The sentence says what message and limit would say again.
        facts = each.metric.model_copy(update={"message": "", "exceeded": ""})
        judged = comparison_of(each.metric)
        below = metric_lines(facts, 4) if judged is None else comparison_lines(judged, 4, sentence=False)
        lines += [Text("  ") + sentence, *below]
    if gate.timeline:
        lines += [Text("  then the release (UTC):"), *_timeline(gate.timeline, 4)]
    return lines


def _where(gate: GateExplanation) -> str:
    step = f"{gate.step} ({gate.step_text})" if gate.step is not None else ""
    if gate.kind is AnalysisKind.STEP:
        return f"Step {step} {gate.name}"
    during = f", during step {step}" if step else ""
    return f"{gate.kind} analysis {gate.name}{during}".lstrip()


def _when(gate: GateExplanation) -> str:
    text = f"  at {gate.weight} %" if gate.weight is not None else ""
    if gate.started_at is not None:
        end = f" - {clock(gate.completed_at)}" if gate.completed_at is not None else ""
        text += f"  {gate.started_at:%Y-%m-%d %H:%M:%S}{end} UTC"
    return text


def _timeline(timeline: Sequence[TimelineEntry], indent: int) -> list[Text]:
    lines = []
    for entry in timeline:
        when = clock(entry.at) if entry.at is not None else " " * 8
        text = marked(harmless(entry.text), BAD) if entry.bad else Text(harmless(entry.text))
        lines.append(Text(" " * indent + f"{when}  ") + text)
    return lines
