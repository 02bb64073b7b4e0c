"""Whatever the style of a scalar: after an edit the file says what was meant and nothing else, or it is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.git.images import NotEditableError, edited, find_images
from tidegate.contract import ImageChange, RevertRequest

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def request(bad: str, good: str, *more: ImageChange) -> RevertRequest:
    change = ImageChange(container="shop", bad=bad, good=good)
    return RevertRequest(
        repository="https://git.example/r",
        path=".",
        namespace="default",
        rollout="shop",
        revision=2,
        images=(change, *more),
        release="r",
        run="r",
        reason="r",
    )


def put_back(name: str, text: str, asked: RevertRequest) -> str:
    found = find_images(name, text, asked)
    assert found is not None
    assert found.edits
    return edited(text, found.edits)


def manifest(image: str, side: str = "side:1", extra: str = "") -> str:
    return f"""# kept as it is
{extra}kind: Rollout
metadata: {{name: shop}}   # and so is this
spec:
  template:
    spec:
      containers:
      - name: side
        image: {side}
      - {{name: shop, image: {image}}}
"""


IMAGES = [
    "{}",
    "'{}'",
    '"{}"',
    "&image {}",
    "!!str {}",
    '&image !!str "{}"',
    "!!str &image '{}'",
    "! {}",
    "!<tag:yaml.org,2002:str> {}",
    "!image {}",
]


@pytest.mark.parametrize("style", IMAGES)
def test_anchors_tags_and_quotes_are_kept(style: str) -> None:
    text = manifest(style.format("shop:v2"))
    assert put_back("rollout.yaml", text, request("shop:v2", "shop:v1")) == manifest(style.format("shop:v1"))


def test_an_image_that_others_share_by_its_anchor_is_refused_by_name() -> None:
    text = manifest("*image", side="&image shop:v2")
    with pytest.raises(NotEditableError, match=r"line 9: 'shop:v2' would change as well.*by an anchor"):
        find_images("rollout.yaml", text, request("shop:v2", "shop:v1"))


def test_an_anchor_whose_every_use_is_meant_is_edited_once() -> None:
    text = manifest("*image", side="&image shop:v2")
    asked = request("shop:v2", "shop:v1", ImageChange(container="side", bad="shop:v2", good="shop:v1"))
    assert put_back("rollout.yaml", text, asked) == manifest("*image", side="&image shop:v1")


@pytest.mark.parametrize("tag", ["!!int", "!!float", "!!binary"])
def test_a_tag_that_makes_something_else_of_an_image_is_refused(tag: str) -> None:
    text = f"images:\n- name: shop\n  newTag: {tag} 12\n"
    with pytest.raises(NotEditableError, match="would be read as"):
        find_images("kustomization.yaml", text, request("shop:12", "shop:11"))


def test_aliases_without_an_end_are_refused() -> None:
    bomb = "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n" + "".join(
        f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 8)
    )
    with pytest.raises(NotEditableError, match="too many aliases"):
        find_images("rollout.yaml", manifest("shop:v2", extra=bomb), request("shop:v2", "shop:v1"))


@pytest.mark.parametrize(
    ("entry", "bad", "good", "after"),
    [
        ({"newTag": f"latest@{B}"}, f"shop:latest@{B}", f"shop:latest@{A}", {"newTag": f"latest@{A}"}),
        ({"newTag": f"v2@{B}"}, f"shop:v2@{B}", "shop:v1", {"newTag": "v1"}),
        ({"newTag": "v2"}, "shop:v2", f"shop:v1@{A}", {"newTag": f"v1@{A}"}),
        ({"newTag": "v2", "digest": B}, f"shop:v2@{B}", f"shop:v1@{A}", {"newTag": "v1", "digest": A}),
        ({"newTag": "v2", "digest": B}, f"shop@{B}", f"shop@{A}", {"newTag": "v2", "digest": A}),
        ({"digest": B}, f"shop@{B}", f"shop@{A}", {"digest": A}),
    ],
)
def test_a_tag_with_a_digest_is_written_as_it_stands(
    entry: dict[str, str], bad: str, good: str, after: dict[str, str]
) -> None:
    text = yaml.safe_dump({"images": [{"name": "other", "newTag": "v2"}, {"name": "shop", **entry}]})
    wanted = {"images": [{"name": "other", "newTag": "v2"}, {"name": "shop", **after}]}
    assert yaml.safe_load(put_back("kustomization.yaml", text, request(bad, good))) == wanted


@pytest.mark.parametrize(
    ("entry", "bad", "good", "why"),
    [
        ({"newTag": "v2"}, "shop:v2", f"shop@{A}", "one is a digest, and the entry has a newTag"),
        ({"digest": B}, f"shop@{B}", "shop:v1", "the entry has a digest and no newTag"),
        ({"newTag": "v2", "digest": B}, f"shop:v2@{B}", "shop:v1", "the entry has a newTag and a digest"),
        ({"newTag": "v2"}, "shop:v2", "else/shop:v1", "there is no newName"),
    ],
)
def test_what_cannot_be_written_is_refused_with_its_reason(
    entry: dict[str, str], bad: str, good: str, why: str
) -> None:
    text = yaml.safe_dump({"images": [{"name": "shop", **entry}]})
    with pytest.raises(NotEditableError, match=why):
        find_images("kustomization.yaml", text, request(bad, good))


BLOCKS = ["|-\n    {}", ">-\n    {}", "&image |-\n    {}", "\n    {}", "\n    &image\n    !!str\n    {}"]
STYLES = st.sampled_from([*IMAGES, *BLOCKS, '"{}"   # c'])
TAGS = st.sampled_from(["v2", "1.0", "1e3", "0x10", "null", "yes", "2024-01-01", "1_000", "12:30", "~", "v1.2.3-rc.1"])
SHARED = st.sampled_from(["", "x: *image\n", "x: [*image, {a: *image}]\n"])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(style=STYLES, bad=TAGS, good=TAGS, shared=SHARED, newline=st.sampled_from(["\n", "\r\n"]))
def test_every_style_is_written_rightly_or_refused(style: str, bad: str, good: str, shared: str, newline: str) -> None:
    text = f"images:\n- name: shop\n  newTag: {style.format(bad)}\n  # kept\n- name: other\n  newTag: v9\n"
    text = (text + (shared if "&image" in style else "")).replace("\n", newline)
    if bad == good:
        return
    before = _plain(text)
    try:
        found = find_images("kustomization.yaml", text, request(f"shop:{bad}", f"shop:{good}"))
    except NotEditableError:
        return
    assert found is not None
    after = _plain(edited(text, found.edits))
    wanted = copy.deepcopy(before)
    wanted["images"][0]["newTag"] = good
    assert after == wanted
    assert edited(text, found.edits).count("# kept") == 1


class _Loader(yaml.SafeLoader):
    """Reads tags that nobody knows as text."""


_Loader.add_constructor("!image", lambda loader, node: loader.construct_scalar(node))
_Loader.add_constructor("!", lambda loader, node: loader.construct_scalar(node))


def _plain(text: str) -> Any:
    return yaml.load(text, _Loader)  # noqa: S506  a safe one
