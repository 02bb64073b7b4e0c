"""Settings of a worker process, from environment variables named `TIDEGATE_...`.

A setting of a group is named with two underscores: `TIDEGATE_VAULT__ADDRESS`. No setting holds a secret: where one
is needed, it names a file, which is read at the moment of use. The connection to Temporal has the variables of the
`temporal` command: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_PROFILE`, `TEMPORAL_TLS_*` and so on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from activities.notifications.formats import NAMED
from tidegate.contract import ClusterName
from tidegate.report.notifications import SLACK, UNSUPPORTED_SERVICES
from workers.outside_settings import (
    CodecSettings,
    DatadogVariables,
    DetectionsSettings,
    GatewaySettings,
    GitVariables,
    Group,
    KubernetesSettings,
    Length,
    MetricsSettings,
    NotificationsSettings,
    PageSettings,
    PrometheusVariables,
    SecretsSettings,
    ServiceNowVariables,
    SlackVariables,
    Url,
    VaultVariables,
    WebhookVariables,
    WebSettings,
)

PREFIX = "TIDEGATE_"
SEPARATOR = "__"
# Defaults of the commands' options; they may stand in an environment that a worker shares.
_OF_THE_COMMANDS = frozenset({"namespace", "server", "token_file", "audience"})


class SettingsError(Exception):
    """A variable cannot be used; the text has its name, its value and the allowed values."""


class Role(StrEnum):
    """Kind of work that a process polls for."""

    ALL = "all"
    WORKFLOWS = "workflows"  # decisions: needs Temporal alone
    ACTIVITIES = "activities"  # all effects
    CLUSTER = "cluster"  # effects on the cluster that this process stands in
    METRICS = "metrics"  # questions to metric providers
    FOLLOW_UP = "follow-up"  # incidents, and reverts in Git


class WatcherSettings(Group):
    """Rollout objects that the watcher follows."""

    namespaces: str = Field(
        "", pattern=r"^$|^[a-z0-9-]+(,[a-z0-9-]+)*$", description="names with commas between; all by default"
    )
    resync: Length = Field(
        timedelta(minutes=5),
        ge=timedelta(seconds=1),
        description="how often every object is looked at whether or not it changed",
    )
    stopped_every: Length = Field(
        timedelta(seconds=5),
        ge=timedelta(milliseconds=100),
        description="how often Temporal is asked for releases that ended without an undo, as when terminated",
    )
    stuck_every: Length = Field(
        timedelta(seconds=15),
        ge=timedelta(milliseconds=100),
        description="how often Temporal is asked for releases that cannot go on, as their workflow task fails",
    )
    stuck_limit: Length = Field(
        timedelta(minutes=5),
        ge=timedelta(),
        description="how long one may fail until it is terminated and its traffic put back; 0s leaves it to operators",
    )

    argo_namespaces: str = Field(
        "",
        pattern=r"^$|^[a-z0-9-]+(,[a-z0-9-]+)*$",
        description="where a controller of Argo Rollouts may run: while one with the same instance id leads there, "
        "nothing is released through objects",
    )

    def followed_namespaces(self) -> tuple[str, ...]:
        """The namespaces, one that is empty standing for all."""
        return tuple(dict.fromkeys(self.namespaces.split(",")))

    def namespaces_of_argo(self) -> tuple[str, ...]:
        """The namespaces of Argo's controllers, none by default."""
        return tuple(dict.fromkeys(filter(None, self.argo_namespaces.split(","))))


class BakeSettings(Group):
    """Default of the bake at 100 %, for Rollouts without one of their own."""

    duration: Length = Field(timedelta(), ge=timedelta(), description="of a bake, as the annotation gives it")


class HealthSettings(Group):
    """Address of `/healthz` and `/readyz`."""

    host: str = Field("127.0.0.1", description="0.0.0.0 where a kubelet has to reach it")
    port: int = Field(8081, ge=0, le=65535, description="0 for any free port, which the log names")


