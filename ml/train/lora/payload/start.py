"""Starts the training with the libraries it is pinned to: those that are there, or an environment of its own made beside the machine's.

Standard library only, because it runs before there is anything else. The environment is named after what is in it and made once a
machine, in NIKA_CACHE or the user's cache folder. With --install it is made ahead of any training, and its Python is told.
"""

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
# There are builds of all that is pinned for these.
PYTHON_FROM, PYTHON_BELOW = (3, 11), (3, 14)


def pinned() -> dict[str, str]:
    """Each library and its version, as requirements.txt has them."""
    wanted = {}
    for line in (HERE / "requirements.txt").read_text().splitlines():
        requirement = line.split("#")[0].strip()
        if not requirement:
            continue
        name, version = requirement.split("==")
        wanted[name] = version
    return wanted


def lacking() -> list[str]:
    """Libraries that are absent here or of another version. What follows "+" is how a version was built, and may differ."""
    missing = []
    for name, version in pinned().items():
        try:
            here = importlib.metadata.version(name).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            here = None
        if here != version:
            missing.append(f"{name} {version}" + (f" (here: {here})" if here else ""))
    return missing


def environment() -> Path:
    """The Python of an environment that has them; made when there is none yet."""
    name = hashlib.sha256((HERE / "requirements.txt").read_bytes() + sys.version.encode()).hexdigest()[:12]
    cache = os.environ.get("NIKA_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "nika")
    folder = Path(cache) / f"lora-{name}"
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    began = time.monotonic()
    say(type="install", into=str(folder))
    # An image that brings torch along keeps it: it is the largest part by far.
    venv.create(folder, with_pip=True, clear=True, system_site_packages=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", "--no-input", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", str(HERE / "requirements.txt")], check=True, stdout=sys.stderr)
    (folder / "complete").touch()
    say(type="installed", seconds=round(time.monotonic() - began, 1), megabytes=round(megabytes(folder)))
    return python


def megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    if not PYTHON_FROM <= sys.version_info < PYTHON_BELOW:
        say(type="failed", says=f"It takes Python 3.11, 3.12 or 3.13; this is {sys.version.split()[0]}.")
        sys.exit(2)
    missing = lacking()
    python = sys.executable
    if missing:
        say(type="lacking", libraries=missing[:8])
        python = str(environment())
    if "--install" in sys.argv:
        say(type="ready", python=python)
        return
    os.execv(python, [python, str(HERE / "run.py"), *sys.argv[1:]])


if __name__ == "__main__":
    main()
