"""Message handlers of a release: signals, updates of the same meaning, the status query. No handler raises (law 8).

A handler only takes a note in the inbox. The run races against the inbox in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from tidegate.analysis.status import AnalysisStatus
    from tidegate.contract import (
        Accepted,
        ErrorType,
        FollowedUp,
        Message,
        ObjectField,
        Query,
        ReleaseRequest,
        ReleaseStatus,
        Signal,
        StrategyName,
        Update,
        parse_message,
        signal_of,
    )
    from tidegate.manifests.decode import nearest
    from workflows.admission import check_rollout, parse_request, read_manifest
    from workflows.log_fields import release_fields
    from workflows.release_status import ReleaseState


MAX_NAME = 80  # characters of a signal's name that are shown
OPERATOR_SIGNALS = tuple(each.value for each in (Signal.PROMOTE, Signal.ABORT, Signal.PAUSE, Signal.RESUME))
GIVES_WAY = "a newer version takes over: promote that one"
ANOTHER = "another version is under way than the one that was to be promoted: look at it, and promote that one"
OVERRULED = "this release is being aborted, which overrules it"
NO_STEPS = "blue-green has no steps to skip: tidegate promote ends its pause, and tidegate promote --full every gate"
NO_STEP_LEFT = "no step is left to skip: tidegate promote ends this wait, and tidegate promote --full every gate"


@dataclass
class Inbox:
    """Requests to a release on which the run has not yet acted."""

    abort: Message | None = None
    full: Message | None = None
    newer: ReleaseRequest | None = None
    paused: Message | None = None
    promotes: int = 0
    skips: bool = False  # whether the remaining steps are left out
    admitted: Accepted | None = None
    refused: str = ""
    closing: str = ""  # why a promote, abort or pause comes too late
    nothing_to_promote: str = ""  # why a promote ends no wait now
    gives_way: bool = False  # whether a newer version was taken that has not begun
    ended: bool = False  # whether a newer version has to be a release of its own
    awaited: bool = False  # whether such a release was requested


class MessageHandlers:
    """Handlers of a release; `Rollout` inherits them, so that its run body reads in order."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.state = ReleaseState()

    # ------------------------------------------------------------------------------------------------------- signals

    @workflow.signal(
        name=Signal.PROMOTE,
        description="Skip this step's wait; {full: true} skips all: {full?, current_step?, all_steps?, by?, reason?}",
    )
    def on_promote(self, *arguments: Any) -> None:
        """End the wait of this step."""
        self._promote(parse_message(_first(arguments)))

    @workflow.signal(name=Signal.ABORT, description="Put all traffic back on stable: {by?, reason?}")
    def on_abort(self, *arguments: Any) -> None:
        """Abort; an argument that cannot be read is still an abort."""
        self._abort(parse_message(_first(arguments)))

    @workflow.signal(name=Signal.PAUSE, description="Hold before the next step: {by?, reason?}")
    def on_pause(self, *arguments: Any) -> None:
        """Pause before the next step."""
        self._pause(parse_message(_first(arguments)))

    @workflow.signal(name=Signal.RESUME, description="End a pause that an operator asked for: {by?, reason?}")
    def on_resume(self, *arguments: Any) -> None:
        """End a pause."""
        self._resume(parse_message(_first(arguments)))

    @workflow.signal(name=Signal.MEASURED, description="An analysis run reports a changed verdict")
    def on_measured(self, *arguments: Any) -> None:
        """Show the latest verdicts of an analysis run."""
        try:
            self.state.measured(AnalysisStatus.model_validate(_first(arguments)))
        except ValidationError:
            self.state.event("UnreadableMessage", "an analysis run sent verdicts that cannot be read", warning=True)

    @workflow.signal(name=Signal.FOLLOWED_UP, description="What follows a decision reports how it went")
    def on_followed_up(self, *arguments: Any) -> None:
        """Show the result of an effect, such as an incident or a revert."""
        try:
            self.state.followed_up(FollowedUp.model_validate(_first(arguments)))
        except ValidationError:
            self.state.event("UnreadableMessage", "what follows an abort reported what cannot be read", warning=True)

    @workflow.signal(dynamic=True)
    def on_unknown(self, name: str, arguments: Sequence[RawValue]) -> None:
        """Take a signal by the name that a person meant; an unknown one is a warning where people look."""
        meant, full = signal_of(name)
        if meant is None:
            self._unknown(name)
            return
        message = parse_message(_read(arguments))
        if meant is Signal.PROMOTE:
            self._promote(message.model_copy(update={"full": message.full or full}))
        elif meant is Signal.ABORT:
            self._abort(message)
        elif meant is Signal.PAUSE:
            self._pause(message)
        else:
            self._resume(message)

    def _unknown(self, name: str) -> None:
        """Record a signal of an unknown name: Temporal told its sender of a success."""
        shown = name[:MAX_NAME]
        meant = nearest(shown, OPERATOR_SIGNALS)
        hint = f"did you mean {meant}?" if meant else f"known are {', '.join(OPERATOR_SIGNALS)}"
        text = f"signal {shown!r} is not known, and nothing was done: {hint}"
        self.state.event("UnknownSignal", text, warning=True)
        self.state.warn(text)

    # ------------------------------------------------------------------------------------------------------- updates

    @property
    def _is_decided(self) -> bool:
        """True when the version that the run started with was admitted or rejected, or the run is over."""
        return self.inbox.admitted is not None or bool(self.inbox.refused) or self.inbox.ended

    @workflow.update(name=Update.RELEASE, description="Release this version, or a newer one in the release under way")
    async def release(self, *arguments: Any) -> Accepted:
        """Answer once the request was checked. A rejection is an `InvalidSpec`, and nothing was written."""
        request = parse_request(_first(arguments))
        check_rollout(request, workflow.info().workflow_id)
        version, starts = request.resolved(), self.inbox.admitted is None and not self.inbox.refused
        if starts:
            await workflow.wait_condition(lambda: self._is_decided)
        if self.inbox.refused and self.state.is_last_read(version):
            raise ApplicationError(self.inbox.refused, type=ErrorType.INVALID_SPEC, non_retryable=True)
        # The version that the run began with may have been given up since: that is not to be done again.
        same = self.state.is_current(version) or (starts and self.state.is_last_read(version))
        joins = self.inbox.admitted is not None and self.inbox.newer is None and same
        if (self.inbox.ended or self.inbox.refused) and not (starts and joins):
            self.inbox.awaited = True
            raise ApplicationError(
                f"{self.inbox.closing or 'this release has ended'}; ask again in a moment",
                workflow.now().isoformat(),
                type=ErrorType.REJECTED,
                non_retryable=True,
            )
        if joins and self.inbox.admitted is not None:
            self.state.note_repeated_request(version, _update_id())
            self._promote_if_requested(request)
            return self.inbox.admitted
        if self.state.is_overtaken(request):
            images = ", ".join(self.state.status().images.values())
            raise ApplicationError(
                f"another version was asked for after this one, which had to wait; under way is {images}: "
                "ask again if it is to make way",
                type=ErrorType.SUPERSEDED,
                non_retryable=True,
            )
        read_manifest(request)
        self.inbox.newer, self.inbox.gives_way = request, True
        self.state.note_newer_request(request, _update_id())
        self.state.event("RolloutUpdated", f"a newer version was asked for by {request.by or 'somebody'}")
        return Accepted(message="the release under way goes over to this version", run_id=workflow.info().run_id)

    @workflow.update(name=Update.PROMOTE)
    def promote_now(self, *arguments: Any) -> Accepted:
        """End the wait of this step."""
        return self._answer(self._promote(parse_message(_first(arguments))))

    @workflow.update(name=Update.ABORT)
    def abort_now(self, *arguments: Any) -> Accepted:
        """Abort."""
        return self._answer(self._abort(parse_message(_first(arguments))))

    @workflow.update(name=Update.PAUSE)
    def pause_now(self, *arguments: Any) -> Accepted:
        """Pause before the next step."""
        return self._answer(self._pause(parse_message(_first(arguments))))

    @workflow.update(name=Update.RESUME)
    def resume_now(self, *arguments: Any) -> Accepted:
        """End a pause."""
        return self._answer(self._resume(parse_message(_first(arguments))))

    @abort_now.validator
    def _may_abort(self, *arguments: Any) -> None:
        if not self.inbox.ended:  # another abort of it is no error
            self._refuse_when_closing()

    @promote_now.validator
    def _may_promote(self, *arguments: Any) -> None:
        if why := self._not_promoted(parse_message(_first(arguments))):
            raise ApplicationError(why, type=ErrorType.REJECTED, non_retryable=True)

    @pause_now.validator
    def _may_pause(self, *arguments: Any) -> None:
        self._refuse_when_closing()

    @resume_now.validator
    def _may_resume(self, *arguments: Any) -> None:
        self._refuse_when_closing()
        if self.inbox.paused is None:
            raise ApplicationError("this release is not paused", type=ErrorType.REJECTED, non_retryable=True)

    # --------------------------------------------------------------------------------------------------------- query

    @workflow.query(name=Query.STATUS, description="Everything that the release knows")
    def status(self, *arguments: Any) -> ReleaseStatus:
        """The status of the release, for operators and tools."""
        return self.state.status()

    def log_fields(self) -> dict[str, str]:
        """Fields of log lines: Rollout, revision and step as they are now."""
        return release_fields(self.state.status())

    # --------------------------------------------------------------------------------------------------------- notes

    def _not_promoted(self, message: Message) -> str:
        """Reason why a promotion comes too late, empty when it does not: a promotion is for one version (law 12)."""
        if self.inbox.closing or self.inbox.newer is not None:
            return self.inbox.closing or GIVES_WAY
        if self.inbox.abort is not None:
            return OVERRULED
        if (message.current_step or message.all_steps) and self.state.status().strategy is StrategyName.BLUE_GREEN:
            return NO_STEPS
        if self.inbox.nothing_to_promote and self.inbox.paused is None and not message.full:
            return self.inbox.nothing_to_promote
        # A version is counted when it is looked at: the first one, and a newer one that has been taken.
        under_way = max(1, self.state.status().versions) + self.inbox.gives_way
        if message.versions is not None and max(1, message.versions) != under_way:
            return ANOTHER
        return NO_STEP_LEFT if message.all_steps and not message.full and not self._has_steps_left else ""

    @property
    def _has_steps_left(self) -> bool:
        """True while there are steps that did not begin; also before the version is known."""
        status = self.state.status()
        return self.inbox.admitted is None or (status.step_index or 0) < len(status.steps)

    def _promote(self, message: Message) -> str:
        if why := self._not_promoted(message):
            return why
        how = " fully" if message.full else " past all steps" if message.all_steps else ""
        text = f"promoted{how}{attribution(message)}"
        if message.full and (self.inbox.full is not None or self.state.status().promoted_full):
            return text  # the watcher sees the wish in the object until the release has answered to it
        if message.full:
            self.inbox.full = message
            if message.field is ObjectField.PROMOTE_FULL:  # an abort that comes now overrules it (law 4)
                self.state.publication.written.acknowledge("promoteFull")
        else:
            self.inbox.skips = self.inbox.skips or message.all_steps
            self.inbox.promotes += 1
        self._set_paused(None)
        self.state.event("RolloutPromoted", text)
        return text

    def _promote_if_requested(self, request: ReleaseRequest) -> None:
        if request.full:
            self._promote(Message(full=True, by=request.by, reason=request.reason, field=request.field))

    def _abort(self, message: Message) -> str:
        if self.inbox.closing:
            return self.inbox.closing
        self.inbox.abort = self.inbox.abort or message
        return f"aborting{attribution(message)}"

    def _pause(self, message: Message) -> str:
        if self.inbox.closing:
            return self.inbox.closing
        self._set_paused(message)
        text = f"manually paused{attribution(message)}"
        self.state.event("RolloutPaused", text)
        return text

    def _resume(self, message: Message) -> str:
        if self.inbox.closing:
            return self.inbox.closing
        self._set_paused(None)
        text = f"resumed{attribution(message)}"
        self.state.event("RolloutResumed", text)
        return text

    def _set_paused(self, message: Message | None) -> None:
        self.inbox.paused = message
        self.state.waits.manual_pause(message)
        self.state.publication.show_details()

    def _answer(self, text: str) -> Accepted:
        return Accepted(message=text, run_id=workflow.info().run_id)

    def _refuse_when_closing(self) -> None:
        if self.inbox.closing:
            raise ApplicationError(self.inbox.closing, type=ErrorType.REJECTED, non_retryable=True)


def _update_id() -> str:
    update = workflow.current_update_info()
    return update.id if update is not None else ""


def _read(arguments: Sequence[RawValue]) -> Any:
    """The first argument of a dynamic handler, None without one; what cannot be read is as of any other signal."""
    return workflow.payload_converter().from_payload(arguments[0].payload) if arguments else None


def _first(arguments: Sequence[Any]) -> Any:
    """The one argument that a message may have; more than one must not hurt, and with `*` they cannot."""
    return arguments[0] if arguments else None


def attribution(message: Message) -> str:
    """` by NAME: REASON`, as far as they were given."""
    by = f" by {message.by}" if message.by else ""
    return f"{by}: {message.reason}" if message.reason else by
