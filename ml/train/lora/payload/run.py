"""Trains a LoRA beside a base on what job.json says, and leaves the merged model, its parity and the record in NIKA_OUT.

NIKA_OUT: where results go ("out" unless given). NIKA_CKPT_DIR: where to save. NIKA_RESUME_FROM: what to go on from. SIGTERM: save now; the
exit status is then 143. 2: the job is not what it should be. Progress is told on standard output, a line of JSON each.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

# Before torch is loaded: nothing is fetched, and CUDA computes the same each time.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", HF_HUB_DISABLE_TELEMETRY="1")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# One core is left to whatever else runs here, and threads that wait do not spin: on a busy machine that took seven times as long.
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) - 1)))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch  # noqa: E402
from transformers import logging  # noqa: E402

import checkpoint  # noqa: E402
import facts  # noqa: E402
from encoder import add_lora, count_numbers, lay_base, merge, mixed, open_base, wants_four_bit  # noqa: E402
from export import export, parity  # noqa: E402
from job import Job, read_job  # noqa: E402
from learning import Places, Stop, Stopped, learn  # noqa: E402

FORMAT = 1


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


def place(name: str) -> Path | None:
    said = os.environ.get(name)
    return Path(said) if said else None


def work(job: Job, out: Path, scratch: Path, stop: Stop) -> None:
    began = time.monotonic()
    seconds: dict[str, float] = {}

    def lap(name: str, since: float) -> None:
        seconds[name] = round(time.monotonic() - since, 3)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    say(type="begin", device=facts.device(), nvidia=facts.nvidia(), pairs=len(job.examples), questions=len(job.exam.questions))
    base = lay_base(job, scratch)
    numbers = count_numbers(base)
    four_bit = wants_four_bit(job, numbers)
    model = open_base(job, base, device, four_bit=four_bit)
    add_lora(model, job, four_bit=four_bit)
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    lap("load", began)
    since = time.monotonic()
    learned, share, progress = learn(model, job, Places(place("NIKA_CKPT_DIR"), place("NIKA_RESUME_FROM")), stop, say)
    lap("train", since)
    since = time.monotonic()
    merged = merge(job, base, mixed(learned, share))
    graphs = export(merged, job, base, out)
    lap("export", since)
    since = time.monotonic()
    near = parity(merged, job, graphs)
    (out / "parity.json").write_text(json.dumps(near), encoding="utf-8")
    lap("parity", since)
    lap("all", began)
    said = {name: near[name] for name in ("maxAbsDifference", "quantised")}
    say(type="parity", **said)
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.name != "result.json")
    result = {
        "format": FORMAT,
        "seed": job.seed,
        "recipe": job.recipe,
        "base": {**job.base, "numbers": numbers, "trained": trained, "fourBit": four_bit},
        "steps": progress.steps,
        "epochs": progress.epochs,
        "bestEpoch": progress.best_epoch,
        "share": share,
        "resumed": progress.resumed,
        "seconds": seconds,
        "memory": facts.peak_memory(),
        "device": facts.device(),
        "nvidia": facts.nvidia(),
        "versions": facts.versions(),
        "files": {
            path.relative_to(out).as_posix(): {"sha256": checkpoint.digest(path), "bytes": path.stat().st_size} for path in files
        },
    }
    # Last: who sees it sees all the rest.
    partial = out / "result.json.partial"
    partial.write_text(json.dumps(result), encoding="utf-8")
    partial.rename(out / "result.json")
    say(type="done", seconds=seconds["all"], share=share, **result["memory"])


def main() -> int:
    stop = Stop()
    stop.listen()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.use_deterministic_algorithms(True)
    out = place("NIKA_OUT") or Path("out")
    out.mkdir(parents=True, exist_ok=True)
    try:
        job = read_job(Path(__file__).resolve().parent)
        with tempfile.TemporaryDirectory(prefix="nika-lora-") as scratch:
            work(job, out, Path(scratch), stop)
    except Stopped:
        say(type="stopped")
        return 143
    except (ValueError, KeyError, OSError) as error:
        say(type="failed", says=f"{type(error).__name__}: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
