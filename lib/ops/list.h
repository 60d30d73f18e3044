/* libqfuse: the operators, one a row.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * QF_OP (domain, name, since, until, least inputs, most inputs, outputs, infer,
 * run, scratch, macs); included wherever all of them are needed. */

#define LAST 1000
#define MS "com.microsoft"

/* convolution and pooling */
QF_OP ("", "Conv", 1, LAST, 2, 3, 1, conv, conv, NULL, qf_macs_conv)
QF_OP ("", "ConvTranspose", 1, LAST, 2, 3, 1, conv_transpose, conv_transpose,
    NULL, qf_macs_conv_transpose)
QF_OP ("", "ConvInteger", 10, LAST, 2, 4, 1, conv_integer, conv_integer,
    qf_scratch_conv_integer, qf_macs_qlinear_conv)
QF_OP ("", "QLinearConv", 10, LAST, 8, 9, 1, qlinear_conv, qlinear_conv,
    qf_scratch_qlinear_conv, qf_macs_qlinear_conv)
QF_OP ("", "MaxPool", 1, LAST, 1, 1, 2, max_pool, max_pool, NULL, NULL)
QF_OP (
    "", "AveragePool", 7, LAST, 1, 1, 1, average_pool, average_pool, NULL, NULL)
QF_OP ("", "GlobalAveragePool", 1, LAST, 1, 1, 1, global_pool,
    global_average_pool, NULL, NULL)
QF_OP ("", "GlobalMaxPool", 1, LAST, 1, 1, 1, global_pool, global_max_pool,
    NULL, NULL)
QF_OP (MS, "QLinearGlobalAveragePool", 1, LAST, 4, 5, 1, qlinear_average,
    qlinear_average, NULL, NULL)

/* products */
QF_OP ("", "Gemm", 7, LAST, 2, 3, 1, gemm, gemm, NULL, qf_macs_gemm)
QF_OP ("", "MatMul", 1, LAST, 2, 2, 1, matmul, matmul, NULL, qf_macs_matmul)
QF_OP ("", "MatMulInteger", 10, LAST, 2, 4, 1, matmul_integer, matmul_integer,
    NULL, qf_macs_qlinear_matmul)
QF_OP ("", "QLinearMatMul", 10, LAST, 8, 8, 1, qlinear_matmul, qlinear_matmul,
    NULL, qf_macs_qlinear_matmul)

/* normalization */
QF_OP ("", "BatchNormalization", 9, LAST, 5, 5, 5, batch_norm, batch_norm, NULL,
    NULL)
QF_OP ("", "InstanceNormalization", 6, LAST, 3, 3, 1, instance_norm,
    instance_norm, NULL, NULL)
QF_OP ("", "LayerNormalization", 17, LAST, 2, 3, 3, layer_norm, layer_norm,
    NULL, NULL)
QF_OP ("", "Softmax", 1, LAST, 1, 1, 1, softmax, softmax, NULL, NULL)
QF_OP ("", "LogSoftmax", 1, LAST, 1, 1, 1, softmax, log_softmax, NULL, NULL)

