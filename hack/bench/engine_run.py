"""The engine in this process, without HTTP: requests in, rates out."""

from __future__ import annotations

import time
from pathlib import Path

from openaisle_opt.engine import Engine
from openaisle_opt.loading import load_engine
from openaisle_opt.protocol import Sampling, Submit
from openaisle_opt.settings import EngineSettings


def make_engine(model_dir: Path, dtype: str, threads: int) -> Engine:
    """An engine with prefix caching off: each round computes its prompts anew."""
    settings = EngineSettings(
        model_dir=str(model_dir),
        dtype=dtype,
        device="cpu",
        prefix_caching=False,
        num_threads=threads,
        max_num_batched_tokens=2048,
    )
    engine, _ = load_engine(settings, lambda phase, fraction: None)
    return engine


def run_engine(engine: Engine, prompts: list[list[int]], max_tokens: int) -> tuple[float, float]:
    """Prompt tokens a second until all first tokens are there, then generated tokens a second."""
    sampling = Sampling(max_tokens=max_tokens, temperature=0.0, ignore_eos=True)
    begin = time.perf_counter()
    for index, prompt in enumerate(prompts):
        engine.submit(Submit(f"request-{index}", prompt, sampling))
    started: set[str] = set()
    first = begin
    num_generated = 0
    while engine.has_work:
        step = engine.step()
        tokens = step.tokens if step else []
        if len(started) < len(prompts):
            started.update(token.request_id for token in tokens)
            first = time.perf_counter()
        else:
            num_generated += len(tokens)
    end = time.perf_counter()
    return sum(map(len, prompts)) / (first - begin), num_generated / (end - first)
