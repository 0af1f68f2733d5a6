"""Scores of a text over the API equal those of transformers in float32, for each dtype of the weights."""

from __future__ import annotations

import httpx
import pytest
import torch
from openaisle_opt.settings import BUNDLED_MODEL_DIR
from openaisle_opt.settings import BUNDLED_MODEL_NAME as MODEL
from opt.server.serving import serving
from transformers import AutoTokenizer, OPTForCausalLM

TEXTS = [
    "Once upon a time there was a little fox who lived in a small house by the sea.",
    'The king said: "It\'s late", and went to bed.',
    "Zoë 😀 123 qwertz",
    "\n\n",
]
TOLERANCES = {"float32": 1e-4, "float16": 0.01, "bfloat16": 0.08}
"""Between two natural logarithms of a token's probability; docs/opt.md states them."""


@pytest.fixture(scope="module")
def expected() -> list[list[float]]:
    """The log-probability of every token but the first of each text."""
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED_MODEL_DIR)
    model = OPTForCausalLM.from_pretrained(BUNDLED_MODEL_DIR, dtype=torch.float32).eval()
    scores = []
    with torch.inference_mode():
        for text in TEXTS:
            ids = tokenizer(text, return_tensors="pt").input_ids
            logprobs = model(ids).logits[0, :-1].log_softmax(-1)
            scores.append(logprobs.gather(1, ids[0, 1:, None])[:, 0].tolist())
    return scores


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_scores_equal_those_of_transformers_in_float32(expected: list[list[float]], dtype: str) -> None:
    with serving("--dtype", dtype) as program, httpx.Client(base_url=program.url, timeout=60) as client:
        body = {"model": MODEL, "prompt": TEXTS, "max_tokens": 0, "echo": True, "logprobs": 0}
        answer = client.post("/v1/completions", json=body).json()
    for choice, scores in zip(answer["choices"], expected, strict=True):
        first, *others = choice["logprobs"]["token_logprobs"]
        assert first is None
        assert others == pytest.approx(scores, abs=TOLERANCES[dtype], rel=0)
