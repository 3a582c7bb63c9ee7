"""Where training was, on disk: whole or not at all, the last two kept, no pickle."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

KEPT = 2


def save(folder: Path, state: dict, tensors: dict[str, torch.Tensor]) -> Path:
    """`state` is plain data with a whole number `step`. Fails with OSError when there is no room."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / f"step-{state['step']:08d}"
    partial = folder / f".{whole.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial / "tensors.safetensors")
    (partial / "state.json").write_text(json.dumps({**state, "sha256": digest(partial / "tensors.safetensors")}), encoding="utf-8")
    for path in partial.iterdir():
        sync(path)
    sync(partial)
    shutil.rmtree(whole, ignore_errors=True)
    partial.rename(whole)
    sync(folder)
    for old in sorted(folder.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return whole


def load(folder: Path) -> tuple[dict, dict[str, torch.Tensor]] | None:
    """The newest that is whole, in `folder` or `folder` itself; None when there is none."""
    for candidate in [folder, *sorted(folder.glob("step-*"), reverse=True)]:
        try:
            state = json.loads((candidate / "state.json").read_text(encoding="utf-8"))
            if state["sha256"] != digest(candidate / "tensors.safetensors"):
                continue
            return state, load_file(candidate / "tensors.safetensors")
        except (OSError, ValueError, KeyError):
            continue
    return None


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
