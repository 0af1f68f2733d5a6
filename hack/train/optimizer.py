"""Muon for the matrices of the layers, AdamW for embeddings, biases and norms."""

import torch
from torch import nn


def _orthogonal(update: torch.Tensor) -> torch.Tensor:
    """The nearest matrix with all singular values near 1, by five Newton-Schulz steps."""
    wide = update.T if update.size(0) > update.size(1) else update
    x = wide / (wide.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if update.size(0) > update.size(1) else x


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal (Keller Jordan, 2024), with Nesterov's look-ahead."""

    def __init__(self, params: list[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state[param]
                if "buffer" not in state:
                    state["buffer"] = torch.zeros_like(param)
                buffer = state["buffer"].lerp_(param.grad, 1 - group["momentum"])
                update = _orthogonal(param.grad.lerp(buffer, group["momentum"]))
                scale = max(1.0, param.size(0) / param.size(1)) ** 0.5
                param.add_(update, alpha=-group["lr"] * scale)


def make_optimizers(model: nn.Module) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and ".layers." in n]
    rest = [p for n, p in model.named_parameters() if not (p.ndim == 2 and ".layers." in n)]
    return [Muon(matrices, lr=0.02), torch.optim.AdamW(rest, lr=4e-3, betas=(0.9, 0.95), weight_decay=0.01)]
