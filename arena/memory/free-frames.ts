// Free frames: a bitmap (bit set = free, and with memory behind it) with two kinds of summary, so that both ends are
// found in constant time:
//   bits[w]  32 frames | any[w]  32 words of bits with a free frame | full[w]  32 words of bits wholly free
// zv takes from the low end (the frame behind its last one, else the first wholly free group of 32, else the
// lowest), so that its blocks can cross frames; everything else takes from the high end.
//
// While some frames have no memory behind them (memory/backing.ts), each end keeps to its side of H_LOW_EDGE, and asks
// for more memory there rather than take the few frames that were backed for the other.
//
// Everything here is called under FRAME_LOCK, and can be rebuilt from the frame table and the backed bits.

import { ABORT_DAMAGED, abortOperation } from './host';
import { isBacked } from './backed-bits';
import { H_FRAMES, H_FRAME_TABLE, H_FREE_BITS, H_FREE_FRAMES, H_LAST_FRAME, H_LOW_EDGE } from './layout';

/** Bits of a frame number; a 4 GiB arena has 2^20 frames. */
const WORD_SHIFT: u32 = 5;
const WORD_MASK: u32 = 31;
const NO_HINT: u32 = 0;
/** With so many free frames an end may take those of the other: it is more than was backed at once. */
export const PLENTY_FRAMES: u32 = 64;

/**
 * In the second word of the table entry of a free frame that was a pool's or a client's: it keeps its memory until it
 * is used for something else, because the host reads such frames without a lock and could be on its way to it.
 */
export const KEEP_BACKED: u32 = 0xffffffff;

function mayLoseMemory(frame: u32): bool {
  return load<u32>(load<u32>(H_FRAME_TABLE) + (frame << 3) + 4) != KEEP_BACKED;
}

/** Words of the bitmap; `any` follows it, then `full`. */
function bitmapWords(frames: u32): u32 {
  return (frames + WORD_MASK) >>> WORD_SHIFT;
}

export function bitmapBytes(frames: u32): u32 {
  const words = bitmapWords(frames);
  return 4 * (words + 2 * ((words + WORD_MASK) >>> WORD_SHIFT));
}

function summaryAny(): usize {
  return load<u32>(H_FREE_BITS) + 4 * bitmapWords(load<u32>(H_FRAMES));
}

function summaryWords(): u32 {
  return (bitmapWords(load<u32>(H_FRAMES)) + WORD_MASK) >>> WORD_SHIFT;
}

function summaryFull(): usize {
  return summaryAny() + 4 * summaryWords();
}

@inline
function wordAddress(word: u32): usize {
  return load<u32>(H_FREE_BITS) + (word << 2);
}

function isFree(frame: u32): bool {
  return ((load<u32>(wordAddress(frame >>> WORD_SHIFT)) >>> (frame & WORD_MASK)) & 1) != 0;
}

/** No frame is free. */
export function freeNone(): void {
  memory.fill(load<u32>(H_FREE_BITS), 0, bitmapBytes(load<u32>(H_FRAMES)));
}

export function setFree(frame: u32): void {
  const word = frame >>> WORD_SHIFT;
  const bits = load<u32>(wordAddress(word));
  if ((bits >>> (frame & WORD_MASK)) & 1) abortOperation(ABORT_DAMAGED, 112);
  setWord(word, bits | (1 << (frame & WORD_MASK)));
}

export function clearFree(frame: u32): void {
  const word = frame >>> WORD_SHIFT;
  setWord(word, load<u32>(wordAddress(word)) & ~(1 << (frame & WORD_MASK)));
}

function setWord(word: u32, bits: u32): void {
  store<u32>(wordAddress(word), bits);
  const bit: u32 = 1 << (word & WORD_MASK);
  const any = summaryAny() + ((word >>> WORD_SHIFT) << 2);
  const full = summaryFull() + ((word >>> WORD_SHIFT) << 2);
  store<u32>(any, bits != 0 ? load<u32>(any) | bit : load<u32>(any) & ~bit);
  store<u32>(full, bits == 0xffffffff ? load<u32>(full) | bit : load<u32>(full) & ~bit);
}

/**
 * Takes up to 32 free frames that may lose their memory out of one word of the bitmap, the first such word from number
 * `from` on (and from the start again). Their bits; the word's number is freeTakenWord(). 0 when there is none.
 */
export function freeTakeWord(from: u32, most: u32): u32 {
  const words = bitmapWords(load<u32>(H_FRAMES));
  for (let i: u32 = 0; i < words; i++) {
    const word = (from + i) % words;
    const free = load<u32>(wordAddress(word));
    let taken: u32 = 0;
    let count: u32 = 0;
    for (let bits = free; bits != 0 && count < most; bits &= bits - 1) {
      if (!mayLoseMemory((word << WORD_SHIFT) + ctz<u32>(bits))) continue;
      taken |= bits & (0 - bits);
      count++;
    }
    if (taken == 0) continue;
    setWord(word, free & ~taken);
    takenWord = word;
    return taken;
  }
  return 0;
}

let takenWord: u32 = 0;

export function freeTakenWord(): u32 {
  return takenWord;
}

/** A free frame for zv, 0 when there is none (`ownSide`: or none that was backed for this end). */
export function pickLow(hint: u32, ownSide: bool): u32 {
  if (load<u32>(H_FREE_FRAMES) == 0) return 0;
  const hinted = hint != NO_HINT && hint < load<u32>(H_LAST_FRAME);
  if (hinted && isFree(hint)) return hint;
  const strict = ownSide && load<u32>(H_FREE_FRAMES) < PLENTY_FRAMES;
  const edge: u32 = strict ? load<u32>(H_LOW_EDGE) : load<u32>(H_LAST_FRAME);
  const group = lowestSummary(summaryFull());
  if (group >= 0 && <u32>group << WORD_SHIFT < edge) return <u32>group << WORD_SHIFT;
  if (strict && hinted && !isBacked(hint)) return 0;
  const word = lowestSummary(summaryAny());
  if (word < 0) abortOperation(ABORT_DAMAGED, 113);
  const frame = (<u32>word << WORD_SHIFT) + ctz<u32>(load<u32>(wordAddress(<u32>word)));
  return frame < edge ? frame : 0;
}

/** A free frame for everything else, 0 when there is none. At most 1024 summary words are looked at (4 GiB). */
export function pickHigh(ownSide: bool): u32 {
  if (load<u32>(H_FREE_FRAMES) == 0) return 0;
  const strict = ownSide && load<u32>(H_FREE_FRAMES) < PLENTY_FRAMES;
  const edge: u32 = strict ? load<u32>(H_LOW_EDGE) : 0;
  const any = summaryAny();
  for (let i = <i32>summaryWords() - 1; i >= 0; i--) {
    const summary = load<u32>(any + (<u32>i << 2));
    if (summary == 0) continue;
    const word = (<u32>i << WORD_SHIFT) + 31 - clz<u32>(summary);
    const frame = (word << WORD_SHIFT) + 31 - clz<u32>(load<u32>(wordAddress(word)));
    return frame >= edge ? frame : 0;
  }
  abortOperation(ABORT_DAMAGED, 114);
  return 0;
}

function lowestSummary(summary: usize): i32 {
  const words = summaryWords();
  for (let i: u32 = 0; i < words; i++) {
    const bits = load<u32>(summary + (i << 2));
    if (bits != 0) return <i32>((i << WORD_SHIFT) + ctz<u32>(bits));
  }
  return -1;
}
