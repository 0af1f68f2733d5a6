"""What someone sees who uses the page: one test for each thing that it promises."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fake_adapter import KEY, failure
from playwright.sync_api import Page, expect

Open = Callable[..., Page]


def write(page: Page, text: str) -> None:
    page.fill("#text", text)


def generate(page: Page) -> None:
    """Presses the button and waits for the end."""
    page.click("#generate")
    expect(page.locator("#outcome")).to_have_text(re.compile("Stopped|ended|Broken|Scored"))
    expect(page.locator("#generate")).to_be_visible()


def text_of(page: Page) -> str:
    return page.input_value("#text")


def hold(adapter: Any) -> threading.Event:
    """Keeps the stream after its first chunk until the event is set."""
    adapter.behaviour.gate = threading.Event()
    return adapter.behaviour.gate


# --- the first seconds ------------------------------------------------------------------------


def test_the_first_load_puts_the_cursor_into_the_text_and_offers_samples(page: Page) -> None:
    expect(page.locator("#text")).to_have_attribute("placeholder", re.compile("beginning"))
    expect(page.locator("#hint")).to_contain_text("do not chat")
    expect(page.locator("#samples button")).to_have_count(3)
    expect(page.locator("#model")).to_have_value("openaisle/tiny-opt")
    page.click("#samples button >> nth=0")
    assert text_of(page).startswith("Once upon a time")
    expect(page.locator("#text")).to_be_focused()


def test_the_text_has_the_focus_at_the_first_load(open_page: Open) -> None:
    expect(open_page().locator("#text")).to_be_focused()


def test_a_prompt_is_continued_in_the_same_text_and_the_new_part_is_tinted(page: Page, adapter: Any) -> None:
    write(page, "Once upon a time")
    generate(page)
    assert text_of(page).startswith("Once upon a time she walked down")
    assert page.locator("#backdrop .by-human").all_text_contents() == ["Once upon a time"]
    assert page.locator("#backdrop .by-model").first.text_content() == " she"
    assert adapter.requests[0]["prompt"] == "Once upon a time"


def test_text_may_be_edited_anywhere_and_goes_on_at_the_end(page: Page, adapter: Any) -> None:
    adapter.behaviour.pieces = [[(" one", " one")], [(" two", " two")]]
    write(page, "Zero")
    generate(page)
    page.locator("#text").press("Home")
    page.keyboard.type("Now: ")
    assert page.locator("#backdrop .by-model").all_text_contents() == [" one", " two"]
    generate(page)
    assert text_of(page) == "Now: Zero one two one two"
    assert adapter.requests[1]["prompt"] == "Now: Zero one two"


def test_a_page_whose_proxy_adds_the_key_says_so_and_asks_for_none(page: Page) -> None:
    page.route("**/config.json", lambda route: route.fulfill(json={"title": "Our lab", "keyInjected": True}))
    page.route(
        "**/v1/**",
        lambda route: route.continue_(headers={**route.request.headers, "authorization": f"Bearer {KEY}"}),
    )
    page.reload()
    expect(page).to_have_title("Our lab")
    expect(page.locator("#key-panel")).to_contain_text("key")
    expect(page.locator("#key")).to_have_count(0)
    write(page, "Once upon a time")
    generate(page)
    assert text_of(page).startswith("Once upon a time she walked down")


def test_without_javascript_the_page_shows_how_to_use_the_api(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    assert "curl" in page.inner_text(".noscript pre")


# --- streams ----------------------------------------------------------------------------------


def test_tokens_appear_while_the_model_still_writes(page: Page, adapter: Any) -> None:
    gate = hold(adapter)
    write(page, "Once")
    page.click("#generate")
    expect(page.locator("#backdrop")).to_have_text("Once she")
    expect(page.locator("#stop")).to_be_focused()
    gate.set()
    expect(page.locator("#outcome")).to_contain_text("max_tokens")


def test_stop_keeps_what_came_and_ends_the_request(page: Page, adapter: Any) -> None:
    gate = hold(adapter)
    write(page, "Once")
    page.click("#generate")
    expect(page.locator("#backdrop")).to_have_text("Once she")
    page.click("#stop")
    expect(page.locator("#outcome")).to_contain_text("Stopped by you")
    assert text_of(page) == "Once she"
    gate.set()
    assert adapter.gone.wait(5)


def test_the_end_is_told_in_words_with_tokens_speed_and_request_id(page: Page) -> None:
    write(page, "Once")
    generate(page)
    expect(page.locator("#outcome")).to_have_text("Stopped at max_tokens. The text may go on.")
    figures = page.locator("#figures").inner_text()
    for words in ("64", "tokens a second", "to the first token", "req-fake", "perplexity"):
        assert words in figures
    expect(page.locator("#generate")).to_have_text("Continue")
    expect(page.locator("#announce")).to_contain_text("Finished after 64 tokens")


def test_a_model_that_ends_by_itself_is_told_apart(page: Page, adapter: Any) -> None:
    adapter.behaviour.finish_reason = "stop"
    write(page, "Once")
    generate(page)
    expect(page.locator("#outcome")).to_contain_text("The model ended here")
    expect(page.locator("#generate")).to_have_text("Generate")


def test_characters_that_are_split_between_tokens_are_shown_whole(page: Page, adapter: Any) -> None:
    adapter.behaviour.pieces = [
        [(" 𝒜", " 𝒜")],
        [("bytes: \\xf0\\x9f", ""), ("bytes:\\x98\\x80", " 😀")],
        [(" end", " end")],
    ]
    write(page, "Hé 🎈")
    generate(page)
    assert text_of(page) == "Hé 🎈 𝒜 😀 end"
    assert page.locator("#backdrop .by-model").all_text_contents() == [" 𝒜", " 😀", " end"]


def test_right_to_left_text_is_laid_out_from_the_right(page: Page) -> None:
    write(page, "שלום")
    assert page.evaluate("getComputedStyle(document.querySelector('#text')).direction") == "rtl"
    assert page.evaluate("getComputedStyle(document.querySelector('#backdrop')).direction") == "rtl"


def test_the_tints_lie_exactly_under_the_letters_of_the_editor(page: Page) -> None:
    write(page, "A long line that wraps, with double  blanks and a word-that-is-long. " * 8 + "\n\n")
    generate(page)
    heights = page.evaluate(
        "[document.querySelector('#text').scrollHeight, document.querySelector('#backdrop').scrollHeight]"
    )
    assert heights[0] == heights[1]


# --- the tree of versions -----------------------------------------------------------------------


def test_regenerate_makes_a_version_beside_the_old_one(page: Page, adapter: Any) -> None:
    adapter.behaviour.pieces = [[(" one", " one")]]
    write(page, "Zero")
    generate(page)
    adapter.behaviour.pieces = [[(" two", " two")]]
    page.click("#regenerate")
    expect(page.locator("#text")).to_have_value("Zero two")
    expect(page.locator("#sibling-count")).to_have_text("2/2")
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#text")).to_have_value("Zero one")
    page.click("#next")
    expect(page.locator("#text")).to_have_value("Zero two")


def test_steps_are_undone_and_redone_without_losing_an_edit(page: Page, adapter: Any) -> None:
    adapter.behaviour.pieces = [[(" one", " one")]]
    write(page, "Zero")
    generate(page)
    write(page, "Zero one, edited")
    page.click("#undo")
    assert text_of(page) == "Zero one"
    page.click("#undo")
    assert text_of(page) == "Zero"
    page.keyboard.press("Alt+ArrowRight")
    page.keyboard.press("Alt+ArrowRight")
    assert text_of(page) == "Zero one, edited"


def test_several_samples_become_versions(page: Page, adapter: Any) -> None:
    page.fill("#param-n", "3")
    page.fill("#param-max_tokens", "2")
    write(page, "Once")
    generate(page)
    expect(page.locator("#sibling-count")).to_have_text("1/3")
    assert text_of(page) == "Once she walked"
    page.click("#next")
    assert text_of(page) != "Once she walked"


def test_versions_stand_side_by_side_and_are_picked_with_one_press(page: Page) -> None:
    page.fill("#param-n", "3")
    page.fill("#param-max_tokens", "2")
    write(page, "Once")
    generate(page)
    versions = page.locator("#versions button")
    expect(versions).to_have_count(3)
    expect(versions.nth(0)).to_have_attribute("aria-pressed", "true")
    expect(versions.nth(0)).to_have_text("Version 1 she walked")
    texts = [text_of(page)]
    for index in (1, 2):
        versions.nth(index).focus()
        page.keyboard.press("Enter")
        expect(page.locator("#sibling-count")).to_have_text(f"{index + 1}/3")
        expect(versions.nth(index)).to_have_attribute("aria-pressed", "true")
        expect(versions.nth(index)).to_be_focused()
        texts.append(text_of(page))
    assert len(set(texts)) == 3
    # Where another version parts from this one is marked in it.
    expect(versions.nth(0).locator("mark")).to_have_count(1)
    expect(versions.nth(2).locator("mark")).to_have_count(0)


def test_versions_are_shown_while_they_are_written(page: Page, adapter: Any) -> None:
    gate = hold(adapter)
    page.fill("#param-n", "2")
    write(page, "Once")
    page.click("#generate")
    expect(page.locator("#versions button").nth(0)).to_have_text("Version 1 she")
    page.locator("#versions button").nth(1).click()
    expect(page.locator("#sibling-count")).to_have_text("2/2")
    gate.set()
    expect(page.locator("#outcome")).to_contain_text("Stopped at max_tokens")


def test_one_version_or_an_edited_text_has_nothing_beside_it(page: Page, adapter: Any) -> None:
    write(page, "Once")
    generate(page)
    expect(page.locator("#versions")).to_be_hidden()
    page.click("#regenerate")
    expect(page.locator("#versions button")).to_have_count(2)
    write(page, "Something else")
    expect(page.locator("#versions")).to_be_hidden()


def test_very_many_versions_do_not_fill_the_page(page: Page) -> None:
    page.fill("#param-n", "8")
    page.fill("#param-max_tokens", "1")
    write(page, "Once")
    generate(page)
    for times in (2, 3, 4):
        page.click("#regenerate")
        expect(page.locator("#sibling-count")).to_have_text(f"{8 * times - 7}/{8 * times}")
        expect(page.locator("#generate")).to_be_visible()
    versions = page.locator("#versions button")
    expect(versions).to_have_count(24)
    expect(versions.first).to_contain_text("Version 9")
    expect(versions.last).to_contain_text("Version 32")


def test_the_text_outlives_a_reload_and_a_look_at_another_page(page: Page) -> None:
    write(page, "A text that took an hour 🙂")
    page.reload()
    expect(page.locator("#text")).to_have_value("A text that took an hour 🙂")
    page.click("nav >> text=API")
    page.go_back()
    expect(page.locator("#text")).to_have_value("A text that took an hour 🙂")
    page.click("#clear")
    page.reload()
    expect(page.locator("#text")).to_have_value("")


def test_the_text_is_not_there_for_another_tab_or_the_next_visit(page: Page) -> None:
    write(page, "A secret")
    page.reload()
    assert "secret" not in page.evaluate("JSON.stringify({...localStorage})")
    with page.context.expect_page() as opened:
        page.evaluate("window.open(location.href, '_blank', 'noopener')")
    expect(opened.value.locator("#text")).to_have_value("")


def link_of(page: Page) -> str:
    """What “Copy link” leaves in the address bar."""
    before = page.url
    page.click("#share")
    page.wait_for_url(lambda url: url != before)
    return page.url


def test_a_link_opens_the_text_with_its_model_and_parameters_and_asks_nothing(
    page: Page, open_page: Open, adapter: Any
) -> None:
    text = "Once 🙂 upon\n<script>alert(1)</script> שלום"
    write(page, text)
    page.fill("#param-temperature", "0.3")
    page.fill("#param-n", "2")
    page.fill("#param-seed", "7")
    page.select_option("#model", "facebook/opt-125m")
    link = link_of(page)
    assert KEY not in link

    other = open_page(link)
    expect(other.locator("#text")).to_have_value(text)
    other.fill("#key", KEY)
    other.press("#key", "Enter")
    expect(other.locator("#model")).to_have_value("facebook/opt-125m")
    expect(other.locator("#param-temperature")).to_have_value("0.3")
    assert adapter.requests == []
    generate(other)
    assert {name: adapter.requests[0][name] for name in ("temperature", "n", "seed", "prompt")} == {
        "temperature": 0.3,
        "n": 2,
        "seed": 7,
        "prompt": text,
    }


def test_a_link_that_is_opened_in_a_used_tab_keeps_the_text_that_was_there(page: Page) -> None:
    write(page, "From the link")
    link = link_of(page)
    write(page, "What I wrote since")
    page.evaluate("location.hash = '#text'")
    page.evaluate(f"location.href = {link!r}")
    expect(page.locator("#text")).to_have_value("From the link")
    write(page, "From the link, and on")
    page.reload()
    expect(page.locator("#text")).to_have_value("From the link, and on")


@pytest.mark.parametrize(
    "end",
    [
        "#v=1",
        "#v=1&d=",
        "#v=1&d=%%%",
        "#v=1&d=AAAA",
        "#v=2&d=q1YqSa0oUbJSAgA",
        "#v=1&d=" + 9000 * "A",
        "#nonsense",
    ],
    ids=lambda end: end[:12],
)
def test_a_link_that_was_cut_or_made_up_is_an_empty_page(open_page: Open, demo_url: str, end: str) -> None:
    page = open_page(f"{demo_url}/{end}")
    expect(page.locator("#samples button")).to_have_count(3)
    expect(page.locator("#text")).to_have_value("")


def test_parameters_of_a_link_that_cannot_be_are_the_pages_own(page: Page, open_page: Open) -> None:
    link = page.evaluate(
        """async () => {
            const { writeLink } = await import("./link.js");
            const wrong = { n: 1e9, temperature: "hot", top_p: -1, stop: [3], seed: {}, evil: 1 };
            const params = { ...wrong, max_tokens: 12.4 };
            return writeLink(location.href, { model: 5, text: "Once", params });
        }"""
    )
    other = open_page(link)
    expect(other.locator("#text")).to_have_value("Once")
    expect(other.locator("#param-max_tokens")).to_have_value("12")
    for name, value in {"n": "1", "temperature": "1", "top_p": "1", "seed": ""}.items():
        expect(other.locator(f"#param-{name}")).to_have_value(value)


def test_a_text_too_long_for_a_link_is_told_so(page: Page) -> None:
    # Random numbers cannot be packed to much less.
    write(page, page.evaluate("[...crypto.getRandomValues(new Uint8Array(20000))].join('-')"))
    page.click("#share")
    expect(page.locator("#share")).to_have_text("Too long for a link")
    assert "#" not in page.url
    expect(page.locator("#share")).to_have_text("Copy link")


# --- probabilities ------------------------------------------------------------------------------


def test_tokens_are_coloured_and_marked_by_probability_rank_and_surprise(page: Page) -> None:
    write(page, "Once")
    generate(page)
    for scale in ("rank", "surprise", "probability"):
        page.select_option("#colour", scale)
        assert page.locator("#backdrop .scaled").count() == 64
        assert page.locator("#legend .swatch").count() == 5
    marked = page.locator("#backdrop .level-4").first
    assert "double" in marked.evaluate("(e) => getComputedStyle(e).textDecorationStyle")
    page.select_option("#colour", "off")
    assert page.locator("#backdrop .scaled").count() == 0


def test_alternatives_show_on_hover_and_a_click_branches_off(page: Page, adapter: Any) -> None:
    write(page, "Once")
    generate(page)
    old = text_of(page)
    token = page.locator("#backdrop .token").nth(2)
    box = token.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    popover = page.locator("#popover")
    expect(popover).to_be_visible()
    for words in ("·down", "Probability", "Logprob", "Rank", "all others", "%"):
        expect(popover).to_contain_text(words)
    popover.hover()
    page.wait_for_timeout(400)
    expect(popover).to_be_visible()
    popover.locator("button.pick").first.click()
    expect(page.locator("#text")).to_have_value(re.compile("^Once she walked then she"))
    assert adapter.requests[1]["prompt"] == "Once she walked then"
    page.click("#undo")
    page.click("#previous")
    expect(page.locator("#text")).to_have_value(old)


def test_alternatives_are_reached_by_the_keyboard_alone(page: Page, adapter: Any) -> None:
    adapter.behaviour.pieces = [[(" one", " one")], [(" two", " two")]]
    write(page, "Zero")
    generate(page)
    page.focus("#text")
    page.keyboard.press("End")
    page.keyboard.press("Alt+Enter")
    expect(page.locator("#popover button.pick").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#popover")).to_be_hidden()
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Alt+2")
    expect(page.locator("#text")).to_have_value("Zero one quietly one two")


def test_alternatives_open_at_a_tap(open_page: Open, adapter: Any) -> None:
    page = open_page(has_touch=True, viewport={"width": 360, "height": 740})
    page.fill("#key", KEY)
    page.press("#key", "Enter")
    write(page, "Once")
    generate(page)
    page.evaluate("scrollTo(0, 0)")
    box = page.locator("#backdrop .token").nth(1).bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#popover")).to_contain_text("·walked")


def test_a_pasted_text_is_scored_token_by_token(page: Page, adapter: Any) -> None:
    write(page, "The cat sat.")
    page.click("#score")
    expect(page.locator("#outcome")).to_contain_text("Scored")
    asked = adapter.requests[0]
    assert (asked["max_tokens"], asked["echo"], asked["logprobs"]) == (0, True, 5)
    assert page.locator("#backdrop .token").all_text_contents() == ["The", " cat", " sat."]
    assert text_of(page) == "The cat sat."
    expect(page.locator("#figures")).to_contain_text("perplexity")


# --- parameters and code --------------------------------------------------------------------------


def test_only_changed_parameters_are_sent(page: Page, adapter: Any) -> None:
    page.fill("#param-temperature", "0.7")
    page.fill("#param-stop", "\\nQ:")
    page.press("#param-stop", "Enter")
    expect(page.locator(".chips")).to_contain_text("↵Q:")
    write(page, "Once")
    generate(page)
    sent = adapter.requests[0]
    assert sent["temperature"] == 0.7
    assert sent["stop"] == ["\nQ:"]
    assert sent["max_tokens"] == 64
    assert "top_p" not in sent
    assert "seed" not in sent


def test_parameters_say_what_they_do_and_go_back_to_their_defaults(page: Page) -> None:
    page.fill("#param-temperature", "0.2")
    page.press("#param-temperature", "Tab")
    row = page.locator(".param", has=page.locator("#param-temperature"))
    expect(row.locator(".mark-default")).to_be_hidden()
    row.get_by_label("Reset temperature").click()
    expect(page.locator("#param-temperature")).to_have_value("1")
    expect(row.locator(".mark-default")).to_be_visible()
    expect(row.locator("summary")).to_contain_text("likeliest")


def test_limits_come_from_the_server(page: Page) -> None:
    expect(page.locator("#param-max_tokens")).to_have_attribute("max", "2048")
    page.fill("#param-max_tokens", "5000")
    page.press("#param-max_tokens", "Tab")
    expect(page.locator("#param-max_tokens")).to_have_value("2048")
    expect(page.locator("#budget-note")).to_contain_text("of 2,048 tokens")


def test_without_logprobs_text_still_streams(page: Page, adapter: Any) -> None:
    page.get_by_label("Send logprobs").uncheck()
    write(page, "Once")
    generate(page)
    assert "logprobs" not in adapter.requests[0]
    assert text_of(page).startswith("Once she walked")


# --- keys and models ------------------------------------------------------------------------------


def test_a_wrong_key_is_told_in_words_and_a_right_one_goes_on(open_page: Open) -> None:
    page = open_page()
    expect(page.locator("#key-note")).to_have_text("Enter a key to begin.")
    page.fill("#key", "sk-wrong")
    page.press("#key", "Enter")
    expect(page.locator("#key-note")).to_have_text("This key was not accepted.")
    page.fill("#key", KEY)
    page.press("#key", "Enter")
    expect(page.locator("#key-note")).to_have_text("Key accepted.")
    expect(page.locator("#model")).to_have_value("openaisle/tiny-opt")


def test_the_key_is_forgotten_at_a_reload_and_stored_nowhere(page: Page) -> None:
    stores = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")
    assert KEY not in stores
    page.reload()
    expect(page.locator("#key")).to_have_value("")


def test_the_key_is_kept_in_the_tab_only_if_asked_and_can_be_forgotten(page: Page) -> None:
    page.check("#key-keep")
    page.reload()
    expect(page.locator("#key-note")).to_have_text("Key accepted.")
    assert KEY not in page.evaluate("JSON.stringify({...localStorage})")
    page.click("#key-forget")
    expect(page.locator("#key-note")).to_have_text("Enter a key to begin.")
    assert page.evaluate("sessionStorage.length") == 0


def test_the_key_can_be_shown(page: Page) -> None:
    page.click("#reveal")
    expect(page.locator("#key")).to_have_attribute("type", "text")


def test_the_chosen_model_is_asked_and_remembered(page: Page, adapter: Any) -> None:
    page.select_option("#model", "facebook/opt-125m")
    write(page, "Once")
    generate(page)
    assert adapter.requests[0]["model"] == "facebook/opt-125m"
    page.reload()
    page.fill("#key", KEY)
    page.press("#key", "Enter")
    expect(page.locator("#model")).to_have_value("facebook/opt-125m")


def test_the_foot_of_the_page_names_the_version_and_the_models(page: Page) -> None:
    expect(page.locator("#server")).to_have_text("OpenAISLE 9.8.7 · 2 models served")


def test_a_regenerate_that_fails_is_tried_again_as_it_was(page: Page, adapter: Any) -> None:
    adapter.behaviour.pieces = [[(" one", " one")]]
    write(page, "Zero")
    generate(page)
    adapter.behaviour.failures = [failure(500, "A bug")]
    page.click("#regenerate")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#sibling-count")).to_have_text("2/2")
    assert [request["prompt"] for request in adapter.requests] == ["Zero"] * 3


def test_no_model_yet_is_a_state_and_no_error(open_page: Open, adapter: Any) -> None:
    adapter.behaviour.models = []
    adapter.behaviour.key = None
    page = open_page()
    expect(page.locator("#model-note")).to_contain_text("No model is ready yet")
    expect(page.locator("#failure")).to_be_hidden()
    adapter.behaviour.models = ["openaisle/tiny-opt"]
    expect(page.locator("#model")).to_have_value("openaisle/tiny-opt")


# --- failures ---------------------------------------------------------------------------------------


def test_each_error_says_what_happened_with_the_servers_words_and_request_id(
    page: Page, adapter: Any
) -> None:
    write(page, "Once")
    for status, code, words in (
        (400, None, "The request was refused"),
        (401, "invalid_api_key", "The key was not accepted"),
        (403, None, "may not use this model"),
        (404, "model_not_found", "This model is not served"),
        (404, "unknown_url", "does not know this address"),
        (413, None, "larger than the server takes"),
        (429, "insufficient_quota", "quota is used up"),
        (500, None, "The server failed"),
        (504, None, "did not answer in time"),
    ):
        adapter.behaviour.failures = [failure(status, f"Said with {status}.", code=code)]
        page.click("#generate")
        box = page.get_by_role("alert")
        for expected in (words, f"Said with {status}.", "req-failed"):
            expect(box).to_contain_text(expected)
        assert text_of(page) == "Once"
        page.get_by_role("button", name="Dismiss").click()
        expect(box).to_be_hidden()


def test_a_text_that_is_too_long_can_be_cut(page: Page, adapter: Any) -> None:
    message = (
        "This model's maximum context length is 2048 tokens, however you requested 2100 tokens "
        "(2036 in your prompt; 64 for the completion)."
    )
    adapter.behaviour.failures = [failure(400, message, code="context_length_exceeded")]
    write(page, "word " * 2000)
    page.click("#generate")
    expect(page.get_by_role("alert")).to_contain_text("takes 2,048 tokens, and this needs 2,100")
    page.get_by_text("Cut the beginning").click()
    assert 9000 < len(text_of(page)) < 9800


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_by_itself(page: Page, adapter: Any, status: int) -> None:
    adapter.behaviour.failures = [failure(status, "Wait", retry_after="2")]
    write(page, "Once")
    page.click("#generate")
    expect(page.get_by_role("alert")).to_contain_text("Trying again in 2 s")
    expect(page.locator("#text")).to_have_value(re.compile("^Once she"))
    expect(page.locator("#failure")).to_be_hidden()
    assert len(adapter.requests) == 2


def test_a_stream_that_is_cut_keeps_its_text_and_says_so(page: Page, adapter: Any) -> None:
    adapter.behaviour.cut_after = 1
    gate = hold(adapter)
    write(page, "Once")
    page.click("#generate")
    # A browser may lose what it has not yet read when the connection breaks.
    expect(page.locator("#backdrop")).to_have_text("Once she")
    gate.set()
    expect(page.get_by_role("alert")).to_contain_text("The answer broke off")
    assert text_of(page) == "Once she"


def test_a_failure_inside_a_stream_keeps_its_text_and_says_so(page: Page, adapter: Any) -> None:
    adapter.behaviour.error_after = 2
    write(page, "Once")
    page.click("#generate")
    expect(page.get_by_role("alert")).to_contain_text("failed while it was writing")
    expect(page.get_by_role("alert")).to_contain_text("The engine failed.")
    assert text_of(page) == "Once she walked"


def test_a_lost_network_is_told_in_words(page: Page) -> None:
    page.context.set_offline(True)
    write(page, "Once")
    page.click("#generate")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#text")).to_have_value(re.compile("^Once she"))


# --- keyboard, themes, access ---------------------------------------------------------------------


def test_the_keyboard_generates_and_stops(page: Page, adapter: Any) -> None:
    hold(adapter)
    page.focus("#text")
    page.keyboard.type("Once")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#backdrop")).to_have_text("Once she")
    page.keyboard.press("Escape")
    expect(page.locator("#outcome")).to_contain_text("Stopped by you")
    adapter.behaviour.gate.set()


def test_typing_is_undone_by_the_editor_itself(page: Page) -> None:
    page.focus("#text")
    page.keyboard.type("abc")
    for _ in "abc":
        page.keyboard.press("Control+z")
    assert text_of(page) == ""


def test_single_keys_work_outside_text_only_and_can_be_switched_off(page: Page) -> None:
    page.focus("#text")
    page.keyboard.type("why?")
    assert text_of(page) == "why?"
    page.focus("#open-code")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.uncheck("#single-keys")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_hidden()


def test_the_theme_follows_the_system_and_a_choice_stays(open_page: Open) -> None:
    page = open_page(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.select_option("#theme", "light")
    assert page.evaluate(ground) != dark
    page.reload()
    assert page.evaluate(ground) != dark


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_nothing_is_wider_than_the_window(open_page: Open, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    page.fill("#key", KEY)
    page.press("#key", "Enter")
    page.select_option("#colour", "probability")
    page.fill("#param-n", "3")
    write(page, "Once")
    generate(page)
    expect(page.locator("#versions button")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_any_state(open_page: Open, adapter: Any, theme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(color_scheme=theme)
    axe = Axe()

    def check(state: str) -> None:
        result = axe.run(page)
        assert result.violations_count == 0, f"{state}: {result.generate_report()}"

    check("first load")
    page.fill("#key", KEY)
    page.press("#key", "Enter")
    expect(page.locator("#key-note")).to_have_text("Key accepted.")
    gate = hold(adapter)
    write(page, "Once")
    page.click("#generate")
    expect(page.locator("#backdrop")).to_have_text("Once she")
    check("streaming")
    gate.set()
    expect(page.locator("#outcome")).to_contain_text("max_tokens")
    page.select_option("#colour", "surprise")
    page.focus("#text")
    page.keyboard.press("Alt+Enter")
    check("alternatives")
    page.keyboard.press("Escape")
    page.click("#regenerate")
    expect(page.locator("#versions button")).to_have_count(2)
    check("versions")
    adapter.behaviour.failures = [failure(500, "A bug")]
    page.click("#generate")
    expect(page.get_by_role("alert")).to_be_visible()
    check("failure")
    page.click("#open-code")
    check("code")


def test_controls_are_large_enough_to_hit(page: Page) -> None:
    small = page.evaluate(
        """[...document.querySelectorAll("button, select, input:not([type=hidden]), summary")]
            .map((e) => [e.id || e.textContent, e.getBoundingClientRect()])
            .filter(([, box]) => box.width && (box.width < 20 || box.height < 20))
            .map(([name, box]) => `${name} ${box.width}x${box.height}`)"""
    )
    assert small == []
