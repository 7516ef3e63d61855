"""The certificate and the key for TLS: what can be used, and one line about what cannot."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kemi import certificate, configuration_file
from kemi.certificate import Pair
from kemi.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
NEEDED = "a PEM file that this user may read is needed, make certificate makes a pair to try with"
LOADED = 'loadmodule "tls.so"\n'
Given = Callable[[str, str], Pair]


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], capture_output=True, timeout=60, check=True)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs a and b, and e of another kind; files that are none."""
    made = tmp_path_factory.mktemp("pairs")
    for name, kind in (("a", ["rsa:2048"]), ("b", ["rsa:2048"]), ("e", ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])):
        files = ("-keyout", made / f"{name}.key", "-out", made / f"{name}.pem")
        openssl("req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=example.org", *files, "-newkey", *kind)
    openssl("req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=x", "-newkey", "rsa:512", "-keyout", made / "weak.key",
            "-out", made / "weak.pem")  # fmt: skip
    openssl("rsa", "-aes256", "-passout", "pass:secret", "-in", made / "a.key", "-out", made / "encrypted.key")
    openssl("x509", "-outform", "der", "-in", made / "a.pem", "-out", made / "a.der")
    text = (made / "a.pem").read_text()
    (made / "both.pem").write_text(text + (made / "a.key").read_text())
    (made / "chain.pem").write_text(text + (made / "b.pem").read_text())
    (made / "broken.pem").write_text(f"{text}-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    (made / "empty.pem").write_text("")
    return made


@pytest.fixture
def given(folder: Path) -> Given:
    """What kamailio.cfg of this project makes of two names."""

    def pair(first: str, second: str) -> Pair:
        variables = {"KP_TLS_CERTIFICATE": str(folder / first), "KP_TLS_KEY": str(folder / second)}
        file = configuration_file.read(ROOT / "kamailio.cfg", variables, {"WITH_TLS": ""})
        found = certificate.pair(file, ROOT, ROOT)
        assert found is not None
        return found

    return pair


@pytest.mark.parametrize("names", [("a.pem", "a.key"), ("e.pem", "e.key"), ("both.pem", "both.pem"), ("chain.pem", "a.key")])
def test_what_belongs_together_is_taken(given: Given, folder: Path, names: tuple[str, str]) -> None:
    assert str(certificate.refuse_unusable(given(*names))) == f"{folder / names[0]}, {folder / names[1]}"


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (("none.pem", "a.key"), f"KP_TLS_CERTIFICATE = '{{}}/none.pem': No such file or directory; {NEEDED}"),
        (("a.pem", "none.key"), f"KP_TLS_KEY = '{{}}/none.key': No such file or directory; {NEEDED}"),
        ((".", "a.key"), f"KP_TLS_CERTIFICATE = '{{}}': Is a directory; {NEEDED}"),
        (("a.der", "a.key"), f"KP_TLS_CERTIFICATE = '{{}}/a.der': holds no certificate that can be read; {NEEDED}"),
        (("a.key", "a.pem"), f"KP_TLS_CERTIFICATE = '{{}}/a.key': holds no certificate that can be read; {NEEDED}"),
        (("broken.pem", "a.key"), f"KP_TLS_CERTIFICATE = '{{}}/broken.pem': holds no certificate that can be read; {NEEDED}"),
        (("a.pem", "empty.pem"), f"KP_TLS_KEY = '{{}}/empty.pem': holds no private key that can be read; {NEEDED}"),
        (("a.pem", "a.pem"), f"KP_TLS_KEY = '{{}}/a.pem': holds no private key that can be read; {NEEDED}"),
        (("a.pem", "encrypted.key"), "KP_TLS_KEY = '{}/encrypted.key': is encrypted; a key without a passphrase is needed"),
        (
            ("a.pem", "b.key"),
            "KP_TLS_KEY = '{0}/b.key': not the key of the certificate {0}/a.pem; the key that belongs to it is needed",
        ),
        (
            ("a.pem", "e.key"),
            "KP_TLS_KEY = '{0}/e.key': not the key of the certificate {0}/a.pem; the key that belongs to it is needed",
        ),
        (
            ("weak.pem", "weak.key"),
            "KP_TLS_CERTIFICATE = '{}/weak.pem': OpenSSL refuses it (ee key too small); another certificate is needed",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(given: Given, folder: Path, names: tuple[str, str], complaint: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        certificate.refuse_unusable(given(*names))
    assert str(refused.value) == complaint.format(folder)


def read(folder: Path, text: str) -> Pair | None:
    (folder / "kamailio.cfg").write_text(text)
    return certificate.pair(configuration_file.read(folder / "kamailio.cfg", {}, {}), folder, Path("/srv"))


def test_names_count_from_where_kamailio_counts_them(tmp_path: Path) -> None:
    """Beside kamailio.cfg, or in the working directory where they begin with a dot; as tried with Kamailio 5.6."""
    text = f'{LOADED}modparam("tls", "certificate", "c.pem")\nmodparam("tls", "private_key", "./k.pem")\n'
    found = read(tmp_path, text)
    assert found is not None
    assert [each.path for each in found] == [tmp_path / "c.pem", Path("/srv/k.pem")]
    with pytest.raises(ConfigurationError) as refused:
        certificate.refuse_unusable(found)
    place = f"{tmp_path}/kamailio.cfg line 2: 'c.pem' ({tmp_path}/c.pem)"
    assert str(refused.value) == f"{place}: No such file or directory; {NEEDED}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        'modparam("tls", "certificate", "c.pem")\nmodparam("tls", "private_key", "k.pem")\n',
        f'{LOADED}modparam("tls", "config", "/etc/kamailio/tls.cfg")\nmodparam("tls", "certificate", "c.pem")\n',
        f'{LOADED}modparam("tls", "certificate", "c.pem")\n',
        f'{LOADED}modparam("tls", "certificate", "c.pem")\nmodparam("tls", "private_key", "/engine:key")\n',
    ],
    ids=["no TLS", "not loaded", "a file of its own", "no key", "an engine's key"],
)
def test_what_is_not_ours_to_judge_is_left_to_kamailio(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) is None
