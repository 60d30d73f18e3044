/* Test networks with the reference beside them.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each function adds an operator in QuantizeLinear/DequantizeLinear form to a
 * graph and computes, naively and from docs/numerics.md alone, what must come
 * out of it. */
#pragma once

#include "base/rng.h"
#include "engine/engine.h"
#include "model/model-private.h"

/** A value of the network and its content. */
typedef struct
{
  int value;    /* number in the graph, of the float32 side */
  int codes_of; /* number of the uint8 side, or −1 where it is float32 */
  int c, h, w;
  float scale; /* 0: float32 */
  int zero;
  guint8 *u; /* codes, NCHW, or NULL; owned by the net */
  float *f;  /* real values, NCHW */
} Act;

typedef struct
{
  QfGraph *graph;
  QfRng rng;
  GPtrArray *memory; /* what the Acts point to */
  int n;             /* for names */
} Net;

typedef struct
{
  int oc, kh, kw, stride, pad[4], dilation, groups;
  gboolean bias;
  int act; /* 0 none, 1 Relu, 2 Clip 0 … 6, 3 Sigmoid (float only) */
  int uint8_weights; /* with zero point 128 */
} ConvSpec;

void net_init (Net *net, guint64 seed);
void net_clear (Net *net);

int net_int (Net *net, int lo, int hi);

Act net_input_u8 (Net *net, int c, int h, int w, float scale, int zero);
Act net_input_f32 (Net *net, int c, int h, int w);

Act net_conv (
    Net *net, const Act *x, const ConvSpec *spec, float scale, int zero);
Act net_conv_f32 (Net *net, const Act *x, const ConvSpec *spec);
Act net_gemm (Net *net, const Act *x, int n, float scale, int zero);
Act net_add (
    Net *net, const Act *a, const Act *b, int act, float scale, int zero);
Act net_concat (
    Net *net, const Act *const *x, int n, int axis, float scale, int zero);
Act net_max_pool (Net *net, const Act *x, int kernel, int stride, int pad);
Act net_global_avg (Net *net, const Act *x, float scale, int zero);
Act net_resize (Net *net, const Act *x, int sh, int sw);
Act net_flatten (Net *net, const Act *x);
Act net_sigmoid (Net *net, const Act *x, float scale, int zero);
Act net_batch_norm_f32 (Net *net, const Act *x);
Act net_quantize (Net *net, const Act *x, float scale, int zero);

/** The Act as the graph's output. */
void net_output (Net *net, const Act *x);

/** Validates and makes a model; the graph goes into it. */
QfModel *net_model (Net *net);

/** Copies the input into the engine's and compares an output after a run: codes
 * must be equal, floats within 1e-5 of the largest. */
void net_fill (const Act *x, const QfTensor *input);
void net_compare (const Act *want, const QfTensor *got);
