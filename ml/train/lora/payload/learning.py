"""The loop: batches, loss, steps, looks at the exam, checkpoints. The same seed on the same processor gives the same numbers."""

import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer, losses

import checkpoint
from encoder import embed, learned_of, mixed, set_learned, tokens
from job import Exam, Job, batches_of

# Shares of what was learned that are tried beside all of it.
SHARES = (0.35, 0.6, 0.8)
GRADIENT_MAX = 1.0


class Stopped(Exception):
    """Asked to stop; what there was is saved when there was a place for it."""


@dataclass
class Stop:
    """Hears SIGTERM. While `gently` is false it ends the process at once: there is nothing that is not saved."""

    asked: bool = False
    gently: bool = False

    def listen(self) -> None:
        def hear(_number: int, _frame: object) -> None:
            self.asked = True
            if not self.gently:
                raise SystemExit(128 + signal.SIGTERM)

        signal.signal(signal.SIGTERM, hear)


@dataclass
class Progress:
    """All that is known of the training; what a checkpoint holds beside the tensors."""

    step: int = 0
    epoch: int = 0
    steps: list[dict] = field(default_factory=list)
    epochs: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = -math.inf
    stale: int = 0
    resumed: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Places:
    checkpoints: Path | None
    resume: Path | None


def ndcg(model: SentenceTransformer, exam: Exam) -> float | None:
    """NDCG@10 by vectors alone, over documents; None without questions."""
    if not exam.questions or not exam.passages:
        return None
    passages, questions = embed(model, exam.passages), embed(model, exam.questions)
    total = 0.0
    for at, answers in enumerate(exam.answers):
        scores = passages @ questions[at]
        seen: list[str] = []
        for position in np.argsort(-scores, kind="stable"):
            document = exam.documents[position]
            if document not in seen:
                seen.append(document)
            if len(seen) == 10:
                break
        gained = sum(1 / math.log2(rank + 2) for rank, document in enumerate(seen) if document in answers)
        ideal = sum(1 / math.log2(rank + 2) for rank in range(min(10, len(answers))))
        total += gained / ideal if ideal else 0.0
    return total / len(exam.questions)


def loss_of(model: SentenceTransformer, recipe: dict) -> torch.nn.Module:
    """Each question drawn to its passage and away from all others of the batch, in the whole vector and in its first parts."""
    scale = 1 / recipe["temperature"]
    if recipe["miniBatch"]:
        inner = losses.CachedMultipleNegativesRankingLoss(model, scale=scale, mini_batch_size=recipe["miniBatch"])
    else:
        inner = losses.MultipleNegativesRankingLoss(model, scale=scale)
    width = model[0].get_word_embedding_dimension()
    prefixes = [prefix for prefix in recipe["prefixes"] if prefix["size"] <= width]
    sizes, weights = [one["size"] for one in prefixes], [one["weight"] for one in prefixes]
    return losses.MatryoshkaLoss(model, inner, matryoshka_dims=sizes, matryoshka_weights=weights)


