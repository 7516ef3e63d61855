"""Loaded by Kamailio's app_python3 (kemi-presence.cfg: `modparam("app_python3", "load", ...)`).

Puts the project and its virtual environment on the path of the embedded interpreter, and hands Kamailio the object whose methods
it calls: the callbacks of `kemi.handler`, and the script functions of `kemi.ser`. Kamailio puts this folder itself on the path; it
is taken off, or modules here would stand for those of the standard library that are called the same.
"""

import gc
import os
import site
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

sys.path[:] = [str(ROOT), *(each for each in sys.path if Path(each).resolve() != ROOT / "kemi")]
gc.disable()  # what is imported stays: to look for cycles in it takes a third of the time
for folder in (ROOT / ".venv" / "lib").glob("python3*/site-packages"):
    site.addsitedir(str(folder))

from kemi import database, gateway, schema, settings, sole_server, startup  # noqa: E402
from kemi.database import Unavailable  # noqa: E402
from kemi.errors import ConfigurationError  # noqa: E402
from kemi.handler import resume, show_registrations  # noqa: E402
from kemi.ser_xcap import Script  # noqa: E402

COLLECTION = (20_000, 20, 100)
"""When Python looks for cycles: rarely, requests leave none; what was imported before the fork is never looked at."""


def mod_init(kind: type[Script] = Script) -> Script:
    """Called once, before Kamailio forks: check settings and schema, and take up what a crash left.

    Args:
        kind: a class of one's own with more callbacks (docs/functions.md).

    Raises:
        SystemExit: stops the start; a line in the log says why.
    """
    try:
        configured = settings.load(os.environ, configuration_file())
        startup.refuse_incomplete(configuration_file(), os.environ)
        for line in configured.notices:
            gateway.warn(line)
        lock = sole_server.lock_of(configured)
        sole_server.wait(lock, configured, gateway.warn)
        connection = database.connect(configured)
        schema.migrate(connection)
        resume(connection, configured, startup.read(configured, configuration_file(), os.environ))
        secret = schema.secret(connection)
        show_registrations(connection, configured, secret)
        connection.close()
        os.environ.update(database.environment(configured))
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECTION)
        gc.enable()
    except (ConfigurationError, Unavailable) as problem:
        gateway.error(f"kemi-presence: {problem}")
        sys.exit(1)
    script = kind(configured, secret)
    script.lock = lock
    return script


def configuration_file() -> Path:
    """The file that Kamailio was started with (-f)."""
    arguments = Path("/proc/self/cmdline").read_bytes().decode().split("\0")
    return Path(arguments[arguments.index("-f") + 1] if "-f" in arguments else "/etc/kamailio/kamailio.cfg")
