"""Verification of tokens of the identity provider: OpenID Connect, signed by a key of its published set.

Only the part of RFC 7515 to 7519 that OpenID Connect needs: compact form, RS256 and ES256, one issuer, one audience, an
end. The key decides the algorithm, never the token.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

log = structlog.get_logger(__name__)

MAX_TOKEN_CHARACTERS: Final = 8000  # with its scheme, what an HTTP server takes for a header
MAX_KEYS: Final = 100
LEAST_RSA_BITS: Final = 2048
# How far clocks may be apart, and how often the set is fetched because of a key that is not in it.
LEEWAY_SECONDS: Final = 30.0
AGAIN_SECONDS: Final = 30.0
KEPT_SECONDS: Final = 3600.0

Claims = Mapping[str, Any]
Fetch = Callable[[], Awaitable[bytes]]
_Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class TokenRefusedError(Exception):
    """The token is none of the provider's for us, now. The text holds nothing of it."""


class KeysAwayError(Exception):
    """The provider's keys cannot be read now, and there are none from before."""


@dataclass(frozen=True)
class _Set:
    keys: Mapping[str, tuple[str, _Key]]  # by id: algorithm and key
    read_at: float


class Keys:
    """The provider's published keys, fetched when one is not known, at most every half minute, and each hour."""

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`fetch` brings the JSON of a JWK Set, and may raise OSError or ValueError; `clock` gives seconds."""
        self._fetch = fetch
        self._clock = clock
        self._set = _Set({}, float("-inf"))
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> tuple[str, _Key]:
        """Algorithm and key of an id. Raises TokenRefusedError, or KeysAwayError."""
        if key_id not in self._set.keys or self._clock() - self._set.read_at > KEPT_SECONDS:
            await self._renew()
        if not self._set.keys:
            raise KeysAwayError("the keys of the identity provider cannot be read")
        found = self._set.keys.get(key_id)
        if found is None:
            raise TokenRefusedError("it is signed with a key that the provider does not publish")
        return found

    async def _renew(self) -> None:
        async with self._lock:
            if self._clock() - self._tried_at < AGAIN_SECONDS:
                return
            self._tried_at = self._clock()
            try:
                keys = _read_set(await self._fetch())
            except (OSError, ValueError) as error:
                log.warning("keys of the identity provider not read", error=str(error))
                return
            self._set = _Set(keys, self._clock())


class Verifier:
    """Reads the claims of tokens that `issuer` gave for `audience`."""

    def __init__(self, keys: Keys, issuer: str, audience: str, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives unix seconds."""
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    async def claims(self, token: str) -> Claims:
        """Claims of a verified token. Raises TokenRefusedError, or KeysAwayError."""
        if len(token) > MAX_TOKEN_CHARACTERS or token.count(".") != 2:
            raise TokenRefusedError("it is no token of OpenID Connect")
        signed, _, signature = token.rpartition(".")
        header, body = (_object(part) for part in signed.split("."))
        if "crit" in header:
            raise TokenRefusedError("it asks for an extension that is not known here")
        key_id = header.get("kid")
        if not isinstance(key_id, str):
            raise TokenRefusedError("it does not name its key (kid)")
        algorithm, key = await self._keys.find(key_id)
        if header.get("alg") != algorithm:
            raise TokenRefusedError("its algorithm is not that of its key")
        if not _is_signed(key, signed.encode("ascii"), _bytes(signature)):
            raise TokenRefusedError("its signature does not fit")
        self._check(body)
        return body

    def _check(self, claims: Claims) -> None:
        now = self._clock()
        if claims.get("iss") != self._issuer:
            raise TokenRefusedError("it is of another issuer")
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise TokenRefusedError(f"it is for another audience: ask for one with the audience {self._audience}")
        if (ends := _number(claims, "exp")) is None or now >= ends + LEEWAY_SECONDS:
            raise TokenRefusedError("it has ended")
        for name in ("nbf", "iat"):
            if name in claims and ((not_before := _number(claims, name)) is None or not_before > now + LEEWAY_SECONDS):
                raise TokenRefusedError("it has not begun yet")


def _is_signed(key: _Key, signed: bytes, signature: bytes) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), SHA256())
        else:
            half = len(signature) // 2
            if len(signature) != 64:
                return False
            numbers = (int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
            key.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _read_set(document: bytes) -> dict[str, tuple[str, _Key]]:
    """The keys of a JWK Set that tokens may be signed with; others are passed over. Raises ValueError."""
    try:
        found = json.loads(document)["keys"]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("this is no JWK Set") from error
    if not isinstance(found, list) or len(found) > MAX_KEYS:
        raise ValueError("this is no JWK Set of a usual size")
    keys = {}
    for each in found:
        if isinstance(each, dict) and isinstance(each.get("kid"), str) and each.get("use", "sig") == "sig":
            try:
                read = _read_key(each)
            except (KeyError, TypeError, ValueError, TokenRefusedError) as error:
                log.warning("key of the identity provider passed over", id=each["kid"], error=str(error))
                continue
            if read is not None and each.get("alg", read[0]) == read[0]:
                keys[each["kid"]] = read
    return keys


def _read_key(given: Mapping[str, Any]) -> tuple[str, _Key] | None:
    if given.get("kty") == "RSA":
        key = rsa.RSAPublicNumbers(_integer(given["e"]), _integer(given["n"])).public_key()
        if key.key_size < LEAST_RSA_BITS:
            raise ValueError(f"a key of {key.key_size} bits is too short")
        return "RS256", key
    if given.get("kty") == "EC" and given.get("crv") == "P-256":
        point = ec.EllipticCurvePublicNumbers(_integer(given["x"]), _integer(given["y"]), ec.SECP256R1())
        return "ES256", point.public_key()
    return None


def _integer(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")


def _bytes(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise TokenRefusedError("it is no token of OpenID Connect") from error


def _object(part: str) -> dict[str, Any]:
    try:
        found = json.loads(_bytes(part))
    except (ValueError, RecursionError) as error:
        raise TokenRefusedError("it is no token of OpenID Connect") from error
    if not isinstance(found, dict):
        raise TokenRefusedError("it is no token of OpenID Connect")
    return found


def _number(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
