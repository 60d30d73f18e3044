/* libqfuse: the public headers.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/dtype.h"
#include "base/error.h"
#include "base/pool.h"
#include "engine/engine.h"
#include "model/array_file.h"
#include "model/model.h"
#include "model/tensor.h"
#include "train/trainer.h"
#include "vision/annotations.h"
#include "vision/box.h"
#include "vision/differencer.h"
#include "vision/geometry.h"
#include "vision/heads.h"
#include "vision/image.h"
#include "vision/imagediff.h"
#include "vision/metrics.h"
#include "vision/motion.h"
#include "vision/planes.h"
#include "vision/polygons.h"
#include "vision/scale.h"
