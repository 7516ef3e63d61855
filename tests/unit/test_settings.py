"""Where settings come from, which one wins, and what is said about those that cannot be used."""

import ipaddress
import re
from dataclasses import Field, FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi import parameters, ser_parameters, settings
from kemi.errors import ConfigurationError
from kemi.parameters import GROUPS

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty kamailio.cfg in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "kamailio.cfg"
    path.write_text("#!KAMAILIO\n")
    return path


def refused(configuration: Path, **environment: str) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        settings.load(environment, configuration)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_what_is_not_set_has_its_default(configuration: Path) -> None:
    found = settings.load({}, configuration)
    assert (found.address, found.port, found.http_port, found.workers) == ("127.0.0.1", 5060, 8080, 2)
    assert (found.domains, found.trusted) == (("example.org",), ())
    assert found.var == configuration.parent / "var"
    assert found.db_url == f"sqlite:///{configuration.parent}/var/presence.db"
    assert (found.pa.notify_interval, found.db.synchronous, found.auth.algorithm) == (5, "normal", "MD5")


def test_settings_do_not_change(configuration: Path) -> None:
    found = settings.load({}, configuration)
    with pytest.raises(FrozenInstanceError):
        found.port = 1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        found.pa.auth = "implicit"  # type: ignore[misc]


def test_kamailio_cfg_of_this_project_has_every_parameter_at_its_default() -> None:
    file = settings.configuration_file.read(PROJECT / "kamailio.cfg", {}, {})
    ours = {name: each.value for name, each in file.parameters.items() if name.partition(".")[0] in GROUPS}
    assert set(ours) == set(parameters.known())
    found = settings.load({}, PROJECT / "kamailio.cfg")
    assert (found.notices, found.written) == ((), ours)
    assert tuple(getattr(found, group) for group in GROUPS) == tuple(kind() for kind in GROUPS.values())


@pytest.mark.parametrize("field", parameters.known().values(), ids=parameters.known())
def test_every_parameter_says_what_it_means(field: Field[Any]) -> None:
    assert field.metadata["meaning"]
    assert field.metadata["unit"] is not None
    assert isinstance(field.metadata["runtime"], bool)
    if "choices" in field.metadata:
        assert field.default in field.metadata["choices"]
    elif "uris" in field.metadata:
        assert not field.default
    elif "pattern" in field.metadata:
        assert re.fullmatch(field.metadata["pattern"][0], str(field.default))
    else:
        least, most = field.metadata["range"]
        assert least <= field.default <= most


def test_the_environment_counts_more_than_the_defaults(configuration: Path) -> None:
    environment = {
        "KP_IP": "[::1]",
        "KP_PORT": "5070",
        "KP_HTTP_PORT": "8081",
        "KP_DB_URL": "postgresql://kemi:s3cret@db.example.org:5433/presence",
        "KP_DOMAINS": "Example.ORG, example.com,example.org",
        "KP_TRUSTED": "192.0.2.7, 10.1.2.3/8,2001:db8::/32",
        "KP_VAR": "/run/../run/kemi",
        "KP_WORKERS": "8",
    }
    found = settings.load(environment, configuration)
    assert (found.address, found.port, found.http_port, found.workers) == ("::1", 5070, 8081, 8)
    assert found.domains == ("example.org", "example.com")
    assert found.trusted == tuple(map(ipaddress.ip_network, ("192.0.2.7", "10.0.0.0/8", "2001:db8::/32")))
    assert found.db_url == environment["KP_DB_URL"]
    assert found.var == Path("/run/kemi").resolve()


def test_empty_variables_count_as_not_set(configuration: Path) -> None:
    names = ("KP_IP", "KP_PORT", "KP_DOMAINS", "KP_TRUSTED", "KP_DB_URL", "KP_SET", "KP_DEFINES")
    assert settings.load(dict.fromkeys(names, ""), configuration) == settings.load({}, configuration)


def test_defines_of_kamailio_cfg_give_way_to_the_environment(configuration: Path) -> None:
    configuration.write_text(
        "#!trydefenv KP_PORT\n#!ifndef KP_PORT\n#!define KP_PORT 5062 # ours\n#!endif\n"
        '#!define KP_DOMAINS "example.net"\n#!define KP_DB_URL sqlite:///data/p.db\n'
    )
    found = settings.load({}, configuration)
    assert (found.port, found.domains) == (5062, ("example.net",))
    assert found.db_url == f"sqlite:///{configuration.parent}/data/p.db"
    assert settings.load({"KP_PORT": "5064", "KP_DOMAINS": "a.example"}, configuration).port == 5064


