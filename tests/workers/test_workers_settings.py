"""Settings: what they read, and that a bad one is named."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from tidegate.contract import RevertMode
from workers.settings import Role, Settings, SettingsError, load_settings
from workers.settings_page import render

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("TIDEGATE_", "TEMPORAL_")):
            monkeypatch.delenv(name)


def test_nothing_set_is_a_worker_for_everything_in_a_cluster() -> None:
    settings = load_settings()
    assert settings.role is Role.ALL
    assert settings.cluster == "default"
    assert settings.vault is None
    assert settings.graceful_shutdown == timedelta(seconds=30)
    assert settings.health.host == "127.0.0.1"


def test_groups_are_read_field_by_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_ROLE", "activities")
    monkeypatch.setenv("TIDEGATE_CLUSTER", "eu1")
    monkeypatch.setenv("TIDEGATE_VAULT__ADDRESS", "http://127.0.0.1:8200")
    monkeypatch.setenv("TIDEGATE_VAULT__AUTH", "token")
    monkeypatch.setenv("TIDEGATE_VAULT__TOKEN_FILE", "/run/token")
    monkeypatch.setenv("TIDEGATE_KUBERNETES__API_URL", "http://127.0.0.1:6443")
    settings = load_settings()
    assert settings.role is Role.ACTIVITIES
    assert settings.vault is not None
    assert settings.vault.token_file == Path("/run/token")
    assert settings.kubernetes.api_url == "http://127.0.0.1:6443"


def test_columns_of_an_incident_are_named_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_SERVICENOW__URL", "https://example.service-now.com")
    monkeypatch.setenv("TIDEGATE_SERVICENOW__FIELDS__ASSIGNMENT_GROUP", "Payments on-call")
    settings = load_settings()
    assert settings.servicenow is not None
    assert settings.servicenow.fields == {"assignment_group": "Payments on-call"}


def test_templates_and_lists_of_columns_are_checked_when_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_SERVICENOW__URL", "https://example.service-now.com")
    monkeypatch.setenv("TIDEGATE_SERVICENOW__FIELDS__CATEGORY", "{namespace}/{rollout}")
    monkeypatch.setenv("TIDEGATE_SERVICENOW__ALLOWED_FIELDS", "urgency,u_team")
    monkeypatch.setenv("TIDEGATE_TEMPORAL_UI", "https://temporal.internal/namespaces/default")
    settings = load_settings()
    assert settings.servicenow is not None
    assert settings.servicenow.allowed_fields == "urgency,u_team"
    assert settings.temporal_ui == "https://temporal.internal/namespaces/default"


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("FIELDS__CATEGORY", "{nobody}", "FIELDS__CATEGORY='{nobody}': there is no {nobody}; known: {namespace}"),
        ("FIELDS__STATE", "7", "the column state is filled by Tidegate or by the platform"),
        ("CHANGE_FIELDS__RISK", "{by!r}", "CHANGE_FIELDS__RISK='{by!r}': {by} takes neither a format nor a conversion"),
        ("ALLOWED_FIELDS", "urgency,sys_id", "ALLOWED_FIELDS='urgency,sys_id': the column sys_id is filled"),
        ("CHANGE_TEMPLATE", "x", "CHANGE_TEMPLATE='x': String should match"),
    ],
)
def test_a_column_that_cannot_be_filled_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv("TIDEGATE_SERVICENOW__URL", "https://example.service-now.com")
    monkeypatch.setenv(f"TIDEGATE_SERVICENOW__{variable}", value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert complaint in str(error.value)


def test_repositories_are_named_with_commas_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_GIT__REPOSITORIES", "https://git.internal/payments,ssh://git@git.internal")
    monkeypatch.setenv("TIDEGATE_GIT__MODE", "branch")
    monkeypatch.setenv("TIDEGATE_GIT__TIMEOUT_SECONDS", "5")
    settings = load_settings()
    assert settings.git is not None
    assert settings.git.mode is RevertMode.BRANCH
    assert settings.git.timeout_seconds == 5


def test_a_bake_has_a_duration_or_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().bake.duration == timedelta()
    for text in ("1800", "30m"):
        monkeypatch.setenv("TIDEGATE_BAKE__DURATION", text)
        assert load_settings().bake.duration == timedelta(minutes=30)
    monkeypatch.setenv("TIDEGATE_BAKE__DURATION", "-5")
    with pytest.raises(SettingsError, match="TIDEGATE_BAKE__DURATION='-5': give whole seconds"):
        load_settings()


def test_webhooks_have_the_names_that_annotations_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_WEBHOOKS__ON_CALL__SECRET_PATH", "secret/tidegate/on-call")
    monkeypatch.setenv("TIDEGATE_WEBHOOKS__AUDIT__SECRET_PATH", "secret/tidegate/audit")
    monkeypatch.setenv("TIDEGATE_WEBHOOKS__AUDIT__URL", "https://audit.internal/releases")
    settings = load_settings()
    assert sorted(settings.webhooks) == ["audit", "on-call"]
    assert settings.webhooks["audit"].url == "https://audit.internal/releases"


def test_a_webhook_cannot_have_the_name_of_another_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_WEBHOOKS__SLACK__SECRET_PATH", "secret/tidegate/slack")
    with pytest.raises(SettingsError, match="'slack' is the name of another service"):
        load_settings()


def test_a_webhook_by_the_name_of_a_service_has_its_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_WEBHOOKS__TEAMS__SECRET_PATH", "secret/tidegate/teams")
    with pytest.raises(SettingsError, match="'teams' is a service in annotations: set its FORMAT to teams"):
        load_settings()
    monkeypatch.setenv("TIDEGATE_WEBHOOKS__TEAMS__FORMAT", "teams")
    assert load_settings().webhooks["teams"].format == "teams"


def test_the_command_line_comes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_ROLE", "activities")
    assert load_settings(Role.WORKFLOWS).role is Role.WORKFLOWS


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("TIDEGATE_ROLE", "boss", "TIDEGATE_ROLE='boss': Input should be 'all'"),
        ("TIDEGATE_HEALTH__PORT", "http", "TIDEGATE_HEALTH__PORT='http': Input should be a valid integer"),
        ("TIDEGATE_DATADOG__MEASUREMENTS_PER_SECOND", "0", "TIDEGATE_DATADOG__MEASUREMENTS_PER_SECOND='0': "),
        ("TIDEGATE_PROMETHEUS__MEASUREMENTS_PER_SECOND", "0", "TIDEGATE_PROMETHEUS__MEASUREMENTS_PER_SECOND='0': "),
        ("TIDEGATE_GIT__REPOSITORIES", "git.internal", "TIDEGATE_GIT__REPOSITORIES='git.internal': String"),
        ("TIDEGATE_GIT__MODE", "force", "TIDEGATE_GIT__MODE='force': Input should be 'push' or 'branch'"),
        ("TIDEGATE_VAULT__AUTH", "token", "TIDEGATE_VAULT__ADDRESS: Field required"),
        ("TIDEGATE_VAULT__ADRESS", "x", "TIDEGATE_VAULT__ADRESS: Extra inputs are not permitted"),
        ("TIDEGATE_CODEC__KEYS", "x", "TIDEGATE_CODEC__KEYS: Extra inputs are not permitted"),
        ("TIDEGATE_CODEC_KEYS", "x", "TIDEGATE_CODEC_KEYS: no such setting"),
        ("TIDEGATE_VALUT__ADDRESS", "x", "TIDEGATE_VALUT__ADDRESS: no such setting"),
        ("TIDEGATE_VAULT", "{", "TIDEGATE_VAULT"),
        ("TIDEGATE_CLUSTER", "datadog", "TIDEGATE_CLUSTER='datadog': give a cluster another name: the task queue"),
        ("TIDEGATE_CLUSTER", "eu/1", "TIDEGATE_CLUSTER='eu/1': give 1 to 63 letters, digits"),
        ("TIDEGATE_GRACEFUL_SHUTDOWN", "PT30S", "TIDEGATE_GRACEFUL_SHUTDOWN='PT30S': give whole seconds"),
        ("TEMPORAL_WORKER_BUILD_ID", "v2", "set TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID, or neither"),
    ],
)
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, complaint: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert complaint in str(error.value)


def test_settings_that_do_not_fit_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_VAULT__ADDRESS", "http://127.0.0.1:8200")
    monkeypatch.setenv("TIDEGATE_VAULT__AUTH", "approle")
    monkeypatch.setenv("TIDEGATE_KUBERNETES__API_URL", "http://127.0.0.1:6443")
    monkeypatch.setenv("TIDEGATE_KUBERNETES__KUBECONFIG", "/etc/tidegate/kubeconfig")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert "TIDEGATE_VAULT: auth approle needs role_id_file and secret_id_file" in str(error.value)
    assert "TIDEGATE_KUBERNETES: set api_url or kubeconfig, not both" in str(error.value)


def test_the_commands_own_variable_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_NAMESPACE", "payments")
    load_settings()


def test_places_that_stand_in_for_vault_are_set_by_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load_settings().has_secrets
    monkeypatch.setenv("TIDEGATE_SECRETS__FOLDER", "/var/run/tidegate")
    monkeypatch.setenv("TIDEGATE_SECRETS__ENVIRONMENT", "true")
    settings = load_settings()
    assert (str(settings.secrets.folder), settings.secrets.environment) == ("/var/run/tidegate", True)
    assert settings.has_secrets


def test_lengths_of_time_are_seconds_or_have_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("90", "90s", "1m30s"):
        monkeypatch.setenv("TIDEGATE_GRACEFUL_SHUTDOWN", text)
        assert load_settings().graceful_shutdown == timedelta(seconds=90)


def test_a_version_has_the_names_that_temporals_controller_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_DEPLOYMENT_NAME", "tidegate/tidegate")
    monkeypatch.setenv("TEMPORAL_WORKER_BUILD_ID", "1.4.0-7d9c")
    settings = load_settings()
    assert (settings.deployment_name, settings.build_id) == ("tidegate/tidegate", "1.4.0-7d9c")


def test_every_setting_is_on_the_page_with_a_description() -> None:
    text = render()
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    assert len(rows) > len(Settings.model_fields)
    assert [row for row in rows if row.endswith("|  |")] == []
    assert (ROOT / "docs" / "settings.md").read_text() == text, "python -m workers.settings_page > docs/settings.md"
