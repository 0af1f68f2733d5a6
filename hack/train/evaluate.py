"""What the trained model is worth: bits per byte of stories that it has not read, and samples."""

from pathlib import Path

import torch
from mixture import Mixture
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import AutoTokenizer, OPTForCausalLM

PROMPTS = (
    "Once upon a time",
    "One day, a little girl",
    "The old man",
    "There was a",
    "Hello, my name is",
    "The king said",
    "In a small house",
    "The weather today",
    "Say this is a test",
    "Q: What does the cat say?\nA:",
)
_UNREAD_SEED = 2


@torch.inference_mode()
def held_out_bits_per_byte(model: OPTForCausalLM, tokenizer: Tokenizer, mixture: Mixture) -> float:
    """Of fresh documents of the whole mixture; its book passages have been read before."""
    unread = Mixture(mixture.passages, seed=_UNREAD_SEED)
    ids = unread.batch(tokenizer, 0, 64, 256)
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    nats = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="sum").item()
    num_bytes = sum(len(text.encode()) for text in tokenizer.decode_batch(ids[:, 1:].tolist()))
    return nats / num_bytes / torch.log(torch.tensor(2.0)).item()


def samples(folder: Path, per_prompt: int = 2, num_tokens: int = 60) -> list[str]:
    """Continuations of the prompts at temperature 0.7, as a user of the files sees them; seeded."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = OPTForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    torch.manual_seed(0)
    texts = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt")
        out = model.generate(
            **ids,
            max_new_tokens=num_tokens,
            do_sample=True,
            temperature=0.7,
            top_k=0,
            num_return_sequences=per_prompt,
        )
        texts += tokenizer.batch_decode(out, skip_special_tokens=True)
    return texts