def test_kp_set_wins_over_kamailio_cfg_and_that_over_defaults(configuration: Path) -> None:
    configuration.write_text('pa.notify_interval = 7 desc "x"\npa.auth = "implicit"\nother.thing = 1\n')
    found = settings.load({}, configuration)
    assert (found.pa.notify_interval, found.pa.auth) == (7, "implicit")
    environment = {"KP_SET": ' pa.auth = none; pa.notify_interval="0";;auth.algorithm=sha-256'}
    found = settings.load(environment, configuration)
    assert (found.pa.notify_interval, found.pa.auth, found.auth.algorithm) == (0, "none", "SHA-256")


def test_defines_from_the_environment(configuration: Path) -> None:
    configuration.write_text("#!ifdef WITH_X\npa.notify_interval = 9\n#!endif\n#!ifdef N\npa.min_expires = N\n#!endif\n")
    found = settings.load({"KP_DEFINES": "WITH_X, N=30"}, configuration)
    assert (found.pa.notify_interval, found.pa.min_expires) == (9, 30)
    assert settings.defines({"KP_DEFINES": "WITH_X N=30"}) == {"WITH_X": "", "N": "30"}


def test_environment_of_settings_gives_them_again_elsewhere(
    configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"KP_IP": "::1", "KP_DB_URL": "sqlite:///p.db", "KP_TRUSTED": "10.0.0.0/8", "KP_VAR": "data"}
    found = settings.load(given, configuration)
    monkeypatch.chdir("/")
    assert settings.load(found.environment(), configuration) == found
    assert found.environment()["KP_IP"] == "[::1]"
    assert found.environment()["KP_DB_URL"] == f"sqlite:///{tmp_path}/p.db"


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"KP_IP": "localhost"}, "KP_IP = 'localhost': an IPv4 or IPv6 address is needed, e.g. 127.0.0.1"),
        ({"KP_PORT": "sip"}, "KP_PORT = 'sip': not a whole number; 1 to 65534 is allowed"),
        ({"KP_PORT": "0"}, "KP_PORT = '0': out of range; 1 to 65534 is allowed"),
        ({"KP_PORT": "1\n2"}, r"KP_PORT = '1\n2': not a whole number; 1 to 65534 is allowed"),
        ({"KP_WORKERS": "65"}, "KP_WORKERS = '65': out of range; 1 to 64 is allowed"),
        ({"KP_PORT": "8080"}, "KP_HTTP_PORT = 8080: SIP uses it (KP_PORT); another port is needed"),
        (
            {"KP_DOMAINS": "a_b.example"},
            "KP_DOMAINS: 'a_b.example' is not a domain; e.g. example.org,example.com is allowed",
        ),
        ({"KP_DOMAINS": ","}, "KP_DOMAINS names no domain; at least one is needed, e.g. example.org"),
        (
            {"KP_TRUSTED": "10.0.0.0/8,proxy"},
            ("KP_TRUSTED: 'proxy' is neither an address nor a network; e.g. 192.0.2.7,10.0.0.0/8,2001:db8::/32 is allowed"),
        ),
        ({"KP_SET": "pa.auth"}, "KP_SET: 'pa.auth': group.name=value is needed, several parted by \";\""),
        (
            {"KP_SET": "pa.outh=none"},
            "KP_SET: there is no parameter 'pa.outh'; did you mean pa.auth or pa.winfo_auth? presencectl parameters lists all",
        ),
        ({"KP_SET": "pa.auth=rules"}, "KP_SET: pa.auth = 'rules': not a choice; none or implicit or xcap is allowed"),
        ({"KP_SET": "pa.winfo_auth=xcap"}, "KP_SET: pa.winfo_auth = 'xcap': not a choice; none or implicit is allowed"),
        (
            {"KP_SET": "pa.subscribe_to_users=1"},
            "pa.subscribe_to_users = 1 and pa.pa_subscription_uri are needed together",
        ),
        (
            {"KP_SET": "pa.pa_subscription_uri=sip:pa@example.org"},
            "pa.subscribe_to_users = 1 and pa.pa_subscription_uri are needed together",
        ),
        (
            {"KP_SET": "pa.pa_subscription_uri=sip:a@example.org,sip:b@example.org"},
            (
                "KP_SET: pa.pa_subscription_uri = 'sip:a@example.org,sip:b@example.org': more than 1 SIP URI; "
                "e.g. sip:alice@example.org is allowed"
            ),
        ),
        (
            {"KP_SET": "pa.publishers=sip:a@example.org, bob"},
            "KP_SET: pa.publishers: 'bob': a URI cannot be read; e.g. sip:alice@example.org is allowed",
        ),
        (
            {"KP_SET": "pa.winfo_watchers=mailto:a@example.org"},
            (
                "KP_SET: pa.winfo_watchers: 'mailto:a@example.org': only sip, sips, pres and im URIs are served; "
                "e.g. sip:alice@example.org is allowed"
            ),
        ),
        ({"KP_SET": "pa.auth=any"}, "KP_SET: pa.auth = 'any': not a choice; none or implicit or xcap is allowed"),
        (
            {"KP_SET": "pa.notify_interval=x"},
            "KP_SET: pa.notify_interval = 'x': not a whole number; 0 to 3600 seconds is allowed",
        ),
        (
            {"KP_SET": "pa.notify_interval=-1"},
            "KP_SET: pa.notify_interval = '-1': out of range; 0 to 3600 seconds is allowed",
        ),
        (
            {"KP_SET": "pa.default_expires=7200"},
            "pa.default_expires = 7200: must not be above pa.max_subscription_expiration = 3600",
        ),
        (
            {"KP_SET": "pa.max_publish_expiration=3000"},
            "pa.default_expires = 3600: must not be above pa.max_publish_expiration = 3000",
        ),
        (
            {"KP_SET": "pa.min_expires=70;pa.default_expires=60"},
            "pa.default_expires = 60: must not be below pa.min_expires = 70",
        ),
        (
            {"KP_SET": "pa.min_expires=60;pa.default_expires=60;pa.max_subscription_expiration=60"},
            "pa.min_expires = 60: must be below pa.max_subscription_expiration = 60",
        ),
        (
            {"KP_SET": "rls.min_expiration=301;rls.default_expiration=301;rls.max_expiration=300"},
            "rls.min_expiration = 301: must not be above rls.max_expiration = 300",
        ),
        (
            {"KP_SET": "rls.max_expiration=3000"},
            "rls.default_expiration = 3600: must not be below rls.min_expiration = 60 or above rls.max_expiration = 3000",
        ),
        ({"KP_SET": "rls.auth=xcap"}, "KP_SET: rls.auth = 'xcap': not a choice; owner or implicit or none is allowed"),
        (
            {"KP_SET": "rls.simple_list=list"},
            "KP_SET: rls.simple_list = 'list': not of this form; a user name with $uid in it, or nothing is allowed",
        ),
        ({"KP_DEFINES": "WITH-TLS"}, "KP_DEFINES: 'WITH-TLS': NAME or NAME=value is needed, several parted by commas"),
    ],
)
def test_wrong_values_stop_with_one_line(configuration: Path, environment: dict[str, str], complaint: str) -> None:
    assert refused(configuration, **environment) == complaint


