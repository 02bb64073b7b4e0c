"""The activities of what follows a decision, with the systems that a process is set up for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from tidegate.contract import Activity
from tidegate.report.notifications import SLACK
from workers.settings import PREFIX, Settings, SettingsError

if TYPE_CHECKING:
    import httpx

    from activities.git.revert_commit import GitOps
    from activities.notifications.dispatch import Backend
    from activities.notifications.slack import Slack
    from activities.secrets.checks import Probe, SystemChecks
    from activities.secrets.store import Secrets
    from activities.servicenow.incidents import ServiceNow
    from workers.outside_settings import GitVariables, ServiceNowVariables, SlackVariables

log = structlog.get_logger(__name__)

Activities = Sequence[Callable[..., Any]]
SERVICENOW_SETTING = f"{PREFIX}SERVICENOW__URL"
GIT_SETTING = f"{PREFIX}GIT__REPOSITORIES"
SLACK_SETTING = f"{PREFIX}SLACK__SECRET_PATH"
_SERVICENOW = (
    Activity.OPEN_INCIDENT,
    Activity.NOTE_INCIDENT,
    Activity.RESOLVE_INCIDENTS,
    Activity.OPEN_CHANGE,
    Activity.CLOSE_CHANGE,
)


def follow_up_activities(settings: Settings, http: httpx.AsyncClient, secrets: Secrets) -> Activities:
    """All of them; those of a system that is not set up say so. Raises SettingsError for templates of notifications."""
    from activities.notifications.dispatch import Notifications

    service_now = _service_now(settings, http, secrets)
    git = _git(settings, secrets)
    return [
        *(service_now.activities() if service_now is not None else _no_incidents()),
        *([git.revert_commit] if git is not None else _no_reverts()),
        *Notifications(_backends(settings, http, secrets)).activities(),
    ]


def follow_up_checks(settings: Settings, http: httpx.AsyncClient, secrets: Secrets) -> SystemChecks:
    """The check of them all, also of those that are not set up, by `secrets` that hide no outage of their store."""
    from activities.notifications.slack import Slack
    from activities.secrets.checks import System, SystemChecks

    service_now, git = _service_now(settings, http, secrets), _git(settings, secrets)
    slack = _backends(settings, http, secrets).get(SLACK)
    return SystemChecks(
        secrets,
        [
            System(
                "ServiceNow",
                SERVICENOW_SETTING,
                _path(settings.servicenow),
                None if service_now is None else lambda _: service_now.probe(),
                "username=... password=...",
            ),
            System(
                "Git", GIT_SETTING, _path(settings.git), None if git is None else lambda it: git.probe(it.repository)
            ),
            System("Slack", SLACK_SETTING, _path(settings.slack), _probe(slack) if isinstance(slack, Slack) else None),
            *(
                System(f"webhook {name}", "", hook.secret_path, keys="signing_key=...")
                for name, hook in settings.webhooks.items()
            ),
        ],
    )


def _probe(slack: Slack) -> Probe:
    return lambda _: slack.probe()


def _path(variables: ServiceNowVariables | GitVariables | SlackVariables | None) -> str:
    """Path of a system's secret; empty where it is not set up."""
    return variables.secret_path if variables is not None else ""


def _no_reverts() -> Activities:
    from activities.transport.not_configured import absent

    log.info("nothing is reverted in Git", unset=GIT_SETTING)
    return absent("Git", GIT_SETTING, Activity.REVERT_COMMIT)


def _git(settings: Settings, secrets: Secrets) -> GitOps | None:
    git = settings.git
    if git is None:
        return None
    from activities.git import revert_commit

    repositories = tuple(git.repositories.split(","))
    git_settings = revert_commit.GitSettings(**git.model_dump(exclude={"repositories"}), repositories=repositories)
    return revert_commit.GitOps(secrets, git_settings)


def _backends(settings: Settings, http: httpx.AsyncClient, secrets: Secrets) -> dict[str, Backend]:
    """Notification services by their names in annotations."""
    from activities.notifications import slack, webhook
    from activities.notifications.templates import TemplateError, Templates, read_templates

    file = settings.notifications.config_file
    try:
        texts = read_templates(file) if file is not None else {}
    except TemplateError as error:
        raise SettingsError(f"{PREFIX}NOTIFICATIONS__CONFIG_FILE: {error}") from error
    templates = Templates(texts, settings.temporal_ui)
    backends: dict[str, Backend] = {
        name: webhook.Webhook(name, secrets, http, webhook.WebhookSettings(**hook.model_dump()), templates)
        for name, hook in settings.webhooks.items()
    }
    if settings.slack is not None:
        workspace = slack.SlackSettings(**settings.slack.model_dump())
        backends[SLACK] = slack.Slack(secrets, http, workspace, templates)
    if not backends:
        log.info(
            "no service for notifications is set",
            unset=f"{SLACK_SETTING}, {PREFIX}WEBHOOKS__NAME__SECRET_PATH",
        )
    return backends


def _no_incidents() -> Activities:
    from activities.transport.not_configured import absent

    log.warning("no incidents are opened", unset=SERVICENOW_SETTING)
    return absent("ServiceNow", SERVICENOW_SETTING, *_SERVICENOW)


def _service_now(settings: Settings, http: httpx.AsyncClient, secrets: Secrets) -> ServiceNow | None:
    variables = settings.servicenow
    if variables is None:
        return None
    from activities.servicenow import fields, incidents

    allowed = fields.ALLOWED_FIELDS if variables.allowed_fields is None else variables.allowed_fields.split(",")
    service_now = fields.ServiceNowSettings(
        **variables.model_dump(exclude={"allowed_fields"}),
        allowed_fields=tuple(allowed),
        temporal_ui=settings.temporal_ui,
        graph_url=settings.datadog.graph_url,
    )
    return incidents.ServiceNow(secrets, http, service_now)
