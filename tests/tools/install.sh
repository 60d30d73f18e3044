#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is installed works by itself: a program finds the library by pkg-config, the
# command its elements and its model.
here=$(dirname "$0")
. "$here/common.sh"
cd "$work" || exit 1
if [ -n "${QFUSE_SANITIZE:-}" ]; then
  echo "skipped: a program without a sanitizer cannot use a library with one"
  exit 77
fi

meson install -C "$QFUSE_BUILD" --no-rebuild --quiet --destdir "$work/root" >"$out" 2>&1 ||
  { cat "$out"; exit 1; }
pc=$(find root -name qfuse.pc)
[ -n "$pc" ] || { echo "FAILED: no qfuse.pc"; exit 1; }
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
root=$work/root$(pkg-config --variable=prefix qfuse)
sed -i "s#^prefix=.*#prefix=$root#" "$pc"
libs=$(pkg-config --variable=libdir qfuse)

cat >program.c <<'END'
#include <qfuse.h>
int
main (int argc, char **argv)
{
  QfPlanes planes;
  GError *error = NULL;
  QfModel *model = qf_model_load (argv[1], &error);

  if (!model || !qf_planes_parse (&planes, "Y,D1x2t8", &error))
    return 1;
  qf_model_unref (model);
  return planes.n == 2 ? 0 : 1;
}
END
$helper model model.onnx
# shellcheck disable=SC2046 # words are wanted
gcc -Wall -Werror program.c -o program \
  $(pkg-config --cflags --libs qfuse) ||
  fail "a program does not build"
LD_LIBRARY_PATH=$libs ./program model.onnx || fail "the program failed"
cat >meta.c <<'END'
#include <gstqfmeta.h>
QfuseDetectionsMeta *
found_on (GstBuffer *buffer)
{
  return qfuse_buffer_get_detections (buffer);
}
END
# shellcheck disable=SC2046
gcc -Wall -Werror -c meta.c $(pkg-config --cflags qfuse gstreamer-video-1.0) ||
  fail "gstqfmeta.h is not found"

$helper square square.mkv 4
GST_PLUGIN_PATH_1_0=$libs/gstreamer-1.0
GST_REGISTRY_1_0=$work/registry.bin
LD_LIBRARY_PATH=$libs
export GST_PLUGIN_PATH_1_0 GST_REGISTRY_1_0 LD_LIBRARY_PATH
qfuse=$root/bin/qfuse
run 0 annotate square.mkv -m model.onnx -o out.mkv
find root -name pedestrian.onnx | grep -q . || fail "the model is not installed"
finish
