"""A version that a pod template says of itself follows the image whose tag it was."""

from __future__ import annotations

import pytest

from tests.unit.manifests.test_documents import loads
from tidegate.manifests.images import apply_images, tag_of, version_changes
from tidegate.manifests.version_tag import version_of

LABELLED = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: checkout, namespace: payments}
spec:
  selector: {matchLabels: {app: checkout}}
  template:
    metadata:
      labels: {app: checkout, tags.datadoghq.com/version: "TAG"}
    spec:
      containers:
        - name: checkout
          image: registry:5000/checkout:1.0.0
          env: [{name: DD_VERSION, value: "TAG"}, {name: OTHER, value: "1.0.0"}]
        - {name: proxy, image: "proxy:7"}
  strategy: {canary: {steps: [{setWeight: 10}]}}
"""


def test_label_and_variable_follow_the_image_whose_tag_they_were() -> None:
    before = loads(LABELLED.replace("TAG", "1.0.0"))
    after = apply_images(before, {"checkout": "registry:5000/checkout:1.1.0@sha256:ab"})
    template = after.rollout().raw["spec"]["template"]
    assert template["metadata"]["labels"]["tags.datadoghq.com/version"] == "1.1.0"
    assert [each["value"] for each in template["spec"]["containers"][0]["env"]] == ["1.1.0", "1.0.0"]
    assert version_of(template) == "1.1.0"
    assert version_changes(before, after) == [
        "tags.datadoghq.com/version goes from 1.0.0 to 1.1.0, with the image",
        "DD_VERSION goes from 1.0.0 to 1.1.0, with the image",
    ]


@pytest.mark.parametrize(
    ("version", "images"),
    [
        ("2024-01", {"checkout": "registry:5000/checkout:1.1.0"}),
        ("1.0.0", {"proxy": "proxy:8"}),
        ("1.0.0", {"checkout": "registry:5000/checkout@sha256:ab"}),
    ],
)
def test_a_version_that_was_not_the_tag_stays_and_nothing_is_told(version: str, images: dict[str, str]) -> None:
    before = loads(LABELLED.replace("TAG", version))
    after = apply_images(before, images)
    assert version_of(after.rollout().raw["spec"]["template"]) == version
    assert version_changes(before, after) == []


@pytest.mark.parametrize(
    ("image", "tag"),
    [("a:1", "1"), ("registry:5000/a", ""), ("registry:5000/a:2@sha256:0", "2"), ("a@sha256:0", ""), ("", "")],
)
def test_the_tag_of_an_image(image: str, tag: str) -> None:
    assert tag_of(image) == tag
