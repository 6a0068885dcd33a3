// Pages that say which they are: page `number` in its `version` has the same bytes in every process.

import { type Client, Oid, type Pool, type Store } from '../../src/index.ts';

const PAGE_BYTES = 4096;
/** Pages of one object; the next ones go to the next object, and with it perhaps to another arena. */
export const PAGES_PER_OBJECT = 64;

/** How many gets gave the page that was put, nothing, or something else. */
export interface Found {
  readonly right: number;
  readonly missing: number;
  readonly wrong: number;
}

export function oidOf(number: number): Oid {
  return Oid.fromNumbers(7, Math.floor(number / PAGES_PER_OBJECT));
}

const words = new Uint32Array(PAGE_BYTES / 4);
const page = new Uint8Array(words.buffer);

/** The page of a number: a quarter noise, so that it shrinks to less than half; valid until the next call. */
export function pageOf(number: number, version: number): Uint8Array {
  let noise = Math.imul(number + 1, 0x9e3779b1) ^ Math.imul(version, 0x85ebca6b);
  for (let i = 0; i < words.length; i++) {
    noise = Math.imul(noise ^ (noise >>> 15), 0x2c1b3c6d) + i;
    words[i] = i % 4 === 0 ? noise : version;
  }
  return page.subarray(0, 1000 + (Math.imul(number, 7919) % 3097));
}

/** Puts pages number `first` and on; how many were stored. `version` tells puts of one number apart. */
export function putPages(pool: Pool, first: number, count: number, version = 1): number {
  let stored = 0;
  for (let number = first; number < first + count; number++) {
    const outcome = pool.put(oidOf(number), number % PAGES_PER_OBJECT, pageOf(number, version));
    if (outcome === 'stored') stored++;
  }
  return stored;
}

/** Reads those pages and leaves them; a page of another version is a wrong one. */
export function getPages(pool: Pool, first: number, count: number, version = 1): Found {
  const out = new Uint8Array(PAGE_BYTES);
  const found = { right: 0, missing: 0, wrong: 0 };
  for (let number = first; number < first + count; number++) {
    const length = pool.getAndKeep(oidOf(number), number % PAGES_PER_OBJECT, out);
    if (length === 0) found.missing++;
    else if (Buffer.compare(out.subarray(0, length), pageOf(number, version)) === 0) found.right++;
    else found.wrong++;
  }
  return found;
}

export function flushPages(pool: Pool, first: number, count: number): void {
  for (let number = first; number < first + count; number++) {
    pool.flushPage(oidOf(number), number % PAGES_PER_OBJECT);
  }
}

/** A pool of the client 'web'. */
export function poolOf(
  store: Store,
  name = 'pages',
  options: Partial<Parameters<Client['pool']>[1]> = {},
): Pool {
  return store.client('web').pool(name, { kind: 'persistent', ...options });
}
