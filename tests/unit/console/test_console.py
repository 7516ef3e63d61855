"""presencectl: what it prints, what it refuses, and how it starts Kamailio."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import Result

from kemi import parameters, settings, startup
from kemi.console import connection, server
from kemi.errors import ConfigurationError

Run = Callable[..., Result]

UNKNOWN = "parse error in config file my.cfg, line 16, column 28: unknown command, missing loadmodule?"
COMPLAINTS = (
    "loading modules under config path: /usr/lib/x86_64-linux-gnu/kamailio/modules/",
    " 0(7) ERROR: <core> [core/cfg.y:3649]: yyparse(): cfg. parser: failed to find command is_method (params 1)",
    f" 0(7) CRITICAL: <core> [core/cfg.y:3790]: yyerror_at(): {UNKNOWN}",
    " 0(7) ERROR: <core> [core/cfg.y:3649]: yyparse(): cfg. parser: failed to find command has_totag (params 0)",
)
"""What Kamailio prints about a file that uses functions of modules which it does not load."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """What would have been executed."""
    calls: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(startup, "execute", lambda command, variables: calls.append((command, variables)))
    monkeypatch.setattr(server, "announce_when_listening", lambda found, server: None)
    return calls


def test_run_becomes_kamailio(run: Run, tmp_path: Path, started: list[tuple[list[str], dict[str, str]]]) -> None:
    result = run("run", KP_PORT="5070", KP_DEFINES="WITH_TLS,N=3", KP_SET="auth.algorithm=sha-256")
    assert result.exit_code == 0, result.output
    ((command, variables),) = started
    assert command[:9] == ["kamailio", "-f", str(tmp_path / "kamailio.cfg"), "-x", "fm", "-X", "fm", "-M", "16"]
    assert command[9:13] == ["-m", str(startup.shared_memory()), "-DD", "-E"]
    assert command[13:17] == ["-P", str(tmp_path / "var" / "kamailio.pid"), "-w", str(startup.PROJECT)]
    assert command[17:19] == ["-A", f"TCP_CONNECTIONS={startup.connections()}"]
    assert command[19:] == ["-A", "WITH_TLS", "-A", "N=3", "-A", 'AUTH_ALGORITHM="SHA-256"']
    assert variables["KP_VAR"] == str(tmp_path / "var")
    assert variables["KP_DB_URL"] == f"sqlite:///{tmp_path}/var/presence.db"
    assert (variables["KP_PORT"], variables["KP_DOMAINS"]) == ("5070", "example.org")
    assert variables["KP_SET"] == "auth.algorithm=sha-256"
    assert "/usr/sbin" in variables["PATH"].split(":")


def test_run_tells_its_steps(run: Run, tmp_path: Path, started: list[tuple[list[str], dict[str, str]]]) -> None:
    first, second = run("run").stdout.splitlines(), run("run").stdout.splitlines()
    assert first[0] == "configuration  kamailio.cfg: example.org on 127.0.0.1:5060, HTTP on 8080, 2 workers"
    assert first[1].startswith(f"database       sqlite:///{tmp_path}/var/presence.db, 0001_presence")
    assert first[2].startswith("starting       kamailio -f ")
    assert second[1] == f"database       sqlite:///{tmp_path}/var/presence.db, up to date"


def test_run_refuses_in_one_line(run: Run, started: list[tuple[list[str], dict[str, str]]]) -> None:
    result = run("run", KP_PORT="sip")
    assert result.exit_code == 1
    assert result.stderr == "Error: KP_PORT = 'sip': not a whole number; 1 to 65534 is allowed\n"
    assert started == []


@contextmanager
def process_named_kamailio(pid_file: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose command line looks like that of a server with this pid file."""
    code = "import time; print('ready', flush=True); time.sleep(60)"
    arguments = ["kamailio", "-c", code, "-P", str(pid_file)]
    environment = os.environ | variables
    with subprocess.Popen(arguments, executable=sys.executable, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_run_refuses_a_second_server(run: Run, tmp_path: Path, started: list[tuple[list[str], dict[str, str]]]) -> None:
    pid_file = tmp_path / "var" / "kamailio.pid"
    pid_file.parent.mkdir()
    with process_named_kamailio(pid_file) as server:
        pid_file.write_text(f"{server.pid}\n")
        result = run("run")
        assert server.poll() is None
    assert (result.exit_code, started) == (1, [])
    assert result.stderr == f"Error: already running as process {server.pid} ({pid_file}); end it or set another KP_VAR\n"


def auth_and_interval(run: Run, **variables: str) -> list[str]:
    listed = json.loads(run("parameters", "--json", **variables).stdout)
    return [str(each["value"]) for each in listed if each["parameter"] in ("pa.auth", "pa.notify_interval")]


def test_what_the_running_server_was_started_with_counts(run: Run, tmp_path: Path) -> None:
    """Its KP_SET may stand in the file of a service; one of the command is taken instead."""
    pid_file = tmp_path / "var" / "kamailio.pid"
    pid_file.parent.mkdir()
    with process_named_kamailio(pid_file, KP_SET="pa.auth=implicit;pa.notify_interval=1") as server:
        assert auth_and_interval(run) == ["5", "none"]
        pid_file.write_text(f"{server.pid}\n")
        assert auth_and_interval(run) == ["1", "implicit"]
        assert auth_and_interval(run, KP_SET="pa.notify_interval=2") == ["2", "none"]
    assert auth_and_interval(run) == ["5", "none"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to somebody else")
def test_what_a_process_of_another_user_was_started_with_does_not_count(run: Run, tmp_path: Path) -> None:
    """Anybody may call a process as the server is called."""
    pid_file = tmp_path / "var" / "kamailio.pid"
    pid_file.parent.mkdir()
    with process_named_kamailio(pid_file, KP_SET="pa.auth=implicit") as server:
        pid_file.write_text(f"{server.pid}\n")
        os.chown(pid_file, os.geteuid() + 1, -1)
        assert auth_and_interval(run) == ["5", "none"]


def test_what_the_running_server_was_started_with_may_not_be_right_any_more(run: Run, tmp_path: Path, configuration: Path) -> None:
    """kamailio.cfg was changed since."""
    pid_file = tmp_path / "var" / "kamailio.pid"
    pid_file.parent.mkdir()
    configuration.write_text('pa.max_publish_expiration = 4000 desc "seconds"\npa.default_expires = 4000 desc "seconds"\n'
                             'pa.max_subscription_expiration = 4000 desc "seconds"\n')  # fmt: skip
    with process_named_kamailio(pid_file, KP_SET="pa.max_publish_expiration=3600") as server:
        pid_file.write_text(f"{server.pid}\n")
        printed = run("parameters", "max_publish_expiration")
    assert " 4000 " in printed.stdout
    assert printed.stderr.startswith("Warning: KP_SET of the running server is left out: pa.default_expires = 4000: ")


def test_a_server_that_is_just_starting_counts(tmp_path: Path) -> None:
    pid_file = tmp_path / "kamailio.pid"
    with process_named_kamailio(pid_file) as server:
        with pytest.raises(ConfigurationError, match=f"already running as process {server.pid} "):
            startup.refuse_second_server(pid_file)
        assert server.poll() is None


def test_what_a_killed_server_left_behind_is_taken_away(tmp_path: Path) -> None:
    pid_file = tmp_path / "kamailio.pid"
    pid_file.write_text("999999999\n")
    with process_named_kamailio(pid_file) as orphan, process_named_kamailio(tmp_path / "other.pid") as other:
        reaper = threading.Thread(target=orphan.wait)
        reaper.start()
        assert startup.refuse_second_server(pid_file) == [orphan.pid]
        reaper.join()
        assert other.poll() is None
    assert not pid_file.exists()


def test_a_pid_file_of_another_program_is_stale(tmp_path: Path) -> None:
    pid_file = tmp_path / "kamailio.pid"
    pid_file.write_text(f"{os.getpid()}\n")
    assert startup.refuse_second_server(pid_file) == []
    assert not pid_file.exists()


def test_a_missing_kamailio_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no-such-kamailio is not installed; make run installs it"):
        startup.execute(["no-such-kamailio"], {"PATH": str(tmp_path)})


def test_check_says_whether_the_database_is_there_and_up_to_date(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "check_syntax", lambda found, configuration, outer: "syntax is right")
    result = run("check", COLUMNS="200")
    assert result.exit_code == 0, result.output
    assert "is not there yet; the first start creates it" in result.stdout
    run("migrate")
    assert "up to date" in run("check", COLUMNS="200").stdout


def test_check_creates_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "check_syntax", lambda found, configuration, outer: "syntax is right")
    run("check")
    assert [path.name for path in tmp_path.iterdir()] == ["kamailio.cfg"]


def test_check_fails_on_a_wrong_value_or_an_unreachable_database(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "check_syntax", lambda found, configuration, outer: "syntax is right")
    result = run("check", COLUMNS="200", KP_WORKERS="many")
    assert (result.exit_code, "KP_WORKERS = 'many': not a whole number" in result.stdout) == (1, True)
    result = run("check", COLUMNS="200", KP_DB_URL="postgresql://u:s3cret@127.0.0.1:1/presence")
    assert (result.exit_code, "s3cret" in result.output) == (1, False)


LOADED = 'loadmodule "app_python3.so"\nmodparam("app_python3", "load", "kemi/script.py")\n'


@pytest.mark.parametrize("text", [LOADED, 'pa.auth = "none" desc "who may watch"\n', f'include_file "other.cfg"\n{LOADED}'])
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_configuration_that_cannot_serve_is_told(
    run: Run, configuration: Path, started: list[tuple[list[str], dict[str, str]]], command: str, text: str
) -> None:
    """It runs the program and does not include what that needs; Kamailio would take it, and nobody would be served."""
    (configuration.parent / "other.cfg").write_text("#!define KEMI_PRESENCE_OF_SOMEBODY_ELSE\n")
    configuration.write_text(text)
    done = run(command, COLUMNS="400")
    (line,) = [line for line in done.output.splitlines() if "include_file" in line]
    needed = f'include_file "{startup.INCLUDED}" is needed'
    assert line.endswith(f"{configuration} does not include kemi-presence.cfg of this release: {needed}")
    assert (done.exit_code, started) == (1, [])


def test_a_configuration_that_includes_what_is_needed_is_taken(configuration: Path) -> None:
    configuration.write_text(f'pa.auth = "none" desc "who may watch"\ninclude_file "{startup.INCLUDED}"\n')
    startup.refuse_incomplete(configuration, {})


def test_a_configuration_that_does_not_run_the_program_needs_nothing(configuration: Path) -> None:
    """A proxy in front of the server."""
    configuration.write_text('loadmodule "tm.so"\nrequest_route { t_relay(); }\n')
    startup.refuse_incomplete(configuration, {})


def test_kamailio_says_what_is_wrong(configuration: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "kamailio"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho loading >&2\necho ' 0(1) CRITICAL: line 3: syntax error' >&2\nexit 255\n")
    program.chmod(0o755)
    found = settings.load({}, configuration)
    with pytest.raises(ConfigurationError, match=r"CRITICAL: line 3: syntax error$"):
        startup.check_syntax(found, configuration, {"PATH": str(program.parent)})
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{line}' >&2\n" for line in COMPLAINTS) + "exit 255\n")
    with pytest.raises(ConfigurationError) as refused:
        startup.check_syntax(found, configuration, {"PATH": str(program.parent)})
    assert str(refused.value) == f"{UNKNOWN} (cfg. parser: failed to find command is_method (params 1))"
    program.write_text("#!/bin/sh\n")
    assert startup.check_syntax(found, configuration, {"PATH": str(program.parent)}) == "syntax is right"


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ('a"b', "'\"' cannot stand in it; a path without \" : ? is allowed"),
        ("a:b", "':' cannot stand in it; a path without \" : ? is allowed"),
        ("a" * 90, "too long for the control socket in it; up to 91 octets are allowed"),
        ("kamailio.cfg", "is not a folder ({}/kamailio.cfg); a folder that this user may write is needed"),
        ("kamailio.cfg/var", "is not a folder ({}/kamailio.cfg); a folder that this user may write is needed"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told(
    run: Run, tmp_path: Path, started: list[tuple[list[str], dict[str, str]]], command: str, name: str, complaint: str
) -> None:
    done = run(command, KP_VAR=str(tmp_path / name))
    (line,) = [line for line in done.output.splitlines() if "KP_VAR" in line]
    assert line.endswith(f"KP_VAR = {str(tmp_path / name)!r}: {complaint.format(tmp_path)}")
    assert (done.exit_code, started) == (1, [])


def test_a_folder_that_may_not_be_written_is_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[tuple[list[str], dict[str, str]]]
) -> None:
    monkeypatch.setattr(startup.os, "access", lambda path, mode: not mode & os.W_OK)
    said = f"KP_VAR = '{tmp_path}/var/x': this user may not write there ({tmp_path}); a folder that this user may write is needed"
    assert run("run", KP_VAR=str(tmp_path / "var" / "x")).stderr == f"Error: {said}\n"


def test_what_cannot_be_listened_on_stops_the_start(
    run: Run, configuration: Path, started: list[tuple[list[str], dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check beside the server that has the port says so, and fails only where no start can work."""
    monkeypatch.setattr(startup, "check_syntax", lambda found, configuration, outer: "syntax is right")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{other.getsockname()[1]}"
        configuration.write_text(f"listen = udp:{address}\n")
        said = f"{configuration} line 1: udp:{address} is in use (ss -tulpn shows by whom); end that, or take another port"
        assert run("run").stderr == f"Error: {said}\n"
        checked = run("check")
        assert (checked.exit_code, f"addresses      warning  a start now would fail: {said}" in checked.stdout) == (0, True)
    configuration.write_text("listen = udp:192.0.2.9:5060\n")
    said = f"{configuration} line 1: not an address of this machine; one that `ip address` lists is needed"
    assert run("run").stderr == f"Error: {said}\n"
    checked = run("check")
    assert (checked.exit_code, f"addresses      wrong   {said}" in checked.stdout) == (1, True)
    assert started == []


def test_a_check_knows_the_server_that_runs_here(
    run: Run, configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "check_syntax", lambda found, configuration, outer: "syntax is right")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own,
        process_named_kamailio(tmp_path / "var" / "kamailio.pid") as server,
    ):
        own.bind(("127.0.0.1", 0))
        configuration.write_text(f"listen = udp:127.0.0.1:{own.getsockname()[1]}\n")
        assert f"addresses      ok      this server is running, as process {server.pid}" in run("check").stdout


@pytest.mark.parametrize("name", ["b2b.credentials", "xcap.fetch_credentials", "xcap.fetch_ca"])
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_file_that_a_parameter_names_is_read(
    run: Run, started: list[tuple[list[str], dict[str, str]]], command: str, name: str
) -> None:
    done = run(command, KP_SET=f"xcap.xcap_root=https://xcap.example.org;{name}=/nowhere")
    (line,) = [line for line in done.output.splitlines() if name in line]
    assert line.endswith(f"{name}: /nowhere: No such file or directory")
    assert (done.exit_code, started) == (1, [])


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_certificate_that_is_not_there_stops_the_start(
    run: Run, configuration: Path, started: list[tuple[list[str], dict[str, str]]], command: str
) -> None:
    text = 'loadmodule "tls.so"\nmodparam("tls", "certificate", "c.pem")\nmodparam("tls", "private_key", "k.pem")\n'
    configuration.write_text(text)
    done = run(command)
    (line,) = [line for line in done.output.splitlines() if "c.pem" in line]
    assert "c.pem): No such file or directory; a PEM file that this user may read is needed" in line
    assert (done.exit_code, started) == (1, [])


def test_a_check_tells_what_has_no_effect(run: Run, configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "check_syntax", lambda found, configuration, outer: "syntax is right")
    checked = run("check", KP_SET="pa.use_db=0")
    assert (checked.exit_code, "notice         warning  KP_SET: pa.use_db has no effect" in checked.stdout) == (0, True)


def test_parameters_are_listed_with_their_values_by_a_part_of_the_name(run: Run) -> None:
    header, *lines = run("parameters", "Notify_").stdout.splitlines()
    assert re.split("  +", header) == ["parameter", "value", "default", "allowed", "unit", "run time", "meaning"]
    assert [line.split()[0] for line in lines] == ["pa.notify_interval", "pa.notify_is_refresh", "pa.notify_batch"]
    found = {each["parameter"]: each for each in json.loads(run("parameters", "--json", KP_SET="rls.max_members=7").stdout)}
    assert set(found) == set(parameters.known())
    assert (found["rls.max_members"]["value"], found["rls.max_members"]["default"]) == (7, 1000)
    assert (found["pa.publishers"]["value"], found["pa.publishers"]["allowed"]) == ("", "SIP URIs parted by commas, or nothing")
    assert run("parameters", "xyzzy").stdout == "no parameter has 'xyzzy' in its name\n"


def test_parameters_are_listed_when_one_is_wrong(run: Run) -> None:
    done = run("parameters", "notify_batch", KP_SET="pa.notify_batsch=1")
    assert done.stderr.startswith("Warning: KP_SET: there is no parameter 'pa.notify_batsch'; did you mean pa.notify_batch?")
    assert (done.exit_code, "200" in done.stdout) == (0, True)


def test_a_second_migration_has_nothing_to_do(run: Run) -> None:
    assert "0001_presence" in run("migrate").stdout
    assert "up to date" in run("migrate").stdout


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://kemi:s3cret@db:5432/presence?sslmode=require", "postgresql://kemi@db:5432/presence"),
        ("postgresql://db/presence?password=s3cret", "postgresql://db/presence"),
    ],
)
def test_the_password_of_the_database_is_not_printed(configuration: Path, url: str, shown: str) -> None:
    assert connection.shown_url(settings.load({"KP_DB_URL": url}, configuration)) == shown


def test_that_options_are_not_answered_is_said(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A request_route of one's own may have forgotten them; all else may work."""
    server.announce(settings.load({"KP_PORT": "5070"}, configuration), is_answered=False)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("no answer      to OPTIONS sip:127.0.0.1:5070 for 30 seconds")
    assert "handle_options" in line
    server.announce(settings.load({"KP_PORT": "5070"}, configuration), is_answered=True)
    assert capsys.readouterr().out.startswith("listening      sip:127.0.0.1:5070 ")


def test_readiness_is_an_answer_to_options(configuration: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        found = settings.load({"KP_PORT": str(port)}, configuration)

        def answer() -> None:
            request, client = server.recvfrom(4096)
            assert request.startswith(b"OPTIONS sip:127.0.0.1:%d SIP/2.0\r\n" % port)
            server.sendto(b"SIP/2.0 200 OK\r\n\r\n", client)

        thread = threading.Thread(target=answer)
        thread.start()
        assert startup.answers(found, os.getpid(), time.monotonic() + 10)
        thread.join()


def test_readiness_is_not_waited_for_when_the_server_is_gone(configuration: Path) -> None:
    found = settings.load({"KP_PORT": "1"}, configuration)
    assert not startup.answers(found, 999999999, time.monotonic() + 10)
