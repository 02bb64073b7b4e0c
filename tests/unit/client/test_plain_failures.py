"""A deliberate error is a sentence in Temporal; a mistake keeps its stack trace, with the codec and without."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError, CancelledError

from tidegate.client import FixedKeys, Keyring, data_converter
from tidegate.contract import ErrorType

CODEC = data_converter(FixedKeys(Keyring("k1", {"k1": bytes(range(32))})))
PLAIN = data_converter()


def refusal() -> None:
    try:
        raise OSError("connection refused")
    except OSError as error:
        raise ApplicationError("GitLab: does not answer", type=ErrorType.UNAVAILABLE) from error


def mistake() -> None:
    raise ValueError("no such key")


def unknown() -> None:
    raise ApplicationError("of another program", type="SomethingElse")


def cancelled() -> None:
    raise CancelledError("the activity")


def raised(raises: Callable[[], None]) -> BaseException:
    with pytest.raises((ApplicationError, CancelledError, ValueError)) as caught:
        raises()
    return caught.value


async def written(converter: DataConverter, error: BaseException) -> Failure:
    failure = Failure()
    await converter.encode_failure(error, failure)
    return failure


async def read(converter: DataConverter, failure: Failure) -> list[tuple[str, str]]:
    """Message and stack trace of a failure and of its causes, decoded."""
    if converter.payload_codec is not None:
        await converter.payload_codec.decode_failure(failure)
    found = [_texts(converter, failure)]
    while failure.HasField("cause"):
        failure = failure.cause
        found.append(_texts(converter, failure))
    return found


def _texts(converter: DataConverter, failure: Failure) -> tuple[str, str]:
    if not failure.HasField("encoded_attributes"):
        return failure.message, failure.stack_trace
    [hidden] = converter.payload_converter.from_payloads([failure.encoded_attributes])
    return hidden["message"], hidden["stack_trace"]


@pytest.mark.parametrize("converter", [PLAIN, CODEC], ids=["plain", "codec"])
async def test_a_deliberate_error_and_its_cause_have_no_stack_trace(converter: DataConverter) -> None:
    failure = await written(converter, raised(refusal))
    expected = [("GitLab: does not answer", ""), ("connection refused", "")]
    assert await read(converter, failure) == expected


@pytest.mark.parametrize("converter", [PLAIN, CODEC], ids=["plain", "codec"])
async def test_a_cancellation_has_none(converter: DataConverter) -> None:
    assert await read(converter, await written(converter, raised(cancelled))) == [("the activity", "")]


@pytest.mark.parametrize("raises", [mistake, unknown])
@pytest.mark.parametrize("converter", [PLAIN, CODEC], ids=["plain", "codec"])
async def test_a_mistake_has_one(converter: DataConverter, raises: Callable[[], None]) -> None:
    [(_, trace)] = await read(converter, await written(converter, raised(raises)))
    assert f"in {getattr(raises, '__name__', '')}" in trace


async def test_with_the_codec_nothing_of_it_can_be_read_in_the_clear() -> None:
    stored = (await written(CODEC, raised(refusal))).SerializeToString()
    assert b"GitLab" not in stored
    assert b"refused" not in stored


async def test_the_error_itself_keeps_its_trace_for_the_log() -> None:
    error = raised(refusal)
    await written(PLAIN, error)
    assert error.__traceback__ is not None
    assert error.__cause__ is not None
    assert error.__cause__.__traceback__ is not None
