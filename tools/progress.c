/* qfuse: a progress bar.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#define BAR 30 /* characters */

static gboolean drawn;

void
progress_show (const char *label, double done, const char *note)
{
  char bar[BAR + 1];
  int full = (int) (CLAMP (done, 0.0, 1.0) * BAR);

  if (!isatty (STDERR_FILENO))
    return;
  for (int i = 0; i < BAR; i++)
    bar[i] = i < full ? '#' : ' ';
  bar[BAR] = 0;
  fprintf (stderr, "\r\033[K%s  [%s] %3d %%  %s", label, bar,
      (int) (CLAMP (done, 0.0, 1.0) * 100), note ? note : "");
  fflush (stderr);
  drawn = TRUE;
}

void
progress_clear (void)
{
  if (!drawn)
    return;
  fputs ("\r\033[K", stderr);
  fflush (stderr);
  drawn = FALSE;
}
