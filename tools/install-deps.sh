#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs the Debian packages that building, running and testing qfuse need.
# Asks nothing; takes sudo only when not root; does nothing (and needs no network)
# where all is there.
set -eu

build="gcc libc6-dev meson ninja-build pkgconf
  libglib2.0-dev libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
  liborc-0.4-dev libprotobuf-c-dev protobuf-c-compiler libpango1.0-dev
  libjson-glib-dev"
# tests: vector intrinsics in C, for kernels that this processor cannot run
build="$build libsimde-dev"
# tests: ONNX's node tests
build="$build libonnx-testdata"
# GstAnalyticsRelationMeta came with GStreamer 1.24. On Debian 12 this package has
# nothing that we use and brings all of OpenCV.
release=$(. /etc/os-release && echo "${VERSION_ID:-}")
[ "$release" = 12 ] || build="$build libgstreamer-plugins-bad1.0-dev"
run="gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  gstreamer1.0-plugins-bad gstreamer1.0-libav fonts-dejavu-core"
sample="opencv-doc" # vtest.avi, the recording of the demo
vtest=/usr/share/doc/opencv-doc/examples/data/vtest.avi

missing=
for package in $build $run $sample; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || :)
  [ "$status" = installed ] || missing="$missing $package"
done
reinstall=
if [ ! -e "$vtest" ]; then
  # Slim systems leave out what is under /usr/share/doc.
  case " $missing " in
    *" $sample "*) ;;
    *) reinstall=--reinstall; missing="$missing $sample" ;;
  esac
fi
if [ -z "$missing" ]; then
  exit 0
fi

as_root=
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps.sh: run this as root, or install sudo; it wants:$missing" >&2
    exit 1
  fi
  as_root=sudo
fi
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
    -o DPkg::Lock::Timeout=300 -o APT::Color=0 "$@"
}
echo "Installing:$missing"
# Stale package lists may still do; the installation tells.
apt update || echo "install-deps.sh: apt-get update failed; going on" >&2
# shellcheck disable=SC2086 # words are wanted
apt install --no-install-recommends $reinstall \
  -o 'Dpkg::Options::=--path-include=/usr/share/doc/opencv-doc/*' $missing