/* one element */
QF_OP ("", "Relu", 6, LAST, 1, 1, 1, number, relu, NULL, NULL)
QF_OP ("", "LeakyRelu", 6, LAST, 1, 1, 1, float, leaky_relu, NULL, NULL)
QF_OP ("", "PRelu", 7, LAST, 2, 2, 1, prelu, prelu, NULL, NULL)
QF_OP ("", "Clip", 6, LAST, 1, 3, 1, clip, clip, NULL, NULL)
QF_OP ("", "Elu", 6, LAST, 1, 1, 1, float, elu, NULL, NULL)
QF_OP ("", "Celu", 12, LAST, 1, 1, 1, float, celu, NULL, NULL)
QF_OP ("", "Selu", 6, LAST, 1, 1, 1, float, selu, NULL, NULL)
QF_OP ("", "Gelu", 20, LAST, 1, 1, 1, float, gelu, NULL, NULL)
QF_OP ("", "Sigmoid", 6, LAST, 1, 1, 1, float, sigmoid, NULL, NULL)
QF_OP ("", "HardSigmoid", 6, LAST, 1, 1, 1, float, hard_sigmoid, NULL, NULL)
QF_OP ("", "HardSwish", 14, LAST, 1, 1, 1, float, hard_swish, NULL, NULL)
QF_OP ("", "Mish", 18, LAST, 1, 1, 1, float, mish, NULL, NULL)
QF_OP ("", "Softplus", 1, LAST, 1, 1, 1, float, softplus, NULL, NULL)
QF_OP ("", "Softsign", 1, LAST, 1, 1, 1, float, softsign, NULL, NULL)
QF_OP ("", "Tanh", 6, LAST, 1, 1, 1, float, tanh, NULL, NULL)
QF_OP ("", "Exp", 6, LAST, 1, 1, 1, float, exp, NULL, NULL)
QF_OP ("", "Log", 6, LAST, 1, 1, 1, float, log, NULL, NULL)
QF_OP ("", "Sqrt", 6, LAST, 1, 1, 1, float, sqrt, NULL, NULL)
QF_OP ("", "Reciprocal", 6, LAST, 1, 1, 1, float, reciprocal, NULL, NULL)
QF_OP ("", "Floor", 6, LAST, 1, 1, 1, float, floor, NULL, NULL)
QF_OP ("", "Ceil", 6, LAST, 1, 1, 1, float, ceil, NULL, NULL)
QF_OP ("", "Round", 11, LAST, 1, 1, 1, float, round, NULL, NULL)
QF_OP ("", "Erf", 9, LAST, 1, 1, 1, float, erf, NULL, NULL)
QF_OP ("", "Sin", 7, LAST, 1, 1, 1, float, sin, NULL, NULL)
QF_OP ("", "Cos", 7, LAST, 1, 1, 1, float, cos, NULL, NULL)
QF_OP ("", "Neg", 6, LAST, 1, 1, 1, number, neg, NULL, NULL)
QF_OP ("", "Abs", 6, LAST, 1, 1, 1, number, abs, NULL, NULL)
QF_OP ("", "Sign", 9, LAST, 1, 1, 1, number, sign, NULL, NULL)
QF_OP ("", "IsNaN", 9, LAST, 1, 1, 1, is_test, is_nan, NULL, NULL)
QF_OP ("", "IsInf", 10, LAST, 1, 1, 1, is_test, is_inf, NULL, NULL)
QF_OP ("", "Not", 1, LAST, 1, 1, 1, not, not, NULL, NULL)
QF_OP ("", "Cast", 6, LAST, 1, 1, 1, cast, cast, NULL, NULL)
QF_OP ("", "Identity", 1, LAST, 1, 1, 1, same, identity, NULL, NULL)
QF_OP ("", "Dropout", 7, LAST, 1, 3, 2, dropout, dropout, NULL, NULL)

/* several elements */
QF_OP ("", "Add", 7, LAST, 2, 2, 1, arithmetic, add, NULL, NULL)
QF_OP ("", "Sub", 7, LAST, 2, 2, 1, arithmetic, sub, NULL, NULL)
QF_OP ("", "Mul", 7, LAST, 2, 2, 1, arithmetic, mul, NULL, NULL)
QF_OP ("", "Div", 7, LAST, 2, 2, 1, arithmetic, div, NULL, NULL)
QF_OP ("", "Mod", 10, LAST, 2, 2, 1, mod, mod, NULL, NULL)
QF_OP ("", "Pow", 7, LAST, 2, 2, 1, pow, pow, NULL, NULL)
QF_OP ("", "Min", 8, LAST, 1, QF_OP_MAX_IN, 1, arithmetic, min, NULL, NULL)
QF_OP ("", "Max", 8, LAST, 1, QF_OP_MAX_IN, 1, arithmetic, max, NULL, NULL)
QF_OP ("", "Sum", 8, LAST, 1, QF_OP_MAX_IN, 1, floats, sum, NULL, NULL)
QF_OP ("", "Mean", 8, LAST, 1, QF_OP_MAX_IN, 1, floats, mean, NULL, NULL)
QF_OP ("", "Equal", 7, LAST, 2, 2, 1, compare, equal, NULL, NULL)
QF_OP ("", "Less", 7, LAST, 2, 2, 1, compare, less, NULL, NULL)
QF_OP ("", "LessOrEqual", 12, LAST, 2, 2, 1, compare, less_or_equal, NULL, NULL)
QF_OP ("", "Greater", 7, LAST, 2, 2, 1, compare, greater, NULL, NULL)
QF_OP ("", "GreaterOrEqual", 12, LAST, 2, 2, 1, compare, greater_or_equal, NULL,
    NULL)
