"""Mutual TLS before a Temporal server that has none: authorities, certificates as a kubelet mounts them, and a door."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sandbox.processes import LOOPBACK, free_port

CHUNK_BYTES = 64 * 1024
FILES = ("ca.crt", "tls.crt", "tls.key")


class Authority:
    """Issues certificates for 127.0.0.1, for servers and clients alike."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        about = _about(self._name, self._name, self._key.public_key())
        self._own = about.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
            self._key, hashes.SHA256()
        )

    @property
    def pem(self) -> bytes:
        """What whoever trusts it is given."""
        return self._own.public_bytes(Encoding.PEM)

    def issue(self, name: str) -> tuple[bytes, bytes]:
        """A certificate and its key, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))])
        about = _about(_named(name), self._name, key.public_key()).add_extension(address, critical=False)
        certificate = about.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        return certificate, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class MountedCertificate:
    """The folder of a mounted Secret: a new version takes the place of the old one at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        for name in FILES:
            (folder / name).symlink_to(Path("..data", name))

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of a process that connects with it."""
        authority, certificate, key = (str(self._folder / name) for name in FILES)
        return {
            "TEMPORAL_TLS": "true",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": authority,
            "TEMPORAL_TLS_CLIENT_CERT_PATH": certificate,
            "TEMPORAL_TLS_CLIENT_KEY_PATH": key,
        }

    def write(self, trusted: bytes, issued: tuple[bytes, bytes]) -> None:
        """Put a version there, as a kubelet does."""
        version = self._folder / f"..{uuid.uuid4().hex}"
        version.mkdir()
        for name, content in zip(FILES, (trusted, *issued), strict=True):
            (version / name).write_bytes(content)
        fresh = self._folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(self._folder / "..data")


class TlsDoor:
    """Takes connections with a certificate of the authority that it trusts, for a server on 127.0.0.1."""

    def __init__(self, address: str, folder: Path) -> None:
        """`address` is the server's `host:port`; `folder` keeps the door's own certificate."""
        self.address = f"{LOOPBACK}:{free_port()}"
        self.callers: list[str] = []
        self._target = address
        self._folder = folder
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, *, identity: tuple[bytes, bytes], trusted: Authority) -> None:
        """Close what is open, and from now on be `identity` and let in whom `trusted` vouches for."""
        await self.close()
        for name, content in zip(FILES, (trusted.pem, *identity), strict=True):
            (self._folder / f"door-{name}").write_bytes(content)
        authority, certificate, key = (self._folder / f"door-{name}" for name in FILES)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
        context.load_cert_chain(certificate, key)
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["h2"])
        host, _, port = self.address.rpartition(":")
        self._server = await asyncio.start_server(self._accept, host, int(port), ssl=context)

    async def close(self) -> None:
        """Let nobody in any more, and cut those who are in."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for stream in list(self._open):
            stream.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            subject = dict(pair for part in writer.get_extra_info("peercert")["subject"] for pair in part)
            self.callers.append(subject["commonName"])
            host, _, port = self._target.rpartition(":")
            inner, outer = await asyncio.open_connection(host, int(port))
            self._open.add(outer)
            await asyncio.gather(_pass(reader, outer), _pass(inner, writer))
            self._open.discard(outer)
            outer.close()
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _about(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
    )