def test_sip_uris_are_kept_as_canonical_addresses(configuration: Path) -> None:
    configuration.write_text(
        'pa.publishers = " SIP:vm@Example.ORG:5070;transport=tcp ,, pres:vm@example.org,sips:gate.example.org" '
    )
    assert settings.load({}, configuration).pa.publishers == ("sip:vm@example.org", "sip:gate.example.org")
    assert settings.load({"KP_SET": "pa.publishers="}, configuration).pa.publishers == ()


def test_all_lifetimes_of_lists_may_be_one() -> None:
    """As in SER's examples."""
    assert settings.load(
        {"KP_SET": "rls.min_expiration=300;rls.default_expiration=300;rls.max_expiration=300"}, PROJECT / "kamailio.cfg"
    )


def test_names_of_ser_that_have_no_effect_are_accepted_and_told(configuration: Path) -> None:
    configuration.write_text('pa.use_db = 0\npa.timer_interval = 1\npa.etag_column = "etag"\npa.notify_interval = 7\n')
    found = settings.load({"KP_SET": "pa.timer_interval=2;pa.presentity_table=p"}, configuration)
    assert found.notices == (
        f"{configuration} line 1: pa.use_db has no effect: state is always in the database",
        "KP_SET: pa.timer_interval has no effect: changes are told at once; pa.notify_interval keeps NOTIFYs apart",
        f"{configuration} line 3: pa.etag_column has no effect: names of tables and columns are fixed, see sql/migrations/",
        "KP_SET: pa.presentity_table has no effect: names of tables and columns are fixed, see sql/migrations/",
    )
    assert found.written == {"pa.notify_interval": 7}
    assert found == settings.load({"KP_SET": "pa.notify_interval=7"}, configuration)


