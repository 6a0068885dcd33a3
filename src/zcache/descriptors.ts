/**
 * What front ends ask of the operating system about their open files and sockets, and Node.js does not offer.
 *
 * It needs the optional package koffi and Linux. Without them `descriptors` is undefined, and callers do without: no
 * locks on files, zeroes instead of holes, one thread for all sockets.
 */

import { type Libc, libc } from '../arena/libc.ts';
import { TmemError } from '../tmem/index.ts';

/** A lock from byte 0 with no length goes to wherever the file ends. */
const WHOLE_FILE = 0;

class Descriptors {
  readonly #libc: Libc;

  constructor(library: Libc) {
    this.#libc = library;
  }

  /** Locks a whole file for this descriptor until it is closed; false when somebody else has a lock on it. */
  lock(descriptor: number): boolean {
    return this.#libc.lockBytes(descriptor, 0, WHOLE_FILE);
  }

  /** Makes part of a file a hole, which reads as zeroes; false when the file system cannot. */
  punchHole(descriptor: number, position: number, bytes: number): Promise<boolean> {
    return this.#libc.punchHole(descriptor, position, bytes);
  }

  /**
   * The parts of a file that are no holes, in order, as positions of first and behind last byte. Where the system
   * cannot tell, the rest may be anything: one part without an end.
   */
  *dataRanges(descriptor: number): IterableIterator<readonly [number, number]> {
    for (let at = 0; ; ) {
      const start = this.#libc.seek(descriptor, at, 'data');
      if (start === undefined) return;
      const end = start < 0 ? start : this.#libc.seek(descriptor, start, 'hole');
      if (start < 0 || (end !== undefined && end < 0)) {
        yield [at, Number.POSITIVE_INFINITY];
        return;
      }
      if (end === undefined || end <= start) return; // cut meanwhile
      yield [start, end];
      at = end;
    }
  }

  /** Another descriptor of the same open file or socket; undefined when no number is free. */
  duplicate(descriptor: number): number | undefined {
    const number = this.#libc.duplicate(descriptor);
    return number < 0 ? undefined : number;
  }
}

export type { Descriptors };

/** The calls, if this system and this installation have them. */
export function descriptors(): Descriptors | undefined {
  try {
    return new Descriptors(libc());
  } catch (error) {
    if (TmemError.is(error)) return undefined;
    throw error;
  }
}
