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
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from tidegate.contract import Column, RevertMode, Template, check_column
from tidegate.manifests.bake import read_duration
from tidegate.story.notices import SLACK, UNSUPPORTED_SERVICES

PREFIX = "TIDEGATE_"
_SEPARATOR = "__"
# Defaults of the commands' options; they may stand in an environment that a worker shares.
_OF_THE_COMMANDS = frozenset({"namespace"})


Url = Annotated[str, Field(pattern="^https?://[^/]+")]


class SettingsError(Exception):
    """A variable cannot be used; the text names it, says what stands there and what is allowed."""


class Role(StrEnum):
    """What a process polls for."""

    ALL = "all"
    WORKFLOWS = "workflows"  # decisions: needs Temporal alone
    ACTIVITIES = "activities"  # all effects
    CLUSTER = "cluster"  # effects on the cluster that this process stands in
    METRICS = "metrics"  # questions to metric providers
    FOLLOW_UP = "follow-up"  # incidents, and reverts in Git


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KubernetesSettings(_Group):
    """How the cluster is reached; with neither field set, through the pod's service account."""

    api_url: str = Field("", description="plain URL of an API server that asks for no credentials")
    kubeconfig: str = Field("", description="path of a kubeconfig file")
    context: str = Field("", description="context of the kubeconfig; its current one by default")

    @model_validator(mode="after")
    def _one_way(self) -> KubernetesSettings:
        if self.api_url and self.kubeconfig:
            raise ValueError("set api_url or kubeconfig, not both")
        return self


class VaultSettings(_Group):
    """Where secrets are read. Kubernetes authentication in a cluster; AppRole or a token file elsewhere."""

    address: Url = Field(description="such as https://vault.internal:8200")
    namespace: str = Field("", description="Vault Enterprise namespace")
    ca_file: Path | None = Field(None, description="CA certificates of the server; the system's by default")
    auth: Literal["kubernetes", "approle", "token"] = "kubernetes"
    auth_mount: str = Field("", description="mount of the auth method; its own name by default")
    role: str = Field("tidegate", description="kubernetes: the Vault role")
    jwt_file: Path = Field(
        Path("/var/run/secrets/kubernetes.io/serviceaccount/token"), description="kubernetes: the pod's token"
    )
    role_id_file: Path | None = Field(None, description="approle: file with the role id")
    secret_id_file: Path | None = Field(None, description="approle: file with the secret id")
    token_file: Path | None = Field(None, description="token: file with the token")
    kubernetes_secrets: str = Field(
        "secret/{namespace}/{name}", description="path of what manifests call the Kubernetes Secret `name`"
    )

    @model_validator(mode="after")
    def _complete(self) -> VaultSettings:
        needed = {"approle": ("role_id_file", "secret_id_file"), "token": ("token_file",)}.get(self.auth, ())
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"auth {self.auth} needs {' and '.join(missing)}")
        return self


class SecretsSettings(_Group):
    """Where a secret is looked for that Vault does not have, or while there is no Vault to ask."""

    folder: Path | None = Field(None, description="mounted Secrets, a file for each key: <folder>/<path>/<key>")
    environment: bool = Field(False, description="look into variables as well, such as SECRET__TIDEGATE__GIT__token")


class CodecSettings(_Group):
    """Where the keys are that encrypt what Temporal stores; without this group it stores readable JSON."""

    secret_path: str = Field("", description="path in Vault of the keys, such as secret/tidegate/codec")
    key_file: Path | None = Field(None, description="JSON file with the same fields, as of a mounted Secret")

    @model_validator(mode="after")
    def _one_place(self) -> CodecSettings:
        if bool(self.secret_path) == (self.key_file is not None):
            raise ValueError("set either secret_path or key_file")
        return self


class DatadogSettings(_Group):
    """How Datadog is asked."""

    address: str = Field("https://api.datadoghq.com", description="used when the credentials name none")
    controller_namespace: str = Field("argo-rollouts", description="namespace of a Secret that is not namespaced")
    graph_url: str = Field(
        "https://app.datadoghq.com/metric/explorer?exp_query={query}&from_ts={from_ts}&to_ts={to_ts}&live=false",
        pattern=r"^(https?://[^/]+.*)?$",
        description="page that shows a query, with places for query, from_ts and to_ts (ms); empty for no links",
    )
    measurements_per_second: float = Field(
        5.0, gt=0, description="ceiling for all workers together, enforced by Temporal: the share of the rate limit"
    )


