"""The hub's own certificate authority: who a certificate is for, until when, and which are revoked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.clock import Clock
from hub.errors import ConfigError, CorruptError
from hub.whole import write_whole

PEM = serialization.Encoding.PEM
AUTHORITY_LIFE, SERVER_LIFE = timedelta(days=20 * 365), timedelta(days=825)
SERVER_CERTIFICATE, SERVER_KEY = "server.crt", "server.key"
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
"""No hub is older, so a clock that says less nobody has set. From then on all that is made here holds: what was made
while a clock was ahead would keep everybody out once it is right."""
MOST_NAME, LEAST_RSA_BITS = 64, 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate that was just made; ``key`` is empty when the device keeps its own."""

    serial: str
    not_after: int
    certificate: str
    key: str = ""


class Authority:
    """The authority whose key and certificate are in ``directory``; they are made when they are first wanted."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._key_file = directory / "ca.key"
        self._certificate_file = directory / "ca.crt"
        self._clock = clock

    @cached_property
    def certificate(self) -> str:
        """The authority's own certificate (PEM), which everybody may know."""
        return self._identity[1].public_bytes(PEM).decode()

    def issue(self, user: str, life: timedelta) -> Issued:
        """Return a certificate of ``user`` with a new key, which is kept nowhere."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued = self._signed(user, key.public_key(), life)
        return Issued(
            serial=issued.serial, not_after=issued.not_after, certificate=issued.certificate, key=_key_text(key)
        )

    def sign(self, user: str, request: str, life: timedelta) -> Issued:
        """Return a certificate of ``user`` for the key of a request (PEM); nothing else of the request is believed.

        ConfigError ``request_invalid``.
        """
        try:
            wanted = x509.load_pem_x509_csr(request.encode())
            public_key = wanted.public_key()
        except ValueError as error:
            raise ConfigError("request_invalid", f"no certificate request in PEM: {error}") from error
        if not wanted.is_signature_valid:
            raise ConfigError("request_invalid", "it is not signed by the key that it names")
        if not _is_strong(public_key):
            raise ConfigError("request_invalid", "its key is too weak", hint="EC P-256 or P-384, or RSA of 2048 bits")
        return self._signed(user, public_key, life)

    def serve(self, directory: Path, names: Collection[str]) -> tuple[Path, Path]:
        """Return certificate and key of the broker, which is called ``names``; made anew when they do not serve.

        A key that is there stays: a mosquitto that finds one of another certificate shows none, or does not start.
        """
        certificate, key = directory / SERVER_CERTIFICATE, directory / SERVER_KEY
        if not self.serves(directory, names):
            own = _read_key(key)
            if own is None:
                own = ec.generate_private_key(ec.SECP256R1())
                write_whole(key, _key_text(own))
            extension = x509.SubjectAlternativeName([_name_of(name) for name in names])
            builder = self._builder(next(iter(names)), own.public_key(), SERVER_LIFE)
            builder = builder.add_extension(extension, critical=False)
            write_whole(certificate, self._sealed(builder, ExtendedKeyUsageOID.SERVER_AUTH).public_bytes(PEM).decode())
        return certificate, key

    def serves(self, directory: Path, names: Collection[str]) -> bool:
        """Return whether the pair that is there was made here, for these names, and holds for long enough yet."""
        try:
            found = x509.load_pem_x509_certificate((directory / SERVER_CERTIFICATE).read_bytes())
            known = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            found.verify_directly_issued_by(self._identity[1])
        except (FileNotFoundError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        key, ends = _read_key(directory / SERVER_KEY), found.not_valid_after_utc
        is_young = ends - self._now() > SERVER_LIFE / 10 or ends == self._identity[1].not_valid_after_utc
        is_pair = key is not None and key.public_key() == found.public_key()
        return is_pair and is_young and [*known] == [_name_of(name) for name in names]

    def crl(self, serials: Collection[str]) -> str:
        """Return the list of revoked certificates (PEM).

        It holds as long as the authority: one that has ended, or is of the future, locks all out.
        """
        key, own = self._identity
        now = self._now()
        builder = x509.CertificateRevocationListBuilder().issuer_name(own.subject)
        builder = builder.last_update(own.not_valid_before_utc).next_update(own.not_valid_after_utc)
        for serial in sorted(serials):
            entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(now).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(key, hashes.SHA256()).public_bytes(PEM).decode()

    # ---------------------------------------------------------------------------------------------------------- inside

    @cached_property
    def _identity(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        if not self._key_file.exists():
            self._begin()
        try:
            key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate(self._certificate_file.read_bytes())
        except (ValueError, OSError) as error:
            hint = "restore it from a backup: without it no certificate can be made or revoked"
            raise CorruptError("authority_damaged", str(error), file=str(self._key_file), hint=hint) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise CorruptError("authority_damaged", "key and certificate do not fit", file=str(self._key_file))
        return key, certificate

    def _begin(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "residential hub, devices")])
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(BEGINNING)
            .not_valid_after(self._now() + AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_whole(self._certificate_file, certificate.public_bytes(PEM).decode())
        write_whole(self._key_file, _key_text(key))

    def _signed(self, user: str, key: CertificatePublicKeyTypes, life: timedelta) -> Issued:
        if len(user) > MOST_NAME:
            raise ConfigError("name_too_long", f"{user!r} is longer than the {MOST_NAME} characters of a certificate")
        builder = self._builder(user, key, life)
        made = self._sealed(builder, ExtendedKeyUsageOID.CLIENT_AUTH)
        ends = made.not_valid_after_utc
        return Issued(
            serial=f"{made.serial_number:040x}",
            not_after=int(ends.timestamp()) * 1_000_000_000,
            certificate=made.public_bytes(PEM).decode(),
        )

    def _builder(self, name: str, key: CertificatePublicKeyTypes, life: timedelta) -> x509.CertificateBuilder:
        own = self._identity[1]
        return x509.CertificateBuilder(
            own.subject,
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:MOST_NAME])]),
            key,
            x509.random_serial_number(),
            own.not_valid_before_utc,
            min(self._now() + life, own.not_valid_after_utc),
        )

    def _sealed(self, builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier) -> x509.Certificate:
        key, _ = self._identity
        return (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )

    def _now(self) -> datetime:
        return max(datetime.fromtimestamp(self._clock.wall_ns() // 1_000_000_000, UTC), BEGINNING)


def read_crl(path: Path) -> Mapping[str, datetime]:
    """Return the numbers on a list of revoked certificates, and since when; nothing where there is no list."""
    if not path.exists():
        return {}
    try:
        found = x509.load_pem_x509_crl(path.read_bytes())
    except ValueError:
        return {}
    return {f"{each.serial_number:040x}": each.revocation_date_utc for each in found}


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    """Return the key of the broker, None where there is none, or none of ours."""
    with suppress(FileNotFoundError, ValueError, TypeError):
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        return key if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return None


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def _is_strong(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= LEAST_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1))


def _name_of(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
