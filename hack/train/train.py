"""Train the bundled model openaisle/tiny-opt."""

import argparse
import random
from pathlib import Path

import torch
from books import passages
from card import write_card
from evaluate import held_out_bits_per_byte, samples
from export import save_model
from loop import Training
from mixture import Mixture
from tokenizers import Tokenizer
from vocabulary import train_tokenizer, write_words

ROOT = Path(__file__).parents[2]
VOCABULARY = 2048
TOKENIZER_DOCUMENTS = 12_000  # about 4 MB


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    mixture = Mixture(passages(args.work_dir / "packages"))
    tokenizer = _tokenizer(mixture, args.work_dir / "tokenizer.json")
    training = Training(tokenizer, mixture, args.bfloat16)
    training.run(args.minutes, args.work_dir / "checkpoint.pt", args.pause_file or args.work_dir / "pause")
    model = training.model
    save_model(model, tokenizer, args.out)
    write_card(
        args.out / "README.md",
        parameters=model.num_parameters(),
        minutes=training.elapsed_s / 60,
        steps=training.step,
        arithmetic="bfloat16" if args.bfloat16 else "float32",
        book_share=mixture.book_share_of_text(random.Random(0)),
        bits_per_byte=held_out_bits_per_byte(model.float(), tokenizer, mixture),
        samples=samples(args.out),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=90, help="processor time of the training (90)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (1)")
    parser.add_argument(
        "--bfloat16", action="store_true", help="compute in bfloat16: faster on CPUs with AVX512_BF16 or AMX"
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=ROOT / "build/tiny-opt",
        help="for the packages, the tokenizer and checkpoints (build/tiny-opt)",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "images/opt/models/tiny-opt", help="folder of the finished model"
    )
    parser.add_argument("--pause-file", type=Path, help="sleep while it exists (pause in the working folder)")
    return parser.parse_args()


def _tokenizer(mixture: Mixture, file: Path) -> Tokenizer:
    """The tokenizer of this training, made at its first start together with the list of known words."""
    if not file.exists():
        rng = random.Random(0)
        documents = [mixture.document(rng) for _ in range(TOKENIZER_DOCUMENTS)]
        write_words(documents + mixture.passages, Path(__file__).with_name("words.txt"))
        train_tokenizer(documents, VOCABULARY).save(str(file))
    return Tokenizer.from_file(str(file))


if __name__ == "__main__":
    main()
