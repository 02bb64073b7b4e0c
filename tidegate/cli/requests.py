"""Options that say which images are released."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from tidegate.cli.options import assignments


def images_of(options: Sequence[str]) -> dict[str, str]:
    """Container -> image, from the option `--image`. Raises typer.BadParameter."""
    images = assignments(
        options, "--image", "CONTAINER=IMAGE, such as checkout=registry.internal/payments/checkout:1.1.0"
    )
    for container, image in images.items():
        if not image:
            raise typer.BadParameter(f"no image for container {container!r}", param_hint="--image")
    return images
