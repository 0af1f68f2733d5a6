"""Measures the engine beside transformers' `generate`: the same checkpoint, dtype and threads.

The two take turns in one process, in several rounds, so that whatever else the machine does meets
both. Greedy decoding with a KV cache; tokens a second are counted from the first token on, the
prompts' tokens a second before it. The checkpoint is made here, with random weights, unless --model
names one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from checkpoint import SHAPES, make_checkpoint
from engine_run import make_engine, run_engine
from figures import Figure, describe_machine, print_table, write_json
from openaisle_opt import kernels
from transformers import OPTForCausalLM, StoppingCriteria, StoppingCriteriaList


class _Clock(StoppingCriteria):
    """Notes when each token came; stops nothing."""

    def __init__(self) -> None:
        self.times_s: list[float] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        self.times_s.append(time.perf_counter())
        return torch.zeros(input_ids.shape[0], dtype=torch.bool)


def run_transformers(model: OPTForCausalLM, prompts: list[list[int]], max_tokens: int) -> tuple[float, float]:
    """Prompt tokens a second until the first tokens are there, then generated tokens a second."""
    clock = _Clock()
    input_ids = torch.tensor(prompts)
    begin = time.perf_counter()
    with torch.inference_mode():
        model.generate(
            input_ids,
            attention_mask=torch.ones_like(input_ids),
            max_new_tokens=max_tokens,
            do_sample=False,
            use_cache=True,
            eos_token_id=None,
            pad_token_id=1,
            stopping_criteria=StoppingCriteriaList([clock]),
        )
    first, last = clock.times_s[0], clock.times_s[-1]
    return input_ids.numel() / (first - begin), len(prompts) * (max_tokens - 1) / (last - first)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="folder of an OPT checkpoint")
    parser.add_argument("--shape", default="opt-125m", choices=SHAPES, help="made when --model is not given")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32], help="sequences at the same time")
    parser.add_argument("--prompt-tokens", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true", help="measure the engine alone")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        model_dir = Path(args.model) if args.model else make_checkpoint(args.shape, Path(folder))
        engine = make_engine(model_dir, args.dtype, args.threads)
        peer = None
        if not args.no_peer:
            peer = OPTForCausalLM.from_pretrained(model_dir, dtype=getattr(torch, args.dtype)).eval()

    results = [measure(engine, peer, batch, args) for batch in args.batch]

    print(f"{describe_machine()}; {args.threads} threads, {args.dtype}")
    print(f"kernels: {'built' if kernels.available() else 'torch alone'}; median (smallest to largest)\n")
    header = ["batch", "openaisle tokens/s", "transformers tokens/s", "ratio", "prompt tokens/s", "ratio"]
    shown = ("ours", 1), ("peer", 1), ("ratio", 2), ("ours_prompt", 0), ("prompt_ratio", 2)
    print_table(
        header, [[str(r["batch"]), *[r[k].show(n) if k in r else "" for k, n in shown]] for r in results]
    )
    if args.json:
        write_json(args.json, results, **vars(args))


def measure(engine, peer, batch: int, args: argparse.Namespace) -> dict:  # type: ignore[no-untyped-def]
    """All rounds of one batch size; each contender begins every other round."""
    generator = torch.Generator().manual_seed(batch)
    shape = (batch, args.prompt_tokens)
    rates: dict[str, list[float]] = {"ours": [], "ours_prompt": [], "peer": [], "peer_prompt": []}

    def run(name: str) -> None:
        prompts = torch.randint(5, 50000, shape, generator=generator).tolist()
        run_one = run_engine if name == "ours" else run_transformers
        # The kernels have threads of their own; torch's would spin on their cores.
        torch.set_num_threads(1 if name == "ours" and kernels.available() else args.threads)
        prompt_rate, rate = run_one(engine if name == "ours" else peer, prompts, args.max_tokens)
        rates[name + "_prompt"].append(prompt_rate)
        rates[name].append(rate)

    names = ["ours", "peer"] if peer is not None else ["ours"]
    for round_number in range(args.rounds):
        for name in names if round_number % 2 == 0 else reversed(names):
            run(name)
    result = {name: Figure.of(values) for name, values in rates.items() if values}
    if peer is not None:
        for ratio, name in (("ratio", ""), ("prompt_ratio", "_prompt")):
            pairs = zip(rates["ours" + name], rates["peer" + name], strict=True)
            result[ratio] = Figure.of([ours / theirs for ours, theirs in pairs])
    return {"batch": batch, **result}


if __name__ == "__main__":
    main()
