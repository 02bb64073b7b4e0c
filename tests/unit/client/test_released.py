"""The result of a release for a program, and the requests that cannot become one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.releases import aborting, running
from tidegate.analysis.status import Phase
from tidegate.client import (
    CompensationError,
    InconclusiveError,
    InvalidSpecError,
    RefusedError,
    ReleaseError,
    ReleaseOutcome,
    RolledBackError,
    StoppedError,
    SupersededError,
)
from tidegate.client.released import outcome_of, released
from tidegate.client.releasing import request_of

CHECKOUT = Path(__file__).parents[3] / "examples" / "checkout" / "corrected"
UI = "https://temporal.internal/namespaces/rollouts"


def request(**changes: Any) -> Any:
    given: dict[str, Any] = {"namespace": None, "cluster": "default", "by": "ci", "reason": "", **changes}
    files, image, commit = given.pop("files", [CHECKOUT]), given.pop("image", {}), given.pop("commit", "")
    return request_of(files, image, commit, **given)


def test_an_aborted_release_has_its_readings_incident_and_links() -> None:
    status = aborting().status
    found = released(ReleaseOutcome.ROLLED_BACK, status, temporal_ui=UI)
    assert not found.promoted
    assert "was" in found.reason or "is being rolled back" in found.reason
    bad = [each for each in found.readings if each.phase is Phase.FAILED]
    assert bad
    assert all(each.gate and each.metric and each.value and each.sentence for each in bad)
    assert status.incident is not None
    assert (found.incident, found.links.incident) == (status.incident, status.incident.url)
    assert found.links.run.startswith(f"{UI}/workflows/rollout%2F")
    assert found.links.run.endswith(f"/{status.run_id}/history")


def test_a_release_without_an_incident_or_an_address_has_empty_links() -> None:
    found = released(ReleaseOutcome.PROMOTED, running().status)
    assert found.promoted
    assert (found.incident, found.links.incident, found.links.run) == (None, "", "")
    assert found.images == running().status.images


def test_what_is_known_of_a_release_without_a_status_is_its_reason() -> None:
    found = released(ReleaseOutcome.STOPPED, None, "terminated", remedy="look at the weights")
    assert (found.reason, found.remedy, found.readings, found.status) == ("terminated", "look at the weights", (), None)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RolledBackError, ReleaseOutcome.ROLLED_BACK),
        (InconclusiveError, ReleaseOutcome.INCONCLUSIVE),
        (InvalidSpecError, ReleaseOutcome.REFUSED),
        (SupersededError, ReleaseOutcome.SUPERSEDED),
        (StoppedError, ReleaseOutcome.STOPPED),
        (CompensationError, ReleaseOutcome.COMPENSATION_FAILED),
        (ReleaseError, ReleaseOutcome.ROLLED_BACK),
    ],
)
def test_each_end_has_an_outcome(error: type[ReleaseError], outcome: ReleaseOutcome) -> None:
    assert outcome_of(error("why")) is outcome


def test_images_and_the_change_are_in_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith(("GITHUB_", "CI_"))]:
        monkeypatch.delenv(name)
    found = request(image={"checkout": "registry.internal/payments/checkout:1.1.0"}, commit="4f2a9c1", by="ana")
    (container,) = found.rollout["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.internal/payments/checkout:1.1.0"
    assert (found.source.commit, found.by, found.name) == ("4f2a9c1", "ana", "checkout")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": {"other": "a:1"}}, "no container is called other"),
        ({"files": ["/nope"]}, "/nope"),
        ({"namespace": "orders"}, "--namespace 'orders'"),
    ],
)
def test_what_cannot_be_released_is_refused_before_anything_is_asked(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        request(**changes)
