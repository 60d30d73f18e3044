/* qfuse tests: small networks for the trainer's tests.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "train/net.h"

/** Seed of this run: QFUSE_TEST_SEED, else a fixed one; printed. */
guint64 test_seed (void);

/** A float graph with every layer kind that trains: strided, grouped, depthwise
 * and dilated convolutions with batch norm, Relu and Clip, Add, Concat, MaxPool,
 * Resize, Sigmoid, GlobalAveragePool; two outputs. Input: 3 planes of 16x12. */
QfGraph *test_graph_all (void);

/** A random graph in which every operator that trains occurs, of 3 planes of
 * 10x8; all leaves are outputs. @from_codes: a uint8 input, else float32. */
QfGraph *test_graph_random (QfRng *rng, gboolean from_codes);

/** A net of that graph with random weights, γ, β, and random input codes for @n
 * images. */
QfNet *test_net (int n, gboolean quantize, QfPool *pool, QfRng *rng);

/** Random codes into the input (real values in a float net). */
void test_fill_input (QfNet *net, int n, QfRng *rng);
