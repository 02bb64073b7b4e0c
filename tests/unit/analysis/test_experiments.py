"""The analyses of an experiment: their arguments and what their verdicts come to."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.analysis.arguments import SpecError
from tidegate.analysis.experiments import Subject, analysis_block, outcome
from tidegate.analysis.status import Phase
from tidegate.manifests.steps import ExperimentStep

GOOD, BAD, ERROR, UNSURE = Phase.SUCCESSFUL, Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE
SUBJECTS = {"a": Subject("shop-x-2-1-a", "aaa"), "b": Subject("shop-x-2-1-b", "bbb")}


def step(*required: bool, **fields: Any) -> ExperimentStep:
    names = "xyz"
    analyses = [
        {"name": name, "templateName": name, "requiredForCompletion": each}
        for name, each in zip(names, required, strict=False)
    ]
    return ExperimentStep.model_validate({"analyses": analyses, **fields})


@pytest.mark.parametrize(
    ("required", "verdicts", "lasted", "ends"),
    [
        ((), {}, False, Phase.RUNNING),
        ((), {}, True, GOOD),
        ((False,), {"x": GOOD}, False, Phase.RUNNING),
        ((False,), {}, True, GOOD),
        ((False,), {"x": BAD}, False, BAD),
        ((False, False), {"x": UNSURE, "y": BAD}, True, BAD),
        ((False, False), {"x": UNSURE, "y": ERROR}, True, ERROR),
        ((True, False), {"x": GOOD}, False, GOOD),
        ((True, True), {"x": GOOD}, True, Phase.RUNNING),
        ((True, False), {"y": UNSURE, "x": GOOD}, False, UNSURE),
    ],
)
def test_one_bad_verdict_ends_it_and_what_is_required_completes_it(
    required: tuple[bool, ...], verdicts: dict[str, Phase], lasted: bool, ends: Phase
) -> None:
    assert outcome(step(*required), verdicts, lasted=lasted) is ends


def block(value: str) -> dict[str, Any]:
    given = step(dryRun=[{"metricName": "m.*"}], analysisRunMetadata={"labels": {"team": "shop"}}).to_wire() | {
        "analyses": [{"name": "x", "templateName": "t", "clusterScope": True, "args": [{"name": "p", "value": value}]}]
    }
    experiment = ExperimentStep.model_validate(given)
    return analysis_block(experiment, experiment.analyses[0], SUBJECTS)


def test_arguments_may_name_what_stands_of_a_template() -> None:
    assert block("{{templates.a.podTemplateHash}} {{ templates.b.replicaset.name }}") == {
        "templates": [{"templateName": "t", "clusterScope": True}],
        "args": [{"name": "p", "value": "aaa shop-x-2-1-b"}],
        "dryRun": [{"metricName": "m.*"}],
        "analysisRunMetadata": {"labels": {"team": "shop"}},
    }


@pytest.mark.parametrize("name", ["templates.c.podTemplateHash", "templates.a.podIP", "args.p"])
def test_what_nothing_stands_for_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match=f"failed to resolve {{{{{name}}}}}"):
        block(f"{{{{{name}}}}}")
