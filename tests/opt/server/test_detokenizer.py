"""Text cut where a reader would expect it, whatever the tokens are."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from openaisle_opt.detokenizer import Detokenizer, StopStrings

PIECES = st.lists(st.binary(max_size=6))
TEXTS = st.text(alphabet="abé😀\n", max_size=40)
STOPS = st.lists(st.text(alphabet="abé😀\n", min_size=1, max_size=4), max_size=6)


def _split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


def _first_completed(text: str, stops: list[str]) -> str:
    """The text before the stop string that is completed first, of those the longest; the plain way."""
    for end in range(len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            return text[: end - len(max(ending, key=len))]
    return text


@given(PIECES)
def test_the_pieces_are_the_whole(pieces: list[bytes]) -> None:
    detokenizer = Detokenizer()
    text = "".join(map(detokenizer.push, pieces)) + detokenizer.finish()
    assert text == b"".join(pieces).decode("utf-8", "replace")
    assert detokenizer.num_released == detokenizer.num_decoded == len(text)


@given(st.lists(st.one_of(st.binary(max_size=6), st.sampled_from([b"\xf0\x9f", b"\x98\x80", b"\xc3", b"a"]))))
def test_a_token_begins_in_the_character_that_has_its_first_byte(pieces: list[bytes]) -> None:
    detokenizer = Detokenizer()
    data = b"".join(pieces)
    place = 0
    for piece in pieces:
        offset = detokenizer.offset_of(piece)
        if piece:
            # All characters before it have been decoded, and none that comes after it.
            through = data[: place + 1].decode("utf-8", "replace")
            before = through[:-1]
            assert offset == len(before)
        detokenizer.push(piece)
        place += len(piece)
    end = detokenizer.end
    detokenizer.finish()
    assert end == detokenizer.num_decoded == len(data.decode("utf-8", "replace"))


@given(TEXTS, STOPS, st.lists(st.integers(0, 1000)))
def test_a_stop_string_cuts_at_the_same_place_however_the_text_comes(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    detokenizer = Detokenizer(StopStrings(stops) if stops else None)
    given_out = []
    for piece in _split(text.encode(), cuts):
        given_out.append(detokenizer.push(piece))
        shown = "".join(given_out)
        assert not any(stop in shown for stop in stops)
    given_out.append(detokenizer.finish())
    expected = _first_completed(text, stops)
    assert "".join(given_out) == expected
    assert detokenizer.num_released == len(expected)
    assert detokenizer.stopped == (expected != text or any(text.endswith(stop) for stop in stops))


@given(TEXTS, STOPS)
def test_no_more_is_held_back_than_may_become_a_stop_string(text: str, stops: list[str]) -> None:
    detokenizer = Detokenizer(StopStrings(stops))
    for character in text:
        detokenizer.push(character.encode())
        if detokenizer.stopped:
            break
        held = detokenizer._held
        assert held == "" or any(stop.startswith(held) and stop != held for stop in stops)


def test_nothing_comes_after_a_stop_string() -> None:
    detokenizer = Detokenizer(StopStrings(["b"]))
    assert [detokenizer.push(piece) for piece in (b"a", b"b", b"c", b"\xf0")] == ["a", "", "", ""]
    assert detokenizer.finish() == ""


def test_thousands_of_characters_of_stop_strings_cost_no_more_per_token() -> None:
    stop = StopStrings(["a" * 5000 + "b", "a" * 4000 + "c"])
    detokenizer = Detokenizer(stop)
    steps = 0
    original = stop.step

    def counted(state: int, character: str) -> int:
        nonlocal steps
        steps += 1
        return original(state, character)

    stop.step = counted  # type: ignore[method-assign]
    text = "".join(detokenizer.push(b"a") for _ in range(20_000)) + detokenizer.finish()
    assert text == "a" * 20_000
    assert steps == 20_000
