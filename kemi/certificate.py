"""The certificate and the private key that a configuration gives Kamailio's module `tls`, tried before Kamailio is started.

Kamailio finds out only while it starts, and says in many lines, that one of them is missing, cannot be read, is not in PEM form, or
does not belong to the other.
"""

import ssl
from pathlib import Path
from typing import Final, NamedTuple

from kemi.configuration_file import Assignment, ConfigurationFile, unquoted
from kemi.errors import ConfigurationError

NEEDED: Final = "a PEM file that this user may read is needed, make certificate makes a pair to try with"
OF_AN_ENGINE: Final = "/engine:"
"""How the module's names of keys begin that are in no file."""

NOT_ITS_KEY: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL's reasons; the last one stands for a key of another kind, as RSA and EC."""


class Given(NamedTuple):
    """A file, and the value that names it as the operator knows it."""

    name: str
    path: Path


class Pair(NamedTuple):
    """What belongs together."""

    certificate: Given
    key: Given

    def __str__(self) -> str:
        return f"{self.certificate.path}, {self.key.path}"


def pair(file: ConfigurationFile, folder: Path, working: Path) -> Pair | None:
    """The pair that is used for TLS; None where there is none to try, as with a file of the module's own (`config`).

    Args:
        file: the configuration as Kamailio will read it.
        folder: where it is; relative names count from there.
        working: the server's working directory; names that begin with a dot count from there.
    """
    certificate, key = (file.modules.get(f"tls.{name}") for name in ("certificate", "private_key"))
    if "MOD_tls" not in file.defines or "tls.config" in file.modules or certificate is None or key is None:
        return None
    if str(key.value).startswith(OF_AN_ENGINE):
        return None
    first = _given(file, "KP_TLS_CERTIFICATE", certificate, folder, working)
    return Pair(first, _given(file, "KP_TLS_KEY", key, folder, working))


def _given(file: ConfigurationFile, variable: str, given: Assignment, folder: Path, working: Path) -> Given:
    text = str(given.value)
    path = (working if text.startswith(".") else folder) / text
    name = f"{variable} = {text!r}" if unquoted(file.defines.get(variable, "")) == text else f"{given.place}: {text!r}"
    return Given(name if path == Path(text) else f"{name} ({path})", path)


def refuse_unusable(pair: Pair) -> Pair:
    """Make sure that Kamailio can serve TLS with it.

    Raises:
        ConfigurationError: one of the two cannot be used, or not with the other.
    """
    certificate, key = pair
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, path in (certificate, key):
        _refuse_unreadable(name, path)
    try:
        context.load_verify_locations(certificate.path)
    except (ssl.SSLError, OSError):
        raise ConfigurationError(f"{certificate.name}: holds no certificate that can be read; {NEEDED}") from None
    try:
        context.load_cert_chain(certificate.path, key.path, password=_passphrase)
    except _Encrypted:
        raise ConfigurationError(f"{key.name}: is encrypted; a key without a passphrase is needed") from None
    except ssl.SSLError as error:
        raise ConfigurationError(_words(error.reason or "", certificate, key)) from None
    return pair


def _refuse_unreadable(name: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name}: {error.strerror}; {NEEDED}") from None


def _words(reason: str, certificate: Given, key: Given) -> str:
    if reason in NOT_ITS_KEY:
        return f"{key.name}: not the key of the certificate {certificate.path}; the key that belongs to it is needed"
    if reason:
        return f"{certificate.name}: OpenSSL refuses it ({reason.replace('_', ' ').lower()}); another certificate is needed"
    return f"{key.name}: holds no private key that can be read; {NEEDED}"


class _Encrypted(Exception):
    """A passphrase is asked for."""


def _passphrase() -> str:
    raise _Encrypted
