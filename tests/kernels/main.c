/* Every kernel of one tier against naive references, tolerance 0.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Usage: test-kernels TIER [SEED [DIVISOR]], where of the random cases one in
 * DIVISOR is tried (emulators are slow), or test-kernels TIER --bench [PART],
 * which times convolutions (with PART in their names). The list of kernels is
 * the library's own: a kernel without a check does not compile here. */
#include "check.h"
#include "kernels/kernel-list.h"
#include "kernels/tables.h"

#include <time.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void) (p), (void) (n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void) (p), (void) (n))
#endif

/* The check that covers a kernel. */
#define CHECK_conv_s8_packed_size check_conv
#define CHECK_conv_s8_pack check_conv
#define CHECK_conv_s8_packed_used check_conv
#define CHECK_conv_u8s8_scratch_size check_conv
#define CHECK_conv_u8s8_s32 check_conv
#define CHECK_conv_u8s8_grain check_conv
#define CHECK_conv_u8s8_u8 check_conv
#define CHECK_conv_u8s8_parts_unit check_conv
#define CHECK_conv_u8s8_parts_scratch_size check_conv
#define CHECK_conv_u8s8_u8_parts check_conv
#define CHECK_requant_s32_u8 check_requant
#define CHECK_add_u8 check_add_u8
#define CHECK_mul_u8 check_mul_u8
#define CHECK_lookup_u8 check_lookup_u8
#define CHECK_quantize_f32_u8 check_quantize_f32_u8
#define CHECK_dequantize_u8_f32 check_dequantize_u8_f32
#define CHECK_sum_u8_s32 check_sum_u8_s32
#define CHECK_max_pool_u8 check_max_pool_u8
#define CHECK_conv_f32_packed_size check_conv_f32
#define CHECK_conv_f32_pack check_conv_f32
#define CHECK_conv_f32_scratch_size check_conv_f32
#define CHECK_conv_f32 check_conv_f32
#define CHECK_add_f32 check_add_f32
#define CHECK_affine_f32 check_affine_f32
#define CHECK_sigmoid_f32 check_sigmoid_f32
#define CHECK_max_pool_f32 check_max_pool_f32
#define CHECK_mean_f32 check_mean_f32
#define CHECK_transpose check_transpose
#define CHECK_resize_nearest check_resize_nearest
#define CHECK_scale_packed_size check_scale
#define CHECK_scale_pack check_scale
#define CHECK_scale_scratch_size check_scale
#define CHECK_scale_u8 check_scale
#define CHECK_luma_rgb_u8 check_luma_rgb_u8
#define CHECK_luma_full_u8 check_luma_bytes
#define CHECK_even_u8 check_luma_bytes
#define CHECK_ten_bits_u8 check_luma_bytes
#define CHECK_difference_scratch_size check_difference
#define CHECK_difference_u8 check_difference
#define CHECK_mean_u16_u8 check_mean
#define CHECK_add_times_u16 check_mean

static const struct
{
  const char *name;
  CheckFunc check;
} checks[] = {
#define ROW(kernel) { #kernel, CHECK_##kernel },
  QF_KERNEL_LIST (ROW)
#undef ROW
};

enum
{
  N_CHECKS = sizeof checks / sizeof checks[0],
  GUARD = 64
};

typedef struct
{
  size_t size;
  uint64_t seed; /* of the guard bytes */
  uint8_t pad[GUARD - 16];
} Header;

static void
guard_bytes (const Header *h, uint8_t *to)
{
  QfRng rng = { h->seed };

  for (int i = 0; i < GUARD; i++)
    to[i] = (uint8_t) qf_rng_next (&rng);
}

void *
check_alloc (QfRng *rng, size_t size)
{
  size_t all = sizeof (Header) + GUARD + size + GUARD;
  uint8_t *p = aligned_alloc (64, (all + 63) / 64 * 64);
  Header *h = (Header *) p;

  if (!p)
    abort ();
  h->size = size;
  h->seed = qf_rng_next (rng);
  guard_bytes (h, p + sizeof *h);
  guard_bytes (h, p + sizeof *h + GUARD + size);
  ASAN_POISON_MEMORY_REGION (p + sizeof *h, GUARD);
  ASAN_POISON_MEMORY_REGION (p + sizeof *h + GUARD + size, GUARD);
  return p + sizeof *h + GUARD;
}

