"""Lists and watches: selectors, pages, versions, bookmarks, what a server has forgotten."""

from __future__ import annotations

from tests.conformance.asking import ABSENT, Ask, Has, Not, Row, Watch, delete, get, merge, post
from tests.conformance.objects import CONFIGS, PODS, ROLLOUTS, config, pod, rollout, with_metadata


def configs(*names: str) -> list[Ask]:
    """Make them, all with one label."""
    return [post(CONFIGS, config(name, labels={"tests": "yes"}), 201) for name in names]


def named(*names: str) -> list[object]:
    """Items of those names."""
    return [{"metadata": {"name": name}} for name in names]


MINE = "labelSelector=tests=yes"
LIST = f"{CONFIGS}?{MINE}"

ROWS = [
    Row(
        "items of typed kinds do not say what they are",
        [
            *configs("a"),
            post(ROLLOUTS, rollout("web"), 201),
            get(
                LIST,
                200,
                {
                    "kind": "ConfigMapList",
                    "apiVersion": "v1",
                    "metadata": {"resourceVersion": Not("")},
                    "items": [{"kind": ABSENT, "apiVersion": ABSENT}],
                },
            ),
            get(
                ROLLOUTS,
                200,
                {
                    "kind": "RolloutList",
                    "apiVersion": "argoproj.io/v1alpha1",
                    "items": [{"kind": "Rollout", "apiVersion": "argoproj.io/v1alpha1"}],
                },
            ),
        ],
    ),
    Row(
        "selectors choose",
        [
            post(CONFIGS, config("a", labels={"app": "web", "tests": "yes"}), 201),
            post(CONFIGS, config("b", labels={"app": "db", "tests": "yes"}), 201),
            post(CONFIGS, config("c", labels={"tests": "yes"}), 201),
            get(f"{LIST},app=web", 200, {"items": named("a")}),
            get(f"{LIST},app!=web", 200, {"items": named("b", "c")}),
            get(f"{LIST},app in (web, db)", 200, {"items": named("a", "b")}),
            get(f"{LIST},app notin (web)", 200, {"items": named("b", "c")}),
            get(f"{LIST},!app", 200, {"items": named("c")}),
            get(f"{LIST}&fieldSelector=metadata.name=b", 200, {"items": named("b")}),
            get(f"{LIST}&fieldSelector=metadata.name!=b", 200, {"items": named("a", "c")}),
            get(f"{CONFIGS}?fieldSelector=spec.colour=red", 400, {"reason": "BadRequest"}),
            get(f"{ROLLOUTS}?fieldSelector=spec.replicas=3", 400, {"reason": "BadRequest"}),
            get(f"{CONFIGS}?labelSelector=a in web", 400, {"reason": "BadRequest"}),
        ],
    ),
    Row(
        "a list in pages is of one moment",
        [  # named after the ConfigMap `kube-root-ca.crt`, which a controller makes at its time
            *configs("m", "n", "o", "q"),
            get(f"{LIST}&limit=2", 200, {"items": named("m", "n"), "metadata": {"remainingItemCount": ABSENT}}).kept(
                more="metadata.continue", rv="metadata.resourceVersion"
            ),
            *configs("p"),
            delete(f"{CONFIGS}/q", 200),
            get(
                f"{LIST}&limit=2&continue=$more",
                200,
                {"items": named("o", "q"), "metadata": {"continue": ABSENT, "resourceVersion": "$rv"}},
            ),
        ],
    ),
    Row(
        "a page without selectors says how many are left",
        [
            *(post(ROLLOUTS, rollout(name), 201) for name in "abc"),
            get(f"{ROLLOUTS}?limit=1", 200, {"items": named("a"), "metadata": {"remainingItemCount": 2}}).kept(
                more="metadata.continue"
            ),
            get(
                f"{ROLLOUTS}?limit=1&continue=$more", 200, {"items": named("b"), "metadata": {"remainingItemCount": 1}}
            ),
            get(
                f"{ROLLOUTS}?limit=5&continue=$more",
                200,
                {"items": named("b", "c"), "metadata": {"remainingItemCount": ABSENT}},
            ),
            get(f"{ROLLOUTS}?limit=5&continue=nonsense", 400, {"reason": "BadRequest"}),
            get(f"{ROLLOUTS}?limit=five", 400, {"reason": "BadRequest"}),
        ],
    ),
    Row(
        "a version that is not reached yet",
        [
            get(
                f"{ROLLOUTS}?resourceVersion=999999999&resourceVersionMatch=NotOlderThan",
                504,
                {
                    "reason": "Timeout",
                    "message": Has("Too large resource version"),
                    "details": {"causes": [{"reason": "ResourceVersionTooLarge"}]},
                },
            )
        ],
    ),
    Row(
        "a list of any version",
        [
            post(ROLLOUTS, rollout("web"), 201).kept(rv="metadata.resourceVersion"),
            get(f"{ROLLOUTS}?resourceVersion=0", 200, {"items": named("web")}).within(10),
            get(f"{ROLLOUTS}?resourceVersion=$rv&resourceVersionMatch=NotOlderThan", 200, {"items": named("web")}),
            get(f"{ROLLOUTS}?resourceVersion=x", 400, {"reason": "BadRequest"}),
        ],
    ),
    Row(
        "a watch tells what happens after a version",
        [
            post(ROLLOUTS, rollout("before"), 201),
            get(ROLLOUTS).kept(rv="metadata.resourceVersion"),
            post(ROLLOUTS, rollout("web"), 201),
            Watch(
                f"{ROLLOUTS}?watch=1&resourceVersion=$rv",
                [
                    ("ADDED", {"kind": "Rollout", "metadata": {"name": "web", "generation": 1}}),
                    ("MODIFIED", {"metadata": {"name": "web", "generation": 2}}),
                    ("MODIFIED", {"metadata": {"name": "web", "generation": 2}, "status": {"phase": "Healthy"}}),
                    ("DELETED", {"metadata": {"name": "web"}}),
                ],
                [
                    merge(f"{ROLLOUTS}/web", {"spec": {"replicas": 4}}, 200),
                    merge(f"{ROLLOUTS}/web", {"spec": {"replicas": 4}}, 200),
                    merge(f"{ROLLOUTS}/web/status", {"status": {"phase": "Healthy"}}, 200),
                    delete(f"{ROLLOUTS}/web", 200),
                ],
            ),
        ],
    ),
    Row(
        "a deletion has a version of its own",
        [
            post(ROLLOUTS, rollout("web"), 201).kept(rv="metadata.resourceVersion"),
            Watch(
                f"{ROLLOUTS}?watch=1&resourceVersion=$rv",
                [("DELETED", {"metadata": {"resourceVersion": Not("$rv")}})],
                [delete(f"{ROLLOUTS}/web", 200)],
            ),
        ],
    ),
    Row(
        "a watch without a version begins with what there is",
        [
            post(ROLLOUTS, rollout("web"), 201),
            Watch(f"{ROLLOUTS}?watch=1", [("ADDED", {"metadata": {"name": "web"}})]),
        ],
    ),
    Row(
        "what leaves a selector is deleted and what enters it is added",
        [
            get(ROLLOUTS).kept(rv="metadata.resourceVersion"),
            Watch(
                f"{ROLLOUTS}?watch=1&resourceVersion=$rv&labelSelector=app=web",
                [
                    ("ADDED", {"metadata": {"labels": {"app": "web"}}}),
                    ("DELETED", {"metadata": {"labels": {"app": "web"}}}),
                    ("ADDED", {"metadata": {"labels": {"app": "web", "x": "y"}}}),
                ],
                [
                    post(ROLLOUTS, with_metadata(rollout("r"), labels={"app": "web"}), 201),
                    merge(f"{ROLLOUTS}/r", {"metadata": {"labels": {"app": "db"}}}, 200),
                    merge(f"{ROLLOUTS}/r", {"metadata": {"labels": {"x": "y"}}}, 200),
                    merge(f"{ROLLOUTS}/r", {"metadata": {"labels": {"app": "web"}}}, 200),
                ],
            ),
        ],
    ),
    Row(
        "an initial list says which version it wants",
        [get(f"{ROLLOUTS}?watch=1&sendInitialEvents=true", 422, {"reason": "Invalid"})],
    ),
    Row(
        "a watch ends in time with a bookmark for who wants one",
        [
            post(ROLLOUTS, rollout("web"), 201),
            get(ROLLOUTS).kept(rv="metadata.resourceVersion"),
            Watch(
                f"{ROLLOUTS}?watch=1&resourceVersion=$rv&allowWatchBookmarks=true&timeoutSeconds=4",
                [
                    (
                        "BOOKMARK",
                        {
                            "kind": "Rollout",
                            "apiVersion": "argoproj.io/v1alpha1",
                            "metadata": {"resourceVersion": Not("")},
                        },
                    )
                ],
            ),
        ],
    ),
    Row(
        "a version that the server has forgotten",
        [
            post(CONFIGS, config("c"), 201),
            *(merge(f"{CONFIGS}/c", {"data": {"n": str(number)}}, 200) for number in range(40)),
            Watch(
                f"{CONFIGS}?watch=1&resourceVersion=1",
                [
                    (
                        "ERROR",
                        {
                            "kind": "Status",
                            "status": "Failure",
                            "reason": "Expired",
                            "code": 410,
                            "message": Has("too old resource version: 1"),
                        },
                    )
                ],
            ),
        ],
    ),
    Row(
        "pods by where they run and what they are",
        [
            post(PODS, pod("p", nodeName="here"), 201).within(20),
            get(f"{PODS}?fieldSelector=spec.nodeName=here,status.phase=Pending", 200, {"items": named("p")}),
            get(f"{PODS}?fieldSelector=spec.nodeName=there", 200, {"items": []}),
        ],
    ),
]
