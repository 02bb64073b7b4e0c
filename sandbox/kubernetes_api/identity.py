"""Service account tokens, issued, signed and reviewed by this server."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sandbox.kubernetes_api.kinds import SERVICE_ACCOUNTS
from sandbox.kubernetes_api.objects import Object, lookup
from sandbox.kubernetes_api.status import ApiError
from sandbox.kubernetes_api.store import Store

ISSUER = "https://kubernetes.default.svc.cluster.local"
_DEFAULT_SECONDS = 3600
_SHORTEST_SECONDS, _LONGEST_SECONDS = 600, 2**32
# Vault accepts asymmetric algorithms only, which it tells from the header; whether the signature is right it asks this
# server. Nobody else ever needs the key, so the signature behind this header is an HMAC.
_HEADER = {"alg": "ES256", "typ": "JWT"}


class User(NamedTuple):
    """Who asks: a service account by its full name, and the groups that it is in."""

    name: str
    uid: str
    groups: tuple[str, ...]


class Identity:
    """Issues and reviews the tokens of service accounts. `signing_key` is 32 random bytes."""

    def __init__(self, store: Store, signing_key: bytes) -> None:
        self._store = store
        self._key = signing_key

    def issue(self, account: Object, request: Object) -> Object:
        """The answer to a TokenRequest: `request` with a token that names `account`.

        Raises:
            ApiError: 422 for a lifetime below ten minutes or above 2^32 seconds.
        """
        spec = request.get("spec") or {}
        seconds = spec.get("expirationSeconds", _DEFAULT_SECONDS)
        if not isinstance(seconds, int) or not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS:
            why = f"Invalid value: {seconds!r}: must be {_SHORTEST_SECONDS} to {_LONGEST_SECONDS} seconds"
            raise ApiError(422, "Invalid", f"TokenRequest is invalid: spec.expirationSeconds: {why}")
        now = int(time.time())
        namespace, name = account["metadata"]["namespace"], account["metadata"]["name"]
        audiences = spec.get("audiences") or [ISSUER]
        claims = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "aud": audiences,
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {"name": name, "uid": account["metadata"]["uid"]},
            },
        }
        expires = datetime.fromtimestamp(now + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {**spec, "audiences": audiences, "expirationSeconds": seconds},
            "status": {"token": self._sign(claims), "expirationTimestamp": expires},
        }

    def review_token(self, review: Object) -> Object:
        """The answer to a TokenReview: whose token it is, and for which of the audiences asked for."""
        token = lookup(review, "spec", "token")
        claims = self._verify(token) if isinstance(token, str) else None
        status: dict[str, Any] = {"authenticated": False, "error": "the token is not valid"}
        if claims is not None:
            status = self._status(claims, lookup(review, "spec", "audiences") or [ISSUER])
        return {**review, "metadata": review.get("metadata") or {}, "status": status}

    def user_of(self, token: str) -> User | None:
        """The service account that a token for this server stands for; None when the token is not valid."""
        claims = self._verify(token)
        return self._account(claims) if claims is not None and ISSUER in claims["aud"] else None

    def _status(self, claims: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
        audiences = [audience for audience in wanted if audience in claims["aud"]]
        if not audiences:
            return {"authenticated": False, "error": f"the token is for {claims['aud']}, not for {wanted}"}
        user = self._account(claims)
        if user is None:
            return {"authenticated": False, "error": "the service account of the token does not exist any more"}
        shown = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
        return {"authenticated": True, "user": shown, "audiences": audiences}

    def _account(self, claims: dict[str, Any]) -> User | None:
        bound = claims["kubernetes.io"]
        namespace, account = bound["namespace"], bound["serviceaccount"]
        found = self._store.get(SERVICE_ACCOUNTS, namespace, account["name"])
        if found is None or found["metadata"]["uid"] != account["uid"]:
            return None
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return User(claims["sub"], account["uid"], groups)

    def _sign(self, claims: dict[str, Any]) -> str:
        signed = ".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in (_HEADER, claims))
        return f"{signed}.{_encode(self._signature(signed))}"

    def _verify(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that this server signed and that has not expired."""
        signed, _, signature = token.rpartition(".")
        try:
            if not hmac.compare_digest(_decode(signature), self._signature(signed)):
                return None
        except (binascii.Error, ValueError):
            return None
        claims: dict[str, Any] = json.loads(_decode(signed.partition(".")[2]))
        return claims if claims["exp"] > time.time() else None

    def _signature(self, signed: str) -> bytes:
        return hmac.new(self._key, signed.encode(), hashlib.sha256).digest()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
