"""The merged model as the files that the appliance serves, and how near they are to what torch says."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from sentence_transformers import SentenceTransformer

from encoder import TOKENIZER_FILES, embed, tokens
from job import Job

# What the oldest runtime in use reads: no IR above 8, no opset above 18.
OPSET = 17
IR_MAX = 8
TOLERANCE = 1e-3


class Served(torch.nn.Module):
    """Pooling and length are in the graph: whoever runs it takes the one place of its output, whatever the base pools by."""

    def __init__(self, model: SentenceTransformer, pooling: str) -> None:
        super().__init__()
        self.bert = model[0].auto_model
        self.pooling = pooling

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask, return_dict=True).last_hidden_state
        if self.pooling == "mean":
            there = attention_mask.unsqueeze(-1).to(hidden.dtype)
            one = (hidden * there).sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp(min=1e-9)
        else:
            one = hidden[:, :1]
        return torch.nn.functional.normalize(one, p=2.0, dim=-1)


def export(model: SentenceTransformer, job: Job, base: Path, out: Path) -> dict[str, Path]:
    """Writes config, tokenizer and both graphs; gives the graphs."""
    (out / "onnx").mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        shutil.copyfile(job.folder / job.base["folder"] / name, out / name)
    whole, quantised = out / "onnx" / "model.onnx", out / "onnx" / "model_quantized.onnx"
    example = tokens(model, ["one text", "another text, and a longer one"])
    torch.onnx.export(
        Served(model, job.base["pooling"]).eval(),
        (example["input_ids"], example["attention_mask"]),
        str(whole),
        input_names=["input_ids", "attention_mask"],
        output_names=["last_hidden_state"],
        dynamic_axes={name: {0: "batch", 1: "pieces"} for name in ("input_ids", "attention_mask")} | {"last_hidden_state": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )
    # Half the range: processors without VNNI overflow in sums of two products of whole bytes.
    quantize_dynamic(str(whole), str(quantised), weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    for path in (whole, quantised):
        graph = onnx.load(str(path), load_external_data=False)
        if graph.ir_version > IR_MAX:
            graph.ir_version = IR_MAX
            onnx.save(graph, str(path))
        onnx.checker.check_model(graph)
    return {"whole": whole, "quantised": quantised}


def run_graph(path: Path, model: SentenceTransformer, texts: tuple[str, ...]) -> np.ndarray:
    """Each text on its own, as a question is asked."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.stack([run_batch(session, model, [text])[0] for text in texts])


def run_batch(session: onnxruntime.InferenceSession, model: SentenceTransformer, texts: list[str]) -> np.ndarray:
    features = tokens(model, texts)
    given = {name: features[name].numpy().astype(np.int64) for name in ("input_ids", "attention_mask")}
    return session.run(["last_hidden_state"], given)[0][:, 0]


def parity(model: SentenceTransformer, job: Job, graphs: dict[str, Path]) -> dict:
    """Differences between torch and the graphs on the probes, alone and in one batch; with the vectors, so that others can compare theirs."""
    told = embed(model, job.probes)
    whole, quantised = (run_graph(graphs[name], model, job.probes) for name in ("whole", "quantised"))
    session = onnxruntime.InferenceSession(str(graphs["whole"]), providers=["CPUExecutionProvider"])
    together = run_batch(session, model, list(job.probes))
    cosines = (told * quantised).sum(1) / (np.linalg.norm(told, axis=1) * np.linalg.norm(quantised, axis=1))
    return {
        "tolerance": TOLERANCE,
        "maxAbsDifference": float(max(np.abs(told - whole).max(), np.abs(told - together).max())),
        "quantised": {"minCosine": float(cosines.min()), "meanCosine": float(cosines.mean())},
        "opset": OPSET,
        "probes": list(job.probes),
        "vectors": {"whole": rounded(whole), "quantised": rounded(quantised)},
    }


def rounded(vectors: np.ndarray) -> list[list[float]]:
    return [[round(float(value), 7) for value in vector] for vector in vectors]
