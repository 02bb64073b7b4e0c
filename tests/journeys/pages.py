"""Commands of the pages: which journey takes which, and which are read and not played."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.structure.sources import ROOT

NOT_PLAYED = {
    r"^make (?!demo$)": "another target of the Makefile, which CI runs",
    r"^(cosign|gh|sha256sum|pip) ": "it needs a release of Tidegate in a registry and on a forge",
    r"^helm |\| tidegate": "it needs helm, or a chart of the reader's",
    r"\bdeploy/(crds|argocd|vault|kustomize)\b|overlays/mine|^kubectl .*\bargocd\b": "it needs a whole control plane",
    r"^(docker|kind) |\bdeploy/laptop\b|^kubectl (wait|-n (payments|temporal)) ": "it needs an engine for containers",
    r"^vault ": "the world's vault is filled when it starts; `tests/deploy` plays its script",
    r"^kubectl (.* )?(auth can-i|logs|edit|get crd)|-n tidegate": "it needs a whole control plane",
    r"migrate (-A|-n)": "it reads a whole cluster",
    r"analysis terminate NAME": "the run before it has ended by then",
}
OTHER_CODES = {
    r"^tidegate (retry|promote|pause|resume|abort)": {0, 2, 3, 4, 5},  # by then the release may be over
    r"^tidegate (start|wait|restart|undo|set image)": {0, 2, 3, 4, 5},
    r"^tidegate (get|explain|status|history)": {0, 2, 3, 4},
    r"^tidegate analysis run": {0, 2, 3},
    r"^tidegate migrate": {0, 2},  # some of what is read is refused on purpose
    r"^temporal workflow (update|signal)": {0, 1},  # of a release that has ended
}


@dataclass(frozen=True)
class Command:
    """One line of shell of a page, and the line number of its block."""

    page: str
    line: int
    text: str

    @property
    def unplayed(self) -> str:
        """The reason for which it is only read; empty where it is played."""
        return next((why for pattern, why in NOT_PLAYED.items() if re.search(pattern, self.text)), "")

    @property
    def codes(self) -> set[int]:
        """Exit codes that the pages promise for it."""
        return next((codes for pattern, codes in OTHER_CODES.items() if re.search(pattern, self.text)), {0})


@dataclass(frozen=True)
class Journey:
    """A stranger with a wish, and the pages that lead there; of a page all headings, or those that are named."""

    name: str
    pages: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def commands(self) -> Iterator[Command]:
        """Yield the commands of its pages in order."""
        for page, headings in self.pages.items():
            yield from commands(page, (ROOT / page).read_text("utf-8"), headings)


def commands(page: str, text: str, headings: tuple[str, ...] = ()) -> Iterator[Command]:
    """Yield the commands below these headings, of the whole page without any."""
    heading, block, begun = "", None, ""
    for number, line in enumerate(text.splitlines(), 1):
        if block is None and line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("```"):
            block = (line == "```sh") if block is None else None
        elif block and (not headings or heading in headings):
            words = re.split(r"\s+#\s", f"{begun}{line.strip()}")[0]
            if words.endswith("\\"):
                begun = words.removesuffix("\\")
                continue
            begun = ""
            if words and not words.startswith("#"):
                yield Command(page, number, " ".join(words.split()))


JOURNEYS = (
    Journey("try it", {"README.md": ("See it", "Use it")}),
    Journey("install it", {"docs/install.md": ()}),
    Journey("a first gate", {"docs/first-gate.md": (), "docs/drill.md": ("A drill",)}),
    Journey("come from Argo Rollouts", {"docs/migrate-from-argo-rollouts.md": ()}),
    Journey("stuck at 2 a.m.", {"docs/troubleshooting.md": ()}),
)
