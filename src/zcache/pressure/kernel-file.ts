/**
 * Small files of the kernel: whole text in one synchronous read, and the few forms their text has.
 *
 * Rule: nothing here throws. A file that is absent, unreadable, too long or not what it should be is `undefined`. These
 * files are made by the kernel when they are read (5 to 45 µs each), so no read waits for a disk.
 */

import { closeSync, constants, openSync, readSync } from 'node:fs';

/** Longest file read, in bytes: mountinfo of a host with some thousand mounts; all others have a few KiB. */
const FILE_BYTES_MAX = 512 * 1024;

/** One byte more than the bound tells a file that is too long. Touched only as far as files are long. */
const buffer = Buffer.allocUnsafeSlow(FILE_BYTES_MAX + 1);

/** The text of a file, or undefined. */
export function readKernelFile(path: string): string | undefined {
  let descriptor: number | undefined;
  try {
    // Not to hang on a pipe that someone put there.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    let length = 0;
    while (length < buffer.length) {
      // The kernel may give such a file in pieces: only 0 bytes are its end.
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (count === 0) return buffer.toString('utf8', 0, length);
      length += count;
    }
    return undefined;
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** A whole number of at most 2^53 - 1, alone in its text. */
export function parseCount(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,16}\s*$/.test(text)) return undefined;
  const count = Number(text);
  return Number.isSafeInteger(count) ? count : undefined;
}

/** A limit in bytes. 'max', and the huge number that v1 has for it, are Infinity. */
export function parseLimit(text: string | undefined): number | undefined {
  if (text === undefined || !/^(max|\d{1,20})\s*$/.test(text)) return undefined;
  const limit = Number(text.replace('max', 'Infinity'));
  return Number.isSafeInteger(limit) ? limit : Number.POSITIVE_INFINITY;
}

/** Lines 'name value' or 'Name:   value kB', as name to value, without the unit. Lines of another form are left out. */
export function parseTable(text: string | undefined): ReadonlyMap<string, number> {
  const table = new Map<string, number>();
  for (const [, name, digits] of (text ?? '').matchAll(/^([\w()]+):?[ \t]+(\d{1,16})(?: kB)?$/gm)) {
    table.set(name as string, Number(digits));
  }
  return table;
}
