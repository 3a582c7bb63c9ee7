"""The base, what is learned beside it (LoRA), and the two made one again."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, TaskType, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from sentence_transformers import SentenceTransformer, models
from transformers import AutoModel, BertConfig, BertModel

from job import Job

# Below this many numbers a base fits any GPU whole, and 4 bits would only cost quality.
FOUR_BIT_FROM = 300_000_000
TOKENIZER_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")


def lay_base(job: Job, work: Path) -> Path:
    """The base's folder, with weights: those it came with, or, of a base that says "random", some that the seed decides."""
    given = job.folder / job.base["folder"]
    if job.base["weights"] == "safetensors":
        return given
    torch.manual_seed(job.seed)
    config = BertConfig(**json.loads((given / "config.json").read_text(encoding="utf-8")))
    base = work / "base"
    BertModel(config, add_pooling_layer=False).save_pretrained(base, safe_serialization=True)
    for name in TOKENIZER_FILES:
        shutil.copyfile(given / name, base / name)
    return base


def open_base(job: Job, base: Path, device: str, *, four_bit: bool = False) -> SentenceTransformer:
    """The base as it is, with the pooling that it is served with. Reads no pickle, no code and nothing from the network."""
    arguments: dict = {"add_pooling_layer": False, "use_safetensors": True, "local_files_only": True}
    # Written out, because it is the same everywhere and exports as plain operators.
    arguments["attn_implementation"] = "eager"
    if four_bit:
        from transformers import BitsAndBytesConfig

        arguments["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
        )
    transformer = models.Transformer(
        str(base), max_seq_length=job.recipe["piecesMax"], model_args=arguments, tokenizer_args={"local_files_only": True}
    )
    pooling = models.Pooling(transformer.get_word_embedding_dimension(), pooling_mode=job.base["pooling"])
    return SentenceTransformer(modules=[transformer, pooling], device=device)


def wants_four_bit(job: Job, numbers: int) -> bool:
    """Whether the base is held in 4 bits: where it may be, is large, and CUDA and bitsandbytes are there."""
    if job.recipe["fourBit"] != "auto" or numbers < FOUR_BIT_FROM or not torch.cuda.is_available():
        return False
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        return False
    return True


def count_numbers(base: Path) -> int:
    from safetensors import safe_open

    with safe_open(base / "model.safetensors", framework="pt") as file:
        return sum(int(np.prod(file.get_slice(name).get_shape())) for name in file.keys())


def add_lora(model: SentenceTransformer, job: Job, *, four_bit: bool = False) -> None:
    """Freezes the base and puts a pair of thin matrices beside each of the targets; only these are learned."""
    recipe = job.recipe
    inner = model[0].auto_model
    if four_bit:
        from peft import prepare_model_for_kbit_training

        inner = prepare_model_for_kbit_training(inner, use_gradient_checkpointing=False)
    config = LoraConfig(
        task_type=TaskType.FEATURE_EXTRACTION,
        r=recipe["rank"],
        lora_alpha=recipe["alpha"],
        lora_dropout=recipe["dropout"],
        target_modules=list(recipe["targets"]),
        bias="none",
    )
    # Drawn from the seed alone, whatever was drawn before.
    torch.manual_seed(job.seed + 1)
    model[0].auto_model = get_peft_model(inner, config)


def learned_of(model: SentenceTransformer) -> dict[str, torch.Tensor]:
    state = get_peft_model_state_dict(model[0].auto_model)
    return {name: tensor.detach().to("cpu", torch.float32).clone().contiguous() for name, tensor in state.items()}


def set_learned(model: SentenceTransformer, learned: dict[str, torch.Tensor]) -> None:
    set_peft_model_state_dict(model[0].auto_model, learned)


def mixed(learned: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """As much of what was learned as `share` says, 0 to 1."""
    return {name: tensor * share if "lora_B" in name else tensor for name, tensor in learned.items()}


def merge(job: Job, base: Path, learned: dict[str, torch.Tensor]) -> SentenceTransformer:
    """Base and what was learned as one model in full numbers on the processor, whatever it was trained as."""
    model = open_base(job, base, "cpu")
    add_lora(model, job)
    set_learned(model, learned)
    model[0].auto_model = model[0].auto_model.merge_and_unload()
    return model.eval()


def tokens(model: SentenceTransformer, texts: Sequence[str]) -> dict[str, torch.Tensor]:
    """Pieces as they are served: a text that is too long is cut at its end, the closing mark included. Python's own way keeps that."""
    tokenizer = model[0].tokenizer
    encoded = tokenizer(list(texts), truncation=False, padding=False)
    cut = {name: [ids[: model.max_seq_length] for ids in encoded[name]] for name in ("input_ids", "attention_mask")}
    return dict(tokenizer.pad(cut, padding=True, return_tensors="pt"))


@torch.no_grad()
def embed(model: SentenceTransformer, texts: tuple[str, ...], batch: int = 64) -> np.ndarray:
    """One unit vector a text."""
    model.eval()
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    out: list[np.ndarray | None] = [None] * len(texts)
    for start in range(0, len(order), batch):
        some = order[start : start + batch]
        features = {name: value.to(model.device) for name, value in tokens(model, [texts[at] for at in some]).items()}
        vectors = torch.nn.functional.normalize(model(features)["sentence_embedding"].float(), dim=-1).cpu().numpy()
        for at, vector in zip(some, vectors):
            out[at] = vector
    return np.stack(out) if out else np.zeros((0, model[0].get_word_embedding_dimension()), np.float32)
