"""Files into manifests: what is read, what is left alone, what is refused and how that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.manifests.documents import from_objects, load, loads
from tidegate.manifests.findings import Finding, ManifestError, Severity, path_text, value_text
from tidegate.manifests.images import apply_images

ROLLOUT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: checkout, namespace: payments}
spec:
  template:
    spec:
      containers:
        - {name: checkout, image: "img:1"}
        - {name: proxy, image: "proxy:1", someNewField: 1}
  strategy:
    canary:
      steps:
        - setWeight: 20
"""


def refused(text: str) -> list[Finding]:
    with pytest.raises(ManifestError) as caught:
        loads(text, "f.yaml")
    return list(caught.value.findings)


@pytest.mark.parametrize(
    ("was", "now", "line", "path", "remedy"),
    [
        ("setWeight: 20", "setWieght: 20", 13, "spec.strategy.canary.steps[0].setWieght", "did you mean setWeight?"),
        ("steps:", "step:", 12, "spec.strategy.canary.step", "did you mean steps?"),
        ("strategy:", "strategie:", 10, "spec.strategie", "did you mean strategy?"),
        ("setWeight: 20", "setWeight: '20'", 13, "spec.strategy.canary.steps[0].setWeight", "write it without quotes"),
    ],
)
def test_a_field_that_does_not_fit_is_named_with_its_place(
    was: str, now: str, line: int, path: str, remedy: str
) -> None:
    [finding] = refused(ROLLOUT.replace(was, now))
    assert (finding.file, finding.line, finding.path) == ("f.yaml", line, path)
    assert finding.object == "Rollout/checkout"
    assert finding.remedy == remedy


def test_every_field_that_does_not_fit_is_named() -> None:
    text = ROLLOUT.replace(
        "- setWeight: 20", "- setWeight: 2.5\n        - pause: 5m\n        - setCanaryScale: {size: 1}"
    )
    assert {finding.path for finding in refused(text)} == {
        "spec.strategy.canary.steps[0].setWeight",
        "spec.strategy.canary.steps[1].pause",
        "spec.strategy.canary.steps[2].setCanaryScale.size",
    }


@pytest.mark.parametrize(
    ("text", "code", "path", "hint"),
    [
        ("kind: Rollout", "no-kind", "apiVersion", ""),
        ("apiVersion: v1", "no-kind", "kind", "known kinds"),
        ("- 1", "no-object", "", ""),
        ("apiVersion: argoproj.io/v1alpha1\nkind: Rolout", "unknown-kind", "kind", "did you mean Rollout?"),
        ("apiVersion: v1\nkind: Services", "unknown-kind", "kind", "did you mean Service?"),
        ("apiVersion: networking.istio.io/v1\nkind: VirtualServise", "unknown-kind", "kind", "VirtualService"),
        ("apiVersion: argoproj.io/v1\nkind: Rollout", "unknown-version", "apiVersion", "argoproj.io/v1alpha1"),
        ("apiVersion: argo.io/v1alpha1\nkind: Rollout", "unknown-version", "apiVersion", "argoproj.io/v1alpha1"),
        ("apiVersion: apps/v1\nkind: Deploymnt", "unknown-kind", "kind", "did you mean Deployment?"),
        ("apiVersion: v1\nkind: List\nitems: {}", "type", "items", ""),
        ("apiVersion: v1\nkind: List\nitems: [{kind: Rollout}]", "no-kind", "apiVersion", "known kinds"),
        ("apiVersion: argoproj.io/v1\nkind: RolloutList\nitems: [{}]", "unknown-version", "apiVersion", "v1alpha1"),
    ],
)
def test_a_kind_that_cannot_be_meant_is_refused(text: str, code: str, path: str, hint: str) -> None:
    [finding] = refused(text)
    assert (finding.code, finding.path) == (code, path)
    assert hint in finding.remedy


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: ConfigMap",
        "apiVersion: v1\nkind: ServiceAccount",
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry",
        "apiVersion: serving.knative.dev/v1\nkind: Service",
        "apiVersion: argoproj.io/v1alpha1\nkind: Application",
        "apiVersion: argoproj.io/v1alpha1\nkind: RolloutManager",
        "apiVersion: argoproj.io/v1beta1\nkind: ArgoCD",
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow",
        "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: ConfigMap}]",
        "apiVersion: secrets.hashicorp.com/v1beta1\nkind: VaultStaticSecret",
    ],
)
def test_what_a_release_does_not_need_is_left_alone_and_said(text: str) -> None:
    [note] = loads(text).notes
    assert (note.severity, note.code) == (Severity.NOTE, "not-read")


