/**
 * Proof that what was read is what the files hold.
 *
 * A first pass reads every file plainly and keeps a CRC-32 of each page: 4 bytes for 4096, so that the whole job can
 * check every page it gets, every time, without reading the file again. If a sum differs, the file itself is asked:
 * it may have changed since the first pass, which is not the store's fault.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { PAGE_BYTES, type Plan, type PlannedFile, pagesOf, reasonOf } from './plan.ts';

/** Bytes of one plain read of the first pass: large enough to be fast, small beside any budget. */
const PASS_BYTES = 256 * PAGE_BYTES;

/** How often a file that keeps changing is looked at again before a difference is held against the reader. */
const SECOND_LOOKS_MAX = 3;

export interface FirstPass {
  /** CRC-32 of each page of the plan, shared with the workers. */
  readonly sums: Uint32Array<SharedArrayBuffer>;
  /** Files that could not be read to the size the plan has, with the reason. */
  readonly unreadable: readonly { readonly path: string; readonly reason: string }[];
}

/**
 * Reads every file once, plainly.
 *
 * @param onBytes - called after each read with the bytes read so far
 */
export async function firstPass(plan: Plan, onBytes: (bytes: number) => void): Promise<FirstPass> {
  const sums = new Uint32Array(new SharedArrayBuffer(plan.pages * Uint32Array.BYTES_PER_ELEMENT));
  const unreadable: { path: string; reason: string }[] = [];
  const buffer = Buffer.allocUnsafe(PASS_BYTES);
  let done = 0;
  for (const file of plan.files) {
    try {
      await using handle = await open(file.path);
      await sumFile(handle, file, buffer, sums);
    } catch (error) {
      unreadable.push({ path: file.path, reason: reasonOf(error) });
    }
    done += file.bytes;
    onBytes(done);
  }
  return { sums, unreadable };
}

async function sumFile(
  handle: FileHandle,
  file: PlannedFile,
  buffer: Buffer,
  sums: Uint32Array,
): Promise<void> {
  for (let position = 0; position < file.bytes; position += PASS_BYTES) {
    const length = Math.min(PASS_BYTES, file.bytes - position);
    if ((await readFully(handle, buffer.subarray(0, length), position)) < length) {
      throw new Error('became shorter while it was read');
    }
    sumPages(buffer.subarray(0, length), sums, file.firstPage + position / PAGE_BYTES);
  }
}

function sumPages(bytes: Uint8Array, sums: Uint32Array, firstPage: number): void {
  for (let i = 0; i < pagesOf(bytes.length); i++) sums[firstPage + i] = crc32(pageAt(bytes, i));
}

function pageAt(bytes: Uint8Array, page: number): Uint8Array {
  return bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
}

/** Reads until `out` is full or the file ends; a system may return less than was asked for. */
export async function readFully(handle: FileHandle, out: Uint8Array, position: number): Promise<number> {
  let filled = 0;
  while (filled < out.length) {
    const { bytesRead } = await handle.read(out, filled, out.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** Whether every page of `bytes`, read at `position` (a page boundary) of `file`, has the sum of the first pass. */
export function matches(sums: Uint32Array, file: PlannedFile, position: number, bytes: Uint8Array): boolean {
  const firstPage = file.firstPage + position / PAGE_BYTES;
  for (let i = 0; i < pagesOf(bytes.length); i++) {
    if (crc32(pageAt(bytes, i)) !== sums[firstPage + i]) return false;
  }
  return true;
}

/** What a second look at the file says about bytes whose sum differs. */
export type SecondLook = 'changed' | 'wrong';

/**
 * Compares `bytes`, got for a request of `length`, with what the file holds now. 'changed': the file holds the same,
 * so it changed after the first pass. 'wrong': the file holds something else.
 */
export async function secondLook(
  path: string,
  position: number,
  bytes: Uint8Array,
  length: number,
): Promise<SecondLook> {
  const now = Buffer.allocUnsafe(length);
  for (let look = 0; look < SECOND_LOOKS_MAX; look++) {
    await using handle = await open(path);
    const filled = await readFully(handle, now, position);
    if (now.subarray(0, filled).equals(bytes)) return 'changed';
  }
  return 'wrong';
}
