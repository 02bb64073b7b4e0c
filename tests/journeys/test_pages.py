"""The journeys take their commands from the pages as they are."""

from __future__ import annotations

import re

import pytest

from tests.journeys.pages import JOURNEYS, NOT_PLAYED, OTHER_CODES, Journey, commands

PAGE = """# A page
```sh
tidegate lint -f a   # a comment
```
## There
```sh
# what it does
tidegate start -f a \\
  --wait
```
```yaml
tidegate: no
```
"""


def test_commands_are_the_lines_of_shell_without_their_comments() -> None:
    assert [(each.line, each.text) for each in commands("p", PAGE)] == [
        (3, "tidegate lint -f a"),
        (9, "tidegate start -f a --wait"),
    ]
    assert [each.line for each in commands("p", PAGE, ("There",))] == [9]


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda each: each.name)
def test_each_journey_plays_something(journey: Journey) -> None:
    assert any(not command.unplayed for command in journey.commands())


def test_no_rule_is_left_over() -> None:
    texts = [command.text for journey in JOURNEYS for command in journey.commands()]
    assert [rule for rule in (*NOT_PLAYED, *OTHER_CODES) if not any(re.search(rule, text) for text in texts)] == []