ITEM = ROLLOUT.split("\n", 2)[2]  # without apiVersion and kind
LISTS = {
    "List": "apiVersion: v1\nkind: List\nitems:\n- " + ROLLOUT.replace("\n", "\n  "),
    "List in a List": "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - "
    + ROLLOUT.replace("\n", "\n    "),
    "RolloutList": "apiVersion: argoproj.io/v1alpha1\nkind: RolloutList\nitems:\n- " + ITEM.replace("\n", "\n  "),
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_a_list_is_its_items_and_each_field_knows_its_line(text: str) -> None:
    rollout = loads(text, "f.yaml").rollout()
    assert rollout.label == "Rollout/checkout"
    line = 1 + text.splitlines().index(next(each for each in text.splitlines() if "setWeight" in each))
    assert rollout.document.location(("spec", "strategy", "canary", "steps", 0, "setWeight")).line == line
    [finding] = refused(text.replace("setWeight", "setWieght"))
    assert (finding.path, finding.line) == ("spec.strategy.canary.steps[0].setWieght", line)


def test_a_list_of_many_items_is_read_in_one_go() -> None:
    items = "\n".join(f"- {{metadata: {{name: r{n}}}}}" for n in range(5_000))
    manifests = loads(f"apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplateList\nitems:\n{items}")
    assert [each.metadata.name for each in manifests.templates] == [f"r{n}" for n in range(5_000)]


def test_a_boolean_where_text_is_wanted_is_to_be_put_in_quotes() -> None:
    [finding] = refused(ROLLOUT.replace("namespace: payments", "annotations: {a: y}"))
    assert finding.path == "metadata.annotations.a"
    assert finding.remedy.startswith("put the value in quotes: a bare y, yes,")


def test_one_object_given_twice_is_refused() -> None:
    [finding] = refused(f"{ROLLOUT}---\n{ROLLOUT}")
    assert (finding.code, finding.line) == ("duplicate-object", 17)
    assert "f.yaml:1" in finding.message


def test_a_folder_is_read_with_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(ROLLOUT)
    (tmp_path / "b.json").write_text('{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}')
    (tmp_path / "README.md").write_text("no manifest")
    manifests = load([tmp_path])
    assert manifests.rollout().metadata.name == "checkout"
    assert [service.label for service in manifests.services] == ["Service/s"]


def test_findings_of_all_files_come_together(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.yaml").write_text("kind: Rollout")
    with pytest.raises(ManifestError) as caught:
        load([tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml"])
    assert [Path(finding.file).name for finding in caught.value.findings] == ["a.yaml", "c.yaml", "b.yaml"]


@pytest.mark.parametrize("count", [0, 2])
def test_one_rollout_is_asked_for(count: int) -> None:
    objects = [
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": f"r{n}"}} for n in range(count)
    ]
    with pytest.raises(ManifestError, match=f"found {count}"):
        from_objects(objects).rollout()


def test_the_object_keeps_fields_that_are_not_known() -> None:
    raw = loads(ROLLOUT).rollout().document.value(("spec", "template", "spec", "containers", 1))
    assert raw == {"name": "proxy", "image": "proxy:1", "someNewField": 1}


def test_images_are_replaced_in_the_object_and_in_the_model() -> None:
    rollout = apply_images(loads(ROLLOUT), {"*": "all:2", "checkout": "checkout:2"}).rollout()
    containers = rollout.document.value(("spec", "template", "spec", "containers"))
    assert containers == [
        {"name": "checkout", "image": "checkout:2"},
        {"name": "proxy", "image": "all:2", "someNewField": 1},
    ]
    assert rollout.raw["spec"] == rollout.model.to_wire()["spec"]
    assert rollout.document.location(("spec", "template", "spec", "containers", 1)).line == 9


@pytest.mark.parametrize("images", [{"chekout": "x:1"}, {"checkout": ""}])
def test_an_image_that_fits_no_container_is_refused(images: dict[str, str]) -> None:
    with pytest.raises(ManifestError) as caught:
        apply_images(loads(ROLLOUT, "f.yaml"), images)
    [finding] = caught.value.findings
    assert (finding.file, finding.line) == ("f.yaml", 7)
    assert "checkout, proxy" in finding.remedy


def test_a_finding_reads_as_one_line() -> None:
    finding = Finding(
        severity=Severity.ERROR,
        code="duration",
        message="no duration",
        file="f.yaml",
        line=3,
        path="spec.x",
        value='"5x"',
        remedy="such as 5s",
    )
    assert str(finding) == 'f.yaml:3: error: spec.x: "5x": no duration (such as 5s) [duration]'


def test_paths_and_values_are_written_for_people() -> None:
    assert path_text(("metadata", "labels", "a.b/c", 0, "d")) == "metadata.labels['a.b/c'][0].d"
    assert [value_text(value) for value in ("5x", True, 3, None)] == ['"5x"', "true", "3", ""]
    assert len(value_text("x" * 500)) <= 80
