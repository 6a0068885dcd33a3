/**
 * Where pages go that the store does not take: a device of slots of 4096 bytes.
 *
 * Everything may wait. A caller asks for one operation a slot at a time and leaves its page alone until it is done.
 */

export interface BackingDevice {
  /** Fills `out` (4096 bytes); zeroes for a slot that was never written or was trimmed. */
  read(slot: number, out: Uint8Array): Promise<void>;
  /** Writes 4096 bytes. Lasting only after `flush`. */
  write(slot: number, page: Uint8Array): Promise<void>;
  /** From now on the slot reads as zeroes, also after a restart. */
  trim(slot: number): Promise<void>;
  /** All that was written before is on the device when this ends. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
