"""From logits to tokens: pure functions of logits and numbers.

Shapes: `R` rows, one for each token to choose; `V` vocabulary; `A` adjustments of single logits.
Logits are float32 [R, V]. No loop over the vocabulary, and what nobody asks for is not computed.
"""

from __future__ import annotations

import torch

MIN_TEMPERATURE = 1e-5
"""Below this a temperature means greedy."""

_NUCLEUS_SIZES = (256, 4096)
"""Numbers of likeliest tokens among which a nucleus is looked for, before all are sorted."""


def adjust(
    logits: torch.Tensor, rows: torch.Tensor, token_ids: torch.Tensor, amounts: torch.Tensor
) -> torch.Tensor:
    """A copy with `amounts` [A] added at (`rows`, `token_ids`): bias and penalties."""
    return logits.index_put((rows, token_ids), amounts, accumulate=True)


def greedy(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest tokens [R], the first of equals, and whether each row was finite [R]."""
    largest, token_ids = logits.max(dim=-1)
    return token_ids, torch.isfinite(largest)


def sample(
    logits: torch.Tensor, temperatures: torch.Tensor, uniforms: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens [R] drawn at `temperatures` [R] by `uniforms` [R] in [0, 1), and finiteness [R]."""
    cumulative = _weights(logits, temperatures).cumsum(dim=-1)
    return _draw(cumulative, uniforms), torch.isfinite(cumulative[:, -1])


def sample_nucleus(
    logits: torch.Tensor, temperatures: torch.Tensor, top_ps: torch.Tensor, uniforms: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Like `sample`, from the smallest set of likeliest tokens whose mass reaches `top_ps` [R]."""
    weights = _weights(logits, temperatures)
    totals = weights.sum(dim=-1)
    wanted = (top_ps * totals).unsqueeze(-1)
    token_ids = torch.empty(logits.shape[0], dtype=torch.int64, device=logits.device)
    rows = torch.arange(logits.shape[0], device=logits.device)
    vocab_size = logits.shape[-1]
    for size in (*_NUCLEUS_SIZES, vocab_size):
        likeliest, order = weights[rows].topk(min(size, vocab_size), dim=-1)
        cumulative = likeliest.cumsum(dim=-1)
        token_ids[rows] = _draw_nucleus(cumulative, wanted[rows], order, uniforms[rows])
        rows = rows[cumulative[:, -1] < wanted[rows, 0]]  # too wide: to be drawn again from more tokens
        if size >= vocab_size or rows.numel() == 0:
            break
    return token_ids, torch.isfinite(totals)


def _weights(logits: torch.Tensor, temperatures: torch.Tensor) -> torch.Tensor:
    """Probabilities up to a factor; the likeliest token has 1."""
    shifted = logits - logits.amax(dim=-1, keepdim=True)  # five times as fast as max
    return shifted.div_(temperatures.unsqueeze(-1)).exp_()


def _draw(cumulative: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The places [R] where running sums of weights first exceed `uniforms` of their last one."""
    totals = cumulative[:, -1]
    # Rounding may carry the product up to the total itself, beyond every token.
    below_total = torch.nextafter(totals, torch.zeros_like(totals))
    targets = torch.minimum(uniforms * totals, below_total).unsqueeze(-1)
    places = torch.searchsorted(cumulative, targets, right=True).squeeze(-1)
    return places.clamp_(max=cumulative.shape[-1] - 1)


def _draw_nucleus(
    cumulative: torch.Tensor, wanted: torch.Tensor, order: torch.Tensor, uniforms: torch.Tensor
) -> torch.Tensor:
    """Draw among tokens in `order`, up to the first whose running sum reaches `wanted` [R, 1]."""
    last = torch.searchsorted(cumulative, wanted).clamp_(max=cumulative.shape[-1] - 1)
    limit = cumulative.gather(-1, last)
    places = _draw(torch.minimum(cumulative, limit), uniforms)
    return order.gather(-1, places.unsqueeze(-1)).squeeze(-1)


def log_normalizers(logits: torch.Tensor) -> torch.Tensor:
    """What to subtract from logits [R, V] to get log-probabilities: [R, 1]."""
    return torch.logsumexp(logits, dim=-1, keepdim=True)


def token_logprobs(logits: torch.Tensor, normalizers: torch.Tensor, token_ids: torch.Tensor) -> torch.Tensor:
    """Log-probabilities [R] of one token a row."""
    return (logits.gather(-1, token_ids.unsqueeze(-1)) - normalizers).squeeze(-1)


def top_logprobs(
    logits: torch.Tensor, normalizers: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest `count` tokens of each row and their log-probabilities [R, count], best first.

    A token's value is the same float as in `token_logprobs`.
    """
    values, token_ids = logits.topk(count, dim=-1)
    return token_ids, values - normalizers
