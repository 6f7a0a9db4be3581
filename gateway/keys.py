"""The box's own secrets, as files of mode 0600 in `state_dir/keys`, outside the database on purpose.

phone    HMAC of telephone numbers (the number space is small: with the key beside the hashes they would be no secret)
session  signs the web's cookies
seal     encrypts what the store must give back in clear, such as webhook secrets
token    signs links for candidates
gateway  the gateway's own: opens what was sealed for it alone, such as a PIN typed on a page (its other half is in the store)

They are made once. Lost keys are never replaced silently: without its phone key the box would forget every STOP, so the
database remembers each key's fingerprint (`store.setup.bind_keys`) and another key is refused.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from gateway.errors import RingpostError

LENGTH = 32


class KeysMissing(RingpostError):
    """The key files are not there, or not readable by this user."""


class OtherKeys(RingpostError):
    """The key files in `state_dir/keys` are not those this database was made with."""


class NotSealedHere(RingpostError):
    """A sealed text was made with another key, or changed since."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The four secrets, 32 bytes each, never printed; `seal` in the URL-safe base64 that Fernet wants."""

    phone: bytes = field(repr=False)
    session: bytes = field(repr=False)
    seal: bytes = field(repr=False)
    token: bytes = field(repr=False)

    def must_match(self, known: Mapping[str, str]) -> None:
        """Raises OtherKeys where `known` (name → fingerprint, as a database remembers them) tells of another key."""
        for name, fingerprint in self.fingerprints().items():
            if known.get(name, fingerprint) != fingerprint:
                raise OtherKeys(
                    f"keys/{name}.key is not the one this database was made with: bring back the keys directory of the backup, "
                    "or copy it from the machine that shares this database"
                )

    def fingerprints(self) -> dict[str, str]:
        """What may be stored beside the data: one-way, 16 hex digits per key that data depends on."""
        shared = {"phone": self.phone, "seal": self.seal, "token": self.token}
        return {name: hmac.new(key, b"ringpost key fingerprint", hashlib.sha256).hexdigest()[:16] for name, key in shared.items()}


def load(state_dir: Path) -> Keys:
    """Read the keys. Raises KeysMissing."""
    values = {}
    for name in _names():
        path = _path(state_dir, name)
        try:
            values[name] = bytes.fromhex(path.read_text().strip())
        except FileNotFoundError:
            raise KeysMissing(f"{path} is missing: `ringpost init` makes it, or bring it back from the backup") from None
        except PermissionError:
            raise KeysMissing(f"{path} may not be read by this user: run this as the user who owns it") from None
        except ValueError:
            raise KeysMissing(f"{path} is damaged: bring it back from the backup") from None
        if len(values[name]) != LENGTH:
            raise KeysMissing(f"{path} is damaged: bring it back from the backup")
    values["seal"] = base64.urlsafe_b64encode(values["seal"])
    return Keys(**values)


def ensure(state_dir: Path) -> Keys:
    """Make whichever keys are missing, then read all. Several processes at once end up with the same."""
    directory = state_dir / "keys"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _names():
        if not _path(state_dir, name).exists():
            _make(_path(state_dir, name))
    return load(state_dir)


def seal(key: bytes, text: str) -> str:
    """Encrypt a text for the store with `Keys.seal` (Fernet, https://github.com/fernet/spec)."""
    from cryptography.fernet import Fernet  # some MB: only where something is sealed

    return Fernet(key).encrypt(text.encode()).decode()


def unseal(key: bytes, sealed: str) -> str:
    """The text that was sealed. Raises NotSealedHere."""
    from cryptography.fernet import Fernet, InvalidToken

    try:
        return Fernet(key).decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise NotSealedHere("sealed with another key, or changed since") from error


def gateway_key(state_dir: Path) -> bytes:
    """The gateway's private key (X25519), made where there is none. Raises KeysMissing for a damaged one."""
    path = _path(state_dir, "gateway")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _make(path)
    try:
        found = bytes.fromhex(path.read_text().strip())
    except ValueError:
        found = b""
    if len(found) != LENGTH:
        raise KeysMissing(f"{path} is damaged: remove it, start the gateway anew, and give the PINs of SIM cards again")
    return found


def public_half(private: bytes) -> str:
    """The other half of a gateway's key, as the store keeps it."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw().hex()


def seal_for(public: str, text: str) -> str:
    """Encrypt a text so that only the holder of the private half reads it: X25519, HKDF-SHA256, ChaCha20-Poly1305."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    ours = X25519PrivateKey.generate()
    ours_public = ours.public_key().public_bytes_raw()
    key = _shared(ours.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(public))), ours_public)
    # The key is used once, so a nonce of zeros is (RFC 8439 §2.8).
    return (ours_public + ChaCha20Poly1305(key).encrypt(bytes(12), text.encode(), None)).hex()


def unseal_own(private: bytes, sealed: str) -> str:
    """The text that was sealed for this key. Raises NotSealedHere."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    try:
        raw = bytes.fromhex(sealed)
        theirs = raw[:LENGTH]
        exchanged = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(theirs))
        return ChaCha20Poly1305(_shared(exchanged, theirs)).decrypt(bytes(12), raw[LENGTH:], None).decode()
    except (InvalidTag, ValueError) as error:
        raise NotSealedHere("sealed for another key, or changed since") from error


def _shared(exchanged: bytes, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), LENGTH, salt, b"ringpost gateway key").derive(exchanged)


def _names() -> tuple[str, ...]:
    return tuple(item.name for item in fields(Keys))


def _path(state_dir: Path, name: str) -> Path:
    return state_dir / "keys" / f"{name}.key"


def _make(path: Path) -> None:
    """Written in full and on disk before it has its name; link() lets the first of several win."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secrets.token_hex(LENGTH).encode() + b"\n")
        os.fsync(descriptor)
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process was faster, and its key counts
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(directory)
        os.close(directory)
    finally:
        os.close(descriptor)
        os.unlink(fresh)
