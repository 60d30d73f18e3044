/* libqfuse: names of one instruction set's functions.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The files of c/ are compiled once per instruction set, with QF_TIER defined
 * to its name, so that each copy has symbols of its own: QF_T (requant_s32_u8)
 * is qfk_requant_s32_u8_avx2 in the tier "avx2". */
#pragma once

#ifndef QF_TIER
#define QF_TIER c
#endif

#define QF_T_PASTE(name, tier) qfk_##name##_##tier
#define QF_T_EXPAND(name, tier) QF_T_PASTE (name, tier)
#define QF_T(name) QF_T_EXPAND (name, QF_TIER)
