"""Measures serve-opt.py beside vLLM's server, each with the same clients, in one run.

Both servers are up and answer in turns, in several rounds, while the other is stopped; with the same
checkpoint, dtype and threads, without prefix caching. Tokens a second count from the first request to
the last answer. vLLM comes from a virtual environment of its own (--venv) that has its CPU build. The
checkpoint is made here, with random weights, unless --model names one.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import tempfile
from pathlib import Path

import torch
from checkpoint import SHAPES, make_checkpoint
from figures import Figure, describe_machine, print_table, write_json
from load import run_clients
from servers import MODEL_NAME, Server, openaisle, vllm


async def measure(args: argparse.Namespace, model_dir: Path) -> list[dict[str, object]]:
    """All rounds with each number of clients; the servers take turns to begin."""
    generator = torch.Generator().manual_seed(0)
    results: list[dict[str, object]] = []
    async with (
        vllm(args.venv, model_dir, args.dtype, args.threads) as theirs,
        openaisle(model_dir, args.dtype, args.threads) as ours,
    ):
        ours.pause()
        theirs.pause()

        async def run(server: Server, clients: int, max_tokens: int) -> float:
            prompts = torch.randint(300, 50000, (clients, args.prompt_tokens), generator=generator).tolist()
            server.go_on()
            rate = await run_clients(server.url, MODEL_NAME, prompts, max_tokens, stream=args.stream)
            server.pause()
            return rate

        for clients in args.clients:
            rates: dict[Server, list[float]] = {ours: [], theirs: []}
            for number in range(-1, args.rounds):
                for server in rates if number % 2 == 0 else reversed(rates):
                    rate = await run(server, clients, args.max_tokens if number >= 0 else 4)
                    if number >= 0:  # the first run of each finds cold caches
                        rates[server].append(rate)
            ratios = [mine / other for mine, other in zip(rates[ours], rates[theirs], strict=True)]
            results.append(
                {
                    "clients": clients,
                    "ours": Figure.of(rates[ours]),
                    "vllm": Figure.of(rates[theirs]),
                    "ratio": Figure.of(ratios),
                }
            )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--venv",
        required=True,
        type=lambda path: Path(path).absolute(),
        help="virtual environment with vLLM's CPU build",
    )
    parser.add_argument("--model", help="folder of an OPT checkpoint with its tokenizer")
    parser.add_argument("--shape", default="opt-125m", choices=SHAPES, help="made when --model is not given")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--prompt-tokens", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    args = parser.parse_args()

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the servers end too
    with tempfile.TemporaryDirectory() as folder:
        model_dir = Path(args.model) if args.model else make_checkpoint(args.shape, Path(folder))
        results = asyncio.run(measure(args, model_dir))
    print(f"{describe_machine()}; {args.threads} threads, {args.dtype}")
    print("median (smallest to largest)\n")
    rows = [
        [str(r["clients"]), r["ours"].show(1), r["vllm"].show(1), r["ratio"].show(2)]  # type: ignore[attr-defined]
        for r in results
    ]
    print_table(["clients", "openaisle tokens/s", "vllm tokens/s", "ratio"], rows)
    if args.json:
        write_json(args.json, results, **vars(args))


if __name__ == "__main__":
    main()
