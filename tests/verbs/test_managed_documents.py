"""Documents that the operator reads and writes: kemi/xcap/manage.py and the list of kemi/xcap/store.py."""

from itertools import count
from typing import Any

import pytest

from kemi import consequences, identity
from kemi.effects import Wake
from kemi.xcap import manage, store
from kemi.xcap.errors import (
    CannotInsert,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    SchemaValidationError,
    UniquenessFailure,
    XcapError,
)
from kemi.xcap.manage import Wish
from kemi.xcap.serve import Result
from tests.unit.values import ALICE, BOB
from tests.unit.xcap.rules import document, rule
from tests.verbs.fetched import Cache
from tests.verbs.ruled import BOBS, Ruled, allow, outcome, published
from tests.verbs.world import World
from tests.verbs.xcap import ENTRY, INDEX, LISTS, Client

RULES = f"pres-rules/users/{ALICE}/index"
LIST = f"resource-lists/users/{ALICE}/index"

_tags = count(1)


def asked(world: World, method: str, where: str, body: bytes = b"", **conditions: Any) -> Result:
    changed = consequences.follow(world.moment)
    wish, realm = Wish(method, where, body, **conditions), identity.realm(world.settings)
    return manage.perform(world.moment, realm, wish, f"managed-{next(_tags)}", changed)


@pytest.mark.parametrize(
    "where",
    [
        LIST, f"/{LIST}", "resource-lists/users/alice@example.org/index", "resource-lists/users/alice/index", INDEX,
        f"http://xcap.example.org:8080{INDEX}", f"HTTPS://127.0.0.1{INDEX}", LIST.replace(":", "%3A"),
    ],
)  # fmt: skip
def test_a_document_is_found_however_its_path_is_written(world: World, where: str) -> None:
    assert asked(world, "PUT", LIST, LISTS).status == 201
    found = asked(world, "GET", where)
    assert (found.body, found.content_type) == (LISTS, "application/resource-lists+xml")


def test_what_the_operator_writes_a_client_reads_and_the_other_way_round(world: World) -> None:
    alice = Client(world)
    done = asked(world, "PUT", LIST, LISTS)
    assert (alice.get().body, done.effects != ()) == (LISTS, True)
    alice.put(body=LISTS + b"\n")
    assert asked(world, "GET", LIST).body == LISTS + b"\n"
    again = asked(world, "PUT", LIST, LISTS + b"\n")
    assert (again.status, again.effects) == (200, ())
    assert asked(world, "DELETE", LIST).etag is None
    assert alice.get().status == 404


def test_parts_of_a_document(world: World) -> None:
    asked(world, "PUT", LIST, LISTS)
    entry = f'{LIST}/~~/resource-lists/list[@name="friends"]/entry[@uri="sip:carol@example.org"]'
    assert asked(world, "PUT", entry, ENTRY).status == 201
    assert asked(world, "GET", entry).body == ENTRY
    assert asked(world, "GET", f"{entry}/@uri").body == b'"sip:carol@example.org"'
    with pytest.raises(CannotInsert):
        asked(world, "PUT", entry, ENTRY.replace(b"carol", b"dave"))
    assert asked(world, "DELETE", entry).etag is not None
    assert asked(world, "GET", LIST).body == LISTS


def test_prefixes_that_are_known_without_saying(world: World) -> None:
    asked(world, "PUT", RULES, document(rule(BOBS, name="a")))
    assert b"sub-handling>allow<" in asked(world, "GET", f'{RULES}/~~/cp:ruleset/cp:rule[@id="a"]/cp:actions/pr:sub-handling').body
    node = f"{RULES}/~~/x:ruleset?xmlns(x=urn:ietf:params:xml:ns:common-policy)"
    assert asked(world, "GET", node).body.startswith(b"<cp:ruleset")


