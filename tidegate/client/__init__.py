"""Client of releases and analysis runs, over Temporal: start, message, read. A CI job imports this package.

`release` and `release_async` do what `tidegate start --wait` does. `TidegateClient` has everything else.

Errors, each with a `remedy` that says what to do:

* `TidegateError`
  * `ConfigurationError`: the connection's profile or its environment variables cannot be used
  * `KeysUnavailableError`: the keys of encrypted data cannot be read now
  * `UnreadablePayloadError`: something is encrypted with a key that this process does not have
  * `UnreachableError`: Temporal does not answer; nothing was done
  * `NoWorkerError`: Temporal answers, but no Tidegate worker does
  * `UnusableAnswerError`: a worker's answer cannot be read, or is an error
  * `NotFoundError`: Temporal has nothing of that name, or no longer
    * `NoSuchReleaseError`: nothing of that name was ever released
    * `NoSuchAnalysisRunError`: there never was an analysis run of that name
  * `RefusedError`: the request or the message was understood and rejected; nothing was done
  * `StillRunningError`: the time given to a wait is over and the release goes on
  * `HeldError`: the release waits for an operator, without a limit
  * `ReleaseError`: the release ended and its version did not get there
    * `RolledBackError`: a gate failed, or an operator aborted or cancelled it; traffic is on the stable version
    * `InconclusiveError`: an inconclusive hold was over its limit; traffic is on the stable version
    * `InvalidSpecError`: the manifest, or an object that it names, has to change first
    * `SupersededError`: a newer version took its place
    * `StoppedError`: it was terminated or ran out of time, and restored nothing; an operator has to act
    * `CompensationError`: a compensation of an abort failed; an operator has to act

A name is imported with its module when it is first used: Temporal's SDK takes most of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.deferred import deferred

if TYPE_CHECKING:
    from tidegate.client.backtest_inputs import backtest_request, most_series
    from tidegate.client.client import TidegateClient
    from tidegate.client.codec import UnreadablePayloadError, data_converter, data_converter_from_environment
    from tidegate.client.connection import connect_temporal, temporal_tls
    from tidegate.client.errors import (
        CompensationError,
        ConfigurationError,
        HeldError,
        InconclusiveError,
        InvalidSpecError,
        NoSuchAnalysisRunError,
        NoSuchReleaseError,
        NotFoundError,
        NoWorkerError,
        RefusedError,
        ReleaseError,
        RolledBackError,
        StillRunningError,
        StoppedError,
        SupersededError,
        TidegateError,
        UnreachableError,
        UnusableAnswerError,
    )
    from tidegate.client.keyring import (
        FixedKeys,
        Keyring,
        KeySource,
        KeysUnavailableError,
        StoredKeys,
        file_keys,
        keys_from_environment,
    )
    from tidegate.client.refs import (
        AnalysisRunRef,
        AnalysisSummary,
        ExperimentRef,
        ExperimentSummary,
        PastRelease,
        ReleaseHandle,
        ReleaseSummary,
        RolloutRef,
    )
    from tidegate.client.released import GateReading, Released, ReleaseLinks, ReleaseOutcome
    from tidegate.client.releasing import release, release_async
    from tidegate.client.standalone import analysis_request
    from tidegate.client.stuck import StuckRun

__all__ = [
    "AnalysisRunRef",
    "AnalysisSummary",
    "CompensationError",
    "ConfigurationError",
    "ExperimentRef",
    "ExperimentSummary",
    "FixedKeys",
    "GateReading",
    "HeldError",
    "InconclusiveError",
    "InvalidSpecError",
    "KeySource",
    "Keyring",
    "KeysUnavailableError",
    "NoSuchAnalysisRunError",
    "NoSuchReleaseError",
    "NoWorkerError",
    "NotFoundError",
    "PastRelease",
    "RefusedError",
    "ReleaseError",
    "ReleaseHandle",
    "ReleaseLinks",
    "ReleaseOutcome",
    "ReleaseSummary",
    "Released",
    "RolledBackError",
    "RolloutRef",
    "StillRunningError",
    "StoppedError",
    "StoredKeys",
    "StuckRun",
    "SupersededError",
    "TidegateClient",
    "TidegateError",
    "UnreachableError",
    "UnreadablePayloadError",
    "UnusableAnswerError",
    "analysis_request",
    "backtest_request",
    "connect_temporal",
    "data_converter",
    "data_converter_from_environment",
    "file_keys",
    "keys_from_environment",
    "most_series",
    "release",
    "release_async",
    "temporal_tls",
]

__getattr__ = deferred(__name__)
