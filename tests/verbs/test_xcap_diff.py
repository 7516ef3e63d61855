"""The event package xcap-diff (RFC 5874, RFC 5875): kemi/packages/xcap_diff.py."""

from collections.abc import Callable

import pytest

from kemi.effects import Wake
from kemi.packages import xcap_diff
from tests.unit.values import ALICE, BOB, fields_of
from tests.verbs.diffing import HOME, MORE, RULES, SEL, User
from tests.verbs.world import World, state_of
from tests.verbs.xcap import BOB_THERE, CAROL, ENTRY, INDEX, LISTS, ROOT
from tests.xcapdiff import NAMESPACE, Part, read

FRIENDS = '/~~/resource-lists/list[@name="friends"]'


@pytest.fixture
def world(connect: Callable[..., World]) -> World:
    return connect(notify_interval=0).empty()


@pytest.fixture
def alice(world: World) -> User:
    return User(world)


def short(parts: list[Part]) -> list[tuple[str | None, ...]]:
    return [(each.kind, each.sel, each.previous, each.new, each.inside) for each in parts]


# What is told first


@pytest.mark.rfc("XCS-053", "XCS-055", "PA-020")
def test_first_all_documents_that_are_there_are_told_with_their_entity_tags(alice: User) -> None:
    alice.put()
    done = alice.subscribe(RULES, SEL, expires=None)
    (first,) = done.sent
    assert (done.header("Expires"), state_of(first)) == ("3600", "active;expires=3600")
    assert (fields_of(first.headers)["Event"], fields_of(first.headers)["Content-Type"]) == (
        ["xcap-diff"],
        ["application/xcap-diff+xml"],
    )
    told = read(first.body)
    assert told.root == "http://192.0.2.1:8080/xcap-root/"
    assert short(list(told.parts)) == [("document", SEL, None, alice.tag(), "")]


@pytest.mark.rfc("XCS-053", "XCS-058")
def test_what_is_not_there_yet_is_told_when_it_is(alice: User) -> None:
    _, first = alice.watch(SEL, SEL + CAROL)
    assert first.parts == ()
    alice.put()
    assert short(alice.told()) == [("document", SEL, None, alice.tag(), "")]
    alice.put(INDEX + CAROL, ENTRY)
    document, entry = alice.told()
    assert (entry.kind, entry.sel, entry.exists) == ("element", SEL + CAROL, True)
    assert entry.source is not None
    assert entry.source[0].tag == "{urn:ietf:params:xml:ns:resource-lists}entry"
    assert document.new == alice.tag()


@pytest.mark.rfc("XCS-053")
def test_elements_and_attributes_are_told_with_their_content(alice: User) -> None:
    alice.put(body=LISTS.replace(b"'friends'", b"'friends' xmlns:x=\"urn:x\" x:n='&lt;1&#10;&amp;'"))
    name, more = f"{SEL}{FRIENDS}/@name", f"{SEL}{FRIENDS}/@x:n?xmlns(x=urn:x)"
    _, first = alice.watch(SEL + BOB_THERE, name, more, f"{SEL}{FRIENDS}/namespace::*", f"{SEL}{FRIENDS}/@none", f"{SEL}/~~/a//b")
    entry, *attributes = first.parts
    declared = 'xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:x="urn:x"'
    assert sorted(entry.inside.split(" ")) == sorted(f'<entry {declared} xmlns:d="{NAMESPACE[1:-1]}" uri="{BOB}"/>'.split(" "))
    assert [(each.kind, each.sel, each.inside) for each in attributes] == [
        ("attribute", name, "friends"),
        ("attribute", more, "<1\n&"),
    ]


@pytest.mark.rfc("XCS-053")
def test_nothing_is_told_of_nothing(alice: User) -> None:
    for first in (alice.subscribe(), alice.subscribe(expires="0")):
        (sent,) = first.sent
        assert read(sent.body).parts == ()


@pytest.mark.rfc("XCS-053")
def test_a_fetch_gets_what_there_is(alice: User) -> None:
    alice.put()
    (sent,) = alice.subscribe(SEL, expires="0").sent
    assert (state_of(sent), read(sent.body).tags) == ("terminated;reason=timeout", {SEL: (None, alice.tag())})


# What is told then


@pytest.mark.rfc("XCS-058", "XCS-054")
def test_creation_change_and_removal_of_a_document(alice: User) -> None:
    alice.watch(SEL)
    alice.put()
    first = alice.tag()
    assert short(alice.told()) == [("document", SEL, None, first, "")]
    alice.put(body=MORE)
    second = alice.tag()
    assert short(alice.told()) == [("document", SEL, first, second, "")]
    alice.delete()
    assert short(alice.told()) == [("document", SEL, second, None, "")]
    alice.put()
    assert short(alice.told()) == [("document", SEL, None, alice.tag(), "")]


