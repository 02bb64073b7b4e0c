"""Settings of the outside systems, a group for each; `workers.settings` reads them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from activities.notifications.formats import WebhookFormat
from activities.secrets.store import own_path, users_tree
from activities.transport.egress import Egress
from tidegate.contract import Column, RevertMode, Template, check_column
from tidegate.manifests.bake import read_duration
from tidegate.web.access import Network, networks

Url = Annotated[str, Field(pattern="^https?://[^/]+")]


def _length(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else read_duration(value)


Length = Annotated[timedelta, BeforeValidator(_length)]


# Where a secret of Tidegate's own stands: never where Secrets stand that a manifest can name.
OwnPath = Annotated[str, AfterValidator(own_path)]


class Group(BaseModel):
    """Base of every group: immutable, and a field that there is not is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KubernetesSettings(Group):
    """Access to the cluster: with neither address nor kubeconfig, through the pod's service account."""

    api_url: str = Field("", description="plain URL of an API server that asks for no credentials")
    kubeconfig: str = Field("", description="path of a kubeconfig file")
    context: str = Field("", description="context of the kubeconfig; its current one by default")
    instance_id: str = Field(
        "",
        pattern=r"^$|^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
        description="Rollouts with this value of the label `argo-rollouts.argoproj.io/controller-instance-id` are "
        "acted on, and no others; by default those without the label",
    )
    cluster_wide: bool = Field(
        False,
        description="a worker watches all namespaces together, for which it needs rights in all; "
        "by default each one in which something is released",
    )

    @model_validator(mode="after")
    def _one_way(self) -> KubernetesSettings:
        if self.api_url and self.kubeconfig:
            raise ValueError("set api_url or kubeconfig, not both")
        return self


class VaultVariables(Group):
    """Access to Vault. Kubernetes authentication in a cluster; AppRole or a token file elsewhere."""

    address: Url = Field(description="such as https://vault.internal:8200")
    namespace: str = Field("", description="Vault Enterprise namespace")
    ca_file: Path | None = Field(None, description="CA certificates of the server; the system's by default")
    auth: Literal["kubernetes", "approle", "token"] = Field("kubernetes", description="how the process logs in")
    auth_mount: str = Field("", description="mount of the auth method; its own name by default")
    role: str = Field("tidegate", description="kubernetes: the Vault role")
    jwt_file: Path = Field(
        Path("/var/run/secrets/kubernetes.io/serviceaccount/token"), description="kubernetes: the pod's token"
    )
    role_id_file: Path | None = Field(None, description="approle: file with the role id")
    secret_id_file: Path | None = Field(None, description="approle: file with the secret id")
    token_file: Path | None = Field(None, description="token: file with the token")

    @model_validator(mode="after")
    def _complete(self) -> VaultVariables:
        needed = {"approle": ("role_id_file", "secret_id_file"), "token": ("token_file",)}.get(self.auth, ())
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"auth {self.auth} needs {' and '.join(missing)}")
        return self


class SecretsSettings(Group):
    """Stores of manifests' Secrets, and fallbacks for a secret that Vault does not give."""

    namespaces: Annotated[str, AfterValidator(users_tree)] = Field(
        "secret/namespaces",
        description="path above what manifests call the Kubernetes Secret `name`: <namespaces>/<namespace>/<name>",
    )
    folder: Path | None = Field(None, description="mounted Secrets, a file for each key: <folder>/<path>/<key>")
    environment: bool = Field(False, description="look into variables as well, such as SECRET__TIDEGATE__GIT__token")


def _own_or_none(path: str) -> str:
    return own_path(path) if path else ""


class CodecSettings(Group):
    """Keys that encrypt the data in Temporal; without this group it stores readable JSON."""

    secret_path: Annotated[str, AfterValidator(_own_or_none)] = Field(
        "", description="path in Vault of the keys, such as secret/tidegate/codec"
    )
    key_file: Path | None = Field(None, description="JSON file with the same fields, as of a mounted Secret")

    @model_validator(mode="after")
    def _one_source(self) -> CodecSettings:
        if bool(self.secret_path) == (self.key_file is not None):
            raise ValueError("set either secret_path or key_file")
        return self


def _hosts(text: str) -> str:
    Egress.of(filter(None, text.split(",")))
    return text


class MetricsSettings(Group):
    """Hosts that manifests may lead the metric providers to.

    Without a list: every host but the addresses of a machine itself, of a link and of a cloud's metadata; through a
    proxy none. Addresses in these settings (of Datadog and Prometheus) are always allowed.
    """

    hosts: Annotated[str, AfterValidator(_hosts)] = Field(
        "",
        description="what may be asked, commas between: hosts, `.internal` for all below, `*` for all names, networks "
        "such as 10.0.0.0/8",
    )

    def listed(self) -> tuple[str, ...]:
        """The entries of the list."""
        return tuple(filter(None, self.hosts.split(",")))


class DatadogVariables(Group):
    """Access to Datadog."""

    address: str = Field("https://api.datadoghq.com", description="used when the credentials name none")
    credentials_path: OwnPath = Field(
        "secret/argo-rollouts",
        description="path above Tidegate's own credentials: `datadog`, and what a `secretRef` names without namespaced",
    )
    graph_url: str = Field(
        "https://app.datadoghq.com/metric/explorer?exp_query={query}&from_ts={from_ts}&to_ts={to_ts}&live=false",
        pattern=r"^(https?://[^/]+.*)?$",
        description="page that shows a query, with places for query, from_ts and to_ts (ms); empty for no links",
    )
    measurements_per_second: float = Field(
        5.0, gt=0, description="ceiling for all workers together, enforced by Temporal: the share of the rate limit"
    )


