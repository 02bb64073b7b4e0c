"""Values as text: `string(x)` prints as Go's %v, `toJSON` and `fromJSON` as Go's encoding/json."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from tidegate.analysis.expressions import times
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import MAX_STRING, Budget
from tidegate.analysis.expressions.types import Kind
from tidegate.analysis.expressions.values import AnyMap, Duration, NamedInt, decoded, type_name, type_of

_WORDS: Final = {
    Kind.NOTHING: "nil",
    Kind.BOOL: "bool",
    Kind.INT: "int",
    Kind.INT64: "int",
    Kind.FLOAT: "float",
    Kind.STRING: "string",
    Kind.SLICE: "array",
    Kind.MAP: "map",
}
_HTML: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_UNSAFE: Final = re.compile("[<>&\u2028\u2029]")


def go_type(value: object) -> str:
    """Return the word that `type(x)` gives."""
    kind = type_of(value)
    return kind.name if "." in kind.name else _WORDS.get(kind.kind, "func")


def render(value: object, budget: Budget) -> str:
    """Return a value as Go prints it with %v; raises ConditionError when the text becomes too long."""
    budget.spend()
    if isinstance(value, list):
        with budget:
            return _bounded("[" + " ".join([render(item, budget) for item in value]) + "]", budget)
    if isinstance(value, dict | AnyMap):
        with budget:
            entries = sorted(value.items(), key=lambda entry: (type_name(entry[0]), str(entry[0])))
            inner = " ".join([f"{render(key, budget)}:{render(item, budget)}" for key, item in entries])
            return _bounded(f"map[{inner}]", budget)
    return _bounded(_scalar(value), budget)


def _scalar(value: object) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return render_float(value)
    if isinstance(value, Duration):
        return times.render_duration(value)
    if isinstance(value, NamedInt):
        return value.name
    if isinstance(value, datetime):
        return times.render_time(value)
    if isinstance(value, bytes):
        return "[" + " ".join(str(byte) for byte in value) + "]"
    return value.key if isinstance(value, ZoneInfo) else str(value)


def _bounded(text: str, budget: Budget) -> str:
    budget.string(len(text))
    return text


def render_float(value: float, *, lowest: int = -4, widest: int = 6) -> str:
    """Return the shortest text that reads back as `value`, with an exponent below 10^lowest and from 10^widest."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = _decimal(value)
    if value != 0 and not lowest <= exponent < widest:
        mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole, rest = digits[: exponent + 1].ljust(exponent + 1, "0"), digits[exponent + 1 :]
    return f"{sign}{whole}" + (f".{rest}" if rest else "")


def _decimal(value: float) -> tuple[str, str, int]:
    """Return sign, shortest significant digits, and the power of ten of the first one."""
    exact = Decimal(repr(value))
    digits = "".join(map(str, exact.as_tuple().digits)).rstrip("0") or "0"
    return "-" if exact.is_signed() else "", digits, exact.adjusted() if value else 0


def to_json(value: object, budget: Budget) -> str:
    """Return a value as indented JSON; raises ConditionError for what JSON cannot hold."""
    return _bounded(_json(value, "", budget), budget)


def _json(value: object, indent: str, budget: Budget) -> str:
    budget.spend()
    inner = indent + "  "
    if isinstance(value, list):
        with budget:
            return _block("[]", [_json(item, inner, budget) for item in value], indent, budget)
    if isinstance(value, dict):
        with budget:
            entries = [f"{json_string(key)}: {_json(value[key], inner, budget)}" for key in sorted(value)]
            return _block("{}", entries, indent, budget)
    if isinstance(value, float):
        return json_float(value)
    if isinstance(value, str):
        return json_string(value)
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, Duration):
        return str(value.nanoseconds)
    if isinstance(value, NamedInt):
        return str(value.value)
    if isinstance(value, datetime):
        return json_string(times.render_rfc3339(value))
    raise ConditionError(f"json: unsupported type: {type_name(value)}")


def _block(brackets: str, lines: list[str], indent: str, budget: Budget) -> str:
    if not lines:
        return brackets
    body = f",\n{indent}  ".join(lines)
    return _bounded(f"{brackets[0]}\n{indent}  {body}\n{indent}{brackets[1]}", budget)


def json_float(value: float) -> str:
    """Return a number as encoding/json writes it; raises ConditionError for what JSON cannot hold."""
    if not math.isfinite(value):
        raise ConditionError(f"json: unsupported value: {render_float(value)}")
    text = render_float(value, lowest=-6, widest=21)
    # encoding/json writes e-7 where strconv writes e-07.
    return re.sub(r"e-0(\d)$", r"e-\1", text)


def json_string(text: str) -> str:
    """Return a string as encoding/json writes it, which takes care of HTML."""
    plain = json.dumps(text, ensure_ascii=False)
    return _UNSAFE.sub(lambda match: _HTML[match[0]], plain)


def from_json_text(text: object, budget: Budget) -> object:
    """Return the value of a JSON text; raises ConditionError when it is none, too long or nested too deep."""
    if not isinstance(text, str):
        raise ConditionError(f"fromJSON takes a string (got {type_name(text)})")
    budget.string(len(text))
    if len(text) > MAX_STRING // 4:
        raise ConditionError("fromJSON: the text is too long")
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_finite)
    except (ValueError, RecursionError) as error:
        raise ConditionError(f"fromJSON: {error}") from None
    return decoded(value, budget)


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"invalid character in {constant}")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"cannot unmarshal number {text} into a float64")
    return value
