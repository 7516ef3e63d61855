"""Kamailio as a process: its configuration, command line and environment, whether one runs already, whether it answers."""

import errno
import os
import re
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from kemi import configuration_file, listening, options, settings
from kemi.configuration_file import Assignment, ConfigurationFile
from kemi.errors import ConfigurationError
from kemi.parameters import GROUPS
from kemi.settings import Settings

PROJECT: Final = Path(__file__).resolve().parent.parent
MEMORY: Final = ("-x", "fm", "-X", "fm", "-M", "16")
"""Kamailio's memory manager, shared and private, and MiB for each process."""

LEAST_SHARED: Final = 512
"""MiB of shared memory, on however small a machine."""

OVERCOMMIT: Final = Path("/proc/sys/vm/overcommit_memory")

FOR_CONNECTIONS: Final = 0.7
"""The part of it that connections may hold."""

READ_BUFFER: Final = 1.125
"""MiB of it that each connection holds (`tcp_rd_buf_size`)."""

INCLUDED: Final = PROJECT / "kemi-presence.cfg"
"""What every configuration that runs the program includes."""

INCLUDED_NAME: Final = "KEMI_PRESENCE"
"""Name that this file defines."""

CHECK_TIMEOUT: Final = 60
"""Seconds in which `kamailio -c` has to end."""

ORPHAN_TIMEOUT: Final = 5
"""Seconds in which workers that were ended have to be gone."""

PORT_TIMEOUT: Final = 1
"""Seconds in which who has just ended has to let go of its ports."""

PID_FILE: Final = "kamailio.pid"
LONGEST_SOCKET: Final = 104
"""Octets of a Unix socket's path, as Kamailio takes it."""

NEEDED: Final = {("usrloc", "use_domain"): "1", ("usrloc", "db_mode"): "4", ("registrar", "received_avp"): "$avp(received)"}
"""Parameters of modules that cannot be others: users of one name in two domains are two; the program writes who is registered; and
a connection that ends ends what was registered over it."""

PLACE_IN_KAMAILIO: Final = re.compile(r"^.*?\]: \w+\(\): ")
"""What stands before the words of a line of its log: process, level, place in its sources."""

NOT_IN_A_FOLDER: Final = re.compile(r'["?:\x00-\x1f]')
"""What a quoted text of kamailio.cfg, a database's URL or the name of a control socket cannot hold."""


class NotNow(ConfigurationError):
    """What is configured can be used, but not at this moment, or not by this user."""


def refuse_incomplete(configuration: Path, outer: Mapping[str, str]) -> None:
    """Make sure that a configuration has what the program needs of Kamailio; without it, it would start and refuse everything.

    One that neither loads Python nor sets a parameter of ours, as a proxy in front of the server, needs nothing.

    Raises:
        ConfigurationError: it does not include our file, or includes one of an earlier release.
    """
    file = configuration_file.read(configuration, settings.without_empty(outer), settings.defines(outer))
    is_ours = "MOD_app_python3" in file.defines or any(name.partition(".")[0] in GROUPS for name in file.parameters)
    if is_ours and INCLUDED_NAME not in file.defines:
        needed = f'include_file "{INCLUDED}"'
        raise ConfigurationError(f"{configuration} does not include kemi-presence.cfg of this release: {needed} is needed")


def read(found: Settings, configuration: Path, outer: Mapping[str, str]) -> ConfigurationFile:
    """The configuration as Kamailio will read it."""
    return configuration_file.read(configuration, environment(found, configuration, outer), settings.defines(outer))


def refuse_other_values(found: Settings, file: ConfigurationFile) -> None:
    """Make sure that Kamailio itself uses the folder and the database of the program, and its modules what the program relies on.

    It takes a folder as it is written, with quotation marks, from its own working directory; no variable overrides a define. A
    configuration that does not include our file, as a proxy in front of the server, may use what it likes.

    Args:
        file: the configuration as Kamailio will read it.

    Raises:
        ConfigurationError: it would use others.
    """
    if INCLUDED_NAME not in file.defines:
        return
    folder = file.defines.get("KP_VAR", str(found.var))
    if folder[:1] in "\"'" or (PROJECT / configuration_file.unquoted(folder)).resolve() != found.var:
        needed = f"{found.var} without quotation marks, as the program uses it, is needed"
        raise ConfigurationError(f"KP_VAR = {folder}: Kamailio takes it as the configuration defines it; {needed}")
    url = configuration_file.unquoted(file.defines.get("KP_DB_URL", found.db_url))
    if _database(url) != _database(found.db_url):
        needed = f"{found.shown_db_url}, as the program uses it, is needed"
        raise ConfigurationError(f"KP_DB_URL: Kamailio takes the one that the configuration defines; {needed}")
    given = _last_given(file, "usrloc", "db_url")
    if given is not None and _database(str(given.value)) != _database(found.db_url):
        told = 'modparam("usrloc", "db_url", ...) is another database'
        raise ConfigurationError(f"{given.place}: {told}; {found.shown_db_url} is needed, as kemi-presence.cfg has it")
    for (module, parameter), value in NEEDED.items():
        given = _last_given(file, module, parameter)
        if given is not None and str(given.value).replace("$avp(s:", "$avp(") != value:  # both are one
            told = f'modparam("{module}", "{parameter}", ...) is {given.value}'
            raise ConfigurationError(f"{given.place}: {told}; the program needs {value}, as kemi-presence.cfg has it")


