"""The words of notifications, and templates in the shape of Argo's ConfigMap."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from activities.notifications.templates import TemplateError, Templates, read_templates
from tests.activities.notification import notification
from tidegate.report.notifications import TRIGGERS


def written(folder: Path, **data: str) -> Path:
    file = folder / "notifications.yaml"
    named = {name.replace("__", "."): text for name, text in data.items()}
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "data": named}))
    return file


@pytest.mark.parametrize("trigger", sorted(TRIGGERS))
def test_every_trigger_has_words(trigger: str) -> None:
    told = notification(trigger=trigger, workflow_id="rollout/default/payments/checkout", run_id="r1")
    text = Templates(temporal_ui="https://temporal.internal/namespaces/default/").text(told)
    assert text.startswith("payments/checkout: ")
    assert "{{" not in text
    link = "https://temporal.internal/namespaces/default/workflows/rollout%2Fdefault%2Fpayments%2Fcheckout/r1"
    assert text.endswith(link)


def test_a_config_map_of_argo_rollouts_is_read(tmp_path: Path) -> None:
    file = tmp_path / "notifications.yaml"
    file.write_text(
        """
apiVersion: v1
kind: ConfigMap
metadata: {name: argo-rollouts-notification-configmap}
data:
  service.slack: |
    token: $slack-token
  template.aborted: |
    message: Rollout {{.rollout.metadata.name}} at {{ .notification.weight }}%
    slack: {attachments: "{{range .x}}{{end}}"}
  template.why: |
    message: "because: {{- .notification.message -}}"
  trigger.on-rollout-aborted: |
    - send: [aborted, why]
"""
    )
    texts = read_templates(file)
    assert Templates(texts).text(notification(message="{{.notification.name}}")) == (
        "Rollout checkout at 20%\nbecause: {{.notification.name}}"
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"template__a": "message: '{{if .x}}y{{end}}'"}, "not supported"),
        ({"template__a": "message: '{{.rollout.metadata.nam}}'"}, "no such fact"),
        ({"template__a": "message: '{{.secrets.token}}'"}, "no such fact"),
        ({"template__a": "slack: {}"}, "needs a message"),
        ({"template__a": "["}, "template.a"),
        ({"trigger__on-rollout-aborted": "- send: [a]"}, "there is no template.a"),
        ({"trigger__on-rollout-aborted": "- {when: x, send: [a]}"}, "when is not supported"),
        ({"trigger__on-rollout-aborted": "send"}, "must be a list"),
        ({"trigger__on-rollout-aborted": "- {}"}, "send must be a list"),
        ({"template__a": "message: x", "trigger__on-nothing": "- send: [a]"}, "no such trigger"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(tmp_path: Path, data: dict[str, str], says: str) -> None:
    with pytest.raises(TemplateError, match=says) as caught:
        read_templates(written(tmp_path, **data))
    assert "notifications.yaml" in str(caught.value)


@pytest.mark.parametrize("content", ["", "- 1", "{", "5: x", "kind: ConfigMap"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "notifications.yaml"
    file.write_text(content)
    with pytest.raises(TemplateError, match=r"notifications\.yaml"):
        read_templates(file)
    with pytest.raises(TemplateError, match=r"missing\.yaml"):
        read_templates(tmp_path / "missing.yaml")
