// What the functions that run in a child process get as their first argument (child.ts): the package, and the few
// things behind it that tests look at or bend.

import { ArenaAbort } from '../../src/arena/index.ts';
import { Libc, libc } from '../../src/arena/libc.ts';
import * as tmem from '../../src/index.ts';
import { openDraft } from '../../src/zcache/index.ts';
import { arenasOf } from '../../src/zcache/store.ts';

const PAGE_BYTES = 4096;
/** Pages of one object; the next ones go to the next object, and with it perhaps to another arena. */
const PAGES_PER_OBJECT = 64;

/** How many gets gave the page that was put, nothing, or something else. */
export interface Found {
  readonly right: number;
  readonly missing: number;
  readonly wrong: number;
}

function oidOf(number: number): tmem.Oid {
  return tmem.Oid.fromNumbers(7, Math.floor(number / PAGES_PER_OBJECT));
}

const words = new Uint32Array(PAGE_BYTES / 4);
const page = new Uint8Array(words.buffer);

/** The page of a number: a quarter noise, so that it shrinks to less than half; valid until the next call. */
function pageOf(number: number, version: number): Uint8Array {
  let noise = Math.imul(number + 1, 0x9e3779b1) ^ Math.imul(version, 0x85ebca6b);
  for (let i = 0; i < words.length; i++) {
    noise = Math.imul(noise ^ (noise >>> 15), 0x2c1b3c6d) + i;
    words[i] = i % 4 === 0 ? noise : version;
  }
  return page.subarray(0, 1000 + (Math.imul(number, 7919) % 3097));
}

/** Puts pages number `first` and on; how many were stored. `version` tells puts of one number apart. */
function putPages(pool: tmem.Pool, first: number, count: number, version = 1): number {
  let stored = 0;
  for (let number = first; number < first + count; number++) {
    const outcome = pool.put(oidOf(number), number % PAGES_PER_OBJECT, pageOf(number, version));
    if (outcome === 'stored') stored++;
  }
  return stored;
}

/** Reads those pages and leaves them; a page of another version is a wrong one. */
function getPages(pool: tmem.Pool, first: number, count: number, version = 1): Found {
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

function flushPages(pool: tmem.Pool, first: number, count: number): void {
  for (let number = first; number < first + count; number++) {
    pool.flushPage(oidOf(number), number % PAGES_PER_OBJECT);
  }
}

/** A pool of the client 'web'. */
function poolOf(
  store: tmem.Store,
  name = 'pages',
  options: Partial<Parameters<tmem.Client['pool']>[1]> = {},
): tmem.Pool {
  return store.client('web').pool(name, { kind: 'persistent', ...options });
}

/** The code of the error that a call ends with; undefined when it succeeds. */
export function codeOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return tmem.TmemError.is(error) ? error.code : `no TmemError: ${(error as Error).stack}`;
  }
}

/** Lets the calls of the C library with which frames get or lose their memory do something first. */
function beforeCall(call: 'allocate' | 'removePages', run: () => void): void {
  const original = Libc.prototype[call] as (...args: never[]) => number;
  Libc.prototype[call] = function (this: Libc, ...args: never[]) {
    run();
    return original.apply(this, args);
  };
}

export const tools = {
  ...tmem,
  ...{ openDraft, arenasOf, Libc, libc, ArenaAbort },
  ...{ oidOf, putPages, getPages, flushPages, poolOf, codeOf, beforeCall },
  /** Says something to the parent in the middle of a call. */
  tell: (text: string): void => void process.send?.({ told: text }),
  /** What one call leaves for the next. */
  state: {} as { store: tmem.Store; pool: tmem.Pool; [more: string]: unknown },
};

export type Tools = typeof tools;
