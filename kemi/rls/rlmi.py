"""What a list subscription tells of its resources, and the RLMI document that says it (pure; RFC 4662 section 5).

state        has a body                      has a reason
-----------  ------------------------------  -------------------------------
active       yes                             no
pending      no (RFC 5025 section 3.2.1)     no
terminated   no                              yes
nothing      no instance element: active without a body, or nothing heard of the resource yet

The document has `VERSION` in the place of its number, which each subscription counts (`kemi.event_package`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from kemi.event_package import VERSION, Document
from kemi.rls.resource_list import Names
from kemi.subscription import Reason, State
from kemi.xcap.errors import escaped

MEDIA_TYPE: Final = "application/rlmi+xml"
CONTENT_TYPE: Final = f'{MEDIA_TYPE};charset="UTF-8"'
NAMESPACE: Final = "urn:ietf:params:xml:ns:rlmi"


@dataclass(frozen=True, slots=True)
class Instance:
    """One virtual subscription to a resource (RFC 4662 section 5.5).

    Args:
        id: unique within the resource, the same in all documents.
        reason: with terminated only, and always.
        body: with active only: the resource's document, or what is told of it where it is a list itself.

    Raises:
        ValueError: a reason or a body where none may be, no reason where one has to be.
    """

    id: str
    state: State
    reason: Reason | None = None
    body: "Document | ListState | None" = None

    def __post_init__(self) -> None:
        if (self.state is State.TERMINATED) != (self.reason is not None):
            raise ValueError("a reason is for what is terminated, and for nothing else")
        if self.body is not None and self.state is not State.ACTIVE:
            raise ValueError("only what is active has a body")


class Resource(NamedTuple):
    """One resource and its instances.

    Args:
        uri: as the list has it (`Member.uri`).
    """

    uri: str
    names: Names = ()
    instances: tuple[Instance, ...] = ()

    @property
    def shown(self) -> list[Instance]:
        """The instances that something is known of."""
        return [each for each in self.instances if each.body is not None or each.state is not State.ACTIVE]


class ListState(NamedTuple):
    """What one document says.

    Args:
        uri: of the list.
        resources: all that the list has, if it is full.
        names: of the list.
        is_full: it is the state of all resources.
        version: its number; None: the subscription's.
    """

    uri: str
    resources: tuple[Resource, ...]
    names: Names = ()
    is_full: bool = True
    version: int | None = None


def bodies_of(state: ListState) -> "list[Document | ListState]":
    """The bodies of its instances, in the order of the document."""
    return [each.body for resource in state.resources for each in resource.instances if each.body is not None]


def write(state: ListState, content_ids: Iterable[str]) -> str:
    """The document.

    Args:
        content_ids: for each of `bodies_of`, without angle brackets.

    Raises:
        ValueError: two instances of a resource have one id.
    """
    ids = iter(content_ids)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\r\n<list xmlns="{NAMESPACE}" uri="{escaped(state.uri)}"'
        f' version="{VERSION if state.version is None else state.version}" fullState="{"true" if state.is_full else "false"}">\r\n'
        f"{_names(state.names)}{''.join([_resource(each, ids) for each in state.resources])}</list>\r\n"
    )


def _names(names: Names) -> str:
    return "".join([f"<name{_language(language)}>{escaped(text)}</name>\r\n" for language, text in names]) if names else ""


def _language(language: str) -> str:
    return f' xml:lang="{escaped(language)}"' if language else ""


def _resource(resource: Resource, ids: Iterator[str]) -> str:
    shown = resource.shown
    if len(shown) > 1 and len({each.id for each in shown}) < len(shown):
        raise ValueError("two instances of a resource have one id")
    if not (shown or resource.names):
        return f'<resource uri="{escaped(resource.uri)}"/>\r\n'
    instances = "".join([_instance(each, ids) for each in shown])
    return f'<resource uri="{escaped(resource.uri)}">\r\n{_names(resource.names)}{instances}</resource>\r\n'


def _instance(instance: Instance, ids: Iterator[str]) -> str:
    reason = f' reason="{instance.reason.value}"' if instance.reason else ""
    cid = f' cid="{escaped(next(ids))}"' if instance.body is not None else ""
    return f'<instance id="{escaped(instance.id)}" state="{instance.state.value}"{reason}{cid}/>\r\n'
