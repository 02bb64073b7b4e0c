"""The commands by name: where each is written, its line in the help, and examples. Nothing of them is imported here."""

from __future__ import annotations

from dataclasses import dataclass

import typer


@dataclass(frozen=True)
class Command:
    """One command: `module:attribute` of its function or group, its line in the list, and examples without the program.

    A hidden one is another name of a command, which kubectl's users type.
    """

    source: str
    help: str
    examples: tuple[str, ...] = ()
    hidden: bool = False


COMMANDS = {
    "get": Command("show:get", "Show one Rollout, analysis run or Experiment."),
    "list": Command(
        "listing:list_objects",
        "List Rollouts with their newest release, analysis runs or Experiments.",
        (
            "list -A",
            "list -n payments -l team=payments",
            "list analysisruns -n payments",
            "list experiments -n payments",
            "list -o jsonpath='{.items[*].name}'",
        ),
    ),
    "status": Command(
        "show:status",
        "Show the state of a release, also as exit code.",
        ("status checkout -n payments", "status checkout -n payments --watch --timeout 30m"),
    ),
    "explain": Command(
        "explain:explain",
        "Say why a release did what it did.",
        ("explain checkout -n payments", "explain analysisrun/checkout-7d9c-3-2 -n payments"),
    ),
    "history": Command(
        "history:history",
        "List the last releases of a Rollout: who, what became of it, and why.",
        ("history checkout -n payments", "history checkout -n payments --limit 3 -o json"),
    ),
    "wait": Command(
        "waiting:wait",
        "Wait for the end of the newest release.",
        ("wait checkout -n payments --timeout 30m", "wait checkout -n payments --until-held"),
    ),
    "start": Command(
        "release:start",
        "Release what manifests say.",
        (
            "start -f examples/checkout --image checkout=registry.internal/payments/checkout:1.1.0 --wait",
            "helm template checkout ./chart | tidegate start -f - --wait",
        ),
    ),
    "retry": Command(
        "repeats:retry",
        "Release the version of an aborted release again.",
        ("retry checkout -n payments --reason 'the database is back'", "retry checkout cart -n payments"),
    ),
    "set": Command("repeats:set_group", "Change what is released."),
    "promote": Command(
        "release_commands:promote",
        "End this wait, or skip all steps.",
        (
            "promote checkout -n payments",
            "promote checkout -n payments --skip-all-steps",
            "promote checkout -n payments --full --reason 'hotfix'",
        ),
    ),
    "restart": Command(
        "release_commands:restart",
        "Replace the pods by new ones of the same version.",
        ("restart checkout -n payments --reason 'a leak'", "restart -l team=payments -n payments"),
    ),
    "pause": Command("release_commands:pause", "Take no further step until `resume`.", ("pause checkout -n payments",)),
    "resume": Command("release_commands:resume", "Go on after `pause`.", ("resume checkout -n payments",)),
    "abort": Command(
        "release_commands:abort",
        "Put all traffic back on the stable version.",
        (
            "abort checkout -n payments --reason 'smells'",
            "abort checkout cart -n payments",
            "abort -l team=payments -n payments --no-wait",
        ),
    ),
    "terminate": Command("experiments:terminate", "End an Experiment before its time."),
    "undo": Command(
        "undo:undo",
        "Release an earlier revision again.",
        ("undo checkout -n payments", "undo checkout -n payments --to-revision 3"),
    ),
    "lint": Command("lint:lint", "Check manifests without a server.", ("lint -f examples/checkout",)),
    "migrate": Command(
        "migrate:migrate",
        "Say what becomes of the Rollouts of Argo's controller.",
        (
            "migrate -f manifests/",
            "migrate -A --context prod",
            "kubectl get rollouts -A -o yaml | tidegate migrate -f -",
        ),
    ),
    "plan": Command("plan:plan", "Say what a release can prove, and when.", ("plan -f examples/checkout",)),
    "backtest": Command(
        "backtest:backtest",
        "Say what a comparison would have said of the past.",
        ("backtest -f examples/cart --since 7d", "backtest -f examples/cart --sweep plus=0.1%,0.5%"),
    ),
    "drill": Command(
        "drill:run_drill",
        "Release a bad version on purpose, to see that the gates take it back.",
        ("drill -f examples/checkout/corrected", "drill -f checkout/ --weight 10 -o json"),
    ),
    "doctor": Command(
        "doctor:doctor",
        "Check each outside system, and name the command that mends it.",
        ("doctor -n payments", "doctor -f examples/checkout"),
    ),
    "analysis": Command("analyse:analysis", "Run analysis templates without a release."),
    "web": Command("web:web", "Show all releases as a web page on this machine.", ("web", "web --port 0")),
    "codec": Command("codec:codec", "Read what Temporal stores encrypted."),
    "schema": Command(
        "schema:schema", "Print the JSON schema of a document.", ("schema release", "schema analysisrun")
    ),
    "completion": Command(
        "completion:completion",
        "Print the completion script of a shell.",
        ("completion bash > ~/.local/share/bash-completion/completions/tidegate", "completion fish | source"),
    ),
    "version": Command("version:version", "Say which version this is.", ("version -o json",)),
}

# Whose option --namespace has the namespace of the kubeconfig's current context as its default.
OF_A_NAMESPACE = frozenset(
    {"get", "list", "status", "explain", "history", "wait", "retry", "set"}
    | {"restart", "promote", "pause", "resume", "abort", "undo", "doctor", "terminate"}
)


def plain_group(text: str) -> typer.Typer:
    """A group of commands with this help, which is plain text as that of the program."""
    return typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False, help=text)


def examples(*commands: str) -> str:
    """Last part of a help; a line that begins with another program is left as it is."""
    lines = [each if " | tidegate " in each else f"tidegate {each}" for each in commands]
    return "\n".join(["\b", "Examples:", *(f"  {each}" for each in lines)])