class PrometheusSettings(_Group):
    """How Prometheus is asked."""

    address: str = Field("", description="used when neither a metric nor ARGO_ROLLOUTS_PROMETHEUS_ADDRESS names one")
    measurements_per_second: float | None = Field(
        None, gt=0, description="ceiling for all workers together, enforced by Temporal; none by default"
    )


class WebSettings(_Group):
    """How other servers that answer in JSON are asked."""

    measurements_per_second: float | None = Field(
        None, gt=0, description="ceiling for all workers together, enforced by Temporal; none by default"
    )


class ServiceNowSettings(_Group):
    """Where incidents and changes are opened."""

    url: Url = Field(description="such as https://example.service-now.com")
    secret_path: str = Field("secret/tidegate/servicenow", description="path in Vault of the credentials")
    fields: dict[Column, Template] = Field(
        default_factory=dict, description="further columns of an incident, such as FIELDS__ASSIGNMENT_GROUP"
    )
    allowed_fields: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9_]*(,[a-z][a-z0-9_]*)*$",
        description="columns that annotations of a Rollout may set, commas between",
    )
    resolve_code: str = Field("Solution provided", min_length=1, description="resolution code of incidents")
    change_template: str = Field(
        "", pattern=r"^([0-9a-f]{32})?$", description="sys_id of a template for standard changes"
    )
    change_fields: dict[Column, Template] = Field(
        default_factory=dict, description="further columns of a change, such as CHANGE_FIELDS__ASSIGNMENT_GROUP"
    )
    success_code: str = Field("successful", min_length=1, description="close code of changes that went well")
    failure_code: str = Field("unsuccessful", min_length=1, description="close code of changes that did not")
    timeout_seconds: float = Field(15.0, gt=0, description="limit of one request")

    @field_validator("allowed_fields")
    @classmethod
    def _columns(cls, text: str | None) -> str | None:
        for name in text.split(",") if text else ():
            check_column(name)
        return text


class GitSettings(_Group):
    """Where images are put back after an abort."""

    repositories: str = Field(
        pattern=r"^(https|ssh|file)://[^,\s]*(,(https|ssh|file)://[^,\s]*)*$",
        description="what the address of a repository has to begin with, commas between: nothing else is asked or told",
    )
    secret_path: str = Field("secret/tidegate/git", description="path in Vault of username and password, or token")
    mode: RevertMode = Field(RevertMode.PUSH, description="push: onto the branch; branch: one of its own, for review")
    author_name: str = Field("Tidegate", min_length=1, description="name in the commits")
    author_email: str = Field("tidegate@localhost", min_length=1, description="address in the commits")
    ca_file: Path | None = Field(None, description="CA certificates of the server; the system's by default")
    timeout_seconds: float = Field(60.0, gt=0, description="limit of one git command")


class SlackSettings(_Group):
    """Where notices to channels go."""

    secret_path: str = Field(min_length=1, description="path in Vault of token, or else of webhook_url")
    api_url: Url = Field("https://slack.com/api", description="base URL of the Web API")


class WebhookSettings(_Group):
    """Where the notices go that annotations address to this name."""

    url: Url | Literal[""] = Field("", description="used when the secret names none")
    secret_path: str = Field(min_length=1, description="path in Vault of signing_key and, if it is secret, url")


class NoticesSettings(_Group):
    """What notices say."""

    config_file: Path | None = Field(None, description="templates, in the shape of Argo's notification ConfigMap")


class WatcherSettings(_Group):
    """Which Rollout objects the watcher follows."""

    namespaces: str = Field(
        "", pattern=r"^$|^[a-z0-9-]+(,[a-z0-9-]+)*$", description="names with commas between; all by default"
    )
    resync: timedelta = Field(
        timedelta(minutes=5),
        ge=timedelta(seconds=1),
        description="how often every object is looked at whether or not it changed; seconds, or ISO 8601",
    )

    stopped_every: timedelta = Field(
        timedelta(seconds=5),
        ge=timedelta(seconds=0.1),
        description="how often Temporal is asked for releases that were terminated; seconds, or ISO 8601",
    )

    def wanted(self) -> tuple[str, ...]:
        """The namespaces, one that is empty standing for all."""
        return tuple(dict.fromkeys(self.namespaces.split(",")))


