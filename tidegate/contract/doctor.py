"""Payloads of `tidegate doctor`: what each outside system answers to a read, and the command that mends it."""

from __future__ import annotations

from enum import StrEnum

from tidegate.contract.names import ClusterName, NamespaceName
from tidegate.contract.payload import Payload, PlainText
from tidegate.contract.release import ReleaseRequest


class CheckState(StrEnum):
    """Outcome of one check."""

    OK = "ok"
    WRONG = "wrong"
    ABSENT = "not set up"  # nothing is configured to be checked, which is no fault


class Check(Payload):
    """One line: a system or a right of it, what was found, and the command that mends it where it is wrong."""

    name: str
    state: CheckState = CheckState.OK
    detail: PlainText = ""
    remedy: PlainText = ""


class CheckSystems(Payload):
    """Ask a worker to check the systems that it reaches, for releases in one namespace of Kubernetes."""

    namespace: NamespaceName = "default"
    repository: str = ""  # of the Rollout's Git reverts, to be read as well


class Checks(Payload):
    """Checks of one worker, in the order in which people read them."""

    checks: tuple[Check, ...]


class DoctorRequest(Payload):
    """Check the systems behind the task queues that have workers, and the queries of a release where one is given."""

    cluster: ClusterName = "default"
    namespace: NamespaceName = "default"
    queues: tuple[str, ...] = ()
    release: ReleaseRequest | None = None
