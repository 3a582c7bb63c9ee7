"""What the training ran on: libraries, processor or GPU, memory."""

import importlib.metadata
import platform
import resource
import shutil
import subprocess

import torch

LIBRARIES = ("torch", "transformers", "sentence-transformers", "peft", "onnx", "onnxruntime", "numpy")
SMI_FIELDS = ("index", "name", "uuid", "memory.total", "driver_version", "compute_cap")


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in LIBRARIES}}


def device() -> dict[str, object]:
    """What torch computes with; `cuda` counts only where torch itself can use it."""
    if torch.cuda.is_available():
        one = torch.cuda.get_device_properties(0)
        return {"type": "cuda", "name": one.name, "memoryMb": round(one.total_memory / 1e6), "cuda": torch.version.cuda}
    return {"type": "cpu", "name": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}


def nvidia() -> list[dict[str, str]]:
    """What nvidia-smi says of each GPU; none where there is no such program."""
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return []
    query = [smi, f"--query-gpu={','.join(SMI_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [dict(zip(SMI_FIELDS, (part.strip() for part in line.split(",")))) for line in told.splitlines() if line.strip()]


def peak_memory() -> dict[str, int]:
    """The most this process held so far, MB of 10^6 bytes; of the GPU what torch asked for."""
    peak = {"processMb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)}
    if torch.cuda.is_available():
        peak["gpuMb"] = round(torch.cuda.max_memory_allocated() / 1e6)
    return peak
