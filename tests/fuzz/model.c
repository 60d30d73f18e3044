/* Fuzz target: the model reader, and what is done with a model that it takes:
 * written and read back, a decoder, an engine that runs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine.h"
#include "fuzz.h"
#include "vision/heads.h"

/* A model above these is read but not run: a valid file may take any time. */
#define MAX_MACS 20000000
#define MAX_PIXELS (256 * 256)

static void
run (QfModel *model)
{
  g_autoptr (QfEngine) engine = qf_engine_new (model, 1, NULL);
  g_autoptr (QfDecoder) decoder = qf_decoder_new (model, NULL);
  g_autoptr (GArray) boxes = g_array_new (FALSE, FALSE, sizeof (QfBox));
  QfResult result = { boxes, -1, 0, NULL, 0 };
  const QfTensor *outputs;
  int n;

  if (!engine)
    return;
  for (int i = 0; i < qf_engine_n_inputs (engine); i++) {
    const QfTensor *t = qf_engine_input (engine, i);
    gsize bytes = (gsize) t->n * t->c * t->h * t->w * qf_dtype_size (t->dtype);

    for (gsize j = 0; j < bytes; j++)
      ((guint8 *) t->data)[j] = (guint8) (j * 37);
  }
  qf_engine_run (engine);
  outputs = qf_engine_outputs (engine, &n);
  if (decoder)
    qf_decoder_run (decoder, outputs, n, 0.5f, 0.5f, 100, &result);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) model = qf_model_load_bytes (bytes, "input", &error);
  g_autoptr (QfModel) again = NULL;
  g_autoptr (GBytes) written = NULL;
  int c, h, w;

  g_assert ((model == NULL) == (error != NULL));
  if (!model)
    return 0;
  written = qf_model_to_bytes (model, NULL);
  if (written) {
    again = qf_model_load_bytes (written, "what was written", &error);
    g_assert_no_error (error);
  }
  qf_model_input_shape (model, &c, &h, &w);
  if (qf_model_macs (model) <= MAX_MACS && (gint64) c * h * w <= MAX_PIXELS)
    run (model);
  return 0;
}
