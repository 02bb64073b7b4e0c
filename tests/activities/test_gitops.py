"""Reverts in real repositories: the good image comes back by one commit, whatever else happens to the branch."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.git.images import NotEditableError, edited, find_images
from activities.git.revert_commit import GitOps, GitSettings
from sandbox.git import GitRepository, git
from tests.activities.git_server import basic, git_server
from tests.activities.outside import MemorySecrets, Script, run_activity, self_signed
from tidegate.contract import ErrorType, ImageChange, RevertMode, RevertRequest, RevertResult

NAME = "registry.internal:5000/payments/checkout"
GOOD, BAD = f"{NAME}:1.0.0", f"{NAME}:1.1.1-bad"
SECRET = "secret/tidegate/git"
MANIFEST = """\
# What Argo CD applies.
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: checkout, namespace: payments}}
spec:
  template:
    spec:
      containers:
        - name: checkout   # the service
          image: "{image}"   # bumped by CI\r
          env: [ {{name: A, value: 'ü' }} ]
        - {{name: proxy, image: envoy:1.30}}
---
kind: Service
metadata: {{name: checkout}}
"""
KUSTOMIZATION = """\
resources: [../base]
images:
  - name: checkout
    newName: {name}
    newTag: {tag}
  - {{name: other, newTag: 1.1.1-bad}}