class PrometheusVariables(Group):
    """Access to Prometheus."""

    address: str = Field("", description="used when neither a metric nor ARGO_ROLLOUTS_PROMETHEUS_ADDRESS names one")
    measurements_per_second: float | None = Field(
        None, gt=0, description="ceiling for all workers together, enforced by Temporal; none by default"
    )


class WebSettings(Group):
    """Requests to other servers that answer in JSON."""

    measurements_per_second: float | None = Field(
        None, gt=0, description="ceiling for all workers together, enforced by Temporal; none by default"
    )


class ServiceNowVariables(Group):
    """Access to ServiceNow, for incidents and changes."""

    url: Url = Field(description="such as https://example.service-now.com")
    secret_path: OwnPath = Field("secret/tidegate/servicenow", description="path in Vault of the credentials")
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


class GitVariables(Group):
    """Repositories in which images are put back after an abort."""

    repositories: str = Field(
        pattern=r"^(https|ssh|file)://[^,\s]*(,(https|ssh|file)://[^,\s]*)*$",
        description="what the address of a repository has to begin with, commas between: it uses nothing else",
    )
    secret_path: OwnPath = Field("secret/tidegate/git", description="path in Vault of username and password, or token")
    mode: RevertMode = Field(RevertMode.PUSH, description="push: onto the branch; branch: one of its own, for review")
    author_name: str = Field("Tidegate", min_length=1, description="name in the commits")
    author_email: str = Field("tidegate@localhost", min_length=1, description="address in the commits")
    ca_file: Path | None = Field(None, description="CA certificates of the server; the system's by default")
    timeout_seconds: float = Field(60.0, gt=0, description="limit of one git command")


class SlackVariables(Group):
    """Access to Slack, for notifications to channels."""

    secret_path: OwnPath = Field(min_length=1, description="path in Vault of token, or else of webhook_url")
    api_url: Url = Field("https://slack.com/api", description="base URL of the Web API")


class WebhookVariables(Group):
    """Address for the notifications that annotations send to this name."""

    url: Url | Literal[""] = Field("", description="used when the secret names none")
    secret_path: OwnPath = Field(
        min_length=1, description="path in Vault of the key that the format needs and, if it is secret, url"
    )
    format: WebhookFormat = Field(WebhookFormat.SIGNED, description="service that the body is for")


class NotificationsSettings(Group):
    """Templates of notifications."""

    config_file: Path | None = Field(None, description="templates, in the shape of Argo's notification ConfigMap")


class DetectionsSettings(Group):
    """Endpoint for CrowdStrike Falcon's detections; none without this group."""

    secret_path: OwnPath = Field(min_length=1, description="path in Vault of signing_key, which Falcon signs with")
    host: str = Field("127.0.0.1", description="0.0.0.0 where a gateway has to reach it")
    port: int = Field(8082, ge=0, le=65535, description="0 for any free port, which the log names")
    oldest: Length = Field(
        timedelta(minutes=5), gt=timedelta(), description="how long after it was signed a detection is believed"
    )


class GatewaySettings(Group):
    """Identity provider whose tokens may start releases through `tidegate-gateway`; required to start it."""

    issuer: Url = Field(description="`iss` of the tokens, such as https://token.actions.githubusercontent.com")
    audience: str = Field("tidegate", min_length=1, description="`aud` of the tokens")
    keys_url: Url = Field(description="where the issuer publishes its keys (`jwks_uri`)")
    callers_file: Path = Field(description="rules: which claims may start which Rollouts; read at each request")
    host: str = Field("127.0.0.1", description="0.0.0.0 where a gateway with TLS has to reach it")
    port: int = Field(8083, ge=0, le=65535, description="0 for any free port, which the log names")


def _listed_networks(text: str) -> str:
    networks(text.split(","))
    return text


class PageSettings(Group):
    """Page of all releases that `tidegate-web` serves behind a proxy that signs people in; required to start it."""

    origin: str = Field(
        pattern=r"^https?://[^/\s]+$", description="its address as browsers have it, such as https://releases.internal"
    )
    operators: str = Field(
        "", description="groups whose members may act, commas between; without any the page has no buttons"
    )
    user_header: str = Field(
        "X-Auth-Request-User", min_length=1, description="header in which the proxy names a viewer"
    )
    groups_header: str = Field(
        "X-Auth-Request-Groups", min_length=1, description="header with the groups of a viewer, commas between"
    )
    proxies: Annotated[str, AfterValidator(_listed_networks)] = Field(
        "127.0.0.0/8,::1/128",
        description="addresses that the proxy connects from, commas between; headers from elsewhere count for nothing",
    )
    refresh: Length = Field(
        timedelta(seconds=5), ge=timedelta(seconds=1), description="how often a browser reads the page anew"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8084, ge=0, le=65535, description="0 for any free port, which the log names")

    def operator_groups(self) -> list[str]:
        """The groups whose members may act."""
        return [each.strip() for each in self.operators.split(",") if each.strip()]

    def proxy_networks(self) -> tuple[Network, ...]:
        """The networks that the proxy connects from."""
        return networks(self.proxies.split(","))
