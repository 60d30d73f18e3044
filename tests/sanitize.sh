# SPDX-License-Identifier: LGPL-2.1-or-later
# The environment in which a sanitizer build runs; sourced from the source folder.

# The plugin scanner has no sanitizer inside and could not load our plugin.
GST_REGISTRY_FORK=no
ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
G_SLICE=always-malloc
CK_FORK=no # each fork would report, and read the fonts anew
QFUSE_SANITIZE=1 # tests that start programs without a sanitizer skip these
export GST_REGISTRY_FORK ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS G_SLICE CK_FORK QFUSE_SANITIZE