@pytest.mark.rfc("XCS-058")
def test_changes_of_elements_and_attributes(alice: User) -> None:
    alice.put()
    name = f"{SEL}{BOB_THERE}/@uri"
    alice.watch(SEL + CAROL, name)
    alice.put(INDEX + CAROL, ENTRY)
    (entry,) = alice.told()
    assert (entry.kind, entry.sel) == ("element", SEL + CAROL)
    alice.put(INDEX + CAROL, ENTRY.replace(b"/>", b"><display-name>C</display-name></entry>"))
    (entry,) = alice.told()
    assert "<display-name>C</display-name>" in entry.inside
    alice.delete(INDEX + CAROL)
    (entry,) = alice.told()
    assert (entry.kind, entry.sel, entry.exists) == ("element", SEL + CAROL, False)
    alice.delete()
    (attribute,) = alice.told()
    assert (attribute.kind, attribute.sel, attribute.exists) == ("attribute", name, False)


@pytest.mark.rfc("XCS-058")
@pytest.mark.parametrize("mode", ["", "no-patching", "xcap-patching", "aggregate"])
def test_a_document_that_says_the_same_under_another_tag(alice: User, mode: str) -> None:
    alice.put()
    alice.watch(SEL, mode=mode)
    before = alice.tag()
    alice.put(body=LISTS.replace(b"'friends'", b'"friends"'))
    assert short(alice.told()) == [("document", SEL, before, alice.tag(), "body-not-changed")]


@pytest.mark.rfc("XCS-054", "XCS-058")
def test_where_nobody_wants_operations_none_are_kept(alice: User) -> None:
    alice.put()
    alice.watch(SEL)
    with alice.world.counted() as statements:
        alice.put(body=MORE)
    assert not {each for each in statements if each.startswith("xcap_diff_record")}
    (told,) = alice.told()
    assert told.inside == ""


# Operations


@pytest.mark.rfc("XCS-054", "XCS-057", "XCS-058")
def test_each_change_with_its_operations_one_after_the_other(alice: User) -> None:
    alice.put()
    dialog, _ = alice.watch(SEL, mode="xcap-patching")
    tags = [alice.tag()]
    alice.put(body=MORE)
    tags.append(alice.tag())
    alice.put(body=MORE.replace(b"'friends'", b'"friends"'))
    tags.append(alice.tag())
    alice.delete(INDEX + BOB_THERE)
    tags.append(alice.tag())
    assert short(alice.told()) == [
        ("document", SEL, tags[0], tags[1], "add"),
        ("document", SEL, tags[1], tags[2], "body-not-changed"),
        ("document", SEL, tags[2], tags[3], "remove"),
    ]
    assert alice.world.subscription(dialog).due_at is None


@pytest.mark.rfc("XCS-054", "XCS-058")
def test_the_operations_of_all_changes_together(alice: User) -> None:
    alice.put()
    first = alice.tag()
    alice.watch(SEL, mode="aggregate")
    for body in (MORE, MORE.replace(b"<entry", b"<display-name>F</display-name><entry", 1), LISTS):
        alice.put(body=body)
    assert short(alice.told()) == [("document", SEL, first, alice.tag(), "add add remove remove")]
    alice.put(body=MORE)
    before = alice.tag()
    (told,) = alice.told()
    assert (told.new, told.inside) == (before, "add")


@pytest.mark.rfc("XCS-054")
@pytest.mark.parametrize("mode", ["xcap-patching", "aggregate", '"aggregate"', "AGGREGATE"])
def test_first_and_after_each_subscribe_no_operations_are_told(alice: User, mode: str) -> None:
    alice.put()
    dialog, first = alice.watch(SEL, mode=mode)
    assert first.tags == {SEL: (None, alice.tag())}
    alice.put(body=MORE)
    alice.refresh(dialog, mode=mode)
    assert short(alice.told()) == [("document", SEL, None, alice.tag(), "")]
    alice.put()
    (told,) = alice.told()
    assert told.inside != ""


@pytest.mark.rfc("XCS-054")
@pytest.mark.parametrize("mode", ["", "no-patching", "something-new", '"', "xcap-patching "])
def test_a_mode_that_is_not_known_is_the_simplest(alice: User, mode: str) -> None:
    alice.put()
    before = alice.tag()
    alice.watch(SEL, mode=mode.strip())
    alice.put(body=MORE)
    (told,) = alice.told()
    assert told.tags == (before, alice.tag())
    assert (told.inside == "") == (mode != "xcap-patching ")


