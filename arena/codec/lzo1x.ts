// LZO1X, written for pages from the public description of the stream format.
//
//   first byte 18..255   copy (byte - 17) literals
//   0000LLLL             after a match that named no literals: a run of 3 + L literals (L = 0: 18 + length bytes)
//   0000DDSS H           after 1..3 named literals: 2 bytes, distance 4H + D + 1
//   0000DDSS H           after a literal run:       3 bytes, distance 4H + D + 2049
//   0001HLLL D D         distances from 16384 on: inside a page only the end mark 0x11 0 0
//   001LLLLL D:14 S:2    2 + L bytes (L = 0: 33 + length bytes), distance D + 1
//   LLLDDDSS H           (LLL >= 2) 1 + L bytes, distance 8H + D + 1
//   SS                   0..3 literals follow the match at once
//
// Length bytes: each 0 counts 255, the first other byte ends the length.
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

/** Shortest match the compressor looks for: shorter ones save nothing once their literals are counted. */
const MIN_MATCH: u32 = 4;
/**
 * No match starts closer to the end of the page: the first eight bytes behind the shortest match always may belong
 * to it, so that their comparison needs no bound, and the hash never reads behind the page.
 */
const MATCH_START_MARGIN: u32 = 12;
/** Longest match and largest distance of the two-byte form. */
const SHORT_LENGTH: u32 = 8;
const SHORT_DISTANCE: u32 = 2048;
/** Longest match of the three-byte form without length bytes. */
const MEDIUM_LENGTH: u32 = 33;
/** Longest literal run in one instruction byte; longer ones take length bytes. */
const SHORT_RUN: u32 = 18;
/** Longest run the first byte of a stream can announce. */
const FIRST_RUN: u32 = 238;
/** After 2^this misses in a row the search takes one byte more a step. */
const SKIP_SHIFT: u32 = 6;
/** End mark 0x11 0 0. */
const END_BYTES: u32 = 3;

/** Appends a length counted in 255s; `rest` is at least 1. Returns the new output position. */
@inline
function putLength(op: usize, rest: u32): usize {
  while (rest > 255) {
    store<u8>(op++, 0);
    rest -= 255;
  }
  store<u8>(op++, rest);
  return op;
}

/** The literals between two matches; returns the position behind them. */
@inline
function putLiterals(op: usize, dst: usize, from: usize, count: u32): usize {
  if (count <= 3 && op != dst) {
    // Both match forms keep the count in the low bits of their last byte but one.
    store<u8>(op - 2, load<u8>(op - 2) | count);
    store<u32>(op, load<u32>(from));
    return op + count;
  }
  if (op == dst && count <= FIRST_RUN) {
    store<u8>(op++, 17 + count);
  } else if (count <= SHORT_RUN) {
    store<u8>(op++, count - 3);
  } else {
    store<u8>(op++, 0);
    op = putLength(op, count - SHORT_RUN);
  }
  copyWild(op, from, count);
  return op + count;
}

/**
 * Compresses `srcLen` (1 to 4096) bytes. Returns the compressed size in bytes, 0 when it exceeds `dstCapacity`
 * (at most MAX_COMPRESSED_BYTES; COMPRESS_BOUND_BYTES always suffice). `table` is TABLE_BYTES of scratch.
 * The same page always gives the same bytes.
 */
