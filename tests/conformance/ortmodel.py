"""ONNX Runtime as a judge and a peer: what ort_compare.py and peers.py share.

SPDX-License-Identifier: LGPL-2.1-or-later

Needs the Python packages onnx, onnxruntime and numpy.
"""
import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper


def shift_weights(model):
    """int8 and int4 weights of Conv and Gemm as uint8 with zero point 128."""
    init = {i.name: i for i in model.graph.initializer}
    by_output = {o: n for n in model.graph.node for o in n.output}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm") or node.input[1] not in by_output:
            continue
        dq = by_output[node.input[1]]
        w = init.get(dq.input[0])
        if w is None or w.data_type not in (onnx.TensorProto.INT8,
                                            onnx.TensorProto.INT4):
            continue
        codes = numpy_helper.to_array(w).astype(np.int16) + 128
        w.CopyFrom(numpy_helper.from_array(codes.astype(np.uint8), w.name))
        scale = numpy_helper.to_array(init[dq.input[1]])
        zero = np.full(scale.shape, 128, np.uint8)
        name = w.name + "_zero_128"
        model.graph.initializer.append(numpy_helper.from_array(zero, name))
        if len(dq.input) > 2:
            dq.input[2] = name
        else:
            dq.input.append(name)
    return model


def expose_codes(model):
    """Outputs that are dequantized last are compared as codes, as qfuse has them."""
    by_output = {o: n for n in model.graph.node for o in n.output}
    for out in model.graph.output:
        node = by_output[out.name]
        if node.op_type != "DequantizeLinear":
            continue
        old = out.name
        out.name = node.input[0]
        out.type.tensor_type.elem_type = onnx.TensorProto.UINT8
        model.graph.node.remove(node)
        assert not any(old in n.input for n in model.graph.node), old
    return model


def session(model, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options,
                                providers=["CPUExecutionProvider"])


def random_inputs(sess, rng):
    feeds = {}
    for i in sess.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in i.shape]
        feeds[i.name] = (rng.integers(0, 256, shape, dtype=np.uint8)
                         if i.type == "tensor(uint8)"
                         else rng.standard_normal(shape, dtype=np.float32))
    return feeds
