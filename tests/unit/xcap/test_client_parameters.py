"""Which other XCAP server can be named, and how; SER's names of parameters about it."""

from pathlib import Path

import pytest

from kemi import parameters, settings
from kemi.errors import ConfigurationError
from kemi.settings import Settings


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "kamailio.cfg"
    path.write_text("#!KAMAILIO\n")
    return path


def load(configuration: Path, text: str) -> Settings:
    configuration.write_text(f"#!KAMAILIO\n{text}\n")
    return settings.load({}, configuration)


@pytest.mark.rfc("SEC-020")
@pytest.mark.parametrize(
    "root",
    [
        "",
        "http://xcap.example.org",
        "https://xcap.example.org/",
        "https://xcap.example.org:8443/services/xcap-root",
        "http://127.0.0.1:65535/xcap-root/",
        "http://[2001:db8::1]:80/xcap-root",
    ],
)
def test_servers_that_can_be_named(configuration: Path, root: str) -> None:
    assert load(configuration, f'xcap.xcap_root = "{root}"').xcap.xcap_root == root


@pytest.mark.rfc("SEC-020")
@pytest.mark.parametrize(
    "root",
    [
        "file:///var/www/xcap-root",
        "ftp://xcap.example.org/xcap-root",
        "gopher://xcap.example.org",
        "xcap.example.org/xcap-root",
        "//xcap.example.org",
        "http://",
        "http://xcap.example.org:0/",
        "http://xcap.example.org:65536/",
        "http://xcap.example.org/xcap-root?user=x",
        "http://xcap.example.org/xcap-root#x",
        "http://xcap.example.org//xcap-root",
        "http://xcap.example.org/xcap root",
        "http://xcap.example.org/%2E%2E/",
    ],
)
def test_others_stop_the_start_in_one_line(configuration: Path, root: str) -> None:
    with pytest.raises(ConfigurationError, match=r"xcap\.xcap_root = .* an http or https URL, or nothing is allowed$"):
        load(configuration, f'xcap.xcap_root = "{root}"')


@pytest.mark.rfc("SEC-028")
def test_a_password_in_a_url_is_refused_and_not_shown(configuration: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'https://\.\.\.@xcap\.example\.org/'") as refusal:
        load(configuration, 'xcap.xcap_root = "https://presence:s3cret@xcap.example.org/"')
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize("parameter", ["pa.pres_rules_file", "rls.resource_lists_file"])
@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a?b", "a b"])
def test_documents_have_a_file_name(configuration: Path, parameter: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{parameter} = .*; a file name is allowed$"):
        load(configuration, f'{parameter} = "{name}"')


def test_files_are_named_by_absolute_paths(configuration: Path) -> None:
    assert load(configuration, 'xcap.fetch_ca = "/etc/ssl/own ca.pem"').xcap.fetch_ca == "/etc/ssl/own ca.pem"
    with pytest.raises(ConfigurationError, match=r"an absolute path, or nothing is allowed$"):
        load(configuration, 'xcap.fetch_credentials = "credentials"')


@pytest.mark.rfc("SEC-020")
def test_a_script_may_choose_roots_that_are_written_down(configuration: Path) -> None:
    usual, others = "http://xcap.example.org/root/", "https://a.example.org:8443/root , http://[::1]/,http://xcap.example.org/root"
    found = load(configuration, f'xcap.xcap_root = "{usual}"\nxcap.other_roots = "{others}"').xcap
    assert found.roots == ("http://xcap.example.org/root", "https://a.example.org:8443/root", "http://[::1]")
    assert load(configuration, "").xcap.roots == ()


@pytest.mark.rfc("SEC-020", "SEC-028")
@pytest.mark.parametrize(
    "root", ["ftp://a/", "file:///etc", "http://a/,", "http://a/ http://b/", "http://u:s3cret@a/", "http://a/?x", "a"]
)
def test_roots_of_other_forms_are_refused(configuration: Path, root: str) -> None:
    with pytest.raises(ConfigurationError, match=r"http or https URLs parted by commas, or nothing is allowed$") as refusal:
        load(configuration, f'xcap.xcap_root = "http://a/"\nxcap.other_roots = "{root}"')
    assert "s3cret" not in str(refusal.value)


def test_other_roots_need_a_usual_one(configuration: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"xcap\.other_roots needs xcap\.xcap_root"):
        load(configuration, 'xcap.other_roots = "http://a/"')


def test_what_ser_called_so_is_taken(configuration: Path) -> None:
    text = """
    pa.auth_rules_refresh_time = 60
    pa.async_auth_queries = 1
    pa.max_auth_requests_per_tick = 600
    pa.pres_rules_file = "presence-rules.xml"
    xcap.xcap_root = "http://localhost/xcap-root"
    """
    found = load(configuration, text)
    assert (found.pa.auth_rules_refresh_time, found.pa.max_auth_requests_per_tick) == (60, 600)
    assert (found.pa.pres_rules_file, found.xcap.xcap_root) == ("presence-rules.xml", "http://localhost/xcap-root")
    (notice,) = found.notices
    assert "pa.async_auth_queries has no effect: rules are always fetched beside the requests" in notice


@pytest.mark.parametrize("name", ["xcap_root", "other_roots", "fetch_folder", "fetch_credentials", "fetch_ca"])
def test_whom_documents_are_fetched_from_is_settled_at_the_start(name: str) -> None:
    assert parameters.known()[f"xcap.{name}"].metadata["runtime"] is False
