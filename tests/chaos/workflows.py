"""What Temporal holds of a Rollout: which workflows run, whether they can go on, and whether histories replay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHistory,
)
from temporalio.service import RPCError

from tests.chaos.manifests import NAMESPACE
from tests.replay.replayer import replayer
from tidegate.client import RolloutRef, TidegateClient, TidegateError
from tidegate.contract import FOLLOW_UP_WORKFLOW, ErrorType

MOST_ATTEMPTS = 3  # of a workflow task, once everything runs


async def since(client: Client, name: str, moment: datetime) -> list[WorkflowExecution]:
    """Every workflow run of a Rollout that was under way after a moment: releases, analyses, and what follows them."""
    found = []
    for kind in ("rollout", "analysis", "roll-back", "follow-up", "let-go"):
        query = f'WorkflowId STARTS_WITH "{kind}/default/{NAMESPACE}/{name}"'
        query += f' AND (ExecutionStatus = "Running" OR CloseTime > "{moment.isoformat()}")'
        found += [each async for each in client.list_workflows(query) if _is_of(each.id, name)]
    return found


def _is_of(workflow_id: str, name: str) -> bool:
    part = workflow_id.split("/")[3]
    return part == name or (workflow_id.startswith("analysis/") and part.startswith(f"{name}-"))


def running(runs: Sequence[WorkflowExecution], *, follow_ups: bool = False) -> list[WorkflowExecution]:
    """Those that have not ended; what follows a decision may take longer and counts only when asked for."""
    return [
        each
        for each in runs
        if each.status is WorkflowExecutionStatus.RUNNING and (follow_ups or each.workflow_type != FOLLOW_UP_WORKFLOW)
    ]


async def why_running(client: Client, tidegate: TidegateClient, run: WorkflowExecution) -> str:
    """What a workflow waits for that has not ended, or why nobody can tell."""
    handle = client.get_workflow_handle(run.id, run_id=run.run_id)
    described = (await handle.describe()).raw_description
    task = described.pending_workflow_task
    if task.attempt > MOST_ATTEMPTS:
        return f"{run.id} ({run.run_id}): its task fails, attempt {task.attempt}"
    pending = ", ".join(
        f"{each.activity_type.name} attempt {each.attempt} {each.last_failure.message[:200]}".strip()
        for each in described.pending_activities
    )
    waits = f"{run.id} ({run.run_id}) runs; activities: {pending or 'none'}"
    rollout = RolloutRef.parse(run.id)
    if rollout is not None:
        try:
            status = await tidegate.status(rollout, run_id=run.run_id)
        except (TidegateError, RPCError) as error:
            return f"{waits}; its status cannot be asked for: {error}"
        name = status.waiting.what if status.waiting is not None else "NOTHING THAT HAS A NAME"
        waits += f"; {status.phase} {status.message[:200]} waits for {name}"
    return waits


async def replayed(client: Client, runs: Sequence[WorkflowExecution]) -> list[str]:
    """Which histories do not replay, and why (law 9)."""
    wrong = []
    for run in runs:
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        result = await replayer().replay_workflow(history, raise_on_replay_failure=False)
        if result.replay_failure is not None:
            wrong.append(f"law 9: {run.id} ({run.run_id}) does not replay: {result.replay_failure}")
    return wrong


async def mistakes(client: Client, runs: Sequence[WorkflowExecution]) -> list[str]:
    """Which workflows failed by something that nobody raised on purpose: no code of theirs undid anything."""
    wrong = []
    for run in runs:
        if run.status is WorkflowExecutionStatus.FAILED:
            try:
                await client.get_workflow_handle(run.id, run_id=run.run_id).result()
            except WorkflowFailureError as error:
                if getattr(error.cause, "type", None) not in list(ErrorType):
                    wrong.append(f"{run.id} ({run.run_id}) failed by mistake: {error.cause!r}")
    return wrong


async def keep(client: Client, runs: Sequence[WorkflowExecution], folder: Path) -> None:
    """Write the histories of runs into a folder."""
    for run in runs:
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        name = f"{run.id.replace('/', '_')}-{run.run_id[:8]}.json"
        await asyncio.to_thread(_write, folder / name[-200:], history)


def _write(file: Path, history: WorkflowHistory) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(history.to_json_dict(), indent=1))