"""


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path)


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def authorities(folder: Path) -> Path:
    return folder / "tls.crt"


def https(server: Script) -> str:
    return server.url.replace("http://", "https://")


def manifest(image: str) -> str:
    return MANIFEST.format(image=image)


def request(repository: str, **changes: Any) -> RevertRequest:
    fields: dict[str, Any] = {
        "repository": repository,
        "path": "apps/checkout",
        "namespace": "payments",
        "rollout": "checkout",
        "revision": 7,
        "images": (ImageChange(container="checkout", bad=BAD, good=GOOD),),
        "release": "rollout/default/payments/checkout/7",
        "run": "0199a1b2-run",
        "reason": "error-rate failed",
    }
    return RevertRequest(**{**fields, **changes})


async def revert(asked: RevertRequest, secrets: MemorySecrets | None = None, **settings: Any) -> RevertResult:
    settings = {"repositories": ("file:///",), **settings}
    git = GitOps(secrets or MemorySecrets(), GitSettings(**settings))
    result: RevertResult = await run_activity(git.revert_commit, asked)
    return result


async def error_of(asked: RevertRequest, secrets: MemorySecrets | None = None, **settings: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await revert(asked, secrets, **settings)
    return caught.value


async def test_a_commit_that_only_brought_the_image_is_reverted(repository: GitRepository) -> None:
    repository.commit("checkout 1.0.0", apps__checkout__rollout_yaml=manifest(GOOD))
    bump = repository.commit("checkout 1.1.1-bad", apps__checkout__rollout_yaml=manifest(BAD))
    result = await revert(request(repository.url, commit="abc123"))
    assert result.created
    assert result.commit == repository.head()
    assert result.branch == "main"
    assert repository.file("apps/checkout/rollout.yaml") == manifest(GOOD)
    message = repository.message(result.commit)
    assert message.startswith(f'Revert "checkout 1.1.1-bad"\n\nThis reverts commit {bump}.\n\n')
    assert "Revision 7 was rolled back: error-rate failed" in message
    assert "abc123" in message
    assert message.rstrip().endswith(
        "\n\nTidegate-Release: rollout/default/payments/checkout/7\nTidegate-Run: 0199a1b2-run"
    )
    assert git(repository.bare, "log", "-n1", "--format=%an <%ae>").decode() == "Tidegate <tidegate@localhost>\n"


async def test_of_a_commit_that_did_more_only_the_image_goes(repository: GitRepository) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(GOOD), notes_txt="1")
    changed = manifest(BAD).replace("value: 'ü'", "value: 'more'")
    repository.commit("image and more", apps__checkout__rollout_yaml=changed, notes_txt="2")
    result = await revert(request(repository.url))
    assert repository.file("apps/checkout/rollout.yaml") == changed.replace(BAD, GOOD)
    assert repository.file("notes.txt") == "2"
    assert repository.changed(result.commit) == ["apps/checkout/rollout.yaml"]
    assert repository.message(result.commit).startswith(f"Put images of payments/checkout back: checkout to {GOOD}\n")


async def test_what_came_after_the_bad_image_stays(repository: GitRepository) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(GOOD))
    bump = repository.commit("bump", apps__checkout__rollout_yaml=manifest(BAD))
    later = manifest(BAD) + "# later\n"
    repository.commit("later", apps__checkout__rollout_yaml=later, apps__other_yaml="kind: Service\n")
    result = await revert(request(repository.url))
    assert repository.file("apps/checkout/rollout.yaml") == later.replace(BAD, GOOD)
    assert f"This reverts commit {bump}." in repository.message(result.commit)
    assert repository.changed(result.commit) == ["apps/checkout/rollout.yaml"]


async def test_a_bad_image_that_came_long_ago_is_replaced(repository: GitRepository) -> None:
    repository.commit("first and only", apps__checkout__rollout_yaml=manifest(BAD))
    result = await revert(request(repository.url, path="apps/checkout/rollout.yaml"))
    assert repository.file("apps/checkout/rollout.yaml") == manifest(GOOD)
    assert repository.message(result.commit).startswith("Put images")


async def test_the_manifest_may_lie_at_the_root(repository: GitRepository) -> None:
    repository.commit("first", rollout_yaml=manifest(BAD), templated_yaml="{{ if }}\nkind: Rollout\n")
    await revert(request(repository.url, path="."))
    assert repository.file("rollout.yaml") == manifest(GOOD)


async def test_files_that_cannot_be_read_are_passed_by(repository: GitRepository) -> None:
    large, deep = "# much\n" * 800_000, "[" * 50_000
    others = {"apps__checkout__a_yaml": large, "apps__checkout__b_yaml": deep, "apps__checkout__c_yaml": "a: !x {"}
    repository.commit("first", apps__checkout__rollout_yaml=manifest(BAD), **others)
    result = await revert(request(repository.url))
    assert repository.changed(result.commit) == ["apps/checkout/rollout.yaml"]


async def test_a_link_is_not_followed(repository: GitRepository, tmp_path: Path) -> None:
    outside = tmp_path / "rollout.yaml"
    outside.write_text(manifest(BAD))
    repository.link("apps/checkout/rollout.yaml", outside)
    assert (await error_of(request(repository.url))).type == ErrorType.NOT_FOUND
    assert outside.read_bytes() == manifest(BAD).encode()


async def test_a_kustomization_gets_its_tag_back(repository: GitRepository) -> None:
    base = manifest("checkout:placeholder")
    good, bad = (KUSTOMIZATION.format(name=NAME, tag=tag) for tag in ("1.0.0", "1.1.1-bad"))
    repository.commit("first", apps__checkout__kustomization_yaml=good, apps__base__rollout_yaml=base)
    repository.commit("bump", apps__checkout__kustomization_yaml=bad)
    result = await revert(request(repository.url))
    assert repository.file("apps/checkout/kustomization.yaml") == good
    assert repository.message(result.commit).startswith('Revert "bump"')


async def test_a_branch_of_its_own_leaves_the_branch_alone(repository: GitRepository) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(GOOD))
    head = repository.commit("bump", apps__checkout__rollout_yaml=manifest(BAD))
    asked = request(repository.url)
    result = await revert(asked, mode=RevertMode.BRANCH)
    assert result.branch == "tidegate/revert-checkout-7"
    assert repository.head() == head
    assert repository.file("apps/checkout/rollout.yaml", result.branch) == manifest(GOOD)
    again = await revert(asked, mode=RevertMode.BRANCH)
    assert (again.commit, again.created) == (result.commit, False)
    other = await revert(asked.model_copy(update={"run": "0200-another"}), mode=RevertMode.BRANCH)
    assert other.branch == "tidegate/revert-checkout-7-0200-another", "what another release pushed is not touched"
    alike = await revert(asked.model_copy(update={"run": "0200-anotter"}), mode=RevertMode.BRANCH)
    assert alike.branch == "tidegate/revert-checkout-7-0200-anotter", "ids that were made in one minute begin alike"
    assert repository.head("tidegate/revert-checkout-7") == result.commit


async def test_a_rollout_may_ask_for_a_branch(repository: GitRepository) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(BAD))
    assert (await revert(request(repository.url, mode="branch"))).branch == "tidegate/revert-checkout-7"


async def test_however_often_it_is_asked_there_is_one_commit(repository: GitRepository) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(GOOD))
    repository.commit("bump", apps__checkout__rollout_yaml=manifest(BAD))
    first = await revert(request(repository.url))
    repository_count = repository.count()
    again = await revert(request(repository.url))
    assert (again.commit, again.created) == (first.commit, False)
    assert "pushed before" in again.message
    assert repository.count() == repository_count


async def test_attempts_that_overlap_make_one_commit(repository: GitRepository) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(BAD))
    results = await asyncio.gather(*(revert(request(repository.url)) for _ in range(3)))
    assert {result.commit for result in results} == {repository.head()}
    assert repository.count() == 2


async def test_an_image_that_was_changed_already_is_left(repository: GitRepository) -> None:
    fixed = f"{NAME}:1.1.2"
    head = repository.commit("fix", apps__checkout__rollout_yaml=manifest(fixed))
    result = await revert(request(repository.url))
    assert (result.commit, result.branch, result.created) == ("", "", False)
    assert "nothing to put back" in result.message
    assert fixed in result.message
    assert repository.head() == head


async def test_a_push_that_comes_too_late_is_decided_anew(repository: GitRepository) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(GOOD))
    repository.commit("bump", apps__checkout__rollout_yaml=manifest(BAD))
    # While the first push is under way somebody else's commit lands.
    repository.hook(
        "pre-receive",
        "test -e raced && exit 0; touch raced; unset GIT_QUARANTINE_PATH; "
        "new=$(git -c user.name=x -c user.email=x@x commit-tree 'main^{tree}' -p main -m 'in between'); "
        "git update-ref refs/heads/main $new",
    )
    result = await revert(request(repository.url))
    assert repository.head() == result.commit
    assert repository.file("apps/checkout/rollout.yaml") == manifest(GOOD)
    assert repository.message(f"{result.commit}~").strip() == "in between", "never by force"


async def test_a_branch_that_never_rests_is_left_for_later(repository: GitRepository) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(BAD))
    repository.hook(
        "pre-receive",
        "unset GIT_QUARANTINE_PATH; "
        "new=$(git -c user.name=x -c user.email=x@x commit-tree 'main^{tree}' -p main -m 'in between'); "
        "git update-ref refs/heads/main $new",
    )
    error = await error_of(request(repository.url))
    assert error.type == ErrorType.UNAVAILABLE
    assert not error.non_retryable


async def test_reverts_of_several_services_at_once_all_land(repository: GitRepository) -> None:
    names = ["cart", "search", "login"]
    for name in names:
        text = manifest(BAD).replace("{name: checkout, namespace", f"{{name: {name}, namespace")
        repository.commit(name, **{f"apps__{name}__rollout_yaml": text})
    asked = [request(repository.url, rollout=name, path=f"apps/{name}", release=f"release/{name}") for name in names]
    results = await asyncio.gather(*(revert(each) for each in asked))
    assert all(result.created for result in results)
    assert repository.count() == 2 * len(names)
    assert all(BAD not in repository.file(f"apps/{name}/rollout.yaml") for name in names)


async def test_a_branch_that_takes_no_push_needs_a_person(repository: GitRepository) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(BAD))
    repository.hook("pre-receive", "exit 1")
    error = await error_of(request(repository.url))
    assert error.type == ErrorType.REJECTED
    assert "hook declined" in error.message
    assert error.non_retryable


async def test_what_is_not_there_is_said_by_name(repository: GitRepository, tmp_path: Path) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(BAD))
    wrong = {
        "no-such": request(f"file://{tmp_path}/no-such.git"),
        "apps/nowhere": request(repository.url, path="apps/nowhere"),
        "no Rollout cart": request(repository.url, rollout="cart"),
    }
    for what, asked in wrong.items():
        error = await error_of(asked)
        assert (error.type, error.non_retryable) == (ErrorType.NOT_FOUND, True), error.message
        assert what in error.message


async def test_a_branch_may_still_come(repository: GitRepository) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(BAD))
    error = await error_of(request(repository.url, branch="release-9"))
    assert (error.type, error.non_retryable) == (ErrorType.UNAVAILABLE, False)
    assert "Remote branch release-9 not found" in error.message


@pytest.mark.parametrize(
    "changes",
    [
        {"repository": "--upload-pack=touch /tmp/x"},
        {"repository": "ext::sh -c date"},
        {"repository": "https://elsewhere.example/config.git"},
        {"repository": "https://git.internal.elsewhere.example/config.git"},
        {"repository": "https://git.internal/team/../other/config.git"},
        {"repository": "https://git.internal/team/%2E%2e/other/config.git"},
        {"repository": "https://git.internal:8443/team/config.git"},
        {"repository": "https://me:hunter2@git.internal/team/config.git"},
        {"repository": "https://me:hunter2 @git.internal/team/config.git"},
        {"repository": "https://git.internal/team/config.git?token=hunter2"},
        {"repository": "https://[hunter2/"},
        {"branch": "--force"},
        {"branch": "+main:other"},
        {"branch": "a..b"},
        {"branch": "main\n"},
        {"path": "--exec=x"},
        {"path": "../../etc"},
        {"path": "/etc"},
        {"path": ":(top)x"},
        {"rollout": "--x"},
        {"run": "a\nTidegate-Run: b"},
        {"mode": "force"},
        {"images": (ImageChange(container="checkout", bad=BAD, good='x"\nkind: Secret'),)},
    ],
    ids=str,
)
async def test_what_git_could_misunderstand_is_refused_before_it_is_asked(changes: dict[str, Any]) -> None:
    asked = request("https://git.internal/team/config.git").model_copy(update=changes)
    secrets = MemorySecrets()
    error = await error_of(asked, secrets, repositories=("https://git.internal/team",))
    assert error.type == ErrorType.REJECTED, error.message
    assert "hunter2" not in error.message


async def test_a_refused_password_is_read_again_once_and_never_shown(tmp_path: Path, tls: ssl.SSLContext) -> None:
    secrets = MemorySecrets(
        {SECRET: {"username": "tidegate", "password": "old-password"}}, {SECRET: {"token": "new-password"}}
    )
    async with Script(tls) as server:
        server.then(401, b"no", WWW_Authenticate='Basic realm="git"')
        url = https(server)
        error = await error_of(
            request(f"{url}/config.git"), secrets, repositories=(url,), ca_file=authorities(tmp_path)
        )
        told = [seen.headers["Authorization"] for seen in server.seen if "Authorization" in seen.headers]
    assert error.type == ErrorType.UNAUTHORIZED, error.message
    assert not error.non_retryable
    assert secrets.refreshed == [SECRET]
    assert told == [basic("tidegate", "old-password"), basic("x-access-token", "new-password")]
    assert "password" not in error.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, ErrorType.UNAUTHORIZED),
        (404, ErrorType.NOT_FOUND),
        (429, ErrorType.RATE_LIMITED),
        (500, ErrorType.UNAVAILABLE),
        (200, ErrorType.UNAVAILABLE),
    ],
)
async def test_an_answer_of_a_server_says_whether_a_retry_helps(
    tmp_path: Path, tls: ssl.SSLContext, status: int, kind: ErrorType
) -> None:
    async with Script(tls) as server:
        server.then(status, b"nonsense")
        url = https(server)
        secrets = MemorySecrets({SECRET: {"token": "token-of-a-test"}})
        error = await error_of(
            request(f"{url}/config.git"), secrets, repositories=(url,), ca_file=authorities(tmp_path)
        )
    assert error.type == kind, error.message


async def test_a_server_that_never_ends_is_left(tmp_path: Path, tls: ssl.SSLContext) -> None:
    async with Script(tls) as server:
        server.then_drip()
        url = https(server)
        secrets, limits = (
            MemorySecrets({SECRET: {"token": "token-of-a-test"}}),
            {"ca_file": authorities(tmp_path), "timeout_seconds": 0.3},
        )
        error = await error_of(request(f"{url}/config.git"), secrets, repositories=(url,), **limits)
    assert error.type == ErrorType.UNAVAILABLE
    assert "no end after 0.3 s" in error.message


async def test_nothing_stays_on_the_disk(repository: GitRepository) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(BAD))
    before = clones()
    await revert(request(repository.url))
    await error_of(request(repository.url, path="nowhere", run="another"))
    assert clones() <= before


def clones() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("tidegate-git-*"))


async def test_a_server_that_asks_for_a_password_is_pushed_to(
    repository: GitRepository, tmp_path: Path, tls: ssl.SSLContext
) -> None:
    repository.commit("first", apps__checkout__rollout_yaml=manifest(GOOD))
    repository.commit("bump", apps__checkout__rollout_yaml=manifest(BAD))
    git(repository.bare, "config", "http.receivepack", "true")
    secrets = MemorySecrets({SECRET: {"token": "rotated-away"}}, {SECRET: {"token": "token-of-a-test"}})
    async with Script(tls) as server:
        server.then_do(git_server(repository.bare.parent, basic("x-access-token", "token-of-a-test")))
        url = https(server)
        asked = request(f"{url}/config.git")
        result = await revert(asked, secrets, repositories=(url,), ca_file=authorities(tmp_path))
    assert secrets.refreshed == [SECRET]
    assert repository.head() == result.commit
    assert repository.file("apps/checkout/rollout.yaml") == manifest(GOOD)
    assert repository.message(result.commit).startswith('Revert "bump"')


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("kustomization.yaml", "images: [{{name: {n}, newTag: 1.1.1-bad}}]", "images: [{{name: {n}, newTag: 1.0.0}}]"),
        (
            "kustomization.yaml",
            "images:\n- name: {n}\n  newTag: '1.1.1-bad'",
            "images:\n- name: {n}\n  newTag: '1.0.0'",
        ),
        ("Kustomization", "images: []", None),
        ("kustomization.yaml", "images: [{{name: {n}, newName: mirror}}]", None),
        ("rollout.yaml", "kind: Rollout\nmetadata: {{name: other}}", None),
        ("rollout.yaml", "kind: [", None),
    ],
)
def test_an_edit_changes_nothing_but_the_image(name: str, before: str, after: str | None) -> None:
    text = before.format(n=NAME)
    found = find_images(name, text, request("file:///x"))
    assert (edited(text, found.edits) if found else None) == (after.format(n=NAME) if after else None)


def test_a_tag_that_yaml_takes_for_a_number_is_quoted() -> None:
    change = ImageChange(container="checkout", bad=BAD, good=f"{NAME}:1e5")
    text = f"images: [{{name: {NAME}, newTag: 1.1.1-bad}}]"
    found = find_images("kustomization.yaml", text, request("file:///x", images=(change,)))
    assert found is not None
    assert edited(text, found.edits).endswith('newTag: "1e5"}]')


def test_a_template_that_a_deployment_lends_is_found() -> None:
    text = manifest(BAD).replace("Rollout", "Deployment").replace("name: checkout, n", "name: lender, n")
    asked = request("file:///x", workload="lender")
    found = find_images("deployment.yaml", text, asked)
    assert found is not None
    assert edited(text, found.edits) == text.replace(BAD, GOOD)


def test_a_digest_does_not_fit_where_a_tag_stands() -> None:
    change = ImageChange(container="checkout", bad=BAD, good=f"{NAME}@sha256:{'0' * 64}")
    text = f"images: [{{name: {NAME}, newTag: 1.1.1-bad}}]"
    with pytest.raises(NotEditableError, match="one is a digest"):
        find_images("kustomization.yaml", text, request("file:///x", images=(change,)))
