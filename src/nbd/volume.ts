/**
 * What the protocol asks of an export: bytes, and nothing of where they come from.
 *
 * Calls that end in `Now` do what can be done at once, from the start on, and return how many bytes that was; the call
 * of the same name does the rest, and may wait. Positions and lengths are bytes and lie within `size`: who calls has
 * checked that (request-rules.ts).
 */

import type { Extent } from '../frontswap/index.ts';

/** What `cache` holds in memory at a time, at most. */
export const CACHE_HELD_BYTES_MAX = 256 * 1024;

export interface Volume {
  /** Bytes. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Whether writes take more than memory: then FLUSH and FUA have something to do. */
  readonly durable: boolean;
  /** Whether zeroing with holes takes less time than writing. */
  readonly zeroesFast: boolean;
  readNow(position: number, out: Uint8Array): number;
  read(position: number, out: Uint8Array): Promise<void>;
  writeNow(position: number, bytes: Uint8Array): number;
  /** `through`: lasting after the next `sync`. The bytes must stay as they are until this ends. False: it is full. */
  write(position: number, bytes: Uint8Array, through: boolean): Promise<boolean>;
  /** With `hole` the space may be given back. `through` as for `write`. False: it is full. */
  zero(position: number, length: number, hole: boolean, through: boolean): Promise<boolean>;
  /** The content of whole slots of 4096 bytes is not needed any more. */
  trim(position: number, length: number): Promise<void>;
  /** The content will be read soon. */
  cache(position: number, length: number): Promise<void>;
  /** All that was written before, on whichever connection, lasts when this ends. */
  flush(): Promise<void>;
  /** What was written or zeroed `through`, or trimmed, before lasts when this ends. */
  sync(): Promise<void>;
  /** What holds something and what is a hole; at most `extentsMax` extents. */
  allocation(position: number, length: number, extentsMax: number): readonly Extent[];
}

/** An export as clients see it. */
export interface NbdExport {
  readonly name: string;
  /** For humans; may be empty. */
  readonly description: string;
  readonly volume: Volume;
}