class BakeSettings(_Group):
    """How versions are watched at 100 % whose Rollouts do not say it."""

    duration: timedelta = Field(timedelta(), description="of a bake, as the annotation gives it: 30m; none by default")

    @field_validator("duration", mode="before")
    @classmethod
    def _as_annotated(cls, value: object) -> timedelta:
        return value if isinstance(value, timedelta) else read_duration(value)


class HealthSettings(_Group):
    """Address of `/healthz` and `/readyz`."""

    host: str = Field("127.0.0.1", description="0.0.0.0 where a kubelet has to reach it")
    port: int = Field(8081, ge=0, le=65535, description="0 for any free port, which the log names")


class LogSettings(_Group):
    """What is logged."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=_SEPARATOR, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    role: Role = Role.ALL
    cluster: str = Field("default", description="name of the cluster whose activities this process carries out")
    kubernetes: KubernetesSettings = KubernetesSettings()
    vault: VaultSettings | None = None
    secrets: SecretsSettings = SecretsSettings()
    codec: CodecSettings | None = None
    datadog: DatadogSettings = DatadogSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    web: WebSettings = WebSettings()
    servicenow: ServiceNowSettings | None = None
    git: GitSettings | None = None
    notices: NoticesSettings = NoticesSettings()
    slack: SlackSettings | None = None
    webhooks: dict[str, WebhookSettings] = Field(
        default_factory=dict, description="by the name that annotations have, such as WEBHOOKS__ON_CALL__SECRET_PATH"
    )
    bake: BakeSettings = BakeSettings()
    watcher: WatcherSettings = WatcherSettings()
    health: HealthSettings = HealthSettings()
    log: LogSettings = LogSettings()
    temporal_ui: Url | Literal[""] = Field(
        "", description="Temporal UI with its namespace, such as https://temporal.internal/namespaces/default"
    )
    telemetry: str = Field("", description="address such as 0.0.0.0:9464 for the SDK's metrics; none by default")
    graceful_shutdown: timedelta = Field(
        timedelta(seconds=30), description="time for running activities after SIGTERM; seconds, or ISO 8601"
    )
    reconnect_at_most: timedelta = Field(
        timedelta(seconds=15), description="longest wait between two tries while Temporal is away"
    )
    max_concurrent_activities: int = Field(100, gt=0)

    @property
    def has_secrets(self) -> bool:
        """Whether there is any store of secrets."""
        return self.vault is not None or self.secrets.folder is not None or self.secrets.environment

    @field_validator("webhooks")
    @classmethod
    def _own_names(cls, webhooks: dict[str, WebhookSettings]) -> dict[str, WebhookSettings]:
        named = {name.lower().replace("_", "-"): settings for name, settings in webhooks.items()}
        if taken := sorted({SLACK, *UNSUPPORTED_SERVICES} & named.keys()):
            raise ValueError(f"{taken[0]!r} is the name of another service in annotations: choose another one")
        return named


def load_settings(role: Role | None = None) -> Settings:
    """Read the environment; `role` comes before its variable. Raises `SettingsError` that names every bad variable."""
    unknown = sorted(name for name in os.environ if _is_unknown(name))
    if unknown:
        known = ", ".join(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)
        raise SettingsError("\n".join([*(f"{name}: no such setting" for name in unknown), f"known: {known}"]))
    try:
        return Settings() if role is None else Settings(role=role)
    except ValidationError as error:
        raise SettingsError("\n".join(map(_complaint, error.errors()))) from error
    except SourceError as error:
        raise SettingsError(f"{error}: give its fields as {PREFIX}GROUP{_SEPARATOR}FIELD") from error


def _is_unknown(variable: str) -> bool:
    if not variable.startswith(PREFIX):
        return False
    group = variable.removeprefix(PREFIX).partition(_SEPARATOR)[0].lower()
    return group not in Settings.model_fields and group not in _OF_THE_COMMANDS


def _complaint(error: ErrorDetails) -> str:
    variable = PREFIX + _SEPARATOR.join(str(part).upper() for part in error["loc"])
    # A setting that there is not may be a secret that somebody thought to be one.
    silent = isinstance(error["input"], Mapping | BaseModel) or error["type"] == "extra_forbidden"
    found = "" if silent else f"={error['input']!r}"
    return f"{variable}{found}: {error['msg'].removeprefix('Value error, ')}"
