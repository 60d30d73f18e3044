/* libqfuse: a training's whole state in a file.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/checkpoint.h"

#include "base/file.h"

#include <string.h>

#define MAGIC "QFCKPT1\n"
#define MAGIC_SIZE 8
#define SHA_SIZE 32
#define DIGEST "digest"
#define BEST "best model"

/* The digest ------------------------------------------------------------------
 */

static void
digest_state (const char *name, gpointer data, gsize bytes, gpointer user_data)
{
  GChecksum *sum = user_data;

  g_checksum_update (sum, (const guchar *) name, (gssize) strlen (name) + 1);
  g_checksum_update (sum, data, (gssize) bytes);
}

/* Threads change no result, and minutes change it in any case. */
static char *
options_text (const QfTrainOptions *o)
{
  g_autofree char *planes = qf_planes_to_string (&o->planes);
  GString *s = g_string_new (NULL);

  g_string_append_printf (s, "%s %dx%d %d %d/%d %s %s\n%s\n", planes, o->width,
      o->height, (int) o->fit, o->rate_n, o->rate_d, o->head, o->network,
      o->labels);
  g_string_append_printf (s, "%d %d %s %s %s %a %a %a %a %a %d\n",
      o->epochs, o->batch_size, o->assign, o->ranges, o->optimizer, o->learning_rate,
      o->momentum, o->weight_decay, o->clip_norm, o->average, o->quantize);
  g_string_append_printf (s,
      "%a %a %a %a %a %a %a %a %d %d %d %" G_GUINT64_FORMAT "\n", o->zoom_min,
      o->zoom_max, o->shift, o->brightness, o->noise, o->mosaic, o->paste,
      o->speed, o->backwards, o->flip, o->flip_labels, o->seed);
  g_string_append_printf (s, "%s/%s\n", o->weight_bits ? o->weight_bits : "",
      o->activation_bits ? o->activation_bits : "");
  return g_string_free (s, FALSE);
}

char *
qf_checkpoint_digest (QfTrainer *t)
{
  g_autofree char *text = options_text (&t->o);
  GChecksum *sum = g_checksum_new (G_CHECKSUM_SHA256);
  guint32 n[2] = { t->train->len, t->validation->len };
  char *digest;

  g_checksum_update (sum, (const guchar *) text, -1);
  g_checksum_update (sum, (const guchar *) n, sizeof n);
  g_checksum_update (
      sum, (const guchar *) &t->samples_hash, sizeof t->samples_hash);
  qf_net_each_state (t->net, t->optimizer, digest_state, sum);
  digest = g_strdup (g_checksum_get_string (sum));
  g_checksum_free (sum);
  return digest;
}

/* Where the run stands --------------------------------------------------------
 */

static void
each_state (QfTrainer *t, QfStateFunc func, gpointer user_data)
{
  func ("run: epoch", &t->epoch, sizeof t->epoch, user_data);
  func ("run: batch", &t->batch, sizeof t->batch, user_data);
  func ("run: step", &t->step, sizeof t->step, user_data);
  func ("run: best", &t->best, sizeof t->best, user_data);
  func ("run: threshold", &t->threshold, sizeof t->threshold, user_data);
  func ("run: sums", &t->sum, sizeof t->sum, user_data);
  func ("run: first loss", &t->first_loss, sizeof t->first_loss, user_data);
  func ("run: high", &t->high, sizeof t->high, user_data);
  func ("run: seconds", &t->seconds, sizeof t->seconds, user_data);
  qf_net_each_state (t->net, t->optimizer, func, user_data);
}

/* Writing ---------------------------------------------------------------------
 */

static void
put (const char *name, gpointer data, gsize bytes, gpointer user_data)
{
  GByteArray *to = user_data;
  guint32 length = (guint32) strlen (name);
  guint64 size = bytes;

  g_byte_array_append (to, (const guint8 *) &length, sizeof length);
  g_byte_array_append (to, (const guint8 *) name, length);
  g_byte_array_append (to, (const guint8 *) &size, sizeof size);
  if (bytes > 0)
    g_byte_array_append (to, data, (guint) bytes);
}

static void
sha256 (const guint8 *data, gsize size, guint8 sha[SHA_SIZE])
{
  GChecksum *sum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize n = SHA_SIZE;

  g_checksum_update (sum, data, (gssize) size);
  g_checksum_get_digest (sum, sha, &n);
  g_checksum_free (sum);
}

