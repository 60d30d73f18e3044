/* libqfuse: the inside of a quantizer, for lib/model/quantize*.c only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/dag-edit.h"
#include "model/quantize.h"

G_BEGIN_DECLS

#define QF_RANGE_BINS 2048

/** What was seen of a value: real numbers. */
typedef struct
{
  int channels;
  float min, max;    /**< min ≤ 0 ≤ max */
  float *low, *high; /**< of each channel, 0 among them; owned */
  double *sum;       /**< of each channel; owned */
  gint64 n;          /**< elements of a channel */
  guint32 *bins; /**< QF_RANGE_BINS over min … max, second pass; owned; NULL:
                    not yet */
} QfSeen;

typedef struct
{
  int node; /**< number in the dag */
  int in;   /**< value that it reads */
  int out;  /**< value that it makes, activation included */
  int act;  /**< node of the activation, −1: none */
  gboolean kept;
} QfQuantLayer;

typedef enum
{
  QF_PASS_CHANNELS, /**< of the unscaled network, for equalization */
  QF_PASS_RANGES,
  QF_PASS_BINS,
  QF_PASS_DONE
} QfPass;

struct _QfQuantizer
{
  QfModel *model;  /**< the float model, for its metadata */
  QfDag *dag;      /**< prepared; not quantized */
  GArray *layers;  /**< QfQuantLayer */
  GArray *watched; /**< int: values that are observed */
  QfSeen *seen;    /**< of each watched value */
  int *watch;      /**< of each value: its number in watched, −1: none */
  QfPass pass;
};

/** Scale and zero point of a value on codes. */
typedef struct
{
  float scale; /**< 0: the value stays float */
  int zero;
  gboolean given; /**< it comes as codes already */
} QfCodes;

/** Which values become codes, from layers[].kept. */
typedef struct
{
  gboolean *codes; /**< of each value: is quantized */
  gboolean *given; /**< of each value: dequantized from codes of the file */
  int *group;      /**< of each value: another with the same scale, or itself */
} QfPlaces;

/* quantize_prepare.c: rewrites that keep what the network computes. */
gboolean qf_quantize_prepare (QfDagEdit *e, GError **error);

/* quantize_moves.c: chains of Reshape, Transpose and the like that only reorder
 * channels become one Gather. */
void qf_quantize_moves (QfDagEdit *e);

/* quantize_place.c */
void qf_quantize_find_layers (const QfDag *dag, GArray *layers);
void qf_quantize_place (const QfQuantizer *q, QfPlaces *p);
void qf_places_clear (QfPlaces *p);
int qf_places_group (const QfPlaces *p, int value);

/* quantize_ranges.c */
void qf_seen_add (QfSeen *s, const QfTensor *t, QfPass pass);
void qf_seen_clear (QfSeen *s);
void qf_seen_range (const QfSeen *s, QfRanges how, float *min, float *max);

/* quantize_equalize.c: scales channels between layers by what was seen. */
void qf_quantize_equalize (QfQuantizer *q);

/* quantize_weights.c: makes @node of the copy @e read codes; @in: those of its
 * input, @mean of the channels of the input or NULL. FALSE: it has to stay
 * float. */
gboolean qf_quantize_layer (
    QfDagEdit *e, QfDagNode *node, const QfCodes *in, const double *mean);

G_END_DECLS
