"""An error of a release crosses the gateway as what it is."""

from __future__ import annotations

import pytest

from tidegate.client import ReleaseError, RolledBackError, TidegateError
from tidegate.client import errors as all_errors
from tidegate.client.gateway import Failure

ENDINGS = [kind for kind in vars(all_errors).values() if isinstance(kind, type) and issubclass(kind, ReleaseError)]


def test_the_endings_are_those_of_the_client() -> None:
    assert len(ENDINGS) > 5
    assert RolledBackError in ENDINGS


@pytest.mark.parametrize("kind", ENDINGS)
def test_an_ending_comes_out_as_it_went_in(kind: type[ReleaseError]) -> None:
    told = Failure.model_validate_json(Failure.of(kind("why", "do that")).model_dump_json()).raised()
    assert (type(told), told.message, told.remedy) == (kind, "why", "do that")


def test_an_error_of_a_name_that_is_not_known_is_one_all_the_same() -> None:
    told = Failure(error="NewerError", message="why", remedy="do that").raised()
    assert (type(told), told.message) == (TidegateError, "why")
