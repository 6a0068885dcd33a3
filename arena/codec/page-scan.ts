// One pass over a page before anything else is done with it: checksum, same-filled check and, in passing, prefetch.
//
// Checksum: each 16-bit word of the page is multiplied by an odd key of its own position and summed into one of
// sixteen 32-bit lanes; length and lanes are then mixed into 32 bits.
//
//   block i, 64 bytes:  | vector 0 | vector 1 | vector 2 | vector 3 |      8 words each
//   keys of block i:      k + i*step (one vector of eight keys, each of its own step)
//   lanes:                  a[0..3]    b[0..3]    c[0..3]    d[0..3]       two words a lane
//
// A key is odd and products stay below 2^32, so any change inside one word changes its lane; keys of different
// blocks differ, so exchanged words change it too. Bytes behind the page never count.

/** Set in the result of scanPage when the page is one repeated 64-bit value. */
const SAME_FILLED: u64 = 1 << 32;

/** Bytes that one round of the loop takes. */
const BLOCK_BYTES: u32 = 64;

/** Odd keys of the first block and even steps: keys stay odd, and repeat only after 2^15 blocks. */
@inline
function firstKeys(): v128 {
  return i16x8(0x2f0b, 0x6b43, 0x15a9, 0x7d35, 0x4c97, 0x33e1, 0x5a6d, 0x091f);
}
@inline
function keySteps(): v128 {
  return i16x8(0x1c86, 0x34ea, 0x0b52, 0x2a6e, 0x4d1a, 0x1796, 0x38be, 0x5f32);
}

/** The low `count` (0 to 16, more counts as 16) bytes of a vector, the rest zero. */
@inline
function keepBytes(vector: v128, count: i32): v128 {
  const places = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return v128.and(vector, i8x16.gt_s(i8x16.splat(<i8>max(0, min(count, 16))), places));
}

/** Nonlinear and different for each lane, so that equal changes in two lanes do not cancel. */
@inline
function mix(hash: u64, lanes: v128): u64 {
  hash = (hash ^ i64x2.extract_lane(lanes, 0)) * 0x9e3779b97f4a7c15;
  hash ^= hash >> 29;
  hash = (hash ^ i64x2.extract_lane(lanes, 1)) * 0xbf58476d1ce4e5b9;
  return hash ^ (hash >> 32);
}

/**
 * Reads `len` (1 to 4096) bytes once, and up to 64 behind them. Take the result apart with scannedChecksum and
 * scannedSame.
 */
export function scanPage(src: usize, len: u32): u64 {
  // The exclusive or changes nothing, as len is below 2^16: it keeps V8 from building the constant anew in each round.
  const steps = v128.xor(keySteps(), i32x4.splat(len >> 16));
  const pattern = i64x2.splat(load<i64>(src));
  let keys = firstKeys();
  let a = i64x2.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let at = src;
  const wholeEnd = src + (len & ~(BLOCK_BYTES - 1));

  // While the page may still be same-filled, compare as well; most pages leave this loop at once.
  let same = true;
  while (same && at < wholeEnd) {
    const p = v128.load(at, 0);
    const q = v128.load(at, 16);
    const r = v128.load(at, 32);
    const s = v128.load(at, 48);
    const other = v128.or(
      v128.or(v128.xor(p, pattern), v128.xor(q, pattern)),
      v128.or(v128.xor(r, pattern), v128.xor(s, pattern)),
    );
    same = !v128.any_true(other);
    a = i32x4.add(a, i32x4.dot_i16x8_s(p, keys));
    b = i32x4.add(b, i32x4.dot_i16x8_s(q, keys));
    c = i32x4.add(c, i32x4.dot_i16x8_s(r, keys));
    d = i32x4.add(d, i32x4.dot_i16x8_s(s, keys));
    keys = i16x8.add(keys, steps);
    at += BLOCK_BYTES;
  }
  while (at < wholeEnd) {
    a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(at, 0), keys));
    b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load(at, 16), keys));
    c = i32x4.add(c, i32x4.dot_i16x8_s(v128.load(at, 32), keys));
    d = i32x4.add(d, i32x4.dot_i16x8_s(v128.load(at, 48), keys));
    keys = i16x8.add(keys, steps);
    at += BLOCK_BYTES;
  }

  const rest = <i32>(len & (BLOCK_BYTES - 1));
  if (rest != 0) {
    const p = keepBytes(v128.load(at, 0), rest);
    const q = keepBytes(v128.load(at, 16), rest - 16);
    const r = keepBytes(v128.load(at, 32), rest - 32);
    const s = keepBytes(v128.load(at, 48), rest - 48);
    const other = v128.or(
      v128.or(v128.xor(p, keepBytes(pattern, rest)), v128.xor(q, keepBytes(pattern, rest - 16))),
      v128.or(v128.xor(r, keepBytes(pattern, rest - 32)), v128.xor(s, keepBytes(pattern, rest - 48))),
    );
    same = same && !v128.any_true(other);
    a = i32x4.add(a, i32x4.dot_i16x8_s(p, keys));
    b = i32x4.add(b, i32x4.dot_i16x8_s(q, keys));
    c = i32x4.add(c, i32x4.dot_i16x8_s(r, keys));
    d = i32x4.add(d, i32x4.dot_i16x8_s(s, keys));
  }

  const hash = mix(mix(mix(mix(len, a), b), c), d);
  return (hash & 0xffffffff) | (same ? SAME_FILLED : 0);
}

/** The 32-bit checksum inside a scan. */
@inline
export function scannedChecksum(scan: u64): u32 {
  return <u32>scan;
}

/** Whether the scanned page is one repeated 64-bit value, the last piece being a prefix of it. */
@inline
export function scannedSame(scan: u64): bool {
  return (scan & SAME_FILLED) != 0;
}

/** The checksum alone: what scanPage says of the same bytes, in any build and at any address. */
export function checksum(src: usize, len: u32): u32 {
  return scannedChecksum(scanPage(src, len));
}

/** The 64-bit value a same-filled page repeats; bytes behind a page shorter than 8 are zero. */
export function repeatedValue(src: usize, len: u32): u64 {
  const value = load<u64>(src);
  return len < 8 ? value & (((<u64>1) << (len << 3)) - 1) : value;
}

/** Writes a same-filled page of `len` bytes back; up to 15 bytes behind it are scratch. */
export function fillRepeated(dst: usize, len: u32, value: u64): void {
  const pattern = i64x2.splat(value);
  const end = dst + len;
  while (dst < end) {
    v128.store(dst, pattern);
    dst += 16;
  }
}