QF_OP ("", "And", 7, LAST, 2, 2, 1, logic, and, NULL, NULL)
QF_OP ("", "Or", 7, LAST, 2, 2, 1, logic, or, NULL, NULL)
QF_OP ("", "Xor", 7, LAST, 2, 2, 1, logic, xor, NULL, NULL)
QF_OP ("", "Where", 9, LAST, 3, 3, 1, where, where, NULL, NULL)
QF_OP (MS, "QLinearAdd", 1, LAST, 7, 8, 1, qlinear_add, qlinear_add, NULL, NULL)

/* reductions */
QF_OP ("", "ReduceSum", 1, 12, 1, 1, 1, reduce, reduce_sum, NULL, NULL)
QF_OP ("", "ReduceSum", 13, LAST, 1, 2, 1, reduce, reduce_sum, NULL, NULL)
QF_OP ("", "ReduceMean", 1, 17, 1, 1, 1, reduce, reduce_mean, NULL, NULL)
QF_OP ("", "ReduceMean", 18, LAST, 1, 2, 1, reduce, reduce_mean, NULL, NULL)
QF_OP ("", "ReduceMax", 1, 17, 1, 1, 1, reduce_any, reduce_max, NULL, NULL)
QF_OP ("", "ReduceMax", 18, LAST, 1, 2, 1, reduce_any, reduce_max, NULL, NULL)
QF_OP ("", "ReduceMin", 1, 17, 1, 1, 1, reduce_any, reduce_min, NULL, NULL)
QF_OP ("", "ReduceMin", 18, LAST, 1, 2, 1, reduce_any, reduce_min, NULL, NULL)
QF_OP ("", "ReduceProd", 1, 17, 1, 1, 1, reduce, reduce_prod, NULL, NULL)
QF_OP ("", "ReduceProd", 18, LAST, 1, 2, 1, reduce, reduce_prod, NULL, NULL)
QF_OP ("", "ReduceL1", 1, 17, 1, 1, 1, reduce, reduce_l1, NULL, NULL)
QF_OP ("", "ReduceL1", 18, LAST, 1, 2, 1, reduce, reduce_l1, NULL, NULL)
QF_OP ("", "ReduceL2", 1, 17, 1, 1, 1, reduce_float, reduce_l2, NULL, NULL)
QF_OP ("", "ReduceL2", 18, LAST, 1, 2, 1, reduce_float, reduce_l2, NULL, NULL)
QF_OP ("", "ReduceSumSquare", 1, 17, 1, 1, 1, reduce, reduce_sum_square, NULL,
    NULL)
QF_OP ("", "ReduceSumSquare", 18, LAST, 1, 2, 1, reduce, reduce_sum_square,
    NULL, NULL)
QF_OP ("", "ReduceLogSum", 1, 17, 1, 1, 1, reduce_float, reduce_log_sum, NULL,
    NULL)
QF_OP ("", "ReduceLogSum", 18, LAST, 1, 2, 1, reduce_float, reduce_log_sum,
    NULL, NULL)
QF_OP ("", "ReduceLogSumExp", 1, 17, 1, 1, 1, reduce_float, reduce_log_sum_exp,
    NULL, NULL)
QF_OP ("", "ReduceLogSumExp", 18, LAST, 1, 2, 1, reduce_float,
    reduce_log_sum_exp, NULL, NULL)
QF_OP ("", "ArgMax", 1, LAST, 1, 1, 1, arg, arg_max, NULL, NULL)
QF_OP ("", "CumSum", 11, LAST, 2, 2, 1, cum_sum, cum_sum, NULL, NULL)
QF_OP ("", "ArgMin", 1, LAST, 1, 1, 1, arg, arg_min, NULL, NULL)

/* moving elements */
QF_OP ("", "Transpose", 1, LAST, 1, 1, 1, transpose, transpose, NULL, NULL)
QF_OP ("", "Concat", 4, LAST, 1, QF_OP_MAX_IN, 1, concat, concat, NULL, NULL)
QF_OP ("", "Split", 2, 12, 1, 1, QF_OP_MAX_OUT, split, split, NULL, NULL)
QF_OP ("", "Split", 13, LAST, 1, 2, QF_OP_MAX_OUT, split, split, NULL, NULL)
QF_OP ("", "Slice", 1, 9, 1, 1, 1, slice, slice, NULL, NULL)
QF_OP ("", "Slice", 10, LAST, 3, 5, 1, slice, slice, NULL, NULL)
QF_OP ("", "Pad", 2, 10, 1, 1, 1, pad, pad, NULL, NULL)
QF_OP ("", "Pad", 11, LAST, 2, 4, 1, pad, pad, NULL, NULL)
QF_OP ("", "Gather", 1, LAST, 2, 2, 1, gather, gather, NULL, NULL)
QF_OP ("", "Expand", 8, LAST, 2, 2, 1, expand, expand, NULL, NULL)
QF_OP ("", "Tile", 6, LAST, 2, 2, 1, tile, tile, NULL, NULL)
QF_OP ("", "DepthToSpace", 1, LAST, 1, 1, 1, depth_space, depth_to_space, NULL,
    NULL)
