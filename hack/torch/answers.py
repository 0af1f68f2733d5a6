"""What the engine answers with the torch of the Python that runs this, as JSON: `answers.py RANKS FOLDER...`.

Each folder holds a checkpoint, whose model is divided between RANKS processes. The prompts are token ids, so
no tokenizer is needed.
"""

from __future__ import annotations

import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "images" / "opt"))

import torch
from openaisle_opt.loading import load_engine
from openaisle_opt.protocol import Sampling, Submit
from openaisle_opt.settings import EngineSettings

NUM_PROMPTS = 24
SAMPLINGS = (
    {"temperature": 0.0},
    {"temperature": 0.0, "presence_penalty": 0.5, "logit_bias": {7: 3.0}},
    {"temperature": 0.0, "prompt_logprobs": 2},
)


def main() -> None:
    num_ranks, *folders = sys.argv[1:]
    answers = {folder: answer(folder, int(num_ranks)) for folder in folders}
    json.dump({"torch": torch.__version__, "answers": answers}, sys.stdout)


def answer(folder: str, num_ranks: int) -> list[list[float]]:
    """Token ids and log-probabilities of prompts that run together, by request."""
    settings = EngineSettings(
        folder,
        dtype="float32",
        device="cpu",
        kv_cache_gib=0.05,
        num_threads=num_ranks,
        tensor_parallel_size=num_ranks,
    )
    engine, _ = load_engine(settings, lambda *_: None)
    chance = random.Random(5)
    answers: dict[str, list[float]] = {}
    for number in range(NUM_PROMPTS):
        prompt = [chance.randrange(3, 200) for _ in range(chance.randrange(1, 80))]
        sampling = Sampling(max_tokens=12, ignore_eos=True, logprobs=1, **SAMPLINGS[number % len(SAMPLINGS)])
        answers[str(number)] = []
        engine.submit(Submit(str(number), prompt, sampling))
    while engine.has_work:
        step = engine.step()
        for token in step.tokens if step else ():
            answers[token.request_id] += [token.token_id, token.logprobs.logprob]
    engine.close()
    return list(answers.values())


if __name__ == "__main__":
    main()
