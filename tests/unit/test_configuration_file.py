"""kamailio.cfg is read as Kamailio's own scanner reads it; the expected values were taken from a running Kamailio."""

from pathlib import Path

import pytest

from kemi import configuration_file
from kemi.configuration_file import ConfigurationFile
from kemi.errors import ConfigurationError


def read(folder: Path, text: str, environment: dict[str, str] | None = None, **defines: str) -> ConfigurationFile:
    path = folder / "kamailio.cfg"
    path.write_text(text)
    return configuration_file.read(path, environment or {}, defines)


def values(found: ConfigurationFile) -> dict[str, int | str]:
    return {name: assignment.value for name, assignment in found.parameters.items()}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3600", 3600),
        ("0", 0),
        ("0x10", 16),
        ("010", 8),
        ("101b", 5),
        ("yes", 1),
        ("on", 1),
        ("off", 0),
        ('"none"', "none"),
        ('""', ""),
        ('"a"  "b"', "ab"),
        ("'x\\ny'", "x\\ny"),
        (r'"x\"y\tz"', 'x"y\tz'),
        (r'"a\x41\101\qb\7"', r"aAA\qb\7"),
        ('"a # no comment // nor this"', "a # no comment // nor this"),
    ],
)
def test_a_value_is_read_as_kamailio_reads_it(tmp_path: Path, written: str, value: int | str) -> None:
    assert values(read(tmp_path, f'pa.x = {written} desc "meaning"\n')) == {"pa.x": value}


def test_blanks_comments_and_several_on_a_line(tmp_path: Path) -> None:
    text = """#!KAMAILIO
    # pa.a = 1
    // pa.b = 1
    ##!define NO 1
    /* pa.c = 1
       #!define NO 1
       /* nested */ pa.d = 1
    */
    pa
      .
     split
     =
      3
    pa.one = 1 desc "x" pa.two = 2; pa.three=3
    """
    found = read(tmp_path, text)
    assert values(found) == {"pa.split": 3, "pa.one": 1, "pa.two": 2, "pa.three": 3}
    assert found.defines == {}


def test_a_define_counts_as_it_does_for_kamailio(tmp_path: Path) -> None:
    text = (
        "#!define A 5 # comment\n"
        '#!define B "q s"  \n'
        "#!define C 7   // c\n"
        "#!define D one \\\n  two\n"
        "#!trydefine A 6\n"
        "#!redefine C 8\n"
        "!!define E 9\n"
        "  #!def F\n"
        "#!trydef F 1\n"
        "#!DEFINE G 1\n"
    )
    found = read(tmp_path, text)
    assert found.defines == {"A": "5 # comment", "B": '"q s"  ', "C": "8", "D": "one   two", "E": "9", "F": ""}


def test_defines_are_replaced_in_values_only_as_whole_words(tmp_path: Path) -> None:
    text = '#!define Q 3\n#!define NEST Q\n#!define S "x y" # comment\npa.nest = NEST\npa.s = S\npa.quoted = "Q"\n'
    assert values(read(tmp_path, text)) == {"pa.nest": 3, "pa.s": "x y", "pa.quoted": "Q"}


def test_defines_may_come_from_the_environment(tmp_path: Path) -> None:
    text = (
        "#!trydefenv KP_PORT\n#!ifndef KP_PORT\n#!define KP_PORT 5060\n#!endif\n"
        "#!trydefenv FOO=KP_FOO\n#!trydefenvs QUOTED=KP_FOO\n#!trydefenv NOT_SET\n#!defenv EMPTY\npa.q = QUOTED\n"
    )
    found = read(tmp_path, text, {"KP_PORT": "5070", "KP_FOO": "a b ", "EMPTY": ""})
    assert found.defines == {"KP_PORT": "5070", "FOO": "a b ", "QUOTED": '"a b "', "EMPTY": ""}
    assert values(found) == {"pa.q": "a b "}


def test_environment_that_is_not_set_leaves_the_default(tmp_path: Path) -> None:
    text = "#!trydefenv KP_PORT\n#!ifndef KP_PORT\n#!define KP_PORT 5060\n#!endif\n"
    assert read(tmp_path, text).defines == {"KP_PORT": "5060"}


def test_only_the_lines_whose_conditions_hold_count(tmp_path: Path) -> None:
    text = (
        "#!ifdef WITH_X\npa.x = 1\n#!else\npa.not_x = 1\n#!endif\n"
        '#!ifdef NOPE\n" unbalanced /*\n#!ifdef WITH_X\n#!else\npa.wrong = 4\n#!endif\n#!else\npa.right = 1\n#!endif\n'
        "#!ifndef NOPE\n#!ifdef NOPE\n#!else\npa.nested = 1\n#!endif\n#!endif\n"
        'loadmodule "xlog.so"\n#!ifdef MOD_xlog\npa.module = 1\n#!endif'
    )
    assert values(read(tmp_path, text, WITH_X="")) == {"pa.x": 1, "pa.right": 1, "pa.nested": 1, "pa.module": 1}
    assert values(read(tmp_path, text)) == {"pa.not_x": 1, "pa.right": 1, "pa.nested": 1, "pa.module": 1}


