# libqfuse: loops over rows of difference pictures (docs/numerics.md, V7 to V11).
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The committed C is made by difference-orc.sh. Sources are loaded before anything
# is stored, so a destination may be a source, pixel by pixel.

# now: the picture, replaced by its signed difference to then; past: takes the
# picture.
# limit = min (255, ceil (256 / gain)): gain * limit <= 510.
.function qf_orc_signed_u8
.dest 1 now guint8
.dest 1 past guint8
.source 1 then guint8
.param 2 gain
.param 1 limit
.param 1 low
.param 1 high
.temp 1 n
.temp 1 t
.temp 1 e
.temp 2 v
loadb n, now
loadb t, then
storeb past, n
subusb e, n, t
subusb t, t, n
orb e, e, t
minub e, e, limit
convubw v, e
mullw v, v, gain
shruw v, v, 1
convsuswb e, v
cmpeqb t, t, 0
andb n, e, t
andnb t, t, e
addusb n, n, 128
subusb n, n, t
maxub n, n, low
minub n, n, high
storeb now, n

# The same for gain 1: 128 + up / 2 - down / 2 stays in 8 bits.
.function qf_orc_signed_once_u8
.dest 1 now guint8
.dest 1 past guint8
.source 1 then guint8
.param 1 low
.param 1 high
.temp 1 n
.temp 1 t
.temp 1 e
loadb n, now
loadb t, then
storeb past, n
subusb e, n, t
subusb t, t, n
shrub e, e, 1
shrub t, t, 1
addb e, e, 128
subb e, e, t
maxub e, e, low
minub e, e, high
storeb now, e

# And one more for each pixel that did not change.
.function qf_orc_signed_once_tally_u8
.dest 1 now guint8
.dest 1 past guint8
.dest 1 tally guint8
.source 1 then guint8
.param 1 low
.param 1 high
.temp 1 n
.temp 1 t
.temp 1 e
.temp 1 q
loadb n, now
loadb t, then
storeb past, n
cmpeqb q, n, t
subb tally, tally, q
subusb e, n, t
subusb t, t, n
shrub e, e, 1
shrub t, t, 1
addb e, e, 128
subb e, e, t
maxub e, e, low
minub e, e, high
storeb now, e

# The same without sign, 0 ... 255.
.function qf_orc_absolute_once_u8
.dest 1 now guint8
.dest 1 past guint8
.source 1 then guint8
.temp 1 n
.temp 1 t
.temp 1 e
loadb n, now
loadb t, then
storeb past, n
subusb e, n, t
subusb t, t, n
orb e, e, t
storeb now, e

# And one more for each pixel that did not change.
.function qf_orc_absolute_once_tally_u8
.dest 1 now guint8
.dest 1 past guint8
.dest 1 tally guint8
.source 1 then guint8
.temp 1 n
.temp 1 t
.temp 1 e
.temp 1 q
loadb n, now
loadb t, then
storeb past, n
cmpeqb q, n, t
subb tally, tally, q
subusb e, n, t
subusb t, t, n
orb e, e, t
storeb now, e

# black + round (min (255, gain * |d|) * scale / 65536); scale 65535 is 1. Parameters
# are twice the gain and twice black: avguw halves.
.function qf_orc_absolute_u8
.dest 1 now guint8
.dest 1 past guint8
.source 1 then guint8
.param 2 twice
.param 1 limit
.param 2 scale
.param 2 black
.temp 1 n
.temp 1 t
.temp 1 e
.temp 2 v
loadb n, now
loadb t, then
storeb past, n
subusb e, n, t
subusb t, t, n
orb e, e, t
minub e, e, limit
convubw v, e
mullw v, v, twice
minsw v, v, 510
mulhuw v, v, scale
avguw v, v, black
convwb e, v
storeb now, e

