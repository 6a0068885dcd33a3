// LZ4 block format, written for pages.
//
//   block    = sequence* last
//   sequence = token, [literal length bytes], literals, offset (2, little-endian), [match length bytes]
//   token    = literal length (high 4 bits) | match length - 4 (low 4 bits); 15 = more length bytes follow
//   last     = a sequence that stops after its literals; no match starts in the last 12 bytes or covers the last 5
//
// Rule: whatever bytes the decoder is given, it writes only to [dst, dst + dstLen + SLACK_BYTES) and ends.

import {
  MAX_COMPRESSED_BYTES,
  MAX_PAGE_BYTES,
  clearTable,
  copy16,
  copyMatch,
  copyRepeat,
  copyWild,
  equalBytes,
  exceeds,
  slotOf,
} from './bytes';

/** Shortest match the format can express. */
const MIN_MATCH: u32 = 4;
/**
 * No match starts closer to the end of the page. The format asks for 12; with 17 the first eight bytes behind the
 * shortest match always may belong to it, so that their comparison needs no bound.
 */
const MATCH_START_MARGIN: u32 = 17;
/** A match may not cover the last bytes of the page (format). */
const LAST_LITERALS: u32 = 5;
/** After 2^this misses in a row the search takes one byte more a step. */
const SKIP_SHIFT: u32 = 6;

/** Appends what is left of a length after the token's 15; returns the new output position. */
@inline
function putLength(op: usize, rest: u32): usize {
  while (rest >= 255) {
    store<u8>(op++, 255);
    rest -= 255;
  }
  store<u8>(op++, rest);
  return op;
}

/** Literal length and literals behind the token; returns the position behind them. */
@inline
function putLiterals(op: usize, from: usize, count: u32): usize {
  if (count < 15) {
    copy16(op, from);
    return op + count;
  }
  op = putLength(op, count - 15);
  copyWild(op, from, count);
  return op + count;
}

/**
 * Compresses `srcLen` (1 to 4096) bytes. Returns the compressed size in bytes, 0 when it exceeds `dstCapacity`
 * (at most MAX_COMPRESSED_BYTES; COMPRESS_BOUND_BYTES always suffice). `table` is TABLE_BYTES of scratch.
 * The same page always gives the same bytes.
 */
export function lz4Compress(src: usize, srcLen: u32, dst: usize, dstCapacity: u32, table: usize): u32 {
  if (srcLen > MAX_PAGE_BYTES) return 0;
  const end = src + srcLen;
  const outEnd = dst + dstCapacity;
  let op = dst;
  let anchor = src;

  if (srcLen > MATCH_START_MARGIN) {
    clearTable(table);
    const lastStart = end - MATCH_START_MARGIN;
    const matchEnd = end - LAST_LITERALS;
    // Empty entries name position 0, which is a true candidate for every later position.
    let ip = src + 1;
    while (ip <= lastStart) {
      let candidate: usize = 0;
      let misses: u32 = 1 << SKIP_SHIFT;
      do {
        const sequence = load<u64>(ip);
        const slot = slotOf(table, sequence);
        candidate = src + load<u16>(slot);
        // Read before the store: V8 would else fold the load into the comparison and do it twice.
        const word = load<u32>(candidate);
        store<u16>(slot, ip - src);
        if (<u32>sequence == word) break;
        ip += misses++ >> SKIP_SHIFT;
      } while (ip <= lastStart);
      if (ip > lastStart) break;

      // Up to here op <= outEnd. The literals are checked; at most 36 bytes of token, lengths and offset fit the
      // slack, so that the next check can wait until the sequence is written.
      const literals = <u32>(ip - anchor);
      if (exceeds(literals, op, outEnd)) return 0;
      const token = op;
      const tokenHigh = min(literals, 15) << 4;
      op = putLiterals(op + 1, anchor, literals);

      // More than half of all matches end within these eight bytes: they get a path of their own.
      const here = load<u64>(ip, MIN_MATCH);
      const there = load<u64>(candidate, MIN_MATCH);
      store<u16>(op, ip - candidate);
      op += 2;
      if (here != there) {
        const length = <u32>ctz(here ^ there) >> 3;
        store<u8>(token, tokenHigh | length);
        ip += MIN_MATCH + length;
      } else {
        const length = 8 + equalBytes(ip + MIN_MATCH + 8, candidate + MIN_MATCH + 8, matchEnd);
        ip += MIN_MATCH + length;
        if (length < 15) {
          store<u8>(token, tokenHigh | length);
        } else {
          store<u8>(token, tokenHigh | 15);
          op = putLength(op, length - 15);
        }
      }
      anchor = ip;
      if (op > outEnd) return 0;
      // A position inside the match, so that what follows it is found again together with its end.
      store<u16>(slotOf(table, load<u64>(ip - 2)), ip - 2 - src);
    }
  }

  const literals = <u32>(end - anchor);
  if (exceeds(literals, op, outEnd)) return 0;
  store<u8>(op, min(literals, 15) << 4);
  op = putLiterals(op + 1, anchor, literals);
  return op > outEnd ? 0 : <u32>(op - dst);
}

/**
 * Decompresses `srcLen` bytes into exactly `dstLen` (1 to 4096). Returns `dstLen`, or 0 when the input is not a
 * block of that size. On 0 the content of the destination is undefined.
 */
export function lz4Decompress(src: usize, srcLen: u32, dst: usize, dstLen: u32): u32 {
  if (srcLen - 1 >= MAX_COMPRESSED_BYTES) return 0;
  const end = src + srcLen;
  const outEnd = dst + dstLen;
  let ip = src;
  let op = dst;

  while (true) {
    // Here op <= outEnd and ip <= end + 1: a token read from behind the end is caught after its literals.
    const token = <u32>load<u8>(ip++);
    let literals = token >> 4;
    if (literals < 15) {
      copy16(op, ip);
    } else {
      let more: u32;
      do {
        more = <u32>load<u8>(ip++);
        literals += more;
      } while (more == 255 && ip < end);
      if (exceeds(literals, op, outEnd) || exceeds(literals, ip, end)) return 0;
      copyWild(op, ip, literals);
    }
    ip += literals;
    op += literals;
    if (ip >= end) return ip == end && op == outEnd ? dstLen : 0;

    const distance = <u32>load<u16>(ip);
    ip += 2;
    // Unsigned: a distance of 0 becomes the largest.
    if (distance - 1 >= <u32>(op - dst)) return 0;
    let length = token & 15;
    if (length < 15) {
      length += MIN_MATCH;
      // op is at most 14 past outEnd here, so these 18 bytes stay inside the slack.
      const from = op - distance;
      if (distance >= 8) {
        store<u64>(op, load<u64>(from));
        store<u64>(op, load<u64>(from, 8), 8);
        store<u16>(op, load<u16>(from, 16), 16);
      } else {
        copyRepeat(op, distance, length);
      }
      op += length;
      if (op > outEnd) return 0;
    } else {
      let more: u32;
      do {
        more = <u32>load<u8>(ip++);
        length += more;
      } while (more == 255 && ip < end);
      length += MIN_MATCH;
      if (exceeds(length, op, outEnd)) return 0;
      copyMatch(op, distance, length);
      op += length;
    }
  }
}