def _last_given(file: ConfigurationFile, module: str, parameter: str) -> Assignment | None:
    """What a parameter of a module is set to; one modparam may name several modules."""
    names = (name.rpartition(".") for name in file.modules)
    given = [f"{modules}.{last}" for modules, _, last in names if last == parameter and module in modules.split("|")]
    return file.modules[given[-1]] if given else None


def _database(url: str) -> Path | str:
    """What it is for Kamailio: a file; or PostgreSQL, which the program finds for it, whatever stands behind."""
    path = url.removeprefix("sqlite:///")
    if path != url:
        return (PROJECT / path).resolve()
    return "postgresql" if url.startswith("postgresql:") else url


def refuse_unusable_folder(found: Settings) -> None:
    """Make sure that KP_VAR can hold what the server keeps there; nothing is made.

    Raises:
        ConfigurationError: it cannot.
    """
    folder = found.var
    socket_name = os.fsencode(folder / "kamailio_ctl")
    if wrong := NOT_IN_A_FOLDER.search(str(folder)):
        raise ConfigurationError(f'KP_VAR = {str(folder)!r}: {wrong[0]!r} cannot stand in it; a path without " : ? is allowed')
    if len(socket_name) > LONGEST_SOCKET:
        most = LONGEST_SOCKET - len("/kamailio_ctl")
        raise ConfigurationError(
            f"KP_VAR = {str(folder)!r}: too long for the control socket in it; up to {most} octets are allowed"
        )
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        problem = "is not a folder" if not there.is_dir() else "this user may not write there"
        raise ConfigurationError(f"KP_VAR = {str(folder)!r}: {problem} ({there}); a folder that this user may write is needed")


def refuse_taken_sockets(found: Settings, file: ConfigurationFile) -> None:
    """Make sure that Kamailio can listen where it is to. What has just ended may need a moment to let go.

    Raises:
        ConfigurationError: it cannot.
    """
    sockets = listening.listeners(file)
    listening.refuse_doubled(found, sockets)
    deadline = time.monotonic() + PORT_TIMEOUT
    while refused := listening.tried(file, sockets):
        if refused[0].error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
            raise ConfigurationError(listening.words(found, refused[0]))
        time.sleep(0.05)


def state_of_sockets(found: Settings, file: ConfigurationFile) -> str:
    """What a start would find. That a port is taken at this moment, as a rule by this very server, is no fault of the settings.

    Raises:
        NotNow: a start would fail now, or if this user made it.
        ConfigurationError: Kamailio can never listen where it is to.
    """
    sockets = listening.listeners(file)
    listening.refuse_doubled(found, sockets)
    refused = listening.tried(file, sockets)
    servers = processes_with(found.var / PID_FILE)
    for each in refused:
        if each.error.errno not in listening.FOR_NOW:
            raise ConfigurationError(listening.words(found, each))
    if refused and servers:
        return f"this server is running, as process {min(servers, key=int)}"
    if servers:
        raise NotNow(f"a start now would fail: process {min(servers, key=int)}, with other ports, has KP_VAR = {str(found.var)!r}")
    if refused:
        raise NotNow(f"a start now would fail: {listening.words(found, refused[0])}")
    return ", ".join(map(str, sockets))


def refuse_second_server(pid_file: Path) -> list[int]:
    """Make sure that no server uses this pid file; what a killed one left behind is taken away.

    Kamailio's workers outlive a main process that is killed, and hold its ports.

    Returns:
        Process ids of such workers, which were ended.

    Raises:
        ConfigurationError: a server lives.
    """
    servers = processes_with(pid_file)
    text = pid_file.read_text().strip() if pid_file.is_file() else ""
    if text in servers or (servers and not text):
        process = text or min(servers, key=int)
        raise ConfigurationError(f"already running as process {process} ({pid_file}); end it or set another KP_VAR")
    for orphan in servers:
        os.kill(int(orphan), signal.SIGKILL)
    deadline = time.monotonic() + ORPHAN_TIMEOUT
    while processes_with(pid_file) and time.monotonic() < deadline:
        time.sleep(0.02)
    pid_file.unlink(missing_ok=True)
    return [int(orphan) for orphan in servers]


