"""Optimisers: how parameters move once their gradients are known."""

from .clip import clip_grad_norm, clip_grad_value
from .minimize import Iteration, minimize
from .optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from .schedules import CosineLR, Schedule, StepLR, WarmupLR

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineLR",
    "Iteration",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "StepLR",
    "WarmupLR",
    "clip_grad_norm",
    "clip_grad_value",
    "minimize",
]