@pytest.mark.parametrize("name", ser_parameters.NAMES)
def test_every_name_of_ser_is_accepted_or_refused_in_one_line(configuration: Path, name: str) -> None:
    fate, sentence = ser_parameters.NAMES[name]
    name = name.replace("*", "some")
    assert name not in parameters.known()
    if fate is ser_parameters.Fate.REFUSED:
        assert refused(configuration, KP_SET=f"{name}=1") == f"KP_SET: {name} {sentence}"
    else:
        assert settings.load({"KP_SET": f"{name}=1"}, configuration).notices == (f"KP_SET: {name} {sentence}",)


def test_a_setting_is_changed_with_the_others_as_they_are(configuration: Path) -> None:
    found = settings.load({"KP_SET": "pa.min_expires=30;auth.max_rate=7"}, configuration)
    changed = settings.changed(found, {"pa.auth": "IMPLICIT", "auth.check_from": "0"}, "kamcmd")
    assert (changed.pa.auth, changed.auth.check_from, changed.pa.min_expires, changed.auth.max_rate) == ("implicit", 0, 30, 7)
    assert (found.pa.auth, found.auth.check_from) == ("none", 1)
    with pytest.raises(ConfigurationError, match=r"^kamcmd: pa.default_expires = 60: must not be below pa.min_expires = 61$"):
        settings.changed(found, {"pa.default_expires": 60, "pa.min_expires": 61}, "kamcmd")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("xyzzy", ""),
        ("notify_interval", "did you mean pa.notify_interval? "),
        ("presence.auth", "did you mean pa.auth or rls.auth? "),
        ("pa.max_members", "did you mean rls.max_members? "),
        ("pa.expires", "did you mean pa.min_expires or pa.default_expires? "),
    ],
)
def test_of_a_parameter_that_is_none_the_nearest_are_told(configuration: Path, name: str, advice: str) -> None:
    listed = "presencectl parameters lists all"
    assert refused(configuration, KP_SET=f"{name}=1") == f"KP_SET: there is no parameter {name!r}; {advice}{listed}"


def test_a_parameter_of_a_group_that_is_none_is_told(configuration: Path) -> None:
    """Kamailio takes any group, so it may be meant for something else."""
    configuration.write_text('presence.auth = "xcap"\nproxy.next = "sip:192.0.2.1"\n')
    said = "presence.auth is no parameter of kemi-presence and has no effect here; pa.auth or rls.auth is one"
    assert settings.load({}, configuration).notices == (f"{configuration} line 1: {said}",)


def test_a_variable_that_nobody_reads_is_told(configuration: Path) -> None:
    """But for those of a configuration of one's own."""
    configuration.write_text("#!trydefenv KP_PRESENCE_SERVER\n")
    variables = {"KP_DOMAIN": "example.com", "KP_XYZZY": "1", "KP_PRESENCE_SERVER": "192.0.2.1:5060", "KP_VARR": ""}
    assert settings.load(variables, configuration).notices == (
        "KP_DOMAIN is set and nobody reads it; did you mean KP_DOMAINS?",
        "KP_XYZZY is set and nobody reads it",
    )


def test_a_define_that_nothing_asks_for_is_told() -> None:
    variables = {"KP_DEFINES": "WITH_TSL,WITH_TLS,LOG_LEVEL=1,SPARE"}
    assert settings.load(variables, PROJECT / "kamailio.cfg").notices == (
        "KP_DEFINES has SPARE, and nothing asks for it",
        "KP_DEFINES has WITH_TSL, and nothing asks for it; did you mean WITH_TLS?",
    )