gboolean
qf_checkpoint_save (QfTrainer *t, const char *path, GError **error)
{
  g_autoptr (GByteArray) file = g_byte_array_new ();
  guint8 sha[SHA_SIZE];

  t->seconds = (double) (g_get_monotonic_time () - t->start_time) * 1e-6;
  g_byte_array_append (file, (const guint8 *) MAGIC, MAGIC_SIZE);
  put (DIGEST, t->digest, strlen (t->digest), file);
  each_state (t, put, file);
  if (t->best_model) {
    gsize size;
    gconstpointer data = g_bytes_get_data (t->best_model, &size);

    put (BEST, (gpointer) data, size, file);
  }
  sha256 (file->data, file->len, sha);
  g_byte_array_append (file, sha, SHA_SIZE);
  return qf_file_replace (path, file->data, file->len, error);
}

/* Reading ---------------------------------------------------------------------
 */

typedef struct
{
  const guint8 *data;
  gsize size;
} Record;

typedef struct
{
  GHashTable *records; /* name → Record */
  gboolean fits;       /* each one asked for is there and has the size */
  gboolean copy;
} Reader;

static GHashTable *
parse (const guint8 *p, gsize left)
{
  g_autoptr (GHashTable) records =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

  while (left > 0) {
    g_autofree char *name = NULL;
    Record *r;
    guint32 length;
    guint64 size;

    if (left < sizeof length)
      return NULL;
    memcpy (&length, p, sizeof length);
    p += sizeof length;
    left -= sizeof length;
    if (length > left || left - length < sizeof size)
      return NULL;
    name = g_strndup ((const char *) p, length);
    memcpy (&size, p + length, sizeof size);
    p += length + sizeof size;
    left -= length + sizeof size;
    if (size > left)
      return NULL;
    r = g_new (Record, 1);
    *r = (Record){ p, (gsize) size };
    g_hash_table_insert (records, g_steal_pointer (&name), r);
    p += size;
    left -= (gsize) size;
  }
  return g_steal_pointer (&records);
}

static void
take (const char *name, gpointer data, gsize bytes, gpointer user_data)
{
  Reader *reader = user_data;
  const Record *r = g_hash_table_lookup (reader->records, name);

  if (!r || r->size != bytes)
    reader->fits = FALSE;
  else if (reader->copy && bytes > 0)
    memcpy (data, r->data, bytes);
}

/* The records of a whole file; they point into @text. */
static GHashTable *
read_records (const char *path, const char *text, gsize size, GError **error)
{
  GHashTable *records = NULL;
  guint8 sha[SHA_SIZE];

  if (size >= MAGIC_SIZE + SHA_SIZE && memcmp (text, MAGIC, MAGIC_SIZE) == 0) {
    size -= SHA_SIZE;
    sha256 ((const guint8 *) text, size, sha);
    if (memcmp (sha, text + size, SHA_SIZE) == 0)
      records = parse ((const guint8 *) text + MAGIC_SIZE, size - MAGIC_SIZE);
  }
  if (!records)
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "%s is damaged or no checkpoint; remove it to begin anew", path);
  return records;
}

gboolean
qf_checkpoint_load (QfTrainer *t, const char *path, GError **error)
{
  g_autofree char *text = NULL;
  g_autoptr (GHashTable) records = NULL;
  g_autoptr (GError) why = NULL;
  Reader reader = { NULL, TRUE, FALSE };
  const Record *r;
  gsize size;

  if (!g_file_get_contents (path, &text, &size, &why)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s: cannot be read: %s", path,
        why->message);
    return FALSE;
  }
  if (!(records = read_records (path, text, size, error)))
    return FALSE;
  reader.records = records;
  each_state (t, take, &reader);
  r = g_hash_table_lookup (records, DIGEST);
  if (!reader.fits || !r || r->size != strlen (t->digest) ||
      memcmp (r->data, t->digest, r->size) != 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "%s was made by a training with other options, samples or another "
        "start; remove it to begin anew, or train as it was",
        path);
    return FALSE;
  }
  reader.copy = TRUE;
  each_state (t, take, &reader);
  g_clear_pointer (&t->best_model, g_bytes_unref);
  if ((r = g_hash_table_lookup (records, BEST)))
    t->best_model = g_bytes_new (r->data, r->size);
  t->start_time = g_get_monotonic_time () - (gint64) (t->seconds * 1e6);
  return TRUE;
}
