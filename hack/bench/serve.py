"""Measures what HTTP costs: serve-opt.py with many clients beside the engine alone, in one run.

Both compute the same requests (greedy, prompts without a common prefix, all sent at once) in turns,
in several rounds; tokens a second count from the first request to the last answer. The clients run
on the same cores as the server. The checkpoint is made here, with random weights, unless --model
names one.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import tempfile
import time
from pathlib import Path

import torch
from checkpoint import SHAPES, make_checkpoint
from engine_run import make_engine, run_engine
from figures import Figure, describe_machine, print_table, write_json
from load import run_clients
from servers import MODEL_NAME, openaisle


async def measure(args: argparse.Namespace, model_dir: Path) -> list[dict[str, object]]:
    """All rounds; the order of the contenders turns with each."""
    engine = make_engine(model_dir, args.dtype, args.threads)
    generator = torch.Generator().manual_seed(0)
    rates: dict[str, list[float]] = {"engine": [], "whole": [], "streamed": []}

    async with openaisle(model_dir, args.dtype, args.threads) as server:

        async def run(name: str, max_tokens: int) -> float:
            shape = (args.clients, args.prompt_tokens)
            prompts = torch.randint(300, 50000, shape, generator=generator).tolist()
            if name == "engine":
                begin = time.perf_counter()
                run_engine(engine, prompts, max_tokens)
                return args.clients * max_tokens / (time.perf_counter() - begin)
            return await run_clients(server.url, MODEL_NAME, prompts, max_tokens, stream=name == "streamed")

        names = list(rates)
        for name in names:  # the first run of each finds cold caches
            await run(name, 4)
        for number in range(args.rounds):
            for name in names[number % 3 :] + names[: number % 3]:
                rates[name].append(await run(name, args.max_tokens))

    results: list[dict[str, object]] = []
    for name, values in rates.items():
        shares = [100 * value / engine for value, engine in zip(values, rates["engine"], strict=True)]
        results.append({"way": name, "rate": Figure.of(values), "share_percent": Figure.of(shares)})
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="folder of an OPT checkpoint with its tokenizer")
    parser.add_argument("--shape", default="opt-125m", choices=SHAPES, help="made when --model is not given")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--prompt-tokens", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    args = parser.parse_args()

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the servers end too
    with tempfile.TemporaryDirectory() as folder:
        model_dir = Path(args.model) if args.model else make_checkpoint(args.shape, Path(folder))
        results = asyncio.run(measure(args, model_dir))
    print(f"{describe_machine()}; {args.threads} threads, {args.dtype}, {args.clients} clients")
    print("median (smallest to largest)\n")
    rows = [[str(r["way"]), r["rate"].show(1), r["share_percent"].show(0) + " %"] for r in results]  # type: ignore[attr-defined]
    print_table(["way", "tokens/s", "of the engine's rate"], rows)
    if args.json:
        write_json(args.json, results, **vars(args))


if __name__ == "__main__":
    main()
