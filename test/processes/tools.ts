// What the functions that run in a child process get as their first argument (child.ts): the package, and the few
// things behind it that tests look at or bend.

import { ArenaAbort } from '../../src/arena/index.ts';
import { Libc, libc } from '../../src/arena/libc.ts';
import * as tmem from '../../src/index.ts';
import { openDraft } from '../../src/zcache/index.ts';
import { arenasOf } from '../../src/zcache/store.ts';
import * as damage from './damage.ts';
import * as pages from './pages.ts';
import { poisonUnbacked } from './poison.ts';

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
  ...pages,
  ...damage,
  ...{ openDraft, arenasOf, Libc, libc, ArenaAbort },
  ...{ codeOf, beforeCall, poisonUnbacked },
  /** Says something to the parent in the middle of a call. */
  tell: (text: string): void => void process.send?.({ told: text }),
  /** What one call leaves for the next. */
  state: {} as { store: tmem.Store; pool: tmem.Pool; [more: string]: unknown },
};

export type Tools = typeof tools;
