"""Parameters that are changed while the server runs: `kamcmd cfg.set_now_int pa notify_interval 0`.

Kamailio takes every value and checks none. Python may read it in some processes only (in a worker of `async` the read ends the
process), and reading all of them is too much for each request. So one process looks for all:

    tick      `Watch.look`, once a second: reads, checks, takes over or refuses, writes what is changed as one text
    workers   compare that text, in shared memory, with the one they saw last; `restored` makes settings of another one

A value that is refused leaves the old one in force, and one line in the log. It is looked at again whenever a parameter is set:
what contradicted another one may then be right. What was changed ends with the server; kamailio.cfg and KP_SET stay.
"""

import json
from collections.abc import Callable
from typing import Final

from kemi import parameters, settings
from kemi.errors import ConfigurationError
from kemi.settings import Settings

PLACE: Final = "kamcmd"


class Watch:
    """What was set while the server runs, as the process of the tick knows it.

    Args:
        start: the settings of the start.
    """

    def __init__(self, start: Settings) -> None:
        self.settings = start
        self._seen = {name: str(value) for name, value in start.written.items()}
        self._changes: dict[str, str] = {}
        self._refused: dict[str, str] = {}

    def look(self, read: Callable[[str], str]) -> tuple[list[str], list[str]]:
        """Look for values that were set since the last time.

        A value of KP_SET stays until kamcmd sets another one than kamailio.cfg has.

        Args:
            read: what Kamailio has for a parameter now, by `group.name`.

        Returns:
            A line for each parameter that has a new value, and one for each that was set and keeps the old one.
        """
        new = {name: value for name, before in self._seen.items() if (value := read(name)) != before}
        if not new:
            return [], []
        self._seen |= new
        before, waiting = self.settings, self._refused | new
        why = self._take_over(waiting)
        self._refused = {name: waiting[name] for name in why}
        taken = [
            f"parameter changed: {name}={shown(self.settings, name)} was={shown(before, name)}" for name in waiting.keys() - why
        ]
        return sorted(taken), [f"{why[name]}; {name} = {shown(before, name)} stays" for name in new if name in why]

    def text(self) -> str:
        """What is changed, for `restored`."""
        return json.dumps(self._changes, sort_keys=True)

    def _take_over(self, waiting: dict[str, str]) -> dict[str, str]:
        """Take over one after the other, until none of those that are left can be.

        Returns:
            Why not, by name.
        """
        why: dict[str, str] = {}
        for name, value in waiting.items():
            try:
                self.settings = _changed(self.settings, name, value)
            except ConfigurationError as problem:
                why[name] = str(problem)
            else:
                self._changes[name] = value
        return self._take_over({name: waiting[name] for name in why}) if 0 < len(why) < len(waiting) else why


def restored(start: Settings, text: str) -> Settings:
    """The settings of the start with the changes of a text that `Watch` wrote."""
    return settings.changed(start, json.loads(text), PLACE)


def shown(found: Settings, name: str) -> str:
    """A parameter's value as people write it."""
    group, _, parameter = name.partition(".")
    value = getattr(getattr(found, group), parameter)
    return repr(",".join(value) if isinstance(value, tuple) else value)


def _changed(found: Settings, name: str, value: str) -> Settings:
    after = settings.changed(found, {name: value}, PLACE)
    if after != found and not parameters.known()[name].metadata["runtime"]:
        raise ConfigurationError(f"{PLACE}: {name} = {value!r}: it changes with the next start only")
    return after
