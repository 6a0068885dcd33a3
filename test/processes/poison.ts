// Makes frames without memory untouchable: in a process that was poisoned, every part of a named store's file that was
// never reserved, or was given back, is mapped so that any access to it ends the access with an error or the process
// with a signal. On a full file system the kernel would do the same, but only there.

import { fstatSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Libc } from '../../src/arena/libc.ts';

const FRAME_BYTES = 4096;
const PROT_NONE = 0;
const PROT_READ_WRITE = 3;
/** Header of an arena: its frames, and the address of the bits that say which have memory. */
const H_FRAMES = 4096 + 8;
const H_BACKED_BITS = 4096 + 172;

interface View {
  readonly address: bigint;
  readonly bytes: number;
  readonly offset: number;
  readonly file: number;
}

const views: View[] = [];
/** Frames with memory, by the file's inode. */
const backedOf = new Map<number, Set<number>>();
/** So that no address is used for anything else. */
const kept: SharedArrayBuffer[] = [];

type Protect = (address: bigint, bytes: number, protection: number) => number;

/** From now on; how many frames of all views are untouchable now. */
export function poisonUnbacked(): () => number {
  const koffi = createRequire(import.meta.url)('koffi');
  const mprotect = koffi.load(null).func('int mprotect(intptr_t, size_t, int)') as Protect;
  const { addressOf, map, allocate, removePages } = Libc.prototype;

  const protect = (file: number, first: number, frames: number, protection: number): void => {
    for (const view of views) {
      const from = Math.max(first * FRAME_BYTES, view.offset);
      const to = Math.min((first + frames) * FRAME_BYTES, view.offset + view.bytes);
      if (view.file !== file || from >= to) continue;
      const failed = mprotect(view.address + BigInt(from - view.offset), to - from, protection);
      if (failed !== 0) throw new Error('mprotect failed');
    }
  };

  Libc.prototype.addressOf = function (buffer) {
    if (!kept.includes(buffer)) kept.push(buffer);
    return addressOf.call(this, buffer);
  };
  Libc.prototype.map = function (address, bytes, descriptor, offset, copy) {
    if (!map.call(this, address, bytes, descriptor, offset, copy)) return false;
    const file = fstatSync(descriptor).ino;
    views.push({ address, bytes, offset, file });
    if (mprotect(address, bytes, PROT_NONE) !== 0) throw new Error('mprotect failed');
    const backed = backedOf.get(file) ?? backedIn(descriptor);
    backedOf.set(file, backed);
    for (const frame of backed) {
      const at = frame * FRAME_BYTES - offset;
      if (at >= 0 && at < bytes) mprotect(address + BigInt(at), FRAME_BYTES, PROT_READ_WRITE);
    }
    return true;
  };
  Libc.prototype.allocate = function (descriptor, offset, bytes) {
    const errno = allocate.call(this, descriptor, offset, bytes);
    if (errno !== 0) return errno;
    const file = fstatSync(descriptor).ino;
    const backed = backedOf.get(file) ?? new Set();
    backedOf.set(file, backed);
    for (let at = offset; at < offset + bytes; at += FRAME_BYTES) backed.add(at / FRAME_BYTES);
    protect(file, offset / FRAME_BYTES, bytes / FRAME_BYTES, PROT_READ_WRITE);
    return 0;
  };
  Libc.prototype.removePages = function (address, bytes) {
    const errno = removePages.call(this, address, bytes);
    if (errno !== 0) return errno;
    const view = views.find((one) => address >= one.address && address < one.address + BigInt(one.bytes));
    if (view === undefined) throw new Error('memory of no store was given back');
    const first = (Number(address - view.address) + view.offset) / FRAME_BYTES;
    for (let i = 0; i < bytes / FRAME_BYTES; i++) backedOf.get(view.file)?.delete(first + i);
    protect(view.file, first, bytes / FRAME_BYTES, PROT_NONE);
    return 0;
  };
  return () => views.reduce((sum, view) => sum + view.bytes / FRAME_BYTES - backedWithin(view), 0);
}

function backedWithin({ file, offset, bytes }: View): number {
  const first = offset / FRAME_BYTES;
  const frames = [...(backedOf.get(file) ?? [])];
  return frames.filter((frame) => frame >= first && frame < first + bytes / FRAME_BYTES).length;
}

/** What a file with one arena says. */
function backedIn(descriptor: number): Set<number> {
  const read = (at: number, bytes: number) => {
    const buffer = Buffer.alloc(bytes);
    readSync(descriptor, buffer, 0, bytes, at);
    return buffer;
  };
  const frames = read(H_FRAMES, 4).readUInt32LE();
  const bits = read(read(H_BACKED_BITS, 4).readUInt32LE(), Math.ceil(frames / 8));
  const isBacked = (frame: number) => ((bits[frame >>> 3]! >>> (frame & 7)) & 1) !== 0;
  return new Set(Array.from({ length: frames }, (_, frame) => frame).filter(isBacked));
}
