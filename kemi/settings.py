"""Everything an operator can set, typed, validated and frozen.

Each value is looked for in turn, the last one found wins:

1. the default of its field;
2. kamailio.cfg: `group.name = value desc "..."` for a parameter, `#!define KP_PORT 5060` for a variable of 3;
3. the environment: `KP_IP`, `KP_PORT`, `KP_HTTP_PORT`, `KP_TLS_PORT`, `KP_DB_URL`, `KP_DOMAINS`, `KP_TRUSTED`, `KP_VAR`,
   `KP_WORKERS`;
4. `KP_SET`: any parameter, as in `KP_SET="pa.auth=none;pa.notify_interval=0"`.

`KP_DEFINES` holds names that are defined before kamailio.cfg is read, as in `KP_DEFINES="WITH_TLS"`. An empty variable
counts as not set. What the parameters are: `parameters`. Those that change while the server runs: `runtime_settings`.
"""

import difflib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kemi import configuration_file, parameters, ser_parameters, sip
from kemi.configuration_file import Assignment, ConfigurationFile
from kemi.errors import ConfigurationError, SipError
from kemi.parameters import (
    GROUPS,
    AuthSettings,
    B2buaSettings,
    DatabaseSettings,
    PresenceAgentSettings,
    ResourceListSettings,
    XcapSettings,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LIFETIMES_OF_LISTS: Final = ("min_expiration", "default_expiration", "max_expiration")
"""Parameters of the group rls, from the shortest to the longest."""

VARIABLES: Final = (
    "KP_IP", "KP_PORT", "KP_HTTP_PORT", "KP_TLS_PORT", "KP_TLS_CERTIFICATE", "KP_TLS_KEY", "KP_DOMAINS", "KP_TRUSTED", "KP_DB_URL",
    "KP_VAR", "KP_WORKERS", "KP_SET", "KP_DEFINES", "KP_NONCE_SECRET", "KP_CONFIGURATION",
)  # fmt: skip
LISTEN: Final = re.compile(r"(?:(\w+):)?(\[[0-9A-Fa-f:.]+\]|[0-9.]+):([0-9]+)")
HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\]")


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
    xcap: XcapSettings = field(default_factory=XcapSettings)
    rls: ResourceListSettings = field(default_factory=ResourceListSettings)
    b2b: B2buaSettings = field(default_factory=B2buaSettings)
    notices: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """Lines about what is set and has no effect, for whoever starts the server."""

    written: Mapping[str, int | str] = field(default_factory=dict, repr=False, compare=False)
    """Parameters as kamailio.cfg has them, by `group.name`: what Kamailio itself knows."""

    listening: tuple[tuple[str, str, int], ...] = field(default=(), repr=False, compare=False)
    """Transports, addresses and ports that `listen` names."""

    @property
    def shown_db_url(self) -> str:
        """The URL of the database without its password."""
        return re.sub(r"(://[^/@:]*):[^@/]*@", r"\1@", self.db_url).partition("?")[0]

    def environment(self) -> dict[str, str]:
        """The variables that give these settings again in any working directory; parameters are not among them."""
        return {
            "KP_IP": sip.bracketed(self.address),
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
    environment = without_empty(environment)
    _refuse_unquotable(environment)
    file = configuration_file.read(configuration, environment, defines(environment))
    start = _Variables(environment, file)
    var = Path(start.text("KP_VAR", "var")).resolve()
    assigned = _assigned(file, overrides(environment))
    notices = {name: ser_parameters.notice(name, each.place) for name, each in assigned.items()}
    ours = {name: each for name, each in assigned.items() if not notices[name]}
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
        notices=(*filter(None, notices.values()), *_of_no_group(file), *_not_read(environment, file)),
        written={name: each.value for name, each in file.parameters.items() if name in ours},
        listening=tuple(_listening(file)),
        **{group: GROUPS[group](**values) for group, values in parameters.values(ours).items()},
    )
    _check_together(settings)
    return settings


def _listening(file: ConfigurationFile) -> Iterator[tuple[str, str, int]]:
    """What `listen` names by an address and a port; without a transport it is meant for UDP and TCP."""
    for each in file.listen:
        match = LISTEN.fullmatch(str(each.value))
        with suppress(ValueError):
            if match is not None:
                address, port = str(ipaddress.ip_address(match[2].strip("[]"))), int(match[3])
                yield from ((transport, address, port) for transport in ([match[1].lower()] if match[1] else ("udp", "tcp")))