export function lzo1xCompress(src: usize, srcLen: u32, dst: usize, dstCapacity: u32, table: usize): u32 {
  if (srcLen > MAX_PAGE_BYTES) return 0;
  const end = src + srcLen;
  const outEnd = dst + dstCapacity;
  let op = dst;
  let anchor = src;

  if (srcLen > MATCH_START_MARGIN) {
    clearTable(table);
    const lastStart = end - MATCH_START_MARGIN;
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

      // op <= outEnd here. The literals are checked; their length, the match and its length fit the slack.
      const literals = <u32>(ip - anchor);
      if (exceeds(literals, op, outEnd)) return 0;
      if (literals != 0) op = putLiterals(op, dst, anchor, literals);

      // More than half of all matches end within these eight bytes: they get a path of their own.
      const here = load<u64>(ip, MIN_MATCH);
      const there = load<u64>(candidate, MIN_MATCH);
      const distance = <u32>(ip - candidate) - 1;
      let length: u32;
      if (here != there) {
        length = MIN_MATCH + (<u32>ctz(here ^ there) >> 3);
      } else {
        length = MIN_MATCH + 8 + equalBytes(ip + MIN_MATCH + 8, candidate + MIN_MATCH + 8, end);
      }
      ip += length;
      anchor = ip;
      if (length <= SHORT_LENGTH && distance < SHORT_DISTANCE) {
        store<u16>(op, ((length - 1) << 5) | ((distance & 7) << 2) | ((distance >> 3) << 8));
        op += 2;
      } else {
        if (length <= MEDIUM_LENGTH) {
          store<u8>(op++, 32 | (length - 2));
        } else {
          store<u8>(op++, 32);
          op = putLength(op, length - MEDIUM_LENGTH);
        }
        store<u16>(op, distance << 2);
        op += 2;
      }
      if (op > outEnd) return 0;
      // A position inside the match, so that what follows it is found again together with its end.
      store<u16>(slotOf(table, load<u64>(ip - 2)), ip - 2 - src);
    }
  }

  const literals = <u32>(end - anchor);
  if (exceeds(literals, op, outEnd)) return 0;
  if (literals != 0) op = putLiterals(op, dst, anchor, literals);
  store<u32>(op, 0x11);
  op += END_BYTES;
  return op > outEnd ? 0 : <u32>(op - dst);
}

/**
 * Decompresses `srcLen` bytes into exactly `dstLen` (1 to 4096). Returns `dstLen`, or 0 when the input is not a
 * stream of that size. On 0 the content of the destination is undefined.
 */
export function lzo1xDecompress(src: usize, srcLen: u32, dst: usize, dstLen: u32): u32 {
  if (srcLen - 1 >= MAX_COMPRESSED_BYTES) return 0;
  const end = src + srcLen;
  const outEnd = dst + dstLen;
  let ip = src;
  let op = dst;
  // Literals named by the last instruction: 0 to 3, or 4 after a literal run.
  let state: u32 = 0;

  const first = <u32>load<u8>(ip);
  if (first > 17) {
    ip++;
    state = first - 17;
    if (exceeds(state, op, outEnd) || exceeds(state, ip, end)) return 0;
    copyWild(op, ip, state);
    ip += state;
    op += state;
    state = min(state, 4);
  }

  while (ip < end) {
    let code = <u32>load<u8>(ip++);
    if (code < 16 && state == 0) {
      let run = code + 3;
      if (code != 0) {
        // At most 18 bytes, and op <= outEnd: inside the slack, so one check behind the match does.
        copy16(op, ip);
        store<u16>(op, load<u16>(ip, 16), 16);
      } else {
        run = SHORT_RUN;
        while (ip < end && load<u8>(ip) == 0) {
          run += 255;
          ip++;
        }
        run += load<u8>(ip++);
        if (exceeds(run, op, outEnd) || exceeds(run, ip, end)) return 0;
        copyWild(op, ip, run);
      }
      ip += run;
      op += run;
      state = 4;
      code = <u32>load<u8>(ip++);
    }

    let length: u32;
    let distance: u32;
    if (code >= 64) {
      length = (code >> 5) + 1;
      distance = (<u32>load<u8>(ip++) << 3) + ((code >> 2) & 7) + 1;
      state = code & 3;
      if (distance > <u32>(op - dst)) return 0;
      if (distance >= length) {
        store<u64>(op, load<u64>(op - distance));
      } else {
        copyRepeat(op, distance, length);
      }
    } else {
      if (code >= 32) {
        length = code - 30;
        if (code == 32) {
          length = MEDIUM_LENGTH;
          while (ip < end && load<u8>(ip) == 0) {
            length += 255;
            ip++;
          }
          length += load<u8>(ip++);
        }
        const pair = <u32>load<u16>(ip);
        ip += 2;
        distance = (pair >> 2) + 1;
        state = pair & 3;
      } else if (code >= 16) {
        return code == 0x11 && load<u16>(ip) == 0 && ip + 2 == end && op == outEnd ? dstLen : 0;
      } else {
        distance = (<u32>load<u8>(ip++) << 2) + (code >> 2) + 1;
        length = 2;
        if (state == 4) {
          distance += SHORT_DISTANCE;
          length = 3;
        }
        state = code & 3;
      }
      if (distance > <u32>(op - dst) || exceeds(length, op, outEnd)) return 0;
      copyMatch(op, distance, length);
    }
    op += length;
    store<u32>(op, load<u32>(ip));
    op += state;
    ip += state;
    if (op > outEnd) return 0;
  }
  return 0;
}
