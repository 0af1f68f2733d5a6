"""The bundled model as someone gets it who clones the repository: whole, small, and readable."""

import re
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, OPTForCausalLM

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "images/opt/models/tiny-opt"
KNOWN_WORDS = set((ROOT / "hack/train/words.txt").read_text().split())
PROMPTS = ["Once upon a time", "One day, a little girl", "The old man", "There was a"]
STRANGE_PROMPTS = ["Hello, my name is", "The king said", "In a small house", "The weather today"]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model():
    return OPTForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()


def continuations(model, tokenizer, prompt: str, **settings) -> list[str]:
    """What follows the prompt, by 60 tokens at most."""
    ids = tokenizer(prompt, return_tensors="pt")
    out = model.generate(**ids, max_new_tokens=60, **settings)
    return tokenizer.batch_decode(out[:, ids.input_ids.size(1) :], skip_special_tokens=True)


def whole_words(text: str) -> list[str]:
    """The words of a continuation but the last, which may be cut off."""
    return re.findall(r"[A-Za-z]+", text.lower())[:-1]


def test_the_folder_is_below_ten_megabytes():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 10_000_000


def test_every_text_begins_with_the_end_of_text_token_as_in_opt(tokenizer):
    ids = tokenizer("Once upon a time").input_ids
    assert ids[0] == 2 == tokenizer.bos_token_id == tokenizer.eos_token_id
    assert tokenizer.convert_ids_to_tokens(ids)[:2] == ["</s>", "Once"]


def test_the_tokenizer_files_agree_with_each_other(tokenizer):
    text = 'One day, Zoë said: "7 foxes!"\n'
    assert Tokenizer.from_file(str(FOLDER / "tokenizer.json")).encode(text).ids == tokenizer(text).input_ids
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


def test_the_context_is_2048_tokens_long(model):
    assert model.config.max_position_embeddings == 2048
    with torch.inference_mode():
        assert model(torch.full((1, 2048), 5)).logits.isfinite().all()


@pytest.mark.parametrize("prompts", [PROMPTS, STRANGE_PROMPTS], ids=["usual", "strange"])
def test_of_twenty_samples_eighteen_are_made_of_real_words(model, tokenizer, prompts):
    torch.manual_seed(0)
    settings = {"do_sample": True, "temperature": 0.7, "top_k": 0, "num_return_sequences": 5}
    samples = [text for prompt in prompts for text in continuations(model, tokenizer, prompt, **settings)]
    assert len(samples) == 20
    assert len(whole_words(" ".join(samples))) > 300
    assert sum(KNOWN_WORDS.issuperset(whole_words(text)) for text in samples) >= 18


@pytest.mark.parametrize("prompt", PROMPTS + STRANGE_PROMPTS)
def test_greedy_text_does_not_loop_at_once(model, tokenizer, prompt):
    (text,) = continuations(model, tokenizer, prompt, do_sample=False)
    words = whole_words(text)
    runs_of_five = list(zip(*(words[start:] for start in range(5)), strict=False))
    assert len(set(runs_of_five)) >= 0.9 * len(runs_of_five)