QF_OP ("", "SpaceToDepth", 1, LAST, 1, 1, 1, depth_space, space_to_depth, NULL,
    NULL)
QF_OP ("", "Resize", 10, 10, 2, 2, 1, resize, resize, qf_scratch_resize, NULL)
QF_OP ("", "GatherElements", 11, LAST, 2, 2, 1, gather_elements,
    gather_elements, NULL, NULL)
QF_OP ("", "GatherND", 11, LAST, 2, 2, 1, gather_nd, gather_nd, NULL, NULL)
QF_OP ("", "Scatter", 9, 10, 3, 3, 1, scatter_elements, scatter_elements, NULL,
    NULL)
QF_OP ("", "ScatterElements", 11, LAST, 3, 3, 1, scatter_elements,
    scatter_elements, NULL, NULL)
QF_OP ("", "ScatterND", 11, LAST, 3, 3, 1, scatter_nd, scatter_nd, NULL, NULL)
QF_OP ("", "OneHot", 9, LAST, 3, 3, 1, one_hot, one_hot, NULL, NULL)
QF_OP ("", "Trilu", 14, LAST, 1, 2, 1, trilu, trilu, NULL, NULL)
QF_OP ("", "Resize", 11, LAST, 1, 4, 1, resize, resize, qf_scratch_resize, NULL)
QF_OP ("", "Upsample", 9, 10, 2, 2, 1, resize, resize, qf_scratch_resize, NULL)

/* what is chosen by its value */
QF_OP ("", "If", 1, LAST, 3, 3, 1, if, if, NULL, NULL)
QF_OP ("", "TopK", 1, 9, 1, 1, 2, top_k, top_k, qf_scratch_top_k, NULL)
QF_OP ("", "TopK", 10, LAST, 2, 2, 2, top_k, top_k, qf_scratch_top_k, NULL)
QF_OP ("", "NonZero", 9, LAST, 1, 1, 1, non_zero, non_zero, NULL, NULL)
QF_OP ("", "Compress", 9, LAST, 2, 2, 1, compress, compress, NULL, NULL)
QF_OP ("", "NonMaxSuppression", 10, LAST, 2, 5, 1, nms, nms, qf_scratch_nms,
    NULL)
QF_OP ("", "RoiAlign", 10, LAST, 3, 3, 1, roi_align, roi_align, NULL, NULL)

/* shapes and constants */
QF_OP ("", "Reshape", 5, LAST, 2, 2, 1, reshape, identity, NULL, NULL)
QF_OP ("", "Flatten", 1, LAST, 1, 1, 1, flatten, identity, NULL, NULL)
QF_OP ("", "Squeeze", 1, 12, 1, 1, 1, squeeze, identity, NULL, NULL)
QF_OP ("", "Squeeze", 13, LAST, 1, 2, 1, squeeze, identity, NULL, NULL)
QF_OP ("", "Unsqueeze", 1, 12, 1, 1, 1, unsqueeze, identity, NULL, NULL)
QF_OP ("", "Unsqueeze", 13, LAST, 2, 2, 1, unsqueeze, identity, NULL, NULL)
QF_OP ("", "Shape", 1, LAST, 1, 1, 1, shape, shape, NULL, NULL)
QF_OP ("", "Size", 1, LAST, 1, 1, 1, size, size, NULL, NULL)
QF_OP ("", "Range", 11, LAST, 3, 3, 1, range, range, NULL, NULL)
QF_OP ("", "Constant", 1, LAST, 0, 0, 1, constant, constant, NULL, NULL)
QF_OP ("", "ConstantOfShape", 9, LAST, 1, 1, 1, constant_of_shape,
    constant_of_shape, NULL, NULL)

/* quantization */
QF_OP ("", "QuantizeLinear", 10, LAST, 2, 3, 1, quantize, quantize, NULL, NULL)
QF_OP ("", "DequantizeLinear", 10, LAST, 2, 3, 1, dequantize, dequantize, NULL,
    NULL)

#undef LAST
#undef MS
