"""How to ask for a release or an analysis run, speak to it and look at it, over Temporal; what a CI job imports.

Errors, each with a `remedy` that says what to do:

* `TidegateError`
  * `ConfigurationError`: the connection's profile or its environment variables cannot be used
  * `KeysUnavailableError`: the keys of encrypted data cannot be read now
  * `UnreadablePayloadError`: something is encrypted with a key that this process does not have
  * `UnreachableError`: Temporal does not answer; nothing was done
  * `NoWorkerError`: Temporal answers, but no Tidegate worker does
  * `UnusableAnswerError`: a worker answered what cannot be read, or that it cannot tell
  * `NotFoundError`: Temporal knows of nothing by that name, any more
    * `NoSuchReleaseError`: nothing of that name was ever released
    * `NoSuchAnalysisRunError`: there never was an analysis run of that name
  * `RefusedError`: the request or the message was understood and turned down; nothing was done
  * `StillRunningError`: the time given to a wait is over and the release goes on
  * `HeldError`: the release waits for a person, without a limit
  * `ReleaseError`: the release ended and its version did not get there
    * `RolledBackError`: a gate failed, or a person aborted or cancelled it; traffic is on the stable version
    * `InconclusiveError`: nobody answered an inconclusive hold in time; traffic is on the stable version
    * `InvalidSpecError`: the manifest, or an object that it names, has to change first
    * `SupersededError`: a newer version took its place
    * `StoppedError`: it was terminated or ran out of time, and undid nothing; a person has to look
    * `CompensationError`: something that must follow an abort failed; a person has to look
"""

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
from tidegate.client.refs import AnalysisRunRef, AnalysisSummary, ReleaseHandle, ReleaseSummary, RolloutRef
from tidegate.client.standalone import analysis_request
from tidegate.client.stuck import StuckRun

__all__ = [
    "AnalysisRunRef",
    "AnalysisSummary",
    "CompensationError",
    "ConfigurationError",
    "FixedKeys",
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
    "RefusedError",
    "ReleaseError",
    "ReleaseHandle",
    "ReleaseSummary",
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
    "connect_temporal",
    "data_converter",
    "data_converter_from_environment",
    "file_keys",
    "keys_from_environment",
    "temporal_tls",
]
