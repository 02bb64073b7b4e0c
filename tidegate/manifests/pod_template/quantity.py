"""Kubernetes resource quantities (`250m`, `0.5Gi`, `1e3`) in the form in which Go writes them."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal, localcontext

QUANTITY_HINT = "a number with an optional suffix: n, u, m, k, M, G, T, P, E or Ki, Mi, Gi, Ti, Pi, Ei"

_FORM = re.compile(r"(?P<sign>[+-]?)0*(?P<whole>[0-9]*)\.?(?P<fraction>(?<=\.)[0-9]*)?(?P<suffix>.*)")
_WRONG_FORM = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_EXPONENT = re.compile(r"[eE][+-]?[0-9]{1,3}")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_SMALLEST = Decimal("1e-9")
_LARGEST_BINARY = Decimal(2**63 - 1)
_FAST_DIGITS = 18
_LONGEST = 64
_PRECISION = 1200  # digits: the longest text with the largest exponent, exact to billionths


def canonical_quantity(text: str) -> str:
    """Form in which Go's `resource.Quantity` writes what it read: `0.5` gives `500m`, `1024Mi` gives `1Gi`.

    Text that Go takes for canonical already comes back as it is.
    Raises ValueError, with Go's text, for what is no quantity.
    """
    match = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or not re.match(r"[+-]?\.?[0-9]", text):
        raise ValueError(_WRONG_FORM)
    whole, fraction, suffix = match["whole"] or "0", match["fraction"] or "", match["suffix"]
    exponent = _decimal_exponent(suffix)
    if exponent is None:
        return _canonical_binary(text, Decimal(f"{match['sign']}{whole}.{fraction}0"), whole, fraction, suffix)
    if _kept_decimal(whole + fraction, exponent - len(fraction)):
        return text
    with localcontext(prec=_PRECISION):
        amount = Decimal(f"{match['sign']}{whole}.{fraction}0").scaleb(exponent)
        return _write_decimal(_rounded(amount), scientific=bool(_EXPONENT.fullmatch(suffix)))


def _decimal_exponent(suffix: str) -> int | None:
    """Power of ten of a suffix, None for a binary one."""
    if suffix in _BINARY:
        return None
    if suffix in _DECIMAL:
        return _DECIMAL[suffix]
    if _EXPONENT.fullmatch(suffix):
        return int(suffix[1:])
    if re.fullmatch(r"[eEinumkKMGTP]*[-+]?[0-9]*", suffix):
        raise ValueError("unable to parse quantity's suffix")
    raise ValueError(_WRONG_FORM)


def _kept_decimal(digits: str, scale: int) -> bool:
    """True when Go keeps the text that it parsed."""
    if digits == "0" and scale == 0:
        return False
    fits = len(digits) <= _FAST_DIGITS and scale >= _DECIMAL["n"]
    return fits and scale % 3 == 0 and not digits.endswith("000") and not digits.startswith("0")


def _canonical_binary(text: str, number: Decimal, whole: str, fraction: str, suffix: str) -> str:
    power = _BINARY[suffix]
    room = 15 - len(whole) - power * 3 // 10 - 1
    if not fraction and room >= 0 and int(whole) & 0x07 and int(whole) << power <= _LARGEST_BINARY:
        return text
    with localcontext(prec=_PRECISION):
        amount = _rounded(number * 2**power)
        amount = max(min(amount, _LARGEST_BINARY), -_LARGEST_BINARY)
        if abs(amount) < 1024 or amount != amount.to_integral_value():
            return _write_decimal(amount)
        value, steps = int(amount), 0
    while value % 1024 == 0 and steps < len(_BINARY):
        value, steps = value // 1024, steps + 1
    return f"{value}{['', *_BINARY][steps]}"


def _rounded(amount: Decimal) -> Decimal:
    """`amount` away from zero to whole billionths, the smallest unit of a quantity."""
    return amount.quantize(_SMALLEST, rounding=ROUND_UP) if amount else Decimal(0)


def _write_decimal(amount: Decimal, *, scientific: bool = False) -> str:
    """Mantissa without trailing zeros beyond a power of 1000, then an SI suffix or `e` and the power."""
    if not amount:
        return "0"
    sign, digits, scale = amount.normalize().as_tuple()
    exponent = int(scale)
    shift = exponent % 3
    mantissa, exponent = "".join(map(str, digits)) + "0" * shift, exponent - shift
    if scientific and exponent:
        return f"{'-' * sign}{mantissa}e{exponent}"
    # Go has no suffix beyond E and drops the power; the hash has to follow.
    return f"{'-' * sign}{mantissa}{_DECIMAL_SUFFIX.get(exponent, '')}"
