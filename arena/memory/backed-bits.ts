// Which frames have memory behind them: one bit a frame. In a named store a frame that has none is a hole of its file,
// and touching a hole of a full file system kills the process, so nobody gets such a frame (memory/backing.ts).
//
// This is not derived from anything. A bit is set after the host reserved the memory and cleared before the host gives
// it back, both under BACKING_LOCK: a set bit is always true, whoever is killed in between.

import { H_BACKED_BITS } from './layout';

export function backedBytes(frames: u32): u32 {
  return ((frames + 31) >>> 5) << 2;
}

@inline
function wordOf(frame: u32): usize {
  return load<u32>(H_BACKED_BITS) + ((frame >>> 5) << 2);
}

@inline
export function isBacked(frame: u32): bool {
  return ((atomic.load<u32>(wordOf(frame)) >>> (frame & 31)) & 1) != 0;
}

export function setBacked(first: u32, frames: u32): void {
  for (let frame = first; frame < first + frames; frame++) {
    atomic.store<u32>(wordOf(frame), load<u32>(wordOf(frame)) | (1 << (frame & 31)));
  }
}

export function clearBacked(first: u32, frames: u32): void {
  for (let frame = first; frame < first + frames; frame++) {
    atomic.store<u32>(wordOf(frame), load<u32>(wordOf(frame)) & ~(1 << (frame & 31)));
  }
}

/** The first frame from `frame` up that has no memory, below `end`; `end` when there is none. */
export function nextUnbacked(frame: u32, end: u32): u32 {
  while (frame < end) {
    const bits = ~load<u32>(wordOf(frame)) >>> (frame & 31);
    if (bits != 0) return min(frame + <u32>ctz<u32>(bits), end);
    frame = (frame & ~31) + 32;
  }
  return end;
}

/** The last frame from `frame` down that has no memory, not below `first`; 0 when there is none. */
export function previousUnbacked(frame: u32, first: u32): u32 {
  while (frame >= first) {
    const bits = ~load<u32>(wordOf(frame)) << (31 - (frame & 31));
    if (bits != 0) {
      const found = frame - <u32>clz<u32>(bits);
      return found >= first && found <= frame ? found : 0;
    }
    if (frame < 32) break;
    frame = (frame & ~31) - 1;
  }
  return 0;
}

/** How many frames from `frame` up have no memory, at most `most`, below `end`. */
export function unbackedRun(frame: u32, most: u32, end: u32): u32 {
  let run: u32 = 0;
  while (run < most && frame + run < end && !isBacked(frame + run)) run++;
  return run;
}
