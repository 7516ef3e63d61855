"""What make hands on, and the certificate that it makes to try TLS with."""

import os
import subprocess
from pathlib import Path

import pytest

from kemi import certificate, configuration_file

ROOT = Path(__file__).resolve().parents[2]
SHOWING = 'include Makefile\nshow:\n\t@printf \'%s|%s|%s\' "$$PASSWORD" "$$ADDRESS" "$$KP_SET"\n'
HARD = 'a$b$$c#d "e" $(f)'


def run(*command: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("KP_", "MAKE"))}
    return subprocess.run(
        command, cwd=ROOT, env=outer | variables, input=text, capture_output=True, text=True, timeout=60, check=False
    )


def test_values_are_handed_on_as_they_are_written() -> None:
    """A dollar is make's own sign: a password or $uid-list would arrive as something else."""
    given = ("make", "-s", "-f", "-", "show")
    expected = f"{HARD}|a$b@example.org|rls.simple_list=$uid-list"
    values = {"PASSWORD": HARD, "ADDRESS": "a$b@example.org", "KP_SET": "rls.simple_list=$uid-list"}
    assert run(*given, *(f"{name}={value}" for name, value in values.items()), text=SHOWING).stdout == expected
    assert run(*given, text=SHOWING, **values).stdout == expected


def test_a_certificate_is_for_all_domains_and_can_be_used(tmp_path: Path) -> None:
    made = run("tools/make-certificate", KP_VAR=str(tmp_path / "new"), KP_DOMAINS="example.org, example.com", KP_IP="[::1]")
    files = [tmp_path / "new" / f"{name}.pem" for name in ("certificate", "key")]
    assert made.stdout.splitlines()[0] == f"certificate    {files[0]}, {files[1]}"
    told = run("openssl", "x509", "-in", str(files[0]), "-noout", "-ext", "subjectAltName").stdout
    assert "DNS:example.org, DNS:example.com, IP Address:0:0:0:0:0:0:0:1" in told
    variables = {"KP_TLS_CERTIFICATE": str(files[0]), "KP_TLS_KEY": str(files[1])}
    pair = certificate.pair(configuration_file.read(ROOT / "kamailio.cfg", variables, {"WITH_TLS": ""}), ROOT, ROOT)
    assert pair is not None
    assert certificate.refuse_unusable(pair) == pair
    assert files[1].stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("there", ["certificate.pem", "key.pem"])
def test_a_pair_that_is_there_stays(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    made = run("tools/make-certificate", KP_VAR=str(tmp_path))
    assert (made.returncode, made.stderr) == (
        1,
        f"certificate: {tmp_path}/{there} is there already; remove it to make another pair\n",
    )
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [(there, "precious")]


def test_what_openssl_refuses_is_one_line(tmp_path: Path) -> None:
    made = run("tools/make-certificate", KP_VAR=str(tmp_path), KP_IP="nowhere")
    assert (made.returncode, len(made.stderr.splitlines())) == (1, 1)
    assert made.stderr.startswith("certificate: openssl refuses to make it for example.org: ")
    assert list(tmp_path.iterdir()) == []
