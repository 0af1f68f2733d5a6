"""Whole events from a stream that comes in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openaisle_adapter.sse import LONGEST_EVENT, WholeEvents


def test_event_that_comes_whole_passes_at_once():
    assert WholeEvents().push(b"data: 1\n\n") == b"data: 1\n\n"


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_half_event_waits_for_its_other_half(end):
    events = WholeEvents()
    assert events.push(b"data: 1" + end + b"data: 2" + end[:1]) == b"data: 1" + end
    assert events.push(end[1:] + b"data") == b"data: 2" + end
    assert events.rest() == b"data"


def test_endless_event_is_not_held_for_ever():
    events = WholeEvents()
    assert events.push(b"x" * (LONGEST_EVENT + 1)) == b"x" * (LONGEST_EVENT + 1)


@given(st.lists(st.sampled_from([b"\n", b"\r", b"data: x", b"\n\n", b""])))
def test_no_byte_is_lost_or_changed(chunks):
    events = WholeEvents()
    passed = [events.push(chunk) for chunk in chunks]
    assert b"".join(passed) + events.rest() == b"".join(chunks)