class LogSettings(Group):
    """Log output."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="lowest level that is written")


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=SEPARATOR,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
    )

    role: Role = Field(Role.ALL, description="what the process polls for; --role comes before it")
    cluster: ClusterName = Field("default", description="name of the cluster that this process works on")
    kubernetes: KubernetesSettings = KubernetesSettings()
    vault: VaultVariables | None = None
    secrets: SecretsSettings = SecretsSettings()
    codec: CodecSettings | None = None
    metrics: MetricsSettings = MetricsSettings()
    datadog: DatadogVariables = DatadogVariables()
    prometheus: PrometheusVariables = PrometheusVariables()
    web: WebSettings = WebSettings()
    servicenow: ServiceNowVariables | None = None
    git: GitVariables | None = None
    notifications: NotificationsSettings = NotificationsSettings()
    slack: SlackVariables | None = None
    webhooks: dict[str, WebhookVariables] = Field(
        default_factory=dict, description="by the name that annotations have, such as WEBHOOKS__ON_CALL__SECRET_PATH"
    )
    bake: BakeSettings = BakeSettings()
    watcher: WatcherSettings = WatcherSettings()
    detections: DetectionsSettings | None = None
    gateway: GatewaySettings | None = None
    page: PageSettings | None = None
    health: HealthSettings = HealthSettings()
    log: LogSettings = LogSettings()
    temporal_ui: Url | Literal[""] = Field(
        "", description="Temporal UI with its namespace, such as https://temporal.internal/namespaces/default"
    )
    temporal_token_file: Path | None = Field(
        None, description="file with the token for Temporal, read again as it is renewed; before TEMPORAL_API_KEY"
    )
    telemetry: str = Field("", description="address such as 0.0.0.0:9464 for Prometheus; no metrics by default")
    graceful_shutdown: Length = Field(timedelta(seconds=30), description="time for running activities after SIGTERM")
    reconnect_at_most: Length = Field(
        timedelta(seconds=15),
        ge=timedelta(milliseconds=100),
        description="longest wait between two tries while Temporal is away",
    )
    max_concurrent_activities: int = Field(100, gt=0, description="activities that one queue's worker runs at a time")
    max_cached_workflows: int | None = Field(
        None,
        ge=0,
        description="releases and analysis runs kept in memory; by default as the memory limit allows",
    )
    # The names that Temporal's Worker Controller gives them.
    deployment_name: str = Field(
        "", validation_alias="TEMPORAL_DEPLOYMENT_NAME", description="worker deployment whose versions this is one of"
    )
    build_id: str = Field(
        "",
        validation_alias="TEMPORAL_WORKER_BUILD_ID",
        description="version of the code: a release ends on the one on which it began; not versioned by default",
    )

    @property
    def has_secrets(self) -> bool:
        """True when there is any store of secrets."""
        return self.vault is not None or self.secrets.folder is not None or self.secrets.environment

    @model_validator(mode="after")
    def _named_version(self) -> Settings:
        if bool(self.deployment_name) != bool(self.build_id):
            raise ValueError("set TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID, or neither")
        return self

    @model_validator(mode="after")
    def _only_credentials_for_datadog(self) -> Settings:
        """Check the names of Datadog credentials: a metric picks them by name, so no other secret may have one."""
        tree = f"{self.datadog.credentials_path}/"
        given = (self.codec, self.servicenow, self.git, self.slack, self.detections, *self.webhooks.values())
        for path in (each.secret_path for each in given if each is not None):
            if path.startswith(tree):
                raise ValueError(f"{path} stands below TIDEGATE_DATADOG__CREDENTIALS_PATH: put it elsewhere")
        return self

    @field_validator("webhooks")
    @classmethod
    def _own_names(cls, webhooks: dict[str, WebhookVariables]) -> dict[str, WebhookVariables]:
        named = {name.lower().replace("_", "-"): settings for name, settings in webhooks.items()}
        if taken := sorted({SLACK, *UNSUPPORTED_SERVICES} & named.keys()):
            raise ValueError(f"{taken[0]!r} is the name of another service in annotations: choose another one")
        for name, settings in named.items():
            if name in NAMED and settings.format != NAMED[name]:
                raise ValueError(f"{name!r} is a service in annotations: set its FORMAT to {NAMED[name]}")
        return named


def load_settings(role: Role | None = None) -> Settings:
    """Read the environment; `role` comes before its variable. Raises `SettingsError` that names every bad variable."""
    unknown = sorted(name for name in os.environ if _is_unknown(name))
    if unknown:
        known = ", ".join(variable_of(name) for name in Settings.model_fields)
        raise SettingsError("\n".join([*(f"{name}: no such setting" for name in unknown), f"known: {known}"]))
    try:
        return Settings() if role is None else Settings(role=role)
    except ValidationError as error:
        raise SettingsError("\n".join(map(_complaint, error.errors()))) from error
    except SourceError as error:
        raise SettingsError(f"{error}: give its fields as {PREFIX}GROUP{SEPARATOR}FIELD") from error


def variable_of(name: str) -> str:
    """The variable that a field of `Settings` is read from, or that the variables of a group begin with."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{name.upper()}"


def _is_unknown(variable: str) -> bool:
    group = variable.partition(SEPARATOR)[0]
    if not group.startswith(PREFIX) or group.removeprefix(PREFIX).lower() in _OF_THE_COMMANDS:
        return False
    return group not in map(variable_of, Settings.model_fields)


def _complaint(error: ErrorDetails) -> str:
    group, *fields = map(str, error["loc"] or ("settings",))
    known = variable_of(group) if group in Settings.model_fields else group
    variable = SEPARATOR.join((known, *map(str.upper, fields)))
    # An unknown setting may hold a secret that was mistaken for one.
    silent = isinstance(error["input"], Mapping | BaseModel) or error["type"] == "extra_forbidden"
    found = "" if silent else f"={error['input']!r}"
    return f"{variable}{found}: {error['msg'].removeprefix('Value error, ')}"
