"""What is to be done, as the appliance packed it: job.json, pairs.jsonl, eval.jsonl and the folder of the base."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

FORMAT = 1
# Longer texts are cut where they are served, too; counted there in units of UTF-16.
UNITS_MAX = 4_000


@dataclass(frozen=True)
class Example:
    """A question, the passage that answers it, and passages that look as if they did."""

    query: str
    positive: str
    negatives: tuple[str, ...]
    # Passages of one group do not count against each other.
    group: str
    # How sure it is that the passage answers, 0 to 1: its chance to be in an epoch.
    weight: float


@dataclass(frozen=True)
class Exam:
    """Questions that choose the epoch, and the passages they are asked of. `answers`: names of documents."""

    documents: tuple[str, ...]
    passages: tuple[str, ...]
    questions: tuple[str, ...]
    answers: tuple[frozenset[str], ...]


@dataclass(frozen=True)
class Job:
    folder: Path
    seed: int
    base: dict
    query_prefix: str
    recipe: dict
    checkpoint_seconds: float
    probes: tuple[str, ...]
    examples: tuple[Example, ...]
    exam: Exam


def clean(text: str) -> str:
    """A text as it is embedded: of nothing would come no direction, and half a character is none."""
    whole = text.encode("utf-16-le", "surrogatepass")[: 2 * UNITS_MAX].decode("utf-16-le", "ignore")
    return whole if whole.strip() else "."


def read_job(folder: Path) -> Job:
    """Fails with ValueError, in a sentence, when something is missing or not what it should be."""
    said = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    if said.get("format") != FORMAT:
        raise ValueError(f"job.json is of format {said.get('format')}; this payload reads {FORMAT}.")
    prefix = said["queryPrefix"]
    examples = tuple(
        Example(
            query=clean(prefix + line["query"]),
            positive=clean(line["positive"]),
            negatives=tuple(clean(text) for text in line["negatives"]),
            group=line["group"],
            weight=float(line["weight"]),
        )
        for line in lines(folder / "pairs.jsonl")
        if line["split"] == "training"
    )
    if len(examples) < 2:
        raise ValueError("pairs.jsonl has fewer than two pairs to learn from.")
    asked = [line for line in lines(folder / "eval.jsonl") if line["type"] == "question"]
    held = [line for line in lines(folder / "eval.jsonl") if line["type"] == "passage"]
    exam = Exam(
        documents=tuple(line["document"] for line in held),
        passages=tuple(clean(line["text"]) for line in held),
        questions=tuple(clean(prefix + line["text"]) for line in asked),
        answers=tuple(frozenset(line["answers"]) for line in asked),
    )
    return Job(
        folder=folder,
        seed=int(said["seed"]),
        base=said["base"],
        query_prefix=prefix,
        recipe=said["recipe"],
        checkpoint_seconds=float(said["checkpointSeconds"]),
        probes=tuple(clean(text) for text in said["probes"]),
        examples=examples,
        exam=exam,
    )


def lines(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def batches_of(job: Job, epoch: int) -> list[list[tuple[Example, tuple[str, ...]]]]:
    """An epoch's batches, each example with as many negatives as the recipe wants; the same for the same seed.

    No batch has a question, a document or a passage twice, nor one example's answer among another's negatives: everything else in a batch
    counts as wrong for a question. Examples without enough negatives of their own get the answers of others.
    """
    below = random.Random(job.seed * 1_000_003 + epoch)
    size, wanted = job.recipe["batch"], job.recipe["negatives"]
    drawn = [example for example in job.examples if below.random() < example.weight]
    below.shuffle(drawn)
    waiting = [(example, negatives_of(example, job, wanted, below)) for example in drawn]
    batches = []
    while waiting:
        batch: list[tuple[Example, tuple[str, ...]]] = []
        later = []
        groups, queries, answers, wrong = set(), set(), set(), set()
        at = 0
        while at < len(waiting) and len(batch) < size:
            example, negatives = waiting[at]
            at += 1
            clash = (
                example.group in groups
                or example.query in queries
                or example.positive in wrong
                or not answers.isdisjoint(negatives)
            )
            if clash:
                later.append((example, negatives))
                continue
            batch.append((example, negatives))
            groups.add(example.group)
            queries.add(example.query)
            answers.add(example.positive)
            wrong.update(negatives)
        waiting = later + waiting[at:]
        # One alone has nothing to be told apart from.
        if len(batch) > 1:
            batches.append(batch)
    return batches


def negatives_of(example: Example, job: Job, wanted: int, below: random.Random) -> tuple[str, ...]:
    own = [text for text in example.negatives if text != example.positive][:wanted]
    for _ in range(100):
        if len(own) == wanted:
            break
        other = job.examples[below.randrange(len(job.examples))]
        if other.group != example.group and other.positive != example.positive:
            own.append(other.positive)
    return tuple(own + ["."] * (wanted - len(own)))