def learn(model: SentenceTransformer, job: Job, places: Places, stop: Stop, say: Callable[..., None]) -> tuple[dict, float, Progress]:
    """What was learned at the best epoch, how much of it to use, and how it went. Fails with Stopped."""
    recipe = job.recipe
    plan = [batches_of(job, epoch) for epoch in range(recipe["epochs"])]
    total = sum(len(batches) for batches in plan)
    if total == 0:
        raise ValueError("No batch can be made of these pairs: all of them are of one document.")
    parameters = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW([one for _, one in parameters], lr=recipe["rate"], weight_decay=0.01)
    warm = max(1, round(total * recipe["warmup"]))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.0, (total - step) / max(1, total - warm + 1)))
    )
    loss = loss_of(model, recipe)
    progress = Progress()
    best = learned_of(model)
    resumed = checkpoint.load(places.resume) if places.resume else None
    if resumed:
        progress, best = restore(resumed, model, optimizer, schedule, parameters)
        say(type="resumed", step=progress.step, steps=total)
    else:
        torch.manual_seed(job.seed + 2)
        start = ndcg(model, job.exam)
        progress.epochs.append({"epoch": 0, "loss": None, "ndcg": start})
        say(type="epoch", **progress.epochs[-1])

    def keep() -> None:
        if places.checkpoints is None:
            return
        began = time.monotonic()
        tensors = snapshot(model, optimizer, parameters, best)
        state = {**vars(progress), "best_score": finite(progress.best_score), "schedule": schedule.last_epoch}
        where = checkpoint.save(places.checkpoints, state, tensors)
        say(type="checkpoint", step=progress.step, name=where.name, seconds=round(time.monotonic() - began, 3))

    starts = np.cumsum([0, *(len(batches) for batches in plan)])
    stop.gently = True
    saved_at = time.monotonic()
    amp = torch.autocast("cuda", torch.bfloat16, enabled=model.device.type == "cuda" and torch.cuda.is_bf16_supported())
    while progress.step < total and progress.stale <= recipe["patience"]:
        epoch = int(np.searchsorted(starts, progress.step, side="right")) - 1
        batch = plan[epoch][progress.step - starts[epoch]]
        model.train()
        columns = [[one.query for one, _ in batch], [one.positive for one, _ in batch]]
        columns += [[negatives[at] for _, negatives in batch] for at in range(recipe["negatives"])]
        features = [{name: value.to(model.device) for name, value in tokens(model, texts).items()} for texts in columns]
        with amp:
            value = loss(features, torch.arange(len(batch), device=model.device))
        if not torch.isfinite(value):
            raise ValueError(f"The loss is no number any more at step {progress.step + 1}; a smaller rate may help.")
        value.backward()
        torch.nn.utils.clip_grad_norm_([one for _, one in parameters], GRADIENT_MAX)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        progress.epoch = epoch + 1
        progress.steps.append({"step": progress.step, "epoch": epoch + 1, "loss": round(value.item(), 6)})
        say(type="progress", steps=total, **progress.steps[-1])
        if progress.step == starts[epoch + 1]:
            best = judge(model, job, progress, best)
            say(type="epoch", **progress.epochs[-1])
            keep()
            saved_at = time.monotonic()
        elif stop.asked or time.monotonic() - saved_at >= job.checkpoint_seconds:
            keep()
            saved_at = time.monotonic()
        if stop.asked:
            raise Stopped
    stop.gently = False
    return best, choose_share(model, job, progress, best), progress


def judge(model: SentenceTransformer, job: Job, progress: Progress, best: dict) -> dict:
    """Ends an epoch: notes what it came to, and gives the best so far. Without an exam the last is the best."""
    epoch = progress.epoch
    mine = [step["loss"] for step in progress.steps if step["epoch"] == epoch]
    score = ndcg(model, job.exam)
    progress.epochs.append({"epoch": epoch, "loss": round(sum(mine) / len(mine), 6), "ndcg": score})
    if score is None or score > progress.best_score:
        progress.best_epoch, progress.best_score, progress.stale = epoch, score if score is not None else 0.0, 0
        return learned_of(model)
    progress.stale += 1
    return best


def choose_share(model: SentenceTransformer, job: Job, progress: Progress, best: dict) -> float:
    """All of what was learned, unless the exam is answered better with less."""
    share, most = 1.0, progress.best_score
    if not job.exam.questions:
        return share
    for other in SHARES:
        set_learned(model, mixed(best, other))
        score = ndcg(model, job.exam)
        if score is not None and score > most:
            share, most = other, score
    return share


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def snapshot(model, optimizer, parameters, best) -> dict[str, torch.Tensor]:
    tensors = {f"now.{name}": one.data for name, one in parameters}
    tensors |= {f"best.{name}": one for name, one in best.items()}
    for name, one in parameters:
        for key, value in optimizer.state.get(one, {}).items():
            tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value).clone()
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors |= {f"random.cuda.{at}": one for at, one in enumerate(torch.cuda.get_rng_state_all())}
    return tensors


def restore(resumed, model, optimizer, schedule, parameters) -> tuple[Progress, dict[str, torch.Tensor]]:
    state, tensors = resumed
    known = {name: state[name] for name in vars(Progress()) if name in state}
    progress = Progress(**{**known, "best_score": -math.inf if state["best_score"] is None else state["best_score"]})
    progress.resumed.append(progress.step)
    for name, one in parameters:
        one.data.copy_(tensors[f"now.{name}"])
        mine = {key.split(".")[1]: value for key, value in tensors.items() if key.startswith("optimizer.") and key.split(".", 2)[2] == name}
        optimizer.state[one] = {key: value if key == "step" else value.to(one.device) for key, value in mine.items()}
    schedule.last_epoch = state["schedule"]
    for group, rate in zip(optimizer.param_groups, (fn(schedule.last_epoch) for fn in schedule.lr_lambdas)):
        group["lr"] = group["initial_lr"] * rate
    torch.set_rng_state(tensors["random.cpu"])
    if torch.cuda.is_available():
        states = [tensors[name] for name in sorted(tensors) if name.startswith("random.cuda.")]
        if len(states) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(states)
    best = {name.removeprefix("best."): value for name, value in tensors.items() if name.startswith("best.")}
    return progress, best