def test_included_files_are_found_beside_the_including_one(tmp_path: Path) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "c.cfg").write_text('#!define INC 2\npa.c = INC\ninclude_file "deep/d.cfg"\n')
    (tmp_path / "sub" / "deep" / "d.cfg").write_text("pa.d = 1\n")
    text = 'include_file "sub/c.cfg"\nimport_file "missing.cfg"\n!!import_file "missing.cfg"\npa.after = INC\n'
    found = read(tmp_path, text)
    assert values(found) == {"pa.c": 2, "pa.d": 1, "pa.after": 2}
    assert found.parameters["pa.d"].place.endswith("deep/d.cfg line 1")


def test_routes_are_passed_over(tmp_path: Path) -> None:
    text = """request_route {
        if ($rb =~ "it's" || $(hdr(X)[#]) == 1) { xlog("$(var(x){s.len}) }\\n"); }
        a.b = 1;
    }
    pa.x = 1
    """
    assert values(read(tmp_path, text)) == {"pa.x": 1}


def test_what_is_tried_before_a_start(tmp_path: Path) -> None:
    """Sockets, parameters of the core and of modules; what stands in a route is none."""
    text = (
        '#!define FILE var/c.pem\n#!substdef "!C_FILE!$def(FILE)!g"\n#!substdef "/ODD/a\\/b/"\n#!subst "/^x.*/y/"\n'
        'listen = udp:127.0.0.1:5060\nchildren=4\nmodparam("tls", "certificate", "/srv/C_FILE")\nmodparam("m", "n", 5)\n'
        'modparam("tls", "odd", "ODD")\npa.x = 1\nroute { listen = udp:127.0.0.1:5061; modparam("a", "b", "c"); $var(x) = 1; }\n'
    )
    found = read(tmp_path, text)
    place = f"{tmp_path}/kamailio.cfg line"
    assert [(each.value, each.place) for each in found.listen] == [("udp:127.0.0.1:5060", f"{place} 5")]
    assert found.core == {"children": "4"}
    assert {name: each.value for name, each in found.modules.items()} == {
        "tls.certificate": "/srv/var/c.pem",
        "m.n": "5",
        "tls.odd": "ODD",
    }


def test_a_value_that_cannot_be_read_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"kamailio\.cfg line 2: SECRET: a string is not closed$"):
        read(tmp_path, '#!trydefenv SECRET\nmodparam("auth", "secret", SECRET)\n', {"SECRET": 'a"b'})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("\npa.auth = none\n", 'line 2: pa.auth = none: a number or a "quoted string" is needed'),
        ("pa.x = 1\npa.x = 2\n", "line 2: pa.x is set in .* line 1 too"),
        ("#!define A 1\n#!define A 2\n", "line 2: A is defined before"),
        ("#!define A-B 1\n#!define 1\n", "line 2: #!define needs a name"),
        ("#!ifdef A\n", "has no #!endif"),
        ("#!ifdef A\n#!endif # trailing\n", "has no #!endif"),
        ("#!ifdef A\n#!else\n", "has no #!endif"),
        ("\n#!endif\n", "line 2: #!endif has no #!ifdef before it"),
        ("#!ifexp A == 1\n#!endif\n", "#!ifexp is not supported"),
        ("#!defexp A 1 + 1\n", "#!defexp is not supported"),
        ("#!defenv NOT_SET\n", "the environment variable NOT_SET is not set"),
        ("#!define A B\n#!define B A\npa.x = A\n", "refers to itself"),
        ('pa.x = "open\n', "line 1: a string is not closed"),
        ("pa.x = 1 /* open\n", "line 1: a comment is not closed"),
        ('include_file "missing.cfg"\n', "line 1: included file missing.cfg does not exist"),
        ("include_file missing.cfg\n", "must stand between double quotes"),
        ('include_file "kamailio.cfg"\n', "include each other"),
    ],
)
def test_refusals_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=complaint) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.cfg cannot be read: No such file"):
        configuration_file.read(tmp_path / "nowhere.cfg", {}, {})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("5060 # comment", "5060"),
        ('"a b" # comment', "a b"),
        ("'x'", "x"),
        ("sqlite:///var/presence.db", "sqlite:///var/presence.db"),
        ("example.org // comment", "example.org"),
        ("10.0.0.0/8,::1 /* comment */", "10.0.0.0/8,::1"),
        ("# nothing", ""),
        ("", ""),
    ],
)
def test_a_value_stands_without_its_quotes_and_comment(value: str, text: str) -> None:
    assert configuration_file.unquoted(value) == text
