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

    from activities.notifications.dispatch import Notifications
    from activities.secrets.store import Secrets

log = structlog.get_logger(__name__)

Activities = Sequence[Callable[..., Any]]
_SERVICENOW = (
    Activity.OPEN_INCIDENT,
    Activity.NOTE_INCIDENT,
    Activity.RESOLVE_INCIDENTS,
    Activity.OPEN_CHANGE,
    Activity.CLOSE_CHANGE,
)


def follow_up_activities(settings: Settings, http: httpx.AsyncClient, secrets: Secrets) -> Activities:
    """All of them; those of a system that is not set up say so. Raises SettingsError for templates of notifications."""
    return [
        *_service_now(settings, http, secrets),
        *_git(settings, secrets),
        *_notifications(settings, http, secrets).activities(),
    ]


def _git(settings: Settings, secrets: Secrets) -> Activities:
    git = settings.git
    if git is None:
        from activities.transport.not_configured import absent

        unset = f"{PREFIX}GIT__REPOSITORIES"
        log.info("nothing is reverted in Git", unset=unset)
        return absent("Git", unset, Activity.REVERT_COMMIT)
    from activities.git import revert_commit

    repositories = tuple(git.repositories.split(","))
    git_settings = revert_commit.GitSettings(**git.model_dump(exclude={"repositories"}), repositories=repositories)
    return [revert_commit.GitOps(secrets, git_settings).revert_commit]


def _notifications(settings: Settings, http: httpx.AsyncClient, secrets: Secrets) -> Notifications:
    """Notification services by their names in annotations."""
    from activities.notifications import slack, webhook
    from activities.notifications.dispatch import Backend, Notifications
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
            unset=f"{PREFIX}SLACK__SECRET_PATH, {PREFIX}WEBHOOKS__NAME__SECRET_PATH",
        )
    return Notifications(backends)


def _service_now(settings: Settings, http: httpx.AsyncClient, secrets: Secrets) -> Activities:
    variables = settings.servicenow
    if variables is None:
        from activities.transport.not_configured import absent

        unset = f"{PREFIX}SERVICENOW__URL"
        log.warning("no incidents are opened", unset=unset)
        return absent("ServiceNow", unset, *_SERVICENOW)
    from activities.servicenow import fields, incidents

    allowed = fields.ALLOWED_FIELDS if variables.allowed_fields is None else variables.allowed_fields.split(",")
    service_now = fields.ServiceNowSettings(
        **variables.model_dump(exclude={"allowed_fields"}),
        allowed_fields=tuple(allowed),
        temporal_ui=settings.temporal_ui,
        graph_url=settings.datadog.graph_url,
    )
    return incidents.ServiceNow(secrets, http, service_now).activities()
