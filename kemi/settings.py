"""Everything an operator can set, typed, validated and frozen.

Each value is looked for in turn, the last one found wins:

1. the default of its field;
2. kamailio.cfg: `group.name = value desc "..."` for a parameter, `#!define KP_PORT 5060` for a variable of 3;
3. the environment: `KP_IP`, `KP_PORT`, `KP_HTTP_PORT`, `KP_TLS_PORT`, `KP_DB_URL`, `KP_DOMAINS`, `KP_TRUSTED`, `KP_VAR`,
   `KP_WORKERS`;
4. `KP_SET`: any parameter, as in `KP_SET="pa.auth=none;pa.notify_interval=0"`.

`KP_DEFINES` holds names that are defined before kamailio.cfg is read, as in `KP_DEFINES="WITH_TLS"`. An empty variable
counts as not set. A parameter is one field of a group below; its metadata holds its meaning, unit and range or choices.
"""

import difflib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from kemi import configuration_file
from kemi.configuration_file import ConfigurationFile
from kemi.errors import ConfigurationError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\]")
NO_LIMIT: Final = 1_000_000


def _number(default: int, least: int, most: int, unit: str, meaning: str) -> int:
    value: int = field(default=default, metadata={"meaning": meaning, "unit": unit, "range": (least, most)})
    return value


def _choice(default: str, choices: tuple[str, ...], meaning: str) -> str:
    value: str = field(default=default, metadata={"meaning": meaning, "unit": "", "choices": choices})
    return value


@dataclass(frozen=True, slots=True)
class PresenceAgentSettings:
    """`pa`: publications, subscriptions and notifications."""

    default_expires: int = _number(3600, 60, 604800, "seconds", "expiry of a request that asks for none")
    max_subscription_expiration: int = _number(3600, 60, 604800, "seconds", "longest expiry granted to a subscription")
    max_publish_expiration: int = _number(3600, 60, 604800, "seconds", "longest expiry granted to a publication")
    min_expires: int = _number(60, 1, 3599, "seconds", "shortest expiry accepted, 423 below it")
    notify_interval: int = _number(5, 0, 3600, "seconds", "least time between two NOTIFYs of a subscription, 0 = off")
    auth: str = _choice("none", ("none", "implicit"), "who may watch: everybody, or by the rules of a presentity")
    presentities: str = _choice("any", ("any", "subscriber"), "which addresses of our domains exist, else 404")
    offline_document: str = _choice("closed", ("closed", "empty", "none"), "what is told when nothing is published")
    max_body: int = _number(65536, 1024, 1048576, "octets", "largest body accepted, 413 above it")
    max_publications: int = _number(64, 0, NO_LIMIT, "per presentity", "publications at a time, 0 = no limit")
    max_watchers: int = _number(5000, 0, NO_LIMIT, "per presentity", "subscriptions at a time, 0 = no limit")
    max_subscriptions: int = _number(1000, 0, NO_LIMIT, "per watcher", "subscriptions at a time, 0 = no limit")
    notify_batch: int = _number(200, 1, 1000, "NOTIFYs", "claimed at a time")


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """`db`: durability and patience."""

    synchronous: str = _choice("normal", ("normal", "full"), "what survives: a crash of the server, or a power cut too")
    busy_timeout: int = _number(5, 1, 60, "seconds", "longest wait for a lock")


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """`auth`: digest authentication."""

    algorithm: str = _choice("MD5", ("MD5", "SHA-256"), "hash of the digest")
    max_rate: int = _number(100, 0, NO_LIMIT, "requests a second", "of one source that is not trusted, 503 above it, 0 = no limit")
    check_from: int = _number(1, 0, 1, "", "1: From must be the authenticated user's address, else 403")


