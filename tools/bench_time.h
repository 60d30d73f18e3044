/* qfuse: times a network, its layers and the processor's multipliers in turn.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qfuse.h"

typedef struct
{
  double median, least; /* ms */
} BenchTimes;

typedef struct
{
  int runs, threads;
  BenchTimes whole;
  BenchTimes *steps; /* of every step, NULL: not asked for; to be freed */
  double peak;       /* GMAC/s of all threads together, 0: unknown */
  const char *instruction;
} BenchTime;

/** Runs @engine, made with @threads, on what its inputs hold: @runs times, or
 * where that is 0 until @seconds and nine runs are over. With @layers a run
 * step by step, with clocks in between, follows each: layers are timed in their
 * place, with the caches as the layer before left them. */
void bench_time (QfEngine *engine, int threads, gboolean layers, double seconds,
    int runs, BenchTime *result);