def test_every_variable_that_is_told_is_read() -> None:
    assert settings.load(dict.fromkeys(settings.VARIABLES, ""), PROJECT / "kamailio.cfg").notices == ()
    text = (PROJECT / "docs" / "configuring.md").read_text()
    assert [name for name in settings.VARIABLES if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("0.0.0.0", "stands for every address"),
        ("[::]", "stands for every address"),
        ("224.0.0.1", "stands for many machines"),
        ("ff02::1", "stands for many machines"),
        ("255.255.255.255", "stands for many machines"),
        ("fe80::1%eth0", "is link-local"),
    ],
)
def test_an_address_that_clients_cannot_be_told_is_refused(configuration: Path, address: str, complaint: str) -> None:
    needed = "one address that clients reach is needed, e.g. 192.0.2.10"
    assert refused(configuration, KP_IP=address) == f"KP_IP = {address!r}: {complaint}; {needed}"


def test_an_empty_variable_leaves_what_kamailio_cfg_says(configuration: Path) -> None:
    text = "#!trydefenv KP_PORT\n#!ifndef KP_PORT\n#!define KP_PORT 5070\n#!endif\n"
    configuration.write_text(text)
    assert settings.load({"KP_PORT": "", "KP_DB_URL": " "}, configuration).port == 5070


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            "pa.notify_intervall = 5",
            "line 2: there is no parameter 'pa.notify_intervall'; did you mean pa.notify_interval?",
        ),
        ('pa.notify_interval = "soon"', "line 2: pa.notify_interval = 'soon': not a whole number"),
        ("pa.auth = 1", "line 2: pa.auth = 1: not a choice; none or implicit or xcap is allowed"),
        ("db.busy_timeout = 61", "line 2: db.busy_timeout = 61: out of range; 1 to 60 seconds is allowed"),
    ],
)
def test_wrong_parameters_of_kamailio_cfg_are_told_with_their_place(configuration: Path, line: str, complaint: str) -> None:
    configuration.write_text(f"#!KAMAILIO\n{line}\n")
    assert complaint in refused(configuration)


@pytest.mark.parametrize("url", ["mysql://u:s3cret@h/d", "sqlite:///", "sqlite:///var/", "postgresql:x", "postgresql://h:x/d"])
def test_wrong_database_urls_are_told_without_their_password(configuration: Path, url: str) -> None:
    complaint = refused(configuration, KP_DB_URL=url)
    assert complaint.endswith("not the URL of a database; sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME is allowed")
    assert "s3cret" not in complaint


def test_a_password_with_an_at_sign_is_not_shown_as_a_host(configuration: Path) -> None:
    complaint = refused(configuration, KP_DB_URL="postgresql://u:s3@cret@h/d")
    assert complaint.endswith("PASSWORD@HOST:PORT/NAME is allowed, with %40 for an @ in PASSWORD")
    assert "cret" not in complaint
    assert settings.load({"KP_DB_URL": "postgresql://u:s3%40cret@h/d"}, configuration).shown_db_url == "postgresql://u@h/d"


def test_a_file_in_the_place_of_a_database_url_is_told_as_it_is(configuration: Path) -> None:
    assert refused(configuration, KP_DB_URL="/srv/presence.db").startswith("KP_DB_URL = '/srv/presence.db': not the URL")


def test_the_password_of_the_database_is_not_shown(configuration: Path) -> None:
    assert "s3cret" not in repr(settings.load({"KP_DB_URL": "postgresql://u:s3cret@h/d"}, configuration))


@given(st.text(alphabet=st.characters(exclude_characters="\0"), max_size=40))
def test_any_text_is_a_setting_or_one_line_of_complaint(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "kamailio.cfg"
    path.write_text("#!KAMAILIO\n")
    for name in ("KP_IP", "KP_PORT", "KP_DOMAINS", "KP_TRUSTED", "KP_WORKERS", "KP_SET", "KP_DEFINES", "KP_DB_URL"):
        try:
            settings.load({name: text}, path)
        except ConfigurationError as refusal:
            assert len(str(refusal).splitlines()) == 1  # noqa: PT017  # most texts are refused, some are not
