"""What is made sure of before Kamailio is started: kemi/startup.py."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kemi import settings, startup
from kemi.errors import ConfigurationError


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[[str, Mapping[str, str]], None]:
    """Looks at a configuration with these lines, in this environment."""

    def refuse_other_values(lines: str, outer: Mapping[str, str]) -> None:
        configuration = tmp_path / "own.cfg"
        configuration.write_text(f'{lines}\ninclude_file "{startup.INCLUDED}"\n')
        found = settings.load(outer, configuration)
        startup.refuse_other_values(found, startup.read(found, configuration, outer))

    return refuse_other_values


@pytest.mark.parametrize(
    ("lines", "outer"),
    [
        ("", {}), ("", {"KP_VAR": "/tmp/a", "KP_DB_URL": "sqlite:////tmp/p.db"}), ("#!define KP_VAR /tmp/a/", {}),
        ("#!define KP_VAR /tmp/a", {"KP_VAR": "/tmp/../tmp/a"}), ('#!define KP_DB_URL "sqlite:////tmp/p.db"', {}),
        (f"#!define KP_VAR {startup.PROJECT}/var", {"KP_VAR": "var"}), ("#!trydefenv KP_VAR", {"KP_VAR": "/tmp/a"}),
        ('#!define KP_DB_URL "postgresql://a@h/one"', {"KP_DB_URL": "postgresql://b@h/two"}),
        ('modparam("registrar", "max_contacts", 3)\nmodparam("auth_db|usrloc", "use_domain", 1)', {}),
        ('modparam("usrloc", "use_domain", 1)\nmodparam("auth_db|usrloc", "use_domain", 0)', {}),  # that of the file stands behind
    ],
)  # fmt: skip
def test_a_configuration_may_define_what_the_program_uses(
    refuse: Callable[[str, Mapping[str, str]], None], monkeypatch: pytest.MonkeyPatch, lines: str, outer: Mapping[str, str]
) -> None:
    monkeypatch.chdir(startup.PROJECT)
    refuse(lines, outer)


@pytest.mark.parametrize(
    "line",
    [
        'modparam("usrloc", "use_domain", yes)', 'modparam("usrloc", "use_domain", 0x1)',
        'modparam("nathelper|registrar", "received_avp", "$avp(s:received)")', 'modparam("auth_db|usrloc", "db_url", KP_DB_URL)',
    ],
)  # fmt: skip
def test_what_the_program_relies_on_may_be_written_in_any_way(tmp_path: Path, line: str) -> None:
    configuration = tmp_path / "own.cfg"
    configuration.write_text(f'include_file "{startup.INCLUDED}"\n{line}\n')
    found = settings.load({}, configuration)
    startup.refuse_other_values(found, startup.read(found, configuration, {}))


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ('modparam("auth_db|usrloc", "use_domain", 1)\nmodparam("usrloc", "use_domain", no)', "is 0; the program needs 1,"),
        ('modparam("usrloc", "use_domain", 0)', "is 0; the program needs 1,"),
        ('#!define MULTIDOMAIN 0\nmodparam("auth_db|usrloc", "use_domain", MULTIDOMAIN)', "is 0; the program needs 1,"),
        ('modparam("nathelper|registrar", "received_avp", "$avp(RECEIVED)")', "the program needs $avp(received),"),
        ('modparam("usrloc", "db_mode", 2)', "is 2; the program needs 4,"),
        ('modparam("usrloc", "db_url", "sqlite:////tmp/else.db")', '"db_url", ...) is another database; sqlite:////'),
        ('#!define DBURL "mysql://a:secret@h/x"\nmodparam("auth_db|usrloc", "db_url", DBURL)', "is another database; sqlite:////"),
    ],
)
def test_what_the_program_relies_on_cannot_be_set_otherwise(tmp_path: Path, line: str, needed: str) -> None:
    """Kamailio's own configuration has these: users of one name in two domains would be one, and bindings would be lost."""
    configuration = tmp_path / "own.cfg"
    configuration.write_text(f'include_file "{startup.INCLUDED}"\n{line}\n')
    with pytest.raises(ConfigurationError) as refused:
        startup.refuse_other_values(
            settings.load({}, configuration), startup.read(settings.load({}, configuration), configuration, {})
        )
    assert needed in str(refused.value)
    assert "secret" not in str(refused.value)
    assert f"own.cfg line {2 + line.count(chr(10))}: " in str(refused.value)


def test_a_proxy_of_its_own_has_what_it_likes(tmp_path: Path) -> None:
    configuration = tmp_path / "proxy.cfg"
    configuration.write_text('modparam("usrloc", "use_domain", 0)\nmodparam("usrloc", "db_url", "mysql://a@h/x")\n')
    found = settings.load({}, configuration)
    startup.refuse_other_values(found, startup.read(found, configuration, {}))


@pytest.mark.parametrize(
    ("lines", "outer", "needed"),
    [
        ('#!define KP_VAR "/tmp/a"', {}, "/tmp/a without quotation marks"),
        ("#!define KP_VAR /tmp/a", {"KP_VAR": "/tmp/b"}, "/tmp/b without quotation marks"),
        ("#!define KP_VAR here", {}, "/here without quotation marks"),
        ('#!define KP_DB_URL "sqlite:////tmp/p.db"', {"KP_DB_URL": "sqlite:////tmp/q.db"}, "sqlite:////tmp/q.db, as"),
        ('#!define KP_DB_URL "sqlite:///p.db"', {}, "/p.db, as"),
        ('#!define KP_DB_URL "sqlite:////tmp/p.db"', {"KP_DB_URL": "postgresql://a:secret@h/x"}, "postgresql://a@h/x, as"),
        ('#!define KP_DB_URL "postgresql://a:secret@h/x"', {"KP_DB_URL": "sqlite:////tmp/p.db"}, "sqlite:////tmp/p.db, as"),
    ],
)
def test_a_configuration_that_kamailio_would_read_otherwise_is_refused(
    refuse: Callable[[str, Mapping[str, str]], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: str,
    outer: Mapping[str, str], needed: str,
) -> None:  # fmt: skip
    """Else its control socket and its registrations are elsewhere, and it ends without saying why or forgets who is registered."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        refuse(lines, outer)
    assert needed in str(refused.value)
    assert "secret" not in str(refused.value)
