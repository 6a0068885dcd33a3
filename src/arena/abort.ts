/**
 * How an operation inside the arena ends when it cannot go on: the wasm code calls out, and this is thrown through it.
 * What the operation had begun stays as it is; the arena abandons the thread's slot and recovers.
 */

/** Why the arena gave up (arena/memory/host.ts). */
export const ABORT = { busy: 1, ownerDead: 2, damaged: 3, assert: 4 } as const;

export type AbortReason = 'busy' | 'owner-dead' | 'damaged';

export class ArenaAbort extends Error {
  readonly reason: AbortReason;

  constructor(reason: AbortReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ArenaAbort';
    this.reason = reason;
  }
}

/** What the wasm module imports: unwinds with a reason. */
export function abort(reason: number, detail: number): never {
  if (reason === ABORT.busy) throw new ArenaAbort('busy', 'a lock was not free in time');
  if (reason === ABORT.ownerDead) throw new ArenaAbort('owner-dead', 'the owner of a lock has ended');
  const kind = reason === ABORT.assert ? 'assertion' : 'check';
  throw new ArenaAbort('damaged', `${kind} ${detail} of the arena failed`);
}

/** Traps of the engine (unreachable, out of bounds) mean the same as a failed check. */
export function asAbort(error: unknown): ArenaAbort | undefined {
  if (error instanceof ArenaAbort) return error;
  if (error instanceof Error && error.name === 'RuntimeError') {
    return new ArenaAbort('damaged', `the arena trapped: ${error.message}`, { cause: error });
  }
  return undefined;
}
