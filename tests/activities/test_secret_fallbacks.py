"""Secrets from files and variables, and when they stand in for Vault."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from temporalio.exceptions import ApplicationError

from activities.secrets.fallbacks import (
    MAX_SECRET_BYTES,
    EnvironmentSecrets,
    FallbackSecrets,
    FolderSecrets,
    SecretSource,
    variable,
)
from activities.transport.errors import rejected, unavailable
from tests.activities.outside import MemorySecrets, Script
from tidegate.contract import ErrorType
from workers.outside_settings import SecretsSettings, VaultVariables
from workers.settings import Settings
from workers.wiring import open_secrets

PATH = "secret/tidegate/git"
VARIABLE = "SECRET__TIDEGATE__GIT__token"


@dataclass
class Failing:
    """A store that always fails in the same way."""

    error: ApplicationError

    async def read(self, path: str) -> Mapping[str, str]:
        raise self.error

    refresh = read


AWAY = Failing(unavailable("Vault", "ConnectionError"))
EMPTY = MemorySecrets()


def mounted(folder: Path, **content: str) -> Path:
    """A volume as a kubelet writes it: files are links into a folder of the version, which is a link itself."""
    volume = folder / PATH
    version = volume / "..2026_11_24"
    version.mkdir(parents=True)
    (volume / "..data").symlink_to(version.name)
    for key, value in content.items():
        (version / key).write_text(value)
        (volume / key).symlink_to(f"..data/{key}")
    return folder


async def error_of(secrets: FolderSecrets | EnvironmentSecrets | FallbackSecrets, path: str = PATH) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await secrets.read(path)
    return caught.value


async def test_a_mounted_secret_is_read_as_it_stands(tmp_path: Path) -> None:
    secrets = FolderSecrets(mounted(tmp_path, token="one", username="u"))
    assert await secrets.read(PATH) == {"token": "one", "username": "u"}
    newer = tmp_path / PATH / "..2026_11_25"
    newer.mkdir()
    (newer / "token").write_text("two")
    (tmp_path / "link").symlink_to(newer.name)
    (tmp_path / "link").rename(tmp_path / PATH / "..data")
    assert await secrets.read(PATH) == {"token": "two"}


async def test_files_without_a_kubelet_are_read_too(tmp_path: Path) -> None:
    (tmp_path / PATH / "below").mkdir(parents=True)
    (tmp_path / PATH / "token").write_text("t")
    (tmp_path / PATH / ".hidden").write_text("h")
    assert await FolderSecrets(tmp_path).refresh(PATH) == {"token": "t"}


@pytest.mark.parametrize("path", ["secret/absent/here", "secret/tidegate"])
async def test_what_is_not_mounted_is_not_found(tmp_path: Path, path: str) -> None:
    error = await error_of(FolderSecrets(mounted(tmp_path, token="t")), path)
    assert error.type == ErrorType.NOT_FOUND
    assert path in error.message


@pytest.mark.parametrize("path", ["secret/../../etc", "/etc/ssl", "secret"])
async def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, path: str) -> None:
    assert (await error_of(FolderSecrets(tmp_path), path)).type == ErrorType.REJECTED
    assert (await error_of(EnvironmentSecrets({}), path)).type == ErrorType.REJECTED


async def test_links_lead_nowhere_out_of_the_folder(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "secrets"
    outside.mkdir()
    (outside / "token").write_text("very-secret")
    (folder / "secret/linked").mkdir(parents=True)
    (folder / "secret/linked/token").symlink_to(outside / "token")
    (folder / "secret/all").symlink_to(outside)
    (folder / "secret/data").mkdir()
    (folder / "secret/data/..data").symlink_to(outside)
    for path in ("secret/linked", "secret/all", "secret/data"):
        error = await error_of(FolderSecrets(folder), path)
        assert error.type == ErrorType.REJECTED
        assert "leads out of the folder" in error.message
        assert "very-secret" not in error.message


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"\xff\xfe", "not UTF-8"), (b" " * (MAX_SECRET_BYTES + 1), "more than")]
)
async def test_a_file_that_is_no_secret_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / PATH).mkdir(parents=True)
    (tmp_path / PATH / "token").write_bytes(content)
    error = await error_of(FolderSecrets(tmp_path))
    assert error.type == ErrorType.REJECTED
    assert f"{PATH}/token: " in error.message
    assert complaint in error.message


async def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/loop").symlink_to("loop")
    assert (await error_of(FolderSecrets(tmp_path), "secret/loop")).type == ErrorType.REJECTED


async def test_variables_are_named_from_path_and_key() -> None:
    assert variable("secret/argo-rollouts/datadog", "apiKey") == "SECRET__ARGO_ROLLOUTS__DATADOG__apiKey"
    environment = {VARIABLE: "t", "SECRET__TIDEGATE__GIT__empty": "", "SECRET__TIDEGATE__GIT__BELOW__key": "b"}
    assert await EnvironmentSecrets(environment).read(PATH) == {"token": "t"}
    assert (await error_of(EnvironmentSecrets(environment), "secret/tidegate/slack")).type == ErrorType.NOT_FOUND


@pytest.mark.parametrize("first", [AWAY, EMPTY])
@pytest.mark.parametrize("how", ["read", "refresh"])
async def test_the_next_place_is_asked_and_the_log_says_so_once(first: Failing | MemorySecrets, how: str) -> None:
    second = MemorySecrets({PATH: {"token": "very-secret"}})
    secrets = FallbackSecrets(
        [SecretSource("Vault", first), SecretSource("files", second), SecretSource("environment", EMPTY)]
    )
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert await (secrets.read(PATH) if how == "read" else secrets.refresh(PATH)) == {"token": "very-secret"}
    [log] = logs
    assert (log["log_level"], log["path"], log["source"]) == ("warning", PATH, "files")
    assert "very-secret" not in str(log)


async def test_vault_comes_first() -> None:
    vault, files = MemorySecrets({PATH: {"token": "v"}}), MemorySecrets({PATH: {"token": "f"}})
    with structlog.testing.capture_logs() as logs:
        assert await FallbackSecrets([SecretSource("Vault", vault), SecretSource("files", files)]).read(PATH) == {
            "token": "v"
        }
    assert [(log["log_level"], log["source"]) for log in logs] == [("info", "Vault")]


@pytest.mark.parametrize("kind", [ErrorType.UNAUTHORIZED, ErrorType.REJECTED, ErrorType.RATE_LIMITED])
async def test_a_refusal_is_not_got_round(kind: ErrorType) -> None:
    refusing = Failing(ApplicationError("no", type=kind))
    files = MemorySecrets({PATH: {"token": "f"}})
    assert (
        await error_of(FallbackSecrets([SecretSource("Vault", refusing), SecretSource("files", files)]))
    ).type == kind


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (AWAY, EMPTY, ErrorType.UNAVAILABLE),
        (EMPTY, AWAY, ErrorType.UNAVAILABLE),
        (EMPTY, EMPTY, ErrorType.NOT_FOUND),
        (EMPTY, Failing(rejected("files", "bad")), ErrorType.REJECTED),
    ],
)
async def test_what_nobody_gives_is_asked_for_again_where_somebody_was_away(
    first: Failing, second: Failing, kind: ErrorType
) -> None:
    secrets = FallbackSecrets([SecretSource("Vault", first), SecretSource("files", second)])
    assert (await error_of(secrets)).type == kind


async def test_the_settings_say_which_places_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "from the environment")
    token = tmp_path / "token"
    token.write_text("t")
    asked = SecretsSettings(folder=mounted(tmp_path, token="from a file"), environment=True)
    async with AsyncExitStack() as stack, Script().then(503, {"errors": ["sealed"]}) as server:
        vault = VaultVariables(address=server.url, auth="token", token_file=token)
        all_three = open_secrets(Settings(vault=vault, secrets=asked), stack)
        assert await all_three.read(PATH) == {"token": "from a file"}
        assert server.seen != []
        variables = open_secrets(Settings(secrets=SecretsSettings(environment=True)), stack)
        assert await variables.read(PATH) == {"token": "from the environment"}
        none = open_secrets(Settings(), stack)
        with pytest.raises(ApplicationError, match="no secret store is set; set TIDEGATE_VAULT__ADDRESS"):
            await none.read(PATH)
