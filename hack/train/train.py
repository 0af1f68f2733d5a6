"""Train the bundled model openaisle/tiny-opt."""

import argparse
import random
from pathlib import Path

import torch
from books import passages
from export import save_model
from loop import Paths, new_model, train
from mixture import Mixture
from tokenizers import Tokenizer
from vocabulary import train_tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=90, help="running time of the training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work-dir", type=Path, required=True, help="texts, tokenizer and checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--pause-file", type=Path, help="training sleeps while it exists (default: WORK_DIR/pause)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    mixture = Mixture(passages(args.work_dir / "packages"))
    tokenizer_file = args.work_dir / "tokenizer.json"
    if not tokenizer_file.exists():
        rng = random.Random(0)
        train_tokenizer((mixture.document(rng) for _ in range(12000)), 2048).save(str(tokenizer_file))
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    model = new_model(tokenizer.get_vocab_size())
    paths = Paths(args.work_dir / "checkpoint.pt", args.pause_file or args.work_dir / "pause")
    state = train(model, tokenizer, mixture, args.minutes, paths)
    save_model(model, tokenizer, args.out)
    print(state)


if __name__ == "__main__":
    main()
