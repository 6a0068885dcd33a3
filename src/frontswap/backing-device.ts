/**
 * Where pages go that the store does not take: a device of bytes, looked at in slots of 4096.
 *
 * Everything may wait. A caller leaves a buffer alone until the call that has it ends, and asks for one change of a
 * slot at a time.
 */

export interface BackingDevice {
  /** Bytes of the device; what lies behind them in its last slot reads as zeroes and is never written. */
  readonly bytes: number;
  /** Whether `zero` takes less time than writing zeroes. */
  readonly zeroesFast: boolean;
  /** Fills `out`; zeroes for what was never written or was zeroed. Content that is not there any more is an error. */
  read(position: number, out: Uint8Array): Promise<void>;
  /** Lasting only after `flush`. */
  write(position: number, bytes: Uint8Array): Promise<void>;
  /** From now on these bytes read as zeroes, also after a restart. The device may give their space back. */
  zero(position: number, length: number): Promise<void>;
  /** The first slot from `from` on, before `end`, that may hold something; -1 if none does. */
  nextWritten(from: number, end: number): number;
  /** The first slot from `from` on, before `end`, that is known to be zeroes; `end` if none is. */
  nextUnwritten(from: number, end: number): number;
  /** All that was written before is on the device when this ends. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
