"""Times the encoder's bench and onnxruntime in turns on the same weights and prints the ratios.

The graph is BERT as exporters write it (MatMul, Add, Softmax, Erf, LayerNormalization), made from the safetensors, so
that no training framework is needed; onnxruntime fuses it at its highest optimisation level. Its int8 model is its own
dynamic quantisation, per channel. Times of onnxruntime are of the graph alone; those of the encoder also tokenize, pool
and normalise. Of each pair of runs the medians count, and of all rounds the median ratio.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

SHAPES = [(1, 64), (32, 64), (1, 256), (32, 256)]
# Of a plain word of the vocabulary; what it is does not matter to the time.
WORD, CLS, SEP = 3255, 101, 102


class Graph:
    """Nodes and weights as they are added."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], {}

    def constant(self, value):
        value = np.ascontiguousarray(value)
        name = f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def add(self, kind, *inputs, **attributes):
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def dense(self, x, name):
        product = self.add("MatMul", x, self.constant(self.weights[name + ".weight"].T))
        return self.add("Add", self.constant(self.weights[name + ".bias"]), product)

    def norm(self, x, name, epsilon):
        weight, bias = (self.constant(self.weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=epsilon)


def bert(folder):
    """The model in a folder as an ONNX graph from input_ids and attention_mask to last_hidden_state."""
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    g = Graph({name.removeprefix("bert."): weight for name, weight in weights.items()})
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    size, epsilon = hidden // heads, config["layer_norm_eps"]
    zero, one, two = (g.constant(np.array([number])) for number in (0, 1, 2))
    words = g.add("Gather", g.constant(g.weights["embeddings.word_embeddings.weight"]), "input_ids")
    length = g.add("Slice", g.add("Shape", "input_ids"), one, two)
    places = g.constant(g.weights["embeddings.position_embeddings.weight"])
    kind = g.constant(g.weights["embeddings.token_type_embeddings.weight"][0])
    x = g.add("Add", g.add("Add", words, kind), g.add("Slice", places, zero, length, zero))
    x = g.norm(x, "embeddings.LayerNorm", epsilon)
    mask = g.add("Unsqueeze", g.add("Cast", "attention_mask", to=TensorProto.FLOAT), g.constant(np.array([1, 2])))
    mask = g.add("Sub", g.constant(np.float32(1)), mask)
    mask = g.add("Mul", mask, g.constant(np.finfo(np.float32).min))
    split, join = g.constant(np.array([0, 0, heads, size])), g.constant(np.array([0, 0, hidden]))
    for index in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{index}."
        parts = {}
        for name, order in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3))):
            part = g.dense(x, f"{layer}attention.self.{name}")
            parts[name] = g.add("Transpose", g.add("Reshape", part, split), perm=order)
        scores = g.add("MatMul", parts["query"], parts["key"])
        scores = g.add("Div", scores, g.constant(np.float32(size**0.5)))
        shares = g.add("Softmax", g.add("Add", scores, mask), axis=-1)
        found = g.add("Transpose", g.add("MatMul", shares, parts["value"]), perm=(0, 2, 1, 3))
        found = g.dense(g.add("Reshape", found, join), layer + "attention.output.dense")
        x = g.norm(g.add("Add", found, x), layer + "attention.output.LayerNorm", epsilon)
        wide = g.dense(x, layer + "intermediate.dense")
        error = g.add("Erf", g.add("Div", wide, g.constant(np.float32(2**0.5))))
        wide = g.add("Mul", wide, g.add("Add", error, g.constant(np.float32(1))))
        wide = g.add("Mul", wide, g.constant(np.float32(0.5)))
        x = g.norm(g.add("Add", g.dense(wide, layer + "output.dense"), x), layer + "output.LayerNorm", epsilon)
    g.nodes[-1].output[0] = "last_hidden_state"
    ids = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["texts", "tokens", hidden])
    graph = helper.make_graph(g.nodes, "bert", ids, [out], list(g.constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def time_peer(runner, texts, tokens, seconds):
    """Median of the milliseconds of one run."""
    ids = np.full((texts, tokens), WORD, dtype=np.int64)
    ids[:, 0], ids[:, -1] = CLS, SEP
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    runner.run(None, inputs)
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        runner.run(None, inputs)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def time_own(bench, name, folder, seconds):
    """Median of the milliseconds that criterion measured."""
    # Quick mode ends when the measurement is steady.
    command = [bench, "--bench", "--quick", "--noplot", "--warm-up-time", "0.3"]
    command += ["--measurement-time", str(seconds), f"^{name}$"]
    environment = {**os.environ, "CRITERION_HOME": str(folder / "criterion")}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    estimates = folder / "criterion" / name.replace("/", "_") / "new" / "estimates.json"
    return json.loads(estimates.read_text())["median"]["point_estimate"] / 1e6


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--threads", default="1,2")
    return parser.parse_args()


def main():
    options = arguments()
    logging.disable(logging.WARNING)
    models = Path(os.environ["WARDSTREAM_MODELS"]) / "all-MiniLM-L6-v2"
    paths = {name: str(options.folder / f"{name}.onnx") for name in ("fp32", "int8")}
    onnx.save(bert(models), paths["fp32"])
    quantize_dynamic(paths["fp32"], paths["int8"], weight_type=QuantType.QInt8, per_channel=True)
    print(f"onnxruntime {onnxruntime.__version__}, {options.rounds} rounds, medians in milliseconds")
    print("precision threads  texts x tokens  encoder  onnxruntime  ratio")
    for precision in paths:
        for threads in map(int, options.threads.split(",")):
            runner = session(paths[precision], threads)
            for texts, tokens in SHAPES:
                pairs = []
                for _ in range(options.rounds):
                    own = time_own(options.bench, f"{precision}/{threads}/{texts}x{tokens}", options.folder, options.seconds)
                    pairs.append((own, time_peer(runner, texts, tokens, options.seconds)))
                own, peer = (statistics.median(column) for column in zip(*pairs))
                ratio = statistics.median(own / peer for own, peer in pairs)
                shape = f"{texts} x {tokens}"
                print(f"{precision:9} {threads:7}  {shape:>14}  {own:7.1f}  {peer:11.1f}  {ratio:5.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
