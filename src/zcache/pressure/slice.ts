/**
 * Slices of work: how many frames are given back without a pause, so that the event loop is held up for about a
 * millisecond and no longer.
 *
 * The cost of a frame differs by an order of magnitude (already free: 3 µs; two pages to evict and unlink from the
 * index: more), so it is measured: a slice that took too long makes the next one half as large, a
 * quick one twice. The bounds hold where the clock says nothing.
 */

/** Longest time a slice should take. */
const SLICE_MS = 1;
/** A slice below this may grow: doubled it stays within the time. */
const QUICK_MS = SLICE_MS / 2;
/** Smallest slice, and the one to start with: 32 frames at 10 µs are a third of a millisecond. */
const FRAMES_MIN = 8;
const FRAMES_FIRST = 32;
/** Largest slice: 4 MiB. At 3 µs a frame, the least that giving back was measured to cost, 3 ms. */
const FRAMES_MAX = 1024;

export class SliceSize {
  #frames = FRAMES_FIRST;

  get frames(): number {
    return this.#frames;
  }

  /** A slice of `frames` took `durationMs`. One that was cut short says nothing about larger ones. */
  took(frames: number, durationMs: number): void {
    if (durationMs > SLICE_MS) this.#frames = Math.max(FRAMES_MIN, Math.floor(this.#frames / 2));
    else if (durationMs < QUICK_MS && frames === this.#frames) {
      this.#frames = Math.min(FRAMES_MAX, this.#frames * 2);
    }
  }
}
