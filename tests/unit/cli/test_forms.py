"""Forms of the output as kubectl has them."""

from __future__ import annotations

import json

import pytest
import typer
import yaml

from tidegate.cli.forms import form, print_form

DOCUMENT = {"kind": "List", "items": [{"name": "cart", "weight": 0}, {"name": "checkout", "weight": 25}]}


def printed(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    print_form(form(text), DOCUMENT, ["rollout.argoproj.io/cart", "rollout.argoproj.io/checkout"])
    return capsys.readouterr().out


def test_each_form_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed("json", capsys)) == DOCUMENT
    assert yaml.safe_load(printed("yaml", capsys)) == DOCUMENT
    assert printed("name", capsys).split() == ["rollout.argoproj.io/cart", "rollout.argoproj.io/checkout"]
    assert printed("jsonpath={.items[*].name}", capsys).split() == ["cart", "checkout"]
    assert printed("jsonpath={.items[1].weight}", capsys) == "25\n"


@pytest.mark.parametrize("text", ["xml", "jsonpath={.items[", ""])
def test_another_form_is_named(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"none of text, wide|jsonpath="):
        form(text)