# 10 bits at @shift in 16. limit = min (1023, ceil (1024 / gain)):
# gain * limit <= 1278.
.function qf_orc_signed_u16
.dest 2 now guint16
.dest 2 past guint16
.source 2 then guint16
.param 2 gain
.param 2 limit
.param 2 shift
.param 2 low
.param 2 high
.temp 2 n
.temp 2 t
.temp 2 e
loadw n, now
loadw t, then
storew past, n
shruw n, n, shift
shruw t, t, shift
subusw e, n, t
subusw t, t, n
subusw n, e, limit
subw e, e, n
subusw n, t, limit
subw t, t, n
mullw e, e, gain
mullw t, t, gain
shruw e, e, 1
shruw t, t, 1
subw e, e, t
addw e, e, 512
maxsw e, e, low
minsw e, e, high
shlw e, e, shift
storew now, e

.function qf_orc_absolute_u16
.dest 2 now guint16
.dest 2 past guint16
.source 2 then guint16
.param 2 twice
.param 2 limit
.param 2 shift
.param 2 scale
.param 2 black
.temp 2 n
.temp 2 t
.temp 2 e
loadw n, now
loadw t, then
storew past, n
shruw n, n, shift
shruw t, t, shift
subusw e, n, t
subusw t, t, n
orw e, e, t
subusw n, e, limit
subw e, e, n
mullw e, e, twice
minsw e, e, 2046
mulhuw e, e, scale
avguw e, e, black
shlw e, e, shift
storew now, e

# 255 where |d| > threshold
.function qf_orc_moving_u8
.dest 1 moving guint8
.source 1 now guint8
.source 1 then guint8
.param 1 threshold
.temp 1 a
.temp 1 b
subusb a, now, then
subusb b, then, now
orb a, a, b
subusb a, a, threshold
cmpeqb a, a, 0
xorb moving, a, 255

.function qf_orc_moving_u16
.dest 1 moving guint8
.source 2 now guint16
.source 2 then guint16
.param 2 shift
.param 2 threshold
.temp 2 n
.temp 2 t
.temp 2 a
.temp 1 m
shruw n, now, shift
shruw t, then, shift
subusw a, n, t
subusw t, t, n
orw a, a, t
subusw a, a, threshold
cmpeqw a, a, 0
convwb m, a
xorb moving, m, 255

# One more for each pixel that did not change. (A sum along the row would be one of
# 32 bits, and Orc then works on 4 pixels at a time instead of 16.)
.function qf_orc_tally_u8
.dest 1 tally guint8
.source 1 now guint8
.source 1 then guint8
.temp 1 e
cmpeqb e, now, then
subb tally, tally, e

.function qf_orc_tally_u16
.dest 1 tally guint8
.source 2 now guint16
.source 2 then guint16
.param 2 shift
.temp 2 n
.temp 2 t
.temp 1 e
shruw n, now, shift
shruw t, then, shift
cmpeqw n, n, t
convwb e, n
subb tally, tally, e

# Blocks of 2x2 that move.
.function qf_orc_blocks
.dest 1 block guint8
.source 1 a guint8
.source 1 b guint8
.source 1 c guint8
.source 1 d guint8
.temp 1 t
.temp 1 u
andb t, a, b
andb u, c, d
andb block, t, u

# then where a block covers the pixel, else now: no difference
.function qf_orc_keep_u8
.dest 1 kept guint8
.source 1 now guint8
.source 1 then guint8
.source 1 a guint8
.source 1 b guint8
.source 1 c guint8
.source 1 d guint8
.temp 1 k
.temp 1 t
orb k, a, b
orb t, c, d
orb k, k, t
andb t, then, k
andnb k, k, now
orb kept, k, t

.function qf_orc_keep_u16
.dest 2 kept guint16
.source 2 now guint16
.source 2 then guint16
.source 1 a guint8
.source 1 b guint8
.source 1 c guint8
.source 1 d guint8
.temp 1 k
.temp 1 t
.temp 2 w
.temp 2 v
orb k, a, b
orb t, c, d
orb k, k, t
convsbw w, k
andw v, then, w
andnw w, w, now
orw kept, w, v