def test_a_document_changes_only_while_its_condition_holds(world: World) -> None:
    done = asked(world, "PUT", LIST, LISTS, if_none_match="*")
    with pytest.raises(PreconditionFailed):
        asked(world, "PUT", LIST, LISTS, if_none_match="*")
    assert asked(world, "GET", LIST, if_none_match=done.etag).status == 304
    with pytest.raises(PreconditionFailed):
        asked(world, "DELETE", LIST, if_match="other")
    assert asked(world, "DELETE", LIST, if_match=f'"{done.etag}"').status == 200


def test_rules_count_at_once(world: World) -> None:
    ruled = Ruled(world)
    dialog = world.watch()
    done = asked(world, "PUT", RULES, document(rule(BOBS, "block")))
    assert [each for each in done.effects if isinstance(each, Wake)]
    assert world.subscription(dialog).decision.value == "block"
    assert outcome(ruled.world) == "refused"
    asked(world, "PUT", RULES, document(allow()))
    assert outcome(world) == "active"
    asked(world, "DELETE", f'{RULES}/~~/cp:ruleset/cp:rule[@id="r"]')
    assert outcome(world) == "refused"


def test_hard_state_is_published(world: World) -> None:
    world.set(notify_interval=0)
    world.watch()
    asked(world, "PUT", f"pidf-manipulation/users/{ALICE}/index", published())
    (told,) = world.told()
    assert "<basic>open</basic>" in told.body


def test_global_documents_and_those_that_the_server_makes(world: World) -> None:
    where = "resource-lists/global/index"
    assert asked(world, "PUT", where, LISTS).status == 201
    assert asked(world, "GET", where).body == LISTS
    assert b"<auids>" in asked(world, "GET", "xcap-caps/global/index").body
    assert asked(world, "GET", "rls-services/global/index").status == 200
    assert b"resource-lists" not in asked(world, "GET", f"xcap-directory/users/{ALICE}/directory.xml").body
    with pytest.raises(MethodNotAllowed):
        asked(world, "PUT", "xcap-caps/global/index", b"<a/>")


@pytest.mark.parametrize(
    ("where", "body", "error"),
    [
        (f"x/users/{ALICE}/index", LISTS, NotFound), ("resource-lists/users/alice@elsewhere.example/index", LISTS, NotFound),
        (LIST, b"<a/>", SchemaValidationError), ("", LISTS, NotFound),
        (LIST, LISTS.replace(b"</list>", b'</list><list name="friends"/>'), UniquenessFailure),
    ],
)  # fmt: skip
def test_what_a_client_may_not_do_the_operator_may_not_either(
    world: World, where: str, body: bytes, error: type[XcapError]
) -> None:
    with pytest.raises(error):
        asked(world, "PUT", where, body)


def test_where_documents_of_another_server_count_there_are_none(world: World) -> None:
    Cache(world)
    for method in ("GET", "PUT", "DELETE"):
        with pytest.raises(NotFound, match=r"xcap\.xcap_root"):
            asked(world, method, LIST, LISTS)


def test_documents_are_listed_by_user_and_usage(world: World) -> None:
    asked(world, "PUT", LIST, LISTS)
    asked(world, "PUT", LIST.replace("index", "more"), LISTS)
    world.now += 5
    done = asked(world, "PUT", RULES, document())
    asked(world, "PUT", RULES.replace(ALICE, BOB), document())
    asked(world, "PUT", "resource-lists/global/index", LISTS)

    def listed(xui: str = "", auid: str = "", limit: int = 10) -> list[str]:
        found = store.list_all(world.database, xui, auid, limit)
        return [f"{each.selector.auid} {each.selector.xui} {each.selector.name}" for each in found]

    assert listed(ALICE) == [f"pres-rules {ALICE} index", f"resource-lists {ALICE} index", f"resource-lists {ALICE} more"]
    assert listed(auid="pres-rules") == [f"pres-rules {ALICE} index", f"pres-rules {BOB} index"]
    assert listed() == ["resource-lists  index", *listed(ALICE), f"pres-rules {BOB} index"]
    assert listed(BOB, "resource-lists") == []
    assert len(listed(limit=2)) == 2
    (found,) = store.list_all(world.database, ALICE, "pres-rules", 10)
    assert found[1:] == (done.etag, "application/auth-policy+xml", world.now, len(document()))
