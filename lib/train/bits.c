/* libqfuse: bit widths of weights and activations.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/net.h"

#include <string.h>

/* Layers that read the network's input or make an output keep 8 bits unless they
 * are named. */
static gboolean
is_end (const QfNet *net, const QfLayer *l)
{
  return l->in[0] == net->input || qf_net_is_output (net, l->out);
}

/* Whether the layer has what is to be set. */
static gboolean
has_bits (const QfLayer *l, gboolean weights)
{
  return weights ? l->conv != NULL
                 : l->conv
              || (!qf_simple_keeps_scale (l->kind)
                  && l->kind != QF_LAYER_CONCAT);
}

static void
set_layer (QfNet *net, QfLayer *l, gboolean weights, int bits)
{
  if (weights) {
    l->conv->top = bits == 4 ? 7 : 127;
  } else {
    QfBlob *y = qf_net_blob (net, l->out);

    y->top = (1 << bits) - 1;
    if (y->range.n > 0)
      qf_blob_set_scale (y);
  }
}

static gboolean
set_item (QfNet *net, const char *item, gboolean weights, GError **error)
{
  const char *equals = strrchr (item, '=');
  const char *number = equals ? equals + 1 : item;
  g_autofree char *name = equals ? g_strndup (item, equals - item) : NULL;
  int bits = g_str_equal (number, "4") ? 4 : g_str_equal (number, "8") ? 8 : 0;
  gboolean found = FALSE;

  for (guint i = 0; bits && i < net->layers->len; i++) {
    QfLayer *l = qf_net_layer (net, (int) i);

    if (!has_bits (l, weights)
        || (name ? !g_str_equal (l->name, name) : is_end (net, l)))
      continue;
    set_layer (net, l, weights, bits);
    found = TRUE;
  }
  if (bits && (found || !name))
    return TRUE;
  g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
      bits ? "Bits \"%s\": no layer of that name has %s"
           : "Bits \"%s\": 4 or 8 bits can be had, for %s as 4 or NAME=4",
      item, weights ? "weights" : "activations of its own");
  return FALSE;
}

gboolean
qf_net_set_bits (QfNet *net, const char *weights, const char *activations,
    GError **error)
{
  const char *texts[2] = { weights, activations };

  for (int k = 0; k < 2; k++) {
    g_auto (GStrv) items = g_strsplit (texts[k] ? texts[k] : "", ",", -1);

    for (int named = 0; named < 2; named++) /* a name beats the rule */
      for (int i = 0; items[i]; i++)
        if (items[i][0] && !strchr (items[i], '=') == !named
            && !set_item (net, items[i], k == 0, error))
          return FALSE;
  }
  return TRUE;
}
