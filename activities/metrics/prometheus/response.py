"""Response of Prometheus: the value of a metric, by the rules of Argo Rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from activities.metrics.provider import MetricValue, ResponseError
from activities.transport.http import HttpResponse, redirect_refused
from tidegate.analysis.expressions.environment import parse_float
from tidegate.analysis.expressions.rendering import render_float

MAX_SAMPLES = 5000
MAX_QUOTED = 200

T = TypeVar("T", bound=BaseModel)
# Unix seconds and the value as text.
_Sample = tuple[float, Annotated[str, Field(max_length=64)]]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class _Failure(_Body):
    status: str | None = None
    error_type: str | None = Field(None, alias="errorType")
    error: str | None = None


class _Element(_Body):
    metric: dict[str, str] = {}
    value: _Sample | None = None
    histogram: Any = None


class _Series(_Body):
    metric: dict[str, str] = {}
    values: list[_Sample] | None = None
    histograms: list[Any] | None = None


class _Scalar(_Body):
    kind: Literal["scalar"] = Field(alias="resultType")
    result: _Sample


class _Vector(_Body):
    kind: Literal["vector"] = Field(alias="resultType")
    result: list[_Element | None] | None = None


class _Matrix(_Body):
    kind: Literal["matrix"] = Field(alias="resultType")
    result: list[_Series | None] | None = None


class _Success(_Body):
    data: Annotated[_Scalar | _Vector | _Matrix, Field(discriminator="kind")] | None = None
    warnings: list[str] | None = None


def read_value(answer: HttpResponse, url: httpx.URL) -> MetricValue:
    """The value in an answer to what was asked at `asked`: a number of a scalar, a list of numbers of all else.

    A matrix is the list of all its samples, one series after the other. No series is an empty list, which the
    conditions may ask for (`len(result) == 0`), and no data.

    Raises ResponseError. Two rules are Tidegate's own: a native histogram has no value (Argo reads it as 0, which
    would let missing data pass for a good reading), and there is a limit to the samples of one measurement.
    """
    success = _success(answer, url)
    metadata, notes = _warnings(success.warnings or [])
    match success.data:
        case None:
            raise ResponseError("Prometheus metric type not supported")
        case _Scalar(result=(_, text)):
            number = _number(text)
            return MetricValue(number, _text(number), metadata, notes)
        case _Vector(result=elements):
            samples = [_of(each) for each in elements or () if each is not None]
        case _Matrix(result=series):
            samples = [sample for each in series or () if each is not None for sample in _of_series(each)]
    if len(samples) > MAX_SAMPLES:
        remedy = "let the query aggregate, or write a longer step"
        raise ResponseError(f"{len(samples)} samples are more than {MAX_SAMPLES}: {remedy}")
    numbers = [_number(text) for _, text in samples]
    return MetricValue(numbers, f"[{','.join(map(_text, numbers))}]", metadata, notes, no_data=not numbers)


class LabelledSeries(NamedTuple):
    """Labels of a series, and its values by unix time in seconds."""

    labels: Mapping[str, str]
    values: Mapping[float, float]


def read_matrix(answer: HttpResponse, url: httpx.URL) -> list[LabelledSeries]:
    """The series in an answer over a range. Raises ResponseError, also for native histograms."""
    data = _success(answer, url).data
    if not isinstance(data, _Matrix):
        raise ResponseError("Prometheus did not answer with a range of values")
    return [
        LabelledSeries(each.metric, {at: _number(text) for at, text in _of_series(each)})
        for each in data.result or ()
        if each is not None
    ]


def read_labels(answer: HttpResponse, url: httpx.URL) -> list[Mapping[str, str]]:
    """Labels of each series in an answer of a moment. Raises ResponseError."""
    data = _success(answer, url).data
    if not isinstance(data, _Vector):
        raise ResponseError("Prometheus did not answer with values of a moment")
    return [each.metric for each in data.result or () if each is not None]


def _success(answer: HttpResponse, url: httpx.URL) -> _Success:
    _check_status(answer, url)
    failure = _decode(_Failure, answer.body)
    if failure.status == "error":
        raise ResponseError(f"{failure.error_type or ''}: {failure.error or ''}")
    return _decode(_Success, answer.body)


def _check_status(answer: HttpResponse, url: httpx.URL) -> None:
    if 200 <= answer.status < 300:
        return
    kind, message = _error_of(answer.status)
    if answer.status in (400, 422):
        try:
            failure = _Failure.model_validate_json(answer.body)
        except ValidationError:
            failure = _Failure()
        else:
            if failure.status == "success":
                raise ResponseError("bad_response: inconsistent body for response code")
            raise ResponseError(f"{failure.error_type or kind}: {failure.error or message}")
    if 300 <= answer.status < 400:
        raise ResponseError(f"{kind}: {message}: {redirect_refused(answer, url, 'address')}")
    quoted = " ".join(answer.quoted.split())[:MAX_QUOTED]
    raise ResponseError(f"{kind}: {message}{': ' + quoted if quoted else ''}")


def _error_of(status: int) -> tuple[str, str]:
    """Type and message by which Prometheus' own client tells of a status that says all there is to say."""
    match status // 100:
        case 4:
            return "client_error", f"client error: {status}"
        case 5:
            return "server_error", f"server error: {status}"
    return "bad_response", f"bad response code {status}"


def _warnings(warnings: list[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    text = ", ".join(f'"{warning}"' for warning in warnings)
    return ({"warnings": text}, (f"Prometheus warned: {text}"[: 2 * MAX_QUOTED],)) if warnings else ({}, ())


def _of(element: _Element) -> _Sample:
    if element.value is None:
        raise _without_value(element.histogram)
    return element.value


def _of_series(series: _Series) -> list[_Sample]:
    if series.histograms:
        raise _without_value(series.histograms)
    return series.values or []


def _without_value(histogram: object) -> ResponseError:
    if histogram is None:
        return ResponseError("bad_response: a sample has no value")
    return ResponseError(
        "a native histogram has no value: ask for one, such as histogram_quantile(0.99, ...) or histogram_avg(...)"
    )


def _number(text: str) -> float:
    try:
        return parse_float(text)
    except ValueError as error:
        raise ResponseError(f"bad_response: {error}") from error


def _text(number: float) -> str:
    """Shortest decimal that reads back as `number`, without an exponent; NaN, +Inf, -Inf."""
    return render_float(number, lowest=-400, widest=400)


def _decode(model: type[T], body: bytes) -> T:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "union_tag_invalid":
        raise ResponseError(f'bad_response: unexpected value type "{first["ctx"]["tag"]}"'[:MAX_QUOTED])
    raise ResponseError(f"bad_response: {where + ': ' if where else ''}{first['msg']}")