def changed(settings: Settings, changes: Mapping[str, int | str], place: str) -> Settings:
    """The same settings, with other values for some parameters.

    Args:
        changes: values by `group.name`.
        place: where they are from, for messages.

    Raises:
        ConfigurationError: a value cannot be used, or contradicts others.
    """
    values = parameters.values({name: Assignment(value, place) for name, value in changes.items()})
    groups = {group: replace(getattr(settings, group), **other) for group, other in values.items()}
    found = replace(settings, **groups)
    _check_together(found, place)
    return found


def without_empty(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without variables of ours that are empty: they count as not set."""
    return {name: value for name, value in environment.items() if value.strip() or not name.startswith("KP_")}


def overrides(environment: Mapping[str, str]) -> dict[str, str]:
    """The parameters that `KP_SET` sets, as text by `group.name`.

    Raises:
        ConfigurationError: a part of it is no assignment.
    """
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in environment.get("KP_SET", "").split(";"))):
        name, separator, value = part.partition("=")
        if not separator:
            raise ConfigurationError(f'KP_SET: {part!r}: group.name=value is needed, several parted by ";"')
        values[name.strip()] = value.strip().strip("\"'")
    return values


def defines(environment: Mapping[str, str]) -> dict[str, str]:
    """The names that `KP_DEFINES` defines before kamailio.cfg is read, with their values.

    Raises:
        ConfigurationError: one of them cannot be a name.
    """
    values: dict[str, str] = {}
    for part in environment.get("KP_DEFINES", "").replace(",", " ").split():
        name, _, value = part.partition("=")
        if not re.fullmatch(configuration_file.NAME, name):
            raise ConfigurationError(f"KP_DEFINES: {part!r}: NAME or NAME=value is needed, several parted by commas")
        values[name] = value
    return values


class _Variables:
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
        return parameters.whole_number(name, self.text(name, str(default)), least, most, "")

    def address(self, name: str, default: str) -> str:
        text = self.text(name, default)
        try:
            found = ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
        except ValueError:
            raise ConfigurationError(f"{name} = {text!r}: an IPv4 or IPv6 address is needed, e.g. 127.0.0.1") from None
        if complaint := _not_of_one_machine(found):
            raise ConfigurationError(f"{name} = {text!r}: {complaint}; one address that clients reach is needed, e.g. 192.0.2.10")
        return str(found)

    def domains(self, name: str, default: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(_domain(name, item.lower()) for item in self.items(name, default)))
        if not found:
            raise ConfigurationError(f"{name} names no domain; at least one is needed, e.g. example.org")
        return found

    def networks(self, name: str) -> tuple[Network, ...]:
        return tuple(_network(name, item) for item in self.items(name, ""))


def _not_of_one_machine(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Why a server cannot tell clients this address as its own, "" where it can."""
    if address.is_unspecified:
        return "stands for every address"
    if address.is_multicast or str(address) == "255.255.255.255":
        return "stands for many machines"
    return "is link-local" if address.version == 6 and address.is_link_local else ""


def _domain(name: str, text: str) -> str:
    """As the host of a URI is compared."""
    try:
        if HOST.fullmatch(text):
            return sip.parse_uri(f"sip:{text}").host
    except SipError:
        pass
    raise ConfigurationError(f"{name}: {text!r} is not a domain; e.g. example.org,example.com is allowed")


def _network(name: str, text: str) -> Network:
    """One of IPv4 that is written as IPv6 (RFC 4291 section 2.5.5.2) is one of IPv4: so sources are told."""
    try:
        found = ipaddress.ip_network(text, strict=False)
        mapped = found.network_address.ipv4_mapped if isinstance(found, ipaddress.IPv6Network) else None
        return ipaddress.ip_network(f"{mapped}/{found.prefixlen - 96}") if mapped and found.prefixlen >= 96 else found
    except ValueError:
        allowed = "e.g. 192.0.2.7,10.0.0.0/8,2001:db8::/32 is allowed"
        raise ConfigurationError(f"{name}: {text!r} is neither an address nor a network; {allowed}") from None


def _refuse_unquotable(environment: Mapping[str, str]) -> None:
    """kamailio.cfg puts these between double quotes."""
    for name in ("KP_DB_URL", "KP_NONCE_SECRET", "KP_TLS_CERTIFICATE", "KP_TLS_KEY"):
        if re.search(r'["\x00-\x1f]', environment.get(name, "")):
            more = "; %22 stands for it in the password of a URL" if name == "KP_DB_URL" else ""
            raise ConfigurationError(f"{name}: a value without double quotes and line ends is needed{more}")


def _db_url(url: str) -> str:
    """The same URL for any working directory; what is wrong with it is said without its password."""
    path = url.removeprefix("sqlite:///")
    if path != url and path and not path.endswith("/") and "?" not in path:
        return f"sqlite:///{Path(path).resolve()}"
    try:
        parts = urlsplit(url)
        is_encoded = not re.search(r"%(?![0-9A-Fa-f]{2})", url)
        is_clear = parts.netloc.count("@") < 2  # libpq takes what is behind the first one for a host
        usable = parts.scheme == "postgresql" and "://" in url and parts.port != 0 and is_encoded and is_clear
    except ValueError:
        usable = False
    if usable:
        return url
    shown = url if url.startswith("sqlite:") or ":" not in url else url.partition(":")[0] + ":..."
    percent = ", with %25 for a percent sign" if "%" in url else ", with %40 for an @ in PASSWORD" if url.count("@") > 1 else ""
    allowed = f"sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME is allowed{percent}"
    raise ConfigurationError(f"KP_DB_URL = {shown!r}: not the URL of a database; {allowed}")


def _assigned(file: ConfigurationFile, overridden: Mapping[str, str]) -> dict[str, Assignment]:
    """What is set for each parameter, by `group.name`: in kamailio.cfg, unless KP_SET has another value."""
    of_file = {name: each for name, each in file.parameters.items() if name.partition(".")[0] in GROUPS}
    return of_file | {name: Assignment(value, "KP_SET") for name, value in overridden.items()}


def _of_no_group(file: ConfigurationFile) -> Iterator[str]:
    """Lines about parameters of others that are called as ours are: Kamailio takes any group."""
    ours = parameters.known()
    for name, assignment in file.parameters.items():
        group, _, last = name.partition(".")
        meant = [f"{each}.{last}" for each in GROUPS if f"{each}.{last}" in ours]
        if group not in GROUPS and meant:
            yield f"{assignment.place}: {name} is no parameter of kemi-presence and has no effect here; {' or '.join(meant)} is one"


def _not_read(environment: Mapping[str, str], file: ConfigurationFile) -> Iterator[str]:
    """Lines about variables that look like ours and are none, nor of the configuration's own."""
    for name in sorted(environment):
        if name.startswith("KP_") and name not in VARIABLES and name not in file.defines:
            yield f"{name} is set and nobody reads it{_nearest(name, VARIABLES)}"
    for name in sorted(defines(environment).keys() - file.named):
        yield f"KP_DEFINES has {name}, and nothing asks for it{_nearest(name, file.named)}"


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _check_together(settings: Settings, place: str = "") -> None:
    """Refuse values that are right one by one and wrong together."""
    if settings.port == settings.http_port:
        raise ConfigurationError(f"KP_HTTP_PORT = {settings.http_port}: SIP uses it (KP_PORT); another port is needed")
    complaint = _contradiction(settings.pa) or _contradiction_of_lists(settings.rls) or _contradiction_of_roots(settings.xcap)
    if complaint:
        raise ConfigurationError(f"{place}: {complaint}" if place else complaint)


def _contradiction(pa: PresenceAgentSettings) -> str:
    """What is wrong between parameters of the group pa, "" where nothing is."""
    default, least = f"pa.default_expires = {pa.default_expires}", f"pa.min_expires = {pa.min_expires}"
    if pa.default_expires < pa.min_expires:
        return f"{default}: must not be below {least}"
    for name in ("max_subscription_expiration", "max_publish_expiration"):
        longest = getattr(pa, name)
        if pa.min_expires >= longest:
            return f"{least}: must be below pa.{name} = {longest}"
        if pa.default_expires > longest:
            return f"{default}: must not be above pa.{name} = {longest}"
    if bool(pa.pa_subscription_uri) != bool(pa.subscribe_to_users):
        return "pa.subscribe_to_users = 1 and pa.pa_subscription_uri are needed together"
    return ""


def _contradiction_of_roots(xcap: XcapSettings) -> str:
    """The same of the group xcap."""
    return "xcap.other_roots needs xcap.xcap_root" if xcap.other_roots and not xcap.xcap_root else ""


def _contradiction_of_lists(rls: ResourceListSettings) -> str:
    """The same of the group rls, whose three lifetimes may be one, as in SER's examples."""
    shortest, usual, longest = (f"rls.{name} = {getattr(rls, name)}" for name in LIFETIMES_OF_LISTS)
    if rls.min_expiration > rls.max_expiration:
        return f"{shortest}: must not be above {longest}"
    if not rls.min_expiration <= rls.default_expiration <= rls.max_expiration:
        return f"{usual}: must not be below {shortest} or above {longest}"
    return ""