int
check_free (void *ptr, const char *what)
{
  uint8_t *p = ptr, guard[GUARD];
  Header *h = (Header *) (p - GUARD - sizeof *h);
  int ok;

  ASAN_UNPOISON_MEMORY_REGION (p - GUARD, GUARD);
  ASAN_UNPOISON_MEMORY_REGION (p + h->size, GUARD);
  guard_bytes (h, guard);
  ok = memcmp (guard, p - GUARD, GUARD) == 0 &&
      memcmp (guard, p + h->size, GUARD) == 0;
  if (!ok)
    printf ("# guard bytes of %s overwritten\n", what);
  free (h);
  return ok;
}

static int divisor = 1, rounds_run, rounds_all;

int
check_rounds (int n)
{
  int run = n / divisor > 0 ? n / divisor : 1;

  rounds_run += run;
  rounds_all += n;
  return run;
}

int
check_int (QfRng *rng, int lo, int hi)
{
  return lo + (int) qf_rng_below (rng, (uint32_t) (hi - lo + 1));
}

void
check_codes (QfRng *rng, uint8_t *p, size_t n, int worst)
{
  for (size_t i = 0; i < n; i++) {
    uint64_t r = qf_rng_next (rng);

    p[i] = worst ? (r >> 32 & 1 ? 255 : 0) : (uint8_t) (r >> 32);
  }
}

void
check_weights (QfRng *rng, int8_t *p, size_t n, int worst)
{
  for (size_t i = 0; i < n; i++)
    p[i] = (int8_t) (worst ? (check_int (rng, 0, 1) ? 127 : -127)
                           : check_int (rng, -127, 127));
}

/* CHECK_PORTABLE: the function that fills the table with kernels whose
 * intrinsics are C functions (portable.h), so that every processor runs them.
 */
static const QfKernels *
find_tier (const char *tier)
{
#ifdef CHECK_PORTABLE
  static QfKernels k;

  k = *qf_kernels_tier ("c");
  k.name = tier;
  CHECK_PORTABLE (&k);
  return &k;
#else
  return qf_kernels_tier (tier);
#endif
}

int
main (int argc, char **argv)
{
  const char *tier = argc > 1 ? argv[1] : "c";
  uint64_t seed =
      argc > 2 ? strtoull (argv[2], NULL, 0) : (uint64_t) time (NULL);
  const QfKernels *k = find_tier (tier);
  int failed = 0;

  if (!k) {
    printf ("1..0 # SKIP this processor or build has no tier %s\n", tier);
    return 0;
  }
  if (argc > 2 && strcmp (argv[2], "--bench") == 0) {
    QfRng rng = { 1 };

    bench (k, &rng, argc > 3 ? argv[3] : "");
    bench_bytes (k, &rng, argc > 3 ? argv[3] : "");
    return 0;
  }
  if (argc > 3 && (divisor = atoi (argv[3])) < 1) {
    fprintf (stderr, "%s: the divisor is a number from 1\n", argv[3]);
    return 2;
  }
  printf ("1..%d\n# tier %s, seed %llu\n", N_CHECKS, k->name,
      (unsigned long long) seed);
  for (int i = 0; i < N_CHECKS; i++) {
    QfRng rng = { seed };
    int seen = 0, ok;

    for (int j = 0; j < i; j++)
      seen |= checks[j].check == checks[i].check;
    ok = seen || checks[i].check (k, &rng);
    failed += !ok;
    printf ("%sok %d - %s%s\n", ok ? "" : "not ", i + 1, checks[i].name,
        seen ? " (with the kernels above)" : "");
  }
  printf ("# %d of %d random cases\n", rounds_run, rounds_all);
  return failed != 0;
}
