/**
 * Which parts of a swap area hold something, in the store or on the device, and which are holes that read as zeroes.
 */

import { type FrontswapArea, SLOT_BYTES } from './area.ts';
import type { BackingDevice } from './backing-device.ts';

export interface Extent {
  readonly bytes: number;
  readonly hole: boolean;
}

/** Extents from byte `position` on, at most `extentsMax`, that end within `length` bytes. */
export function allocationOf(
  area: FrontswapArea,
  device: BackingDevice | undefined,
  position: number,
  length: number,
  extentsMax: number,
): Extent[] {
  const end = position + length;
  const endSlot = Math.ceil(end / SLOT_BYTES);
  const found: Extent[] = [];
  for (let at = position; at < end && found.length < extentsMax; ) {
    const slot = Math.floor(at / SLOT_BYTES);
    const data = nextData(area, device, slot, endSlot);
    const hole = data !== slot;
    const next = hole ? data : nextHole(area, device, slot, endSlot);
    const to = Math.min(next * SLOT_BYTES, end);
    found.push({ bytes: to - at, hole });
    at = to;
  }
  return found;
}

/** The first slot from `from` on that holds something; `end` if none does. */
export function nextData(
  area: FrontswapArea,
  device: BackingDevice | undefined,
  from: number,
  end: number,
): number {
  const accepted = area.map.nextAccepted(from, end);
  const stop = accepted === -1 ? end : accepted;
  const written = device?.nextWritten(from, stop) ?? -1;
  return written === -1 ? stop : written;
}

function nextHole(area: FrontswapArea, device: BackingDevice | undefined, from: number, end: number): number {
  let slot = area.map.nextUnaccepted(from, end);
  while (slot < end && device !== undefined) {
    const unwritten = device.nextUnwritten(slot, end);
    if (unwritten === slot) break;
    slot = area.map.nextUnaccepted(unwritten, end);
  }
  return slot;
}

/** Whether the device may hold something in a slot. */
export function isOnDevice(device: BackingDevice | undefined, slot: number): boolean {
  return device !== undefined && device.nextWritten(slot, slot + 1) !== -1;
}
