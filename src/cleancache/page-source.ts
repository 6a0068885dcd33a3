/**
 * Where a page cache reads what it does not hold: a file now, byte ranges of other kinds later.
 *
 * An identity is one state of a source. Its key is the oid of the pages read in that state, so pages of an older
 * state can never be found under the key of a newer one.
 */

import type { Oid } from '../zcache/index.ts';

export interface SourceIdentity {
  readonly key: Oid;
  /** Bytes. */
  readonly size: number;
  /** When the source last changed, by its own clock; milliseconds since 1970. */
  readonly changedAtMs: number;
}

export interface PageSource {
  /**
   * Looks at the source now. The same object as before while nothing changed; undefined if its pages must not be
   * kept (it is gone, or not something that tells when it changes).
   */
  identity(): Promise<SourceIdentity | undefined>;
  /**
   * The same as `identity()`, if it can be told without waiting: the first state of the source, and that it is still
   * in the state it was in. Undefined: ask `identity()`.
   */
  identityNow(): SourceIdentity | undefined;
  /** Reads into `buffers`, one after the other, from `position` (bytes). Bytes read; less only at the end. */
  read(buffers: readonly Uint8Array[], position: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * A source that changed less than this before it was looked at may change again without looking different: the
 * coarsest timestamps in use have steps of 2 s (FAT), most of 1 to 10 ms. Such a state is read, but not kept.
 */
export const SETTLED_AFTER_MS = 2000;

/** Whether pages read in the state `identity`, seen at `seenAtMs`, may be kept. */
export function isSettled(identity: SourceIdentity, seenAtMs: number): boolean {
  return seenAtMs - identity.changedAtMs >= SETTLED_AFTER_MS;
}
