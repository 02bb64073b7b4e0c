"""The systems of people, real or embedded, each behind a gate, and the activities that reach them."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from jsonschema import Draft202012Validator
from PIL import Image

from activities.git.revert_commit import GitOps, GitSettings
from activities.notifications.dispatch import Notifications
from activities.notifications.slack import Slack, SlackSettings
from activities.notifications.templates import Templates
from activities.secrets.vault import Vault, VaultSettings
from activities.secrets.vault_login import AppRoleLogin
from activities.servicenow.incidents import ServiceNow, ServiceNowSettings
from sandbox.git import GitRepository, git
from sandbox.machine import patience
from sandbox.servicenow.server import ServiceNowApi
from sandbox.slack.server import SlackApi
from sandbox.vault import Vault as VaultServer
from tests.activities.git_server import basic, git_server
from tests.activities.outside import http_client, self_signed
from tests.aftermath.gate import Gate, behind
from tests.virtual.releases import IMAGE
from tidegate.cli.schema import SchemaKind, schema_of
from tidegate.contract import Document

SERVICENOW_SECRET, GIT_SECRET, SLACK_SECRET = "tidegate/servicenow", "tidegate/git", "tidegate/slack"
SECRETS = (SERVICENOW_SECRET, GIT_SECRET, SLACK_SECRET)
CHANNEL = "releases"
YEARS_SECONDS = 100 * 365 * 86_400  # by which Slack's clock is ahead, as the releases' skips what nothing happens in
PASSWORD, TOKEN = "password-of-a-test", "token-of-a-test"
IMPATIENT_SECONDS = 0.5  # with a system that is slow
MANIFEST = "apps/checkout/rollout.yaml"


@dataclass
class Systems:
    """What stands behind the gates, and what a worker for it registers."""

    servicenow: ServiceNowApi
    repository: GitRepository
    slack: SlackApi
    gates: dict[str, Gate]
    activities: list[Callable[..., Any]]

    def annotate(self, rollout: Document) -> None:
        """Name the systems in a Rollout, as a team does that wants them to hear."""
        rollout["metadata"].setdefault("annotations", {}).update(
            {
                "tidegate.io/git-repository": f"{self.gates['git'].url}/{self.repository.bare.name}",
                "tidegate.io/git-path": "apps/checkout",
                "notifications.argoproj.io/subscribe.on-rollout-aborted.slack": CHANNEL,
            }
        )

    def commit(self, tag: str) -> str:
        """CI brings an image into Git."""
        return self.repository.commit_file(f"checkout {tag}", MANIFEST, manifest(tag))

    def heard_once(self, good: str, bad: str) -> None:
        """Everybody heard of one abort, once, with the evidence, and Git has the good image again."""
        [incident] = self.servicenow.records.incidents.values()
        files = {str(file.fields["file_name"]): file for file in self.servicenow.records.files_of(incident)}
        [analysis] = [name for name in files if name.startswith("analysisrun-")]
        assert set(files) == {analysis, "release.json", "readings.png"}
        for name, kind in {analysis: SchemaKind.ANALYSIS_RUN, "release.json": SchemaKind.RELEASE}.items():
            Draft202012Validator(schema_of(kind)).validate(json.loads(files[name].content))
        assert Image.open(io.BytesIO(files["readings.png"].content)).format == "PNG"
        notes = [note.text.rpartition("[")[2] for note in incident.journals["work_notes"]]
        assert sorted(note.rpartition("/")[2] for note in notes) == ["restored]", "reverted]", "scaled]"]
        assert self.repository.file(MANIFEST) == manifest(good)
        assert self.repository.count() == 3, "the good image, the bad one, one revert"
        assert self.repository.file(MANIFEST, "main~1") == manifest(bad)
        [message, chart] = self.slack.channels[CHANNEL].messages
        assert (chart.files, chart.thread_ts) == (("readings.png",), message.ts)
        assert "aborted" in message.text


def manifest(tag: str) -> str:
    """The Rollout as it stands in Git."""
    template = {"spec": {"containers": [{"name": "checkout", "image": f"{IMAGE}:{tag}"}]}}
    rollout = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "checkout", "namespace": "payments"},
        "spec": {"template": template},
    }
    return json.dumps(rollout, indent=2) + "\n"


@asynccontextmanager
async def open_systems(folder: Path, vault: VaultServer) -> AsyncIterator[Systems]:
    """All of them well, with their keys in a Vault that is running."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        servicenow = ServiceNowApi(username="tidegate", password=PASSWORD, client_id="x", client_secret="y")
        await servicenow.start()
        stack.push_async_callback(servicenow.stop)
        slack = SlackApi(token=TOKEN, webhook_key="z", channels=(CHANNEL,), clock=lambda: time.time() + YEARS_SECONDS)
        await slack.start()
        stack.push_async_callback(slack.stop)
        repository = GitRepository(folder)
        git(repository.bare, "config", "http.receivepack", "true")
        certificate, key = await asyncio.to_thread(self_signed, folder)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        gates = {
            "servicenow": Gate(behind(servicenow.url, session)),
            "git": Gate(git_server(folder, basic("x-access-token", TOKEN)), tls),
            "slack": Gate(behind(slack.url.removesuffix("/api"), session)),
            "vault": Gate(behind(vault.address, session)),
        }
        for gate in gates.values():
            await stack.enter_async_context(gate)
        await vault.seed(SERVICENOW_SECRET, {"username": "tidegate", "password": PASSWORD})
        await vault.seed(GIT_SECRET, {"token": TOKEN})
        await vault.seed(SLACK_SECRET, {"token": TOKEN})
        login = AppRoleLogin(role_id_file=vault.role_id_file, secret_id_file=vault.secret_id_file)
        secrets = Vault(
            VaultSettings(address=gates["vault"].url, login=login, timeout_seconds=IMPATIENT_SECONDS, cache_seconds=0)
        )
        stack.push_async_callback(secrets.close)
        http = await stack.enter_async_context(http_client())
        asked = ServiceNowSettings(url=gates["servicenow"].url, timeout_seconds=IMPATIENT_SECONDS)
        repositories = GitSettings(
            repositories=(gates["git"].url,), ca_file=certificate, timeout_seconds=patience(4 * IMPATIENT_SECONDS)
        )
        workspace = SlackSettings(api_url=f"{gates['slack'].url}/api", timeout_seconds=IMPATIENT_SECONDS)
        activities = [
            *ServiceNow(secrets, http, asked).activities(),
            GitOps(secrets, repositories).revert_commit,
            *Notifications({"slack": Slack(secrets, http, workspace, Templates({}, ""))}).activities(),
        ]
        yield Systems(servicenow, repository, slack, gates, activities)
