"""The life of a release, from the request to its end: read it from top to bottom.

Observe, check; for each step set the weight, pause, analyse; promote; finish. What may interrupt that is one place,
`_attempt`. An abort undoes it: traffic first, and nothing stops it half way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.status import Phase
    from tidegate.contract import (
        ROLLOUT_WORKFLOW,
        Accepted,
        Document,
        ErrorType,
        ReleaseRequest,
        ReleaseResult,
        Target,
    )
    from tidegate.story import MANUALLY_PAUSED
    from workflows.admission import check, describe, parse_request, read_manifest
    from workflows.commands import Commands
    from workflows.failures import cause_of
    from workflows.gates import Background, Gate, GateFailed
    from workflows.interruptions import Aborted, FullyPromoted, Interrupted, Superseded, race, shielded
    from workflows.journal import A_PERSON
    from workflows.messages import Doors, said
    from workflows.plan import Plan, plan_hash
    from workflows.undo import Undo

FULL = 100  # percent


@workflow.defn(name=ROLLOUT_WORKFLOW)
class Rollout(Doors):
    """One release of a Rollout; the doors by which it is spoken to are inherited."""

    @workflow.init
    def __init__(self, request: Any = None) -> None:
        super().__init__()
        self._commands: Commands
        self._background: Background
        self._hold_limit: timedelta | None = None

    @workflow.run
    async def run(self, request: Any = None) -> ReleaseResult:
        """Bring one version out, or put everything back and fail with the reason."""
        publisher: asyncio.Task[None] | None = None
        try:
            plan = await self._admit(request)
            publisher = asyncio.create_task(self._publish())
            await shielded(Undo(plan, self._commands, self.journal).take_over())
            while newer := await self._bring_out(plan):
                plan = await self._admit(newer, before=plan)
        finally:
            await self._close(publisher)
        return describe(plan, self.journal.status())

    # ----------------------------------------------------------------------------------------------------- before it

    async def _admit(self, request: Any, before: Plan | None = None) -> Plan:
        """Read, observe and check; nothing is touched before this has succeeded."""
        try:
            wanted = parse_request(request)
            self.journal.asked_by(wanted)
            manifest = read_manifest(wanted)
            target = Target(namespace=wanted.namespace, name=wanted.name)
            if before is None:
                self._commands = Commands(wanted.cluster, target, manifest.spec.progress_deadline())
            with self.journal.waiting("the cluster's objects", until=None, who="the cluster's worker"):
                seen = await self._commands.observe(wanted.rollout)
            plan, warnings = check(wanted, manifest, seen)
        except (ApplicationError, ActivityError) as error:
            self.inbox.refused = cause_of(error)
            self.journal.phase("Degraded", f"InvalidSpec: {self.inbox.refused}", finished=True)
            raise ApplicationError(self.inbox.refused, type=ErrorType.INVALID_SPEC, non_retryable=True) from error
        self._background, self._hold_limit = Background(plan, self.journal), plan.hold_limit
        self.journal.begin(wanted, plan.hash, plan.step_texts, warnings, seen.rollout)
        self.journal.revision(plan.revision, seen.stable_hash, plan.replicas)
        self.journal.replica_set(*seen.replica_sets)
        self.journal.event("RolloutUpdated", f"Rollout updated to revision {plan.revision}")
        self.inbox.admitted = Accepted(
            message=f"revision {plan.revision} ({plan.hash}) is under way", run_id=workflow.info().run_id
        )
        self.journal.show()
        return plan

    # ------------------------------------------------------------------------------------------------- the one place

    async def _bring_out(self, plan: Plan) -> ReleaseRequest | None:
        """Take the steps until they are done or something interrupts them; returns the newer version, if one came."""
        try:
            await self._attempt(self._forward(plan))
        except FullyPromoted:
            await self._skip_to_the_end(plan)
        except Superseded as superseded:
            self.inbox.newer = None
            await self._make_way(plan, superseded.newer)
            return superseded.newer
        except Aborted as aborted:
            await shielded(self._abort_release(plan, aborted))
            raise self._failure(plan, aborted) from None
        except asyncio.CancelledError:
            reason = workflow.cancellation_reason() or "no reason given"
            await shielded(self._abort_release(plan, Aborted(f"cancelled: {reason}")))
            raise
        self.inbox.closing = "this version is fully promoted; to go back, release the earlier one"
        await shielded(self._become_stable(plan))
        return await self._finish(plan)

    async def _attempt(self, work: Coroutine[Any, Any, None]) -> None:
        """Race work against everything that may interrupt it.

        The work has come to rest before the interruption is acted on, so no forward write can follow.
        """
        try:
            await race(work, lambda: self._interruption() is not None)
        except GateFailed as failed:
            raise Aborted(str(failed), analysis=failed.analysis.name) from failed
        except (ActivityError, ApplicationError) as error:
            raise Aborted(cause_of(error)) from error
        if interruption := self._interruption():
            raise interruption

    def _interruption(self) -> Interrupted | None:
        if self.inbox.abort is not None:
            return Aborted(f"aborted{said(self.inbox.abort)}")
        if (failed := self._background.failed) is not None:
            return Aborted(str(failed), analysis=failed.analysis.name)
        if self.inbox.newer is not None:
            return Superseded(self.inbox.newer)
        if self.inbox.full is not None:
            return FullyPromoted()
        return None

    # --------------------------------------------------------------------------------------------------------- forward

    async def _forward(self, plan: Plan) -> None:
        """The story of a release that nothing interrupts."""
        if plan.is_stable:
            return
        await self._create(plan)
        for index in range(len(plan.steps)):
            if index == plan.background_from:
                self._background.start()
            await self._hold()
            with self.journal.step(index):
                self.journal.target_weight(plan.weight_at(index))
                self.journal.show()
                promotes = self.inbox.promotes
                await race(self._take(plan, index), lambda: self.inbox.promotes > promotes)  # noqa: B023
        await self._hold()
        await self._reach_full_size(plan)
        if not plan.is_first:
            await self._settle_background()
            if plan.istio and self.journal.status().actual_weight != FULL:
                await self._shift(plan, FULL, plan.replicas)

    async def _take(self, plan: Plan, index: int) -> None:
        step = plan.steps[index]
        if step.set_weight is not None:
            await self._set_weight(plan, step.set_weight, is_last=index == len(plan.steps) - 1)
        elif step.pause is not None:
            await self._pause_step(step.pause.seconds())
        elif step.analysis is not None:
            await self._analyse(plan, index)

    async def _create(self, plan: Plan) -> None:
        created = await self._commands.create(plan.request.rollout, plan.hash, plan.revision, plan.owner_uid)
        self.journal.replica_set(created)
        self.journal.event("NewReplicaSetCreated", f"Created ReplicaSet {created.name} (revision {plan.revision})")
        if plan.istio and not plan.is_first:
            await self._point_canary(plan)

    async def _point_canary(self, plan: Plan) -> None:
        """Both Services must tell the versions apart before the first weight is written."""
        istio = plan.routing
        selectors = {istio.stable_service: plan.seen.stable_hash, istio.canary_service: plan.hash}
        await self._commands.point_services({name: hash_ for name, hash_ in selectors.items() if name})
        await self._point_subsets(plan, stable=plan.seen.stable_hash, canary=plan.hash)

    async def _point_subsets(self, plan: Plan, *, stable: str, canary: str, certain: bool = False) -> None:
        rule = plan.istio.destination_rule if plan.istio else None
        if rule:
            hashes = {rule.get("stableSubsetName", ""): stable, rule.get("canarySubsetName", ""): canary}
            await self._commands.point_subsets(rule["name"], hashes, certain=certain)

    async def _set_weight(self, plan: Plan, weight: int, *, is_last: bool) -> None:
        """Pods first, then the weight (law 1); on the way down the weight first, then the pods (law 2)."""
        if weight >= FULL:
            await self._settle_background()
        pods = plan.pods_for(weight)
        down = weight < self.journal.status().actual_weight
        if down:
            await self._shift(plan, weight, pods)
        self.journal.replica_set(await self._commands.scale(plan.replica_set, pods))
        await self._until_available(plan, pods)
        if not down:
            await self._shift(plan, weight, pods)
        if weight >= FULL and not is_last:
            self._background.start()

    async def _until_available(self, plan: Plan, pods: int) -> None:
        deadline = plan.manifest.spec.progress_deadline()
        while True:
            try:
                with self.journal.waiting(
                    f"{pods} available pods of {plan.replica_set}",
                    until=workflow.now() + deadline,
                    who="the pods; tidegate abort",
                ):
                    self.journal.replica_set(await self._commands.available(plan.replica_set, pods, deadline))
            except ActivityError as error:
                late = isinstance(error.cause, ApplicationError) and (
                    error.cause.type == ErrorType.PROGRESS_DEADLINE_EXCEEDED
                )
                if not late or plan.manifest.spec.progress_deadline_abort:
                    raise
                # Argo's rule: without progressDeadlineAbort the release is Degraded and goes on trying.
                self.journal.phase("Degraded", f"ProgressDeadlineExceeded: {cause_of(error)}")
                self.journal.event("ProgressDeadlineExceeded", cause_of(error), warning=True)
                self.journal.show()
            else:
                self.journal.phase("Progressing", "")
                return

    async def _shift(self, plan: Plan, weight: int, needed: int) -> None:
        traffic = await self._commands.shift(plan.routing, weight, plan.replica_set, needed)
        self.journal.weight(traffic.canary, f"setWeight: {weight}")
        self.journal.show()

    async def _pause_step(self, seconds: int | None) -> None:
        """Wait for the time of the step, or for a person."""
        if seconds is not None:
            until = workflow.now() + timedelta(seconds=seconds)
            with self.journal.paused("CanaryPauseStep"), self.journal.waiting("the pause", until=until, who=A_PERSON):
                self.journal.show()
                await workflow.sleep(seconds, summary=f"pause of {seconds} s")
            return
        promotes = self.inbox.promotes
        with self.journal.paused("CanaryPauseStep"):
            await self._for_a_person("a pause without duration", lambda: self.inbox.promotes > promotes)

    async def _analyse(self, plan: Plan, index: int) -> None:
        analysis = plan.step_document(index)["analysis"]
        gate = await Gate.open(plan, self.journal, analysis, step=index, attempt=0)
        with self.journal.waiting(f"analysis {gate.reference.name}", until=None, who="its verdict; " + A_PERSON):
            self.journal.show()
            phase = await gate.verdict()
        if phase is Phase.INCONCLUSIVE:
            promotes, what = self.inbox.promotes, f"a word on the inconclusive analysis {gate.reference.name}"
            with self.journal.paused("InconclusiveAnalysisRun", analysis=gate.reference.name):
                await self._for_a_person(what, lambda: self.inbox.promotes > promotes)

    async def _settle_background(self) -> None:
        """Nothing gets 100 % before the background analysis has given its verdict (law 4)."""
        with self.journal.waiting("the background analysis", until=None, who="its verdict; " + A_PERSON):
            await self._background.settle()
        await self._hold()

    async def _reach_full_size(self, plan: Plan) -> None:
        self.journal.replica_set(await self._commands.scale(plan.replica_set, plan.replicas))
        await self._until_available(plan, plan.replicas)

    # ----------------------------------------------------------------------------------------------------------- holds

    async def _hold(self) -> None:
        """Go no further while a person paused the release or the background analysis could not tell."""
        while self.inbox.paused is not None or self._background.inconclusive:
            if self.inbox.paused is not None:
                with self.journal.paused(MANUALLY_PAUSED):
                    await self._for_a_person("resume", lambda: self.inbox.paused is None)
            else:
                promotes = self.inbox.promotes
                with self.journal.paused("InconclusiveAnalysisRun", analysis=self._background.inconclusive):
                    what = "a word on the inconclusive background analysis"
                    await self._for_a_person(what, lambda: self.inbox.promotes > promotes)  # noqa: B023
                self._background.start()

    async def _for_a_person(self, what: str, answered: Callable[[], bool]) -> None:
        """Wait for a person; when the Rollout sets a limit and nobody came, the release aborts (law 5)."""
        limit = self._hold_limit
        until = workflow.now() + limit if limit else None
        with self.journal.waiting(what, until=until, who=A_PERSON):
            self.journal.show()
            try:
                await workflow.wait_condition(answered, timeout=limit, timeout_summary=f"limit of the wait for {what}")
            except TimeoutError:
                raise Aborted(f"nobody answered within {limit}: {what}", ErrorType.ROLLOUT_INCONCLUSIVE) from None

    # ----------------------------------------------------------------------------------------------------- other turns

    async def _skip_to_the_end(self, plan: Plan) -> None:
        """A person promotes fully: no step, no gate; only the pods are waited for (law 1)."""
        await self._background.cancel()
        self._background = Background(plan, self.journal)
        self.inbox.full = None
        self.journal.skip_steps()
        try:
            await self._attempt(self._create_at_full_size(plan))
        except FullyPromoted:
            await self._skip_to_the_end(plan)

    async def _create_at_full_size(self, plan: Plan) -> None:
        await self._create(plan)
        await self._reach_full_size(plan)

    async def _make_way(self, plan: Plan, newer: ReleaseRequest) -> None:
        """A newer version came: traffic to stable, then this canary's pods go, then the newer one starts over."""
        await self._background.cancel()
        undo = Undo(plan, self._commands, self.journal)
        await shielded(undo.restore_traffic())
        if plan.hash not in (plan_hash(newer), plan.seen.stable_hash):
            await self._commands.scale_down(plan.replica_set, 0)

    # ------------------------------------------------------------------------------------------------------------- end

    async def _become_stable(self, plan: Plan) -> None:
        """The version is the stable one from here on; there is no way back but another release."""
        commands, istio = self._commands, plan.istio
        await commands.mark_stable(plan.replica_set, plan.hash)
        self.journal.stable(plan.hash)
        if istio is None:
            return
        services = (istio.stable_service, istio.canary_service)
        await commands.point_services({name: plan.hash for name in services if name}, certain=True)
        await self._point_subsets(plan, stable=plan.hash, canary=plan.hash, certain=True)
        # Both sides are the new pods now: this moves no request, it makes the next release start from 0 %.
        await commands.shift(istio, 0, plan.replica_set, plan.replicas, certain=True)

    async def _finish(self, plan: Plan) -> ReleaseRequest | None:
        """Healthy. The old pods stay for the scale-down delay; a newer version need not wait for that."""
        done = len(plan.steps)
        why = "Initial deploy" if plan.is_first else f"Completed all {done} canary steps"
        self.journal.phase("Healthy", "", finished=True)
        self.journal.event("RolloutCompleted", f"Rollout completed update to revision {plan.revision}: {why}")
        self.journal.show()
        await race(self._retire(plan), lambda: self.inbox.newer is not None)
        newer, self.inbox.newer, self.inbox.closing = self.inbox.newer, None, ""
        return newer

    async def _retire(self, plan: Plan) -> None:
        old = [s for s in plan.seen.replica_sets if s.hash != plan.hash and s.desired > 0]
        delay = plan.manifest.canary.scale_down_delay() if plan.istio else timedelta(0)
        if old and delay:
            at = workflow.now() + delay
            for found in old:
                await self._commands.scale_down(found.name, found.desired, at)
            with self.journal.waiting("the old pods' scale-down delay", until=at, who="nobody has to"):
                await workflow.sleep(delay, summary=f"scale-down delay of {delay}")
        await self._commands.retire((plan.hash,), plan.manifest.spec.history_limit())

    async def _abort_release(self, plan: Plan, cause: Aborted) -> None:
        """Undo: traffic, then scale, then people (law 3)."""
        self.inbox.closing = "this release is being aborted"
        self.inbox.ended = True
        message = f"Rollout aborted update to revision {plan.revision}: {cause}"
        self.journal.event("RolloutAborted", message, warning=True, analysis=cause.analysis)
        self.journal.phase("Degraded", f"{cause.type}: {message}")
        undo = Undo(plan, self._commands, self.journal)
        await undo.restore_traffic()
        self.journal.show()
        await self._background.cancel()
        await undo.follow_up(str(cause))
        self.journal.phase("Degraded", f"{cause.type}: {message}{undo.complaint()}", finished=True)
        self.journal.show()

    def _failure(self, plan: Plan, cause: Aborted) -> ApplicationError:
        status = self.journal.status()
        result = describe(plan, status, outcome=cause.type)
        return ApplicationError(status.message, result, type=cause.type, non_retryable=True)

    # ------------------------------------------------------------------------------------------------ the status

    async def _publish(self) -> None:
        """Keep the Rollout's `.status` up to date: one write at a time, the changes in between in the next one.

        Only what changed is written: the other fields may hold what somebody just patched to speak to the release.
        """
        tried: Document = {}
        while not (self.inbox.ended and tried == self.journal.document()):
            await workflow.wait_condition(
                lambda: self.inbox.ended or self.journal.document() != tried  # noqa: B023
            )
            tried, page = self.journal.document(), self.journal.page
            changes = page.unwritten(tried)
            try:
                page.wrote(changes, await self._commands.publish(changes, tried["phase"]))
            except ActivityError as error:
                workflow.logger.warning("the Rollout's status was not written: %s", cause_of(error))

    async def _close(self, publisher: asyncio.Task[None] | None) -> None:
        self.inbox.ended = True
        if publisher is not None:
            await publisher
        await workflow.wait_condition(workflow.all_handlers_finished)
