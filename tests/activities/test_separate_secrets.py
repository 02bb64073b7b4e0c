"""Tidegate's own secrets and those of users are two trees: whatever a request names, it gets none of Tidegate's own.

The attack: an analysis in a namespace that the caller chooses, with an argument from a Secret of that namespace in the
URL of a server of the caller's. The store would give everything: what keeps the secrets is the name alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from pydantic import SecretStr

from activities.metrics.datadog.provider import DatadogProvider
from activities.metrics.web.provider import WebProvider
from activities.secrets.fallbacks import EnvironmentSecrets, FolderSecrets
from activities.secrets.store import NamedSecrets, Secrets, is_of_users, own_path, users_tree, variable
from activities.secrets.vault import Vault, VaultSettings
from activities.secrets.vault_login import TokenLogin
from sandbox.vault import Vault as VaultServer
from tests.activities.outside import Script, http_client, run_activity
from tidegate.contract import MeasureRequest
from workers.settings import Settings, SettingsError, load_settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN: Final = {
    "secret/tidegate/servicenow": "password",
    "secret/tidegate/git": "token",
    "secret/tidegate/falcon": "signing_key",
    "secret/argo-rollouts/datadog": "api-key",
}
USERS: Final = "secret/namespaces/payments/team"
VALUE: Final = "very-secret"
NAMESPACES: Final = (
    "tidegate",
    "argo-rollouts",
    "..",
    ".",
    "",
    "../tidegate",
    "../../tidegate",
    "namespaces",
    "%2e%2e",
)


def named() -> Iterator[tuple[str, str, str]]:
    """Namespace, name and key of every try to name one of Tidegate's own."""
    for path, key in OWN.items():
        _, namespace, name = path.split("/")
        for caller in NAMESPACES:
            for wanted in (name, f"{namespace}/{name}", f"../{namespace}/{name}", f"../../{namespace}/{name}"):
                yield caller, wanted, key


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Secrets]]:
    """Stores that hold Tidegate's own and a user's Secret, read with every right: OpenBao, mounted files, variables."""
    folder, server = (
        tmp_path_factory.mktemp("mounted"),
        VaultServer(tmp_path_factory.mktemp("vault"), paths=["argo-rollouts/datadog"]),
    )
    variables = {}
    await server.start()
    for path, key in {**OWN, USERS: "token"}.items():
        value = "of-the-team" if path == USERS else VALUE
        await server.seed(path.removeprefix("secret/"), {key: value})
        (folder / path).mkdir(parents=True)
        (folder / path / key).write_text(value)
        variables[variable(path, key)] = value
    vault = Vault(VaultSettings(address=server.address, login=TokenLogin(token=SecretStr(server.root_token))))
    yield {"vault": vault, "files": FolderSecrets(folder), "variables": EnvironmentSecrets(variables)}
    await vault.close()
    await server.stop()


STORES: Final = ("vault", "files", "variables")


async def attack(store: Secrets, namespace: str, name: str, key: str) -> list[str]:
    """What arrives at the attacker's server."""
    async with Script().then(200, b"1") as server, http_client() as http:
        metric = {"name": "m", "provider": {"web": {"url": f"{server.url}/{{{{args.stolen}}}}"}}}
        arguments = {"stolen": {"name": name, "key": key}}
        request = MeasureRequest(namespace=namespace, run="r", metrics=(metric,), secret_args=arguments)
        await run_activity(WebProvider(NamedSecrets(store), http).measure, request)
        return [each.path for each in server.seen]


@pytest.mark.parametrize("kind", STORES)
async def test_no_request_names_one_of_tidegates_own(stores: dict[str, Secrets], kind: str) -> None:
    for path, key in OWN.items():
        assert (await stores[kind].read(path))[key] == VALUE, "it would be there to be stolen"
    for namespace, name, key in named():
        assert await attack(stores[kind], namespace, name, key) == [], (namespace, name)


@pytest.mark.parametrize("kind", STORES)
async def test_a_secret_of_the_namespace_is_sent(stores: dict[str, Secrets], kind: str) -> None:
    assert await attack(stores[kind], "payments", "team", "token") == ["/of-the-team"]


