"""What became of a NOTIFY, between the process that has read it and the notifier: kemi/answer.py."""

import pytest

from kemi.answer import Answer

CONTACT = "sip:bob@198.51.100.7:5070"


@pytest.mark.parametrize(
    "answer",
    [
        Answer("kp-1", 3, 200),
        Answer("kp-1", 3, 200, CONTACT),
        Answer("kp-1", 3, 200, CONTACT, 0, "presence;max-rate=0.5"),
        Answer("kp-1", 3, 202, event="presence;id=a b;max-rate=0.5"),
        Answer("kp-1", 2**31 - 1, 503, retry_after=30),
        Answer("kp-1", 3, 0),
    ],
)
def test_it_comes_out_of_the_queue_as_it_went_in(answer: Answer) -> None:
    assert Answer.from_text(answer.id, answer.as_text()) == answer
