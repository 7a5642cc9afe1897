"""TLS in front of the embedded servers, whose builds have none: a door of its own process-wide
certificate authority, behind which the bytes go on to the server's Unix socket."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)


@dataclass(frozen=True, slots=True)
class Authority:
    """`root` is what clients trust; `chain` what the server shows, made out to localhost."""

    root: Path
    chain: Path


def make_authority(folder: Path) -> Authority:
    folder.mkdir(parents=True, exist_ok=True)
    root_key, root = _certificate("Holdfast test root", None, None)
    key, leaf = _certificate("localhost", root_key, root)
    pem = serialization.Encoding.PEM
    (folder / "root.pem").write_bytes(root.public_bytes(pem))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "server.pem").write_bytes(key.private_bytes(pem, *plain) + leaf.public_bytes(pem))
    return Authority(folder / "root.pem", folder / "server.pem")


def _certificate(
    name: str, issuer_key: ec.EllipticCurvePrivateKey | None, issuer: x509.Certificate | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A key and its certificate; without an issuer a root that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return key, builder.sign(issuer_key or key, hashes.SHA256())


@asynccontextmanager
async def tls_door(authority: Authority, socket: Path, *, postgres: bool) -> AsyncIterator[int]:
    """The port of a door that lets in nobody who does not speak TLS. Postgres' clients ask for it
    in their own words first; others begin with it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.chain)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            if postgres:
                if await reader.readexactly(8) != _SSL_REQUEST:
                    writer.close()
                    return
                writer.write(b"S")
                await writer.start_tls(context)
            back, forth = await asyncio.open_unix_connection(socket)
            await asyncio.gather(_pump(reader, forth), _pump(back, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if postgres else context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while piece := await source.read(65_536):
            target.write(piece)
            await target.drain()
    target.close()
