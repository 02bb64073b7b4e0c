"""An identity provider as a GitHub's: it publishes keys, and signs what a test wants to have said."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "tidegate"
CLAIMS = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "repo:payments/checkout:ref:refs/heads/main",
    "repository": "payments/checkout",
    "ref": "refs/heads/main",
    "actor": "alice",
}


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Provider:
    """Two keys: `rsa` and `ec`; `published` is what its JWK Set says."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.published: dict[str, dict[str, Any]] = {}
        self.fetches = 0
        self.away = False
        self.add("rsa", rsa.generate_private_key(65537, 2048))
        self.add("ec", ec.generate_private_key(ec.SECP256R1()))

    def add(self, key_id: str, key: Any) -> None:
        """Publish a key that tokens are signed with from now on."""
        self.keys[key_id] = key
        public = key.public_key().public_numbers()
        if isinstance(public, rsa.RSAPublicNumbers):
            self.published[key_id] = {"kty": "RSA", "n": number(public.n), "e": number(public.e), "use": "sig"}
        else:
            point = {"x": encoded(public.x.to_bytes(32, "big")), "y": encoded(public.y.to_bytes(32, "big"))}
            self.published[key_id] = {"kty": "EC", "crv": "P-256", **point}

    async def fetch(self) -> bytes:
        """Its JWK Set."""
        self.fetches += 1
        if self.away:
            raise OSError("connection refused")
        return json.dumps({"keys": [{"kid": key_id, **each} for key_id, each in self.published.items()]}).encode()

    def token(self, key_id: str = "rsa", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token with these claims beside the usual ones; one that is None is left out."""
        key = self.keys[key_id]
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        now = time.time()
        said = {**CLAIMS, "iat": now, "nbf": now, "exp": now + 300, **claims}
        return signed(
            {"alg": algorithm, "kid": key_id, "typ": "JWT", **(header or {})},
            {name: value for name, value in said.items() if value is not None},
            lambda data: signature(key, data),
        )

    def by_public_key(self) -> str:
        """Signed with HMAC, the published key being the secret: what a reader that trusts `alg` takes for genuine."""
        public = self.keys["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        said = {**CLAIMS, "exp": time.time() + 300}
        return signed({"alg": "HS256", "kid": "rsa"}, said, lambda data: hmac.digest(public, data, hashlib.sha256))


def signed(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"{text}.{encoded(sign(text.encode()))}"


def signature(key: Any, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), SHA256())
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