GROUPS: Final[Mapping[str, Any]] = MappingProxyType({"pa": PresenceAgentSettings, "db": DatabaseSettings, "auth": AuthSettings})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one server."""

    address: str
    port: int
    http_port: int
    tls_port: int
    db_url: str = field(repr=False)
    domains: tuple[str, ...]
    trusted: tuple[Network, ...]
    var: Path
    workers: int
    pa: PresenceAgentSettings
    db: DatabaseSettings
    auth: AuthSettings

    def environment(self) -> dict[str, str]:
        """The variables that give these settings again in any working directory; parameters are not among them."""
        return {
            "KP_IP": f"[{self.address}]" if ":" in self.address else self.address,
            "KP_PORT": str(self.port),
            "KP_HTTP_PORT": str(self.http_port),
            "KP_TLS_PORT": str(self.tls_port),
            "KP_DB_URL": self.db_url,
            "KP_DOMAINS": ",".join(self.domains),
            "KP_TRUSTED": ",".join(str(network) for network in self.trusted),
            "KP_VAR": str(self.var),
            "KP_WORKERS": str(self.workers),
        }


def load(environment: Mapping[str, str], configuration: Path) -> Settings:
    """Read and check all settings.

    Args:
        environment: the variables of the process.
        configuration: kamailio.cfg.

    Raises:
        ConfigurationError: a value cannot be used; one line says which, what is wrong, and what is allowed.
    """
    file = configuration_file.read(configuration, environment, defines(environment))
    start = _Start(environment, file)
    var = Path(start.text("KP_VAR", "var")).resolve()
    settings = Settings(
        address=start.address("KP_IP", "127.0.0.1"),
        port=start.number("KP_PORT", 5060, 1, 65534),
        http_port=start.number("KP_HTTP_PORT", 8080, 1, 65535),
        tls_port=start.number("KP_TLS_PORT", 5061, 1, 65535),
        db_url=_db_url(start.text("KP_DB_URL", f"sqlite:///{var}/presence.db")),
        domains=start.domains("KP_DOMAINS", "example.org"),
        trusted=start.networks("KP_TRUSTED"),
        var=var,
        workers=start.number("KP_WORKERS", 2, 1, 64),
        **_groups(file, overrides(environment)),
    )
    _check_together(settings)
    return settings


def overrides(environment: Mapping[str, str]) -> dict[str, str]:
    """The parameters that `KP_SET` sets, as text by `group.name`."""
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in environment.get("KP_SET", "").split(";"))):
        name, separator, value = part.partition("=")
        if not separator:
            raise ConfigurationError(f'KP_SET: {part!r}: group.name=value is needed, several parted by ";"')
        values[name.strip()] = value.strip().strip("\"'")
    return values


def defines(environment: Mapping[str, str]) -> dict[str, str]:
    """The names that `KP_DEFINES` defines before kamailio.cfg is read, with their values."""
    values: dict[str, str] = {}
    for part in environment.get("KP_DEFINES", "").replace(",", " ").split():
        name, _, value = part.partition("=")
        if not re.fullmatch(configuration_file.NAME, name):
            raise ConfigurationError(f"KP_DEFINES: {part!r}: NAME or NAME=value is needed, several parted by commas")
        values[name] = value
    return values


class _Start:
    """The values that the environment names, or a define of kamailio.cfg under the same name."""

    def __init__(self, environment: Mapping[str, str], file: ConfigurationFile) -> None:
        self._environment = environment
        self._file = file

    def text(self, name: str, default: str) -> str:
        defined = configuration_file.unquoted(self._file.defines.get(name, ""))
        return self._environment.get(name, "").strip() or defined or default

    def items(self, name: str, default: str) -> list[str]:
        return [item for item in (part.strip() for part in self.text(name, default).split(",")) if item]

    def number(self, name: str, default: int, least: int, most: int) -> int:
        return _whole_number(name, self.text(name, str(default)), least, most, "")

    def address(self, name: str, default: str) -> str:
        text = self.text(name, default)
        try:
            return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
        except ValueError:
            raise ConfigurationError(f"{name} = {text!r}: an IPv4 or IPv6 address is needed, e.g. 127.0.0.1") from None

    def domains(self, name: str, default: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(item.lower() for item in self.items(name, default)))
        for domain in found:
            if not HOST.fullmatch(domain):
                raise ConfigurationError(f"{name}: {domain!r} is not a domain; e.g. example.org,example.com is allowed")
        if not found:
            raise ConfigurationError(f"{name} names no domain; at least one is needed, e.g. example.org")
        return found

    def networks(self, name: str) -> tuple[Network, ...]:
        return tuple(_network(name, item) for item in self.items(name, ""))


def _network(name: str, text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        allowed = "e.g. 192.0.2.7,10.0.0.0/8,2001:db8::/32 is allowed"
        raise ConfigurationError(f"{name}: {text!r} is neither an address nor a network; {allowed}") from None


def _db_url(url: str) -> str:
    """The same URL for any working directory; what is wrong with it is said without its password."""
    path = url.removeprefix("sqlite:///")
    if path != url and path and not path.endswith("/") and "?" not in path:
        return f"sqlite:///{Path(path).resolve()}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "postgresql" and "://" in url and parts.port != 0
    except ValueError:
        usable = False
    if usable:
        return url
    shown = url if url.startswith("sqlite:") else url.partition(":")[0] + ":..."
    allowed = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME is allowed"
    raise ConfigurationError(f"KP_DB_URL = {shown!r}: not the URL of a database; {allowed}")


def _groups(file: ConfigurationFile, overridden: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, tuple[int | str, str]] = {}
    for name, assignment in file.parameters.items():
        if name.partition(".")[0] in GROUPS:
            given[name] = (assignment.value, assignment.place)
    given.update({name: (value, "KP_SET") for name, value in overridden.items()})
    values: dict[str, dict[str, int | str]] = {group: {} for group in GROUPS}
    for name, (value, place) in given.items():
        parameter = _field(name, place)
        values[name.partition(".")[0]][parameter.name] = _value(f"{place}: {name}", value, parameter)
    return {group: kind(**values[group]) for group, kind in GROUPS.items()}


def _field(name: str, place: str) -> Field[Any]:
    known = {f"{group}.{parameter.name}": parameter for group, kind in GROUPS.items() for parameter in fields(kind)}
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name, known, n=1)
    advice = f"did you mean {nearest[0]}?" if nearest else f"known are: {', '.join(known)}"
    raise ConfigurationError(f"{place}: there is no parameter {name!r}; {advice}")


def _value(name: str, value: int | str, parameter: Field[Any]) -> int | str:
    if "choices" in parameter.metadata:
        return _one_of(name, value, parameter.metadata["choices"])
    least, most = parameter.metadata["range"]
    return _whole_number(name, value, least, most, parameter.metadata["unit"])


def _one_of(name: str, value: int | str, choices: Iterable[str]) -> str:
    for choice in choices:
        if str(value).lower() == choice.lower():
            return choice
    raise ConfigurationError(f"{name} = {value!r}: not a choice; {' or '.join(choices)} is allowed")


def _whole_number(name: str, value: int | str, least: int, most: int, unit: str) -> int:
    allowed = f"{least} to {most} {unit}".rstrip() + " is allowed"
    if not re.fullmatch(r"-?[0-9]{1,18}", str(value)):
        raise ConfigurationError(f"{name} = {value!r}: not a whole number; {allowed}")
    if not least <= int(value) <= most:
        raise ConfigurationError(f"{name} = {value!r}: out of range; {allowed}")
    return int(value)


def _check_together(settings: Settings) -> None:
    """Refuse values that are right one by one and wrong together."""
    if settings.port == settings.http_port:
        raise ConfigurationError(f"KP_HTTP_PORT = {settings.http_port}: SIP uses it (KP_PORT); another port is needed")
    pa = settings.pa
    if pa.default_expires < pa.min_expires:
        raise _contradiction("default_expires", "must not be below", "min_expires", pa)
    for longest in ("max_subscription_expiration", "max_publish_expiration"):
        if pa.min_expires >= getattr(pa, longest):
            raise _contradiction("min_expires", "must be below", longest, pa)
        if pa.default_expires > getattr(pa, longest):
            raise _contradiction("default_expires", "must not be above", longest, pa)


def _contradiction(name: str, rule: str, other: str, pa: PresenceAgentSettings) -> ConfigurationError:
    return ConfigurationError(f"pa.{name} = {getattr(pa, name)}: {rule} pa.{other} = {getattr(pa, other)}")