def processes_with(pid_file: Path) -> list[str]:
    """The ids of the processes that were started as a server with this pid file."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"kamailio") and os.fsencode(pid_file) in words:
            found.append(folder.name)
    return found


def command_line(found: Settings, configuration: Path, outer: Mapping[str, str]) -> list[str]:
    """The command line that becomes the server."""
    command = ["kamailio", "-f", str(configuration), *memory(), "-DD", "-E"]
    command += ["-P", str(found.var / PID_FILE), "-w", str(PROJECT)]
    return command + definitions(found, outer)


def shared_memory() -> int:
    """MiB of shared memory: a quarter of the machine's. It is reserved; taken is what is filled.

    A machine that counts what is reserved (vm.overcommit_memory = 2, as PostgreSQL recommends) is asked for the least.
    """
    if OVERCOMMIT.exists() and OVERCOMMIT.read_text().strip() == "2":
        return LEAST_SHARED
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return max(machine // 4, LEAST_SHARED)


def memory() -> tuple[str, ...]:
    """The arguments that say how much memory there is."""
    return (*MEMORY, "-m", str(shared_memory()))


def connections() -> int:
    """How many connections over TCP, TLS and WebSocket leave enough shared memory and open files for everything else."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = int(shared_memory() * FOR_CONNECTIONS / READ_BUFFER)
    return held if most == resource.RLIM_INFINITY else min(held, int(most * FOR_CONNECTIONS))


def allow_open_files() -> None:
    """Let each process open as many files as it may: a connection is one of them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # the kernel may allow fewer than the limit says
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def definitions(found: Settings, outer: Mapping[str, str]) -> list[str]:
    """The -A arguments: names that kamailio.cfg is to find defined."""
    arguments: list[str] = []
    for name, value in ({"TCP_CONNECTIONS": str(connections())} | settings.defines(outer)).items():
        arguments += ["-A", f"{name}={value}" if value else name]
    if "auth.algorithm" in settings.overrides(outer):
        arguments += ["-A", f'AUTH_ALGORITHM="{found.auth.algorithm}"']
    return arguments


def environment(found: Settings, configuration: Path, outer: Mapping[str, str]) -> dict[str, str]:
    """The environment of the server: every KP_ value in the form that means the same in every process of it.

    Debian has the program in a folder that is not on everybody's PATH. The Python inside it would look for its library beside
    whatever python3 comes first there: it is told.
    """
    path = f"{outer.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin"
    outer = {name: value for name, value in settings.without_empty(outer).items() if name != "PYTHONPATH"} | {"PYTHONHOME": "/usr"}
    return {**outer, **found.environment(), "KP_CONFIGURATION": str(configuration), "PATH": path}


def execute(command: list[str], variables: Mapping[str, str]) -> NoReturn:
    """Replace this process.

    Raises:
        ConfigurationError: there is no such program.
    """
    allow_open_files()
    try:
        os.execvpe(command[0], command, dict(variables))
    except FileNotFoundError:
        raise ConfigurationError(f"{command[0]} is not installed; make run installs it") from None


def check_syntax(found: Settings, configuration: Path, outer: Mapping[str, str]) -> str:
    """Let Kamailio check the syntax of its configuration.

    Raises:
        ConfigurationError: it refuses, or would use another folder or database than the program.
    """
    refuse_other_values(found, read(found, configuration, outer))
    command = ["kamailio", "-c", "-f", str(configuration), *memory(), "-w", str(PROJECT), *definitions(found, outer)]
    try:
        done = subprocess.run(
            command,
            env=environment(found, configuration, outer),
            capture_output=True,
            text=True,
            timeout=CHECK_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigurationError("kamailio is not installed; make run installs it") from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"kamailio -c did not end within {CHECK_TIMEOUT} seconds") from None
    if done.returncode == 0:
        return "syntax is right"
    raise ConfigurationError(_complaint(done.stderr.splitlines()))


def _complaint(printed: list[str]) -> str:
    """What Kamailio complains of first: where it is, and in brackets what, which it may say on a line before."""
    errors, places = ([PLACE_IN_KAMAILIO.sub("", line) for line in printed if level in line] for level in ("ERROR", "CRITICAL"))
    first = (places or errors or printed or ["refused"])[0]
    return f"{first} ({errors[0]})" if places and errors else first


def answers(found: Settings, server: int, deadline: float) -> bool:
    """Whether the server answers an OPTIONS request.

    Args:
        server: its process id; nobody is waited for who has ended.
        deadline: until when it is asked, by `time.monotonic`, in seconds.
    """
    with options.connected(found) as client:
        client.settimeout(0.1)
        while time.monotonic() < deadline and Path("/proc", str(server)).exists():
            if answered(client, found):
                return True
    return False


def answered(client: socket.socket, found: Settings) -> bool:
    """Send one OPTIONS request and wait a moment."""
    try:
        return options.is_answered(client, found)
    except OSError:
        time.sleep(0.1)
        return False