@pytest.mark.parametrize("kind", STORES)
async def test_credentials_that_a_metric_names_are_datadogs_and_no_others(
    stores: dict[str, Secrets], kind: str
) -> None:
    async with http_client() as http:
        provider = DatadogProvider(NamedSecrets(stores[kind]), http, environment={})
        for ref in (
            {"name": "servicenow"},
            {"name": "../tidegate/servicenow"},
            {"name": "servicenow", "namespaced": True},
            {"name": "datadog", "namespaced": True},
        ):
            for namespace in NAMESPACES:
                metric = {"name": "m", "provider": {"datadog": {"query": "avg:x{*}", "secretRef": ref}}}
                request = MeasureRequest(namespace=namespace, run="r", metrics=(metric,))
                [reading] = await run_activity(provider.measure, request)
                assert reading.error
                assert VALUE not in reading.model_dump_json()


async def test_a_link_from_the_one_tree_into_the_other_is_not_followed(tmp_path: Path) -> None:
    own = tmp_path / "secret/tidegate/git"
    own.mkdir(parents=True)
    (own / "token").write_text(VALUE)
    (tmp_path / "secret/namespaces").mkdir()
    (tmp_path / "secret/namespaces/tidegate").symlink_to("../tidegate")
    whole = tmp_path / "secret/namespaces/payments/git"
    whole.mkdir(parents=True)
    (whole / "token").symlink_to(own / "token")
    for namespace in ("tidegate", "payments"):
        assert await attack(FolderSecrets(tmp_path), namespace, "git", "token") == []


@pytest.mark.parametrize(
    "path", ["secret/namespaces/payments/x", "secret/NAMESPACES/x/y", "kv/a/namespaces/b", "secret/a__namespaces__b/c"]
)
async def test_what_a_manifest_could_name_is_no_path_of_tidegates_own(path: str) -> None:
    assert is_of_users(path)
    with pytest.raises(ValueError, match="manifests name"):
        own_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "secret",
        "secret/tidegate",
        "namespaces",
        "secret/{namespace}/{name}",
        "a/namespaces/namespaces",
        "../namespaces",
    ],
)
async def test_the_tree_of_users_is_none_that_could_hold_tidegates_own(path: str) -> None:
    with pytest.raises(ValueError, match="such as secret/namespaces"):
        users_tree(path)
    with pytest.raises(ValueError, match="such as secret/namespaces"):
        NamedSecrets(FolderSecrets(Path()), path)


OWN_SETTINGS: Final = {
    "TIDEGATE_SERVICENOW__SECRET_PATH": {"TIDEGATE_SERVICENOW__URL": "https://example.service-now.com"},
    "TIDEGATE_GIT__SECRET_PATH": {"TIDEGATE_GIT__REPOSITORIES": "https://git.internal/"},
    "TIDEGATE_SLACK__SECRET_PATH": {},
    "TIDEGATE_WEBHOOKS__ON_CALL__SECRET_PATH": {},
    "TIDEGATE_DETECTIONS__SECRET_PATH": {},
    "TIDEGATE_CODEC__SECRET_PATH": {},
    "TIDEGATE_DATADOG__CREDENTIALS_PATH": {},
}


@pytest.mark.parametrize("setting", OWN_SETTINGS)
async def test_settings_that_mix_the_trees_stop_the_process(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    for name, value in OWN_SETTINGS[setting].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(setting, "secret/namespaces/tidegate/own")
    with pytest.raises(SettingsError, match=f"{setting}='secret/namespaces/tidegate/own': a path with 'namespaces'"):
        load_settings()


async def test_every_setting_that_names_a_secret_is_among_those(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {
        name
        for name, field in Settings.model_fields.items()
        if _fields(field.annotation) & {"secret_path", "credentials_path"}
    }
    assert named == {each.removeprefix("TIDEGATE_").split("__")[0].lower() for each in OWN_SETTINGS}
    monkeypatch.setenv("TIDEGATE_SECRETS__NAMESPACES", "secret")
    with pytest.raises(SettingsError, match="TIDEGATE_SECRETS__NAMESPACES='secret': write it as mount/namespaces"):
        load_settings()


def _fields(annotation: object) -> set[str]:
    fields = set(getattr(annotation, "model_fields", {}))
    for each in getattr(annotation, "__args__", ()):
        fields |= _fields(each)
    return fields


async def test_nothing_else_stands_where_a_metric_picks_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_SLACK__SECRET_PATH", "secret/argo-rollouts/slack")
    with pytest.raises(SettingsError, match="secret/argo-rollouts/slack stands below"):
        load_settings()
