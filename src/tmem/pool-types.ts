/** What a pool is, and what its operations return. */

import type { Oid } from './oid.ts';
import type { PutOutcome } from './outcome.ts';

export type PoolKind = 'ephemeral' | 'persistent';

/** How a pool compresses; 'none': pages are kept as they are. */
export type PoolCodec = 'lz4' | 'lzo' | 'none';

/** A page's place: what a walk yields. */
export interface Handle {
  readonly oid: Oid;
  readonly index: number;
}

export interface ExchangeResult {
  /** Length of the page that was there, 0 = none. */
  length: number;
  outcome: PutOutcome;
}

/** What a pool is, as it was created. */
export interface PoolDescription {
  readonly name: string;
  readonly kind: PoolKind;
  readonly codec: PoolCodec;
  readonly pam: 'zbud' | 'zv' | 'raw';
  /** UUID of a shared pool, else null. */
  readonly shared: string | null;
}
