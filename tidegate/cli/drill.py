"""`drill`: a bad version on purpose, to see that the gates take it back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

import typer

from tidegate.cli.exits import ExitCode
from tidegate.cli.files import Files, GivenNamespace, checked
from tidegate.cli.options import By, Cluster, Images, Output, OutputOption, Timeout, duration, with_client
from tidegate.cli.output import document, print_json, stderr, stdout
from tidegate.cli.requests import images_of
from tidegate.client import RefusedError, TidegateClient
from tidegate.client.actor import actor
from tidegate.client.drills import Drilled, drill
from tidegate.client.manifest_files import read
from tidegate.client.release_requests import release_request
from tidegate.contract import ErrorType, ReleaseRequest
from tidegate.manifests.documents import Manifests
from tidegate.manifests.drill import DEFAULT_WEIGHT, NoDrillError, drill_images, exercise, watches_beside
from tidegate.manifests.images import apply_images

_HELD = timedelta(minutes=10)
_GOOD_WAY_BACK = timedelta(seconds=30)
_LONGEST = timedelta(hours=1)
_REASON = "drill: a version that is bad on purpose"


def run_drill(
    filename: Files,
    image: Images = None,
    namespace: GivenNamespace = None,
    cluster: Cluster = "default",
    weight: Annotated[
        int, typer.Option(min=1, max=50, help="The most of the traffic, in percent, that it gets.")
    ] = DEFAULT_WEIGHT,
    within: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="DURATION", help="The longest way back that is good; 30s by default."),
    ] = None,
    timeout: Timeout = None,
    by: By = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Release a version that is bad on purpose, and see that a gate takes it back; then all is as before.

    The Rollout names that version: `tidegate.io/drill: CONTAINER=IMAGE`. It is never promoted, whatever the gates say,
    and taken back after an hour or --timeout.

    Exit codes: 0 a gate took it back in time, 2 it did not, 5 refused: nothing was released, 6 an operator is needed.
    """
    images, manifests = images_of(image or []), read(filename)
    manifests = checked(apply_images(manifests, images) if images else manifests)
    person, limit = by or actor(), within or _GOOD_WAY_BACK
    found: list[Drilled] = []

    async def act(client: TidegateClient) -> None:
        stable, bad = _requests(manifests, namespace, cluster, weight, person)
        beside = watches_beside(bad.rollout)
        found.append(await drill(client, stable, bad, beside=beside, timeout=timeout or _LONGEST))

    stderr().print(f"a drill: the version gets {weight} % of the traffic at most, and is taken back in any case")
    with_client(act)
    [result] = found
    if output is Output.JSON:
        print_json(document(result))
    else:
        for line in lines_of(result, limit):
            stdout().print(line)
    return ExitCode.OK if is_good(result, limit) else ExitCode.ROLLED_BACK


def is_good(result: Drilled, within: timedelta) -> bool:
    """True when a gate took the version back, and the way back was no longer than that."""
    late = result.back_seconds is not None and result.back_seconds > within.total_seconds()
    return result.caught and not late


def lines_of(result: Drilled, within: timedelta) -> Iterator[str]:
    """Yield the account of a drill, its verdict first."""
    verdict = "passed" if is_good(result, within) else "FAILED"
    yield f"drill {verdict}: {'taken back by ' + result.gate if result.caught else 'no gate took the version back'}"
    yield f"  why        {result.reason}"
    if result.seen_seconds is not None:
        yield f"  seen       {result.seen_seconds:.0f} s after its first traffic, at {result.weight} %"
    if result.back_seconds is not None:
        yield f"  way back   {result.back_seconds:.1f} s after the verdict (good: {within.total_seconds():g} s at most)"
    if result.incident:
        yield f"  incident   {result.incident}, resolved by the release of the version before"
    yield f"  run        {result.run_id}"


def _requests(
    manifests: Manifests, namespace: str | None, cluster: str, weight: int, by: str
) -> tuple[ReleaseRequest, ReleaseRequest]:
    """The request for what is there, and that for the bad version. Raises RefusedError where no drill can be made."""
    stable = release_request(manifests, namespace, cluster=cluster, by=by, reason="after a drill")
    try:
        images = drill_images(stable.rollout)
        bad = release_request(apply_images(manifests, images), namespace, cluster=cluster, by=by, reason=_REASON)
        return stable, bad.model_copy(update={"rollout": exercise(bad.rollout, weight, _HELD)})
    except NoDrillError as error:
        message = f"{stable.namespace}/{stable.name}: {error}"
        raise RefusedError(message, error.remedy, ErrorType.REJECTED) from error
