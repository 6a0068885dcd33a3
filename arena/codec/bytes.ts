// Byte moves and comparisons that both codecs are made of.
//
// Everything here moves 16 bytes at a time and may touch more than it was asked for: at most SLACK_BYTES past the
// end of what it reads or writes. Every buffer given to a codec has that much readable (source) or writable
// (destination) memory behind it; this is the rule that lets the loops do without a byte-wise tail.

/** Bytes behind every source (readable) and destination (writable scratch) that a codec may touch. */
export const SLACK_BYTES: u32 = 64;

/** Largest page: positions inside a page fit the 16-bit hash table entries. */
export const MAX_PAGE_BYTES: u32 = 4096;

/**
 * Longest compressed form a decoder accepts. Far above what any encoder makes of a page; it keeps every sum of
 * length bytes inside 32 bits.
 */
export const MAX_COMPRESSED_BYTES: u32 = 0xffff;

/** No page compresses to more than this in either format: room for its literals, their lengths and an end mark. */
export const COMPRESS_BOUND_BYTES: u32 = 4160;

/** Entries of the compressors' hash table: with half as many pages come out 0.5 % larger, with twice 0.2 % smaller. */
const HASH_BITS: u32 = 12;

/** Bytes of hash table a caller hands to a compressor, 16-byte aligned; content is neither read nor kept. */
export const TABLE_BYTES: u32 = 2 << HASH_BITS;

/**
 * Whether `count` bytes from `at` on reach past `end`. Compares differences: at the top of a 4 GiB arena the sum
 * would wrap, and `at` itself may already be a few bytes past the end.
 */
@inline
export function exceeds(count: u32, at: usize, end: usize): bool {
  return <i32>count > <i32>(end - at);
}

@inline
export function copy16(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
}

/** Copies `length` bytes in 16-byte steps, at least one; source and destination may overlap only by 16 or more. */
@inline
export function copyWild(to: usize, from: usize, length: u32): void {
  const end = to + length;
  do {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  } while (to < end);
}

/** Forgets the previous page, so that equal pages compress to equal bytes. */
@inline
export function clearTable(table: usize): void {
  const zero = i64x2.splat(0);
  const end = table + TABLE_BYTES;
  do {
    v128.store(table, zero, 0);
    v128.store(table, zero, 16);
    v128.store(table, zero, 32);
    v128.store(table, zero, 48);
    table += 64;
  } while (table < end);
}

/** Address of the table entry for the five bytes at the low end of `sequence`. */
@inline
export function slotOf(table: usize, sequence: u64): usize {
  // Shifting left by 24 leaves five bytes; the odd multiplier (0.618 of 2^40) spreads them over the top bits.
  return table + ((<usize>(((sequence << 24) * 0x9e3779b185ebca87) >> (64 - HASH_BITS))) << 1);
}

/** Bytes equal at `a` and `b`, looking no further than `limit` (an end for `a`, not before it). */
@inline
export function equalBytes(a: usize, b: usize, limit: usize): u32 {
  const start = a;
  while (a < limit) {
    const difference = load<u64>(a) ^ load<u64>(b);
    if (difference != 0) {
      a += <usize>ctz(difference) >> 3;
      break;
    }
    a += 8;
    b += 8;
  }
  return <u32>(min(a, limit) - start);
}

/**
 * Copies a match of `length` bytes from `distance` bytes back (at least 1), where the copy may overlap itself.
 * Writes at most 32 bytes past the end of the match.
 */
@inline
export function copyMatch(to: usize, distance: u32, length: u32): void {
  if (distance >= 16) {
    copyWild(to, to - distance, length);
  } else {
    copyRepeat(to, distance, length);
  }
}

/** The overlapping case: the last `distance` (1 to 15) bytes repeat. */
@inline
export function copyRepeat(to: usize, distance: u32, length: u32): void {
  const end = to + length;
  let from = to - distance;
  if (distance < 8) {
    // Eight bytes of the pattern in a register. Shifts count modulo 64, so those of 64 and more are left out.
    const bits = <u64>distance << 3;
    let pattern = load<u64>(from) & ((<u64>1 << bits) - 1);
    pattern |= pattern << bits;
    if (distance < 4) pattern |= pattern << (bits << 1);
    if (distance < 2) pattern |= pattern << 32;
    store<u64>(to, pattern);
    // The smallest multiple of each distance that is at least 8, one hex digit each: 8 8 9 8 a c e for 1 to 7.
    from = to - <usize>((0xeca89880 >> (distance << 2)) & 15);
    from += 8;
    to += 8;
  }
  while (to < end) {
    store<u64>(to, load<u64>(from));
    to += 8;
    from += 8;
  }
}
