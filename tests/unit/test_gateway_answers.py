"""Answers to NOTIFYs between Kamailio's processes: kemi/gateway/answers.py."""

import importlib
from types import ModuleType

import pytest

from kemi.answer import Answer
from kemi.effects import Wake
from tests.ksr import KSR, Message
from tests.unit.kamailio import Server


@pytest.fixture
def answers(ksr: KSR) -> ModuleType:
    return importlib.import_module("kemi.gateway.answers")


def response(ksr: KSR, status: int, *headers: tuple[str, str | bytes], cseq: int = 3) -> None:
    common: list[tuple[str, str | bytes]] = [("From", "<sip:a@b>;tag=kp-1"), ("To", "<sip:b@b>;tag=x"), ("CSeq", f"{cseq} NOTIFY")]
    ksr.receive(Message("NOTIFY", headers=[*common, *headers], status=status))


def passed_on(ksr: KSR, answers: ModuleType, status: int, *headers: tuple[str, str | bytes], cseq: int = 3) -> bool:
    """Whether the notifier is called at once."""
    before = len(ksr.tasks)
    response(ksr, status, *headers, cseq=cseq)
    answers.Passing().pass_on("kp-1")
    return len(ksr.tasks) > before


@pytest.mark.parametrize(
    ("status", "headers", "answer"),
    [
        (200, [], Answer("kp-1", 3, 200)),
        (200, [("Contact", "<sip:bob@198.51.100.9:5070>;expires=5")], Answer("kp-1", 3, 200, "sip:bob@198.51.100.9:5070")),
        (200, [("Contact", '"B, ob" <sip:bob@h>')], Answer("kp-1", 3, 200, "sip:bob@h")),
        (200, [("Contact", "<tel:+1>")], Answer("kp-1", 3, 200)),
        (200, [("Contact", "not an address")], Answer("kp-1", 3, 200)),
        (200, [("Event", "presence;min-rate=1")], Answer("kp-1", 3, 200, "", 0, "presence;min-rate=1")),
        (200, [("Event", "presence")], Answer("kp-1", 3, 200)),
        (200, [("Event", "presence;min-rate=1;x=" + "y" * 5000)], Answer("kp-1", 3, 200)),
        (302, [("Contact", "<sip:other@h>")], Answer("kp-1", 3, 302)),
        (503, [("Retry-After", "20;duration=5")], Answer("kp-1", 3, 503, "", 20)),
        (503, [("Retry-After", "20 (lunch)")], Answer("kp-1", 3, 503, "", 20)),
        (503, [("Retry-After", "20\r\n (lunch)")], Answer("kp-1", 3, 503, "", 20)),
        (503, [("Retry-After", "99999999")], Answer("kp-1", 3, 503, "", 86400)),
        (503, [("Retry-After", "soon")], Answer("kp-1", 3, 503)),
        (503, [("Retry-After", "²")], Answer("kp-1", 3, 503)),
    ],
)
def test_an_answer_comes_out_of_the_queue_as_it_came(
    ksr: KSR, answers: ModuleType, status: int, headers: list[tuple[str, str]], answer: Answer
) -> None:
    passed_on(ksr, answers, status, *headers)
    assert answers.take(10) == [answer]
    assert answers.take(10) == []


@pytest.mark.parametrize("number", ["99999999999999999999", "2147483648", "abc", "-1", "1_0", "\u0661", "9" * 5000, ""])
def test_a_response_with_an_impossible_cseq_is_nobody_s(ksr: KSR, answers: ModuleType, number: str) -> None:
    """Whoever has invented it: it is not passed on, and the answers beside it are."""
    ksr.receive(Message("NOTIFY", headers=[("From", "<sip:a@b>;tag=kp-1"), ("CSeq", f"{number} NOTIFY")], status=200))
    answers.Passing().pass_on("kp-1")
    passed_on(ksr, answers, 200)
    assert answers.take(10) == [Answer("kp-1", 3, 200)]


def test_no_more_answers_are_taken_than_wanted(ksr: KSR, answers: ModuleType) -> None:
    for number in range(5):
        passed_on(ksr, answers, 200, cseq=number)
    assert [each.cseq for each in answers.take(3)] == [0, 1, 2]
    assert [each.cseq for each in answers.take(3)] == [3, 4]


def test_good_answers_wait_for_company(ksr: KSR, answers: ModuleType, server: Server) -> None:
    for count in range(1, answers.AT_ONCE + 1):
        response(ksr, 200)
        assert server.handler.ksr_reply_route(None) == 1
        assert len(ksr.tasks) == (1 if count == answers.AT_ONCE else 0)
    assert len(ksr.queue) == answers.AT_ONCE


def test_what_is_left_in_the_queue_is_settled_by_the_tick(ksr: KSR, answers: ModuleType) -> None:
    answers.tick()
    assert ksr.tasks == []
    assert not passed_on(ksr, answers, 200)
    answers.tick()
    assert len(ksr.tasks) == 1


@pytest.mark.parametrize("status", [300, 481, 503])
def test_a_failure_is_settled_at_once(ksr: KSR, answers: ModuleType, server: Server, status: int) -> None:
    response(ksr, status)
    server.handler.ksr_reply_route(None)
    assert len(ksr.tasks) == 1


def test_an_answer_that_a_change_waits_for_is_settled_at_once(ksr: KSR, answers: ModuleType, gateway: ModuleType) -> None:
    gateway.execute([Wake(blocked=True)])
    gateway.woken()
    assert passed_on(ksr, answers, 200)


def test_a_folded_contact_is_read_as_a_whole(ksr: KSR, answers: ModuleType) -> None:
    passed_on(ksr, answers, 200, ("Contact", '"Bob"\r\n <sip:bob@198.51.100.9>'), ("Event", "presence;min-rate=1"))
    assert answers.take(10) == [Answer("kp-1", 3, 200, "sip:bob@198.51.100.9", 0, "presence;min-rate=1")]