# Running sums: + new - old
.function qf_orc_slide_u8
.dest 2 sum guint16
.source 1 new guint8
.source 1 old guint8
.temp 2 n
.temp 2 o
convubw n, new
convubw o, old
subw n, n, o
addw sum, sum, n

.function qf_orc_slide_u16
.dest 4 sum guint32
.source 2 new guint16
.source 2 old guint16
.param 2 shift
.temp 2 n
.temp 2 o
.temp 4 a
.temp 4 b
shruw n, new, shift
shruw o, old, shift
convuwl a, n
convuwl b, o
subl a, a, b
addl sum, sum, a

# (sum + n / 2) / n; inverse = min (65535, floor (65536 / n)): the quotient by it
# is right or one less.
.function qf_orc_mean_u8
.dest 1 mean guint8
.source 2 sum guint16
.param 2 half
.param 2 inverse
.param 2 n
.param 2 last
.temp 2 s
.temp 2 q
.temp 2 r
addw s, sum, half
mulhuw q, s, inverse
mullw r, q, n
subw r, s, r
cmpgtsw r, r, last
subw q, q, r
convwb mean, q

# sum + n / 2 + 1 / 2 < 2^18 is exact in float32; its product with 1 / n is off by
# less than 2^-12, its distance from a whole number is at least 1 / 500.
.function qf_orc_mean_u16
.dest 2 mean guint16
.source 4 sum guint32
.param 4 half
.floatparam 4 inverse
.param 2 shift
.temp 4 s
.temp 2 w
addl s, sum, half
convlf s, s
addf s, s, 0.5
mulf s, s, inverse
convfl s, s
convlw w, s
shlw mean, w, shift

# Grey into the colours of four bytes a pixel: mask has the bits of colours.
.function qf_orc_grey_u32
.dest 4 pixel guint32
.source 1 grey guint8
.param 4 mask
.temp 2 w
.temp 4 l
.temp 4 a
mergebw w, grey, grey
mergewl l, w, w
andl l, l, mask
andnl a, mask, pixel
orl pixel, a, l

# Luma of packed 4:2:2, as memory holds it; chroma becomes neutral.
.function qf_orc_luma_first
.dest 1 luma guint8
.source 2 pair guint16
select0wb luma, pair

.function qf_orc_luma_second
.dest 1 luma guint8
.source 2 pair guint16
select1wb luma, pair

.function qf_orc_grey_first
.dest 2 pair guint16
.source 1 grey guint8
mergebw pair, grey, 128

.function qf_orc_grey_second
.dest 2 pair guint16
.source 1 grey guint8
mergebw pair, 128, grey

# 8-bit codes into 10 bits
.function qf_orc_deepen
.dest 2 deep guint16
.source 1 code guint8
.param 2 shift
.temp 2 w
convubw w, code
shlw deep, w, shift

# (v + code) / 2, halves up, by whether the mask is 255 or 0
.function qf_orc_mix_u8
.dest 1 pixel guint8
.source 1 mask guint8
.param 1 still
.param 1 moving
.temp 1 a
.temp 1 b
andb a, mask, moving
andnb b, mask, still
orb a, a, b
avgub pixel, pixel, a

# moving where the mask is 255, else (v + still) / 2
.function qf_orc_cover_u8
.dest 1 pixel guint8
.source 1 mask guint8
.param 1 still
.param 1 moving
.temp 1 a
.temp 1 b
avgub a, pixel, still
andnb a, mask, a
andb b, mask, moving
orb pixel, a, b

# Whether either of two neighbours is set
.function qf_orc_pairs
.dest 1 any guint8
.source 2 mask guint16
.temp 1 a
.temp 1 b
splitwb a, b, mask
orb any, a, b

.function qf_orc_or
.dest 1 any guint8
.source 1 mask guint8
orb any, any, mask