@pytest.mark.rfc("XCS-054")
def test_where_operations_are_missing_the_simpler_mode_is_taken(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xcap_diff, "MAX_PATCH", 300)
    alice.put()
    before = alice.tag()
    dialogs = {mode: alice.watch(SEL, mode=mode)[0] for mode in ("xcap-patching", "aggregate")}
    alice.put(body=MORE)
    alice.put(body=LISTS.replace(b"</list>", b"%b</list>" % b"".join(ENTRY.replace(b"carol", b"%d" % n) for n in range(9))))
    alice.put(body=MORE)
    sent = alice.world.told()
    assert {each.id for each in sent} == set(dialogs.values())
    assert [short(list(read(each.body).parts)) for each in sent] == [[("document", SEL, before, alice.tag(), "")]] * 2


@pytest.mark.rfc("XCS-054")
def test_what_is_kept_of_changes_has_limits(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kemi.xcap.diff_store.MAX_CHANGES", 3)
    alice.put()
    alice.watch(SEL, mode="aggregate")
    for at in range(5):
        alice.put(body=LISTS.replace(b"friends", b"friends%d" % at))
    (told,) = alice.told()
    assert told.inside == ""
    alice.world.now += 601
    alice.put()
    (told,) = alice.told()
    assert told.inside == "replace replace"
    assert len(alice.world.database.execute("xcap_diff_changes", {}, [("users", ALICE, "resource-lists", "index")]).rows()) == 1


# Order, and what gets lost


@pytest.mark.rfc("XCS-057")
@pytest.mark.parametrize(("mode", "inside"), [("", [""]), ("aggregate", ["add remove"]), ("xcap-patching", ["add", "remove"])])
def test_while_a_notify_is_in_flight_changes_wait_for_its_answer(alice: User, mode: str, inside: list[str]) -> None:
    alice.put()
    (first,) = alice.subscribe(SEL, mode=mode).sent
    alice.put(body=MORE)
    assert alice.effects.count(Wake(blocked=True)) == 1
    alice.delete(INDEX + BOB_THERE)
    assert alice.world.notifier() == []
    (second,) = alice.world.answer(first)
    parts = read(second.body).parts
    assert [each.inside for each in parts] == inside
    assert (parts[0].previous, parts[-1].new) == (read(first.body).parts[0].new, alice.tag())


@pytest.mark.rfc("XCS-057")
def test_after_a_notify_that_failed_everything_is_told_again(alice: User) -> None:
    alice.put()
    alice.watch(SEL, HOME, mode="aggregate")
    alice.put(body=MORE)
    (lost,) = alice.world.notifier()
    assert alice.world.answer(lost, 500) == []
    alice.put(f"{ROOT}/{HOME}other")
    told = alice.told()
    assert short(told) == [
        ("document", SEL, None, alice.tag(), ""),
        ("document", f"{HOME}other", None, alice.tag(f"{ROOT}/{HOME}other"), ""),
    ]


@pytest.mark.rfc("XCS-057")
def test_no_answer_ends_the_subscription(alice: User) -> None:
    (first,) = alice.subscribe(SEL).sent
    alice.world.now += 60
    alice.put()
    assert alice.world.notifier() == []
    assert not alice.world.has_subscription(first.id)


@pytest.mark.rfc("XCS-057", "PA-067")
def test_changes_are_told_at_most_every_five_seconds(alice: User) -> None:
    alice.world.set(notify_interval=5)
    alice.watch(SEL)
    alice.put()
    assert alice.world.told() == []
    alice.put(body=MORE)
    alice.world.now += 5
    assert short(alice.told()) == [("document", SEL, None, alice.tag(), "")]


def test_what_came_and_went_unseen_is_not_told(alice: User) -> None:
    alice.world.set(notify_interval=5)
    dialog, _ = alice.watch(SEL)
    alice.put()
    alice.delete()
    alice.world.now += 5
    assert alice.world.told() == []
    assert alice.world.subscription(dialog).due_at is None


@pytest.mark.rfc("PA-051")
def test_who_has_everything_already_is_told_what_changes_then(alice: User) -> None:
    alice.put()
    before = alice.tag()
    (first,) = alice.subscribe(SEL).sent
    (tag,) = fields_of(first.headers)["SIP-ETag"]
    alice.world.answer(first)
    assert alice.refresh(first.id, suppress=tag).reply.status == 204
    assert alice.world.told() == []
    alice.put(body=MORE)
    assert short(alice.told()) == [("document", SEL, before, alice.tag(), "")]


@pytest.mark.rfc("XCS-054")
def test_large_documents_are_told_without_operations(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.put()
    alice.watch(SEL, mode="aggregate")
    alice.put(body=MORE + b" " * (xcap_diff.MAX_COMPARED - len(MORE)))
    assert [each.inside for each in alice.told()] == ["add"]
    alice.put(body=LISTS + b" " * (xcap_diff.MAX_COMPARED - len(LISTS) + 1))
    assert [each.inside for each in alice.told()] == [""]
