"""A certificate for a box on a LAN: a certification authority of its own, and a leaf for every name the box answers to.

`tls/ca.pem` is what people install once to be rid of the browser's warning; `ca.key` never leaves the box. The leaf is made
anew when it has less than a month left or when the box has got another name or address.
Source: RFC 5280 §4.2; CA/Browser Forum Baseline Requirements §6.3.2 (at most 398 days for a leaf).
"""

import fcntl
import ipaddress
import json
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.config import Web

CA_DAYS = 3650
LEAF_DAYS = 397
RENEW_DAYS = 30
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where a certificate (with its chain) and its key lie."""

    certificate: Path
    key: Path


def for_web(web: Web, state_dir: Path, now: int) -> Certificate | None:
    """The certificate to serve with; None where TLS is off. Makes and renews the box's own where `tls = "auto"`."""
    if web.tls.mode == "off":
        return None
    if web.tls.mode == "files":
        assert web.tls.certificate is not None
        assert web.tls.key is not None
        return Certificate(web.tls.certificate, web.tls.key)
    return ensure(state_dir / "tls", names_of(web), now)


def ensure(directory: Path, names: Iterable[str], now: int) -> Certificate:
    """The box's own certificate for these names, made or renewed if need be. Several processes may ask at once."""
    wanted = sorted(set(names))
    leaf = Certificate(directory / "server.pem", directory / "server.key")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(directory):
        if not _serves(directory, leaf, wanted, now):
            _issue(directory, leaf, wanted, now)
    return leaf


def names_of(web: Web) -> list[str]:
    """What the box may be called: its host name, localhost, its addresses, and the host of `public_url`."""
    host = socket.gethostname().split(".")[0].lower()
    names = {"localhost", "127.0.0.1", "::1", *_addresses()}
    if re.fullmatch(r"[a-z0-9-]{1,63}", host):
        names |= {host, f"{host}.local"}
    if web.listen.host not in ("0.0.0.0", "::"):  # noqa: S104  # compared only
        names.add(web.listen.host)
    if web.public_url is not None:
        names.add(urlsplit(web.public_url).hostname or "localhost")
    return sorted(names)


def _addresses() -> Iterator[str]:
    """The addresses of this machine, from the kernel's own tables."""
    try:
        lines = Path("/proc/net/fib_trie").read_text().splitlines()
    except OSError:
        lines = []
    for above, line in pairwise(lines):
        if line.strip().startswith("/32 host LOCAL"):
            yield above.split()[-1]
    try:
        rows = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        rows = []
    for row in rows:
        address = ipaddress.IPv6Address(int(row.split()[0], 16))
        if not address.is_link_local:
            yield str(address)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _serves(directory: Path, leaf: Certificate, wanted: list[str], now: int) -> bool:
    """By a note beside the leaf: reading the certificate itself would load 8 MB of library at every start."""
    try:
        note = json.loads((directory / "server.json").read_text())
        fresh = note["not_after"] - now > RENEW_DAYS * _DAY_MS and note["not_before"] <= now
        return fresh and set(wanted) <= set(note["names"]) and leaf.certificate.exists() and leaf.key.exists()
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _issue(directory: Path, leaf: Certificate, names: list[str], now: int) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    moment = datetime.fromtimestamp(now / 1000, UTC)
    authority, authority_key = _authority(directory, moment)
    key = ec.generate_private_key(ec.SECP256R1())
    until = min(moment + timedelta(days=LEAF_DAYS), authority.not_valid_after_utc)
    since = moment - timedelta(days=1)  # a client whose clock is behind
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ringpost")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([_name(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(x509, "digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    _write(leaf.key, _private(key))
    _write(leaf.certificate, certificate.public_bytes(pem) + authority.public_bytes(pem))
    note = {"names": names, "not_before": int(since.timestamp() * 1000), "not_after": int(until.timestamp() * 1000)}
    _write(directory / "server.json", json.dumps(note).encode())


def _authority(directory: Path, moment: datetime) -> tuple[Any, Any]:
    """The box's own certification authority; made once, and again only when it ends before a leaf would."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    certificate_path, key_path = directory / "ca.pem", directory / "ca.key"
    try:
        kept = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        kept_key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        if kept.not_valid_after_utc - moment > timedelta(days=LEAF_DAYS):
            return kept, kept_key
    except FileNotFoundError:
        pass
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Ringpost on {socket.gethostname()}"[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(x509, "key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(key_path, _private(key))
    _write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _usage(x509: Any, *allowed: str) -> Any:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{use: use in allowed for use in every})


def _name(text: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _private(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    octets: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return octets


def _write(path: Path, octets: bytes) -> None:
    """Whole and on disk before it has its name; readable by the owner only."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, octets)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
