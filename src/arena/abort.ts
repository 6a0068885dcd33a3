/**
 * How an operation inside the arena ends when it cannot go on: the wasm code calls out, and this is thrown through it.
 * What the operation had begun stays as it is; the arena abandons the thread's slot and recovers.
 */

/** Why the arena gave up (arena/memory/host.ts). */
const REASON = { busy: 1, ownerDead: 2, damaged: 3, assert: 4, gate: 5, leaderDead: 6 } as const;

export type AbortReason = 'busy' | 'owner-dead' | 'damaged';

export class ArenaAbort extends Error {
  readonly reason: AbortReason;
  /** False: the operation had not begun, so there is nothing to clean up. */
  readonly begun: boolean;

  constructor(reason: AbortReason, message: string, options?: ErrorOptions & { begun?: boolean }) {
    super(message, options);
    this.name = 'ArenaAbort';
    this.reason = reason;
    this.begun = options?.begun ?? true;
  }
}

/** What the wasm module imports: unwinds with a reason. */
export function abort(reason: number, detail: number): never {
  if (reason === REASON.busy) throw new ArenaAbort('busy', 'a lock was not free in time');
  if (reason === REASON.gate)
    throw new ArenaAbort('busy', 'a recovery did not end in time', { begun: false });
  if (reason === REASON.leaderDead) {
    throw new ArenaAbort('owner-dead', 'the thread that recovered has ended', { begun: false });
  }
  if (reason === REASON.ownerDead) throw new ArenaAbort('owner-dead', 'the owner of a lock has ended');
  const kind = reason === REASON.assert ? 'assertion' : 'check';
  throw new ArenaAbort('damaged', `${kind} ${detail} of the arena failed`);
}

/**
 * Whatever else comes out of a call into wasm has unwound the operation, too. A stack that ran out says nothing about
 * the arena; a trap (unreachable, out of bounds) means the same as a failed check.
 */
export function asAbort(error: unknown): ArenaAbort {
  if (error instanceof ArenaAbort) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RangeError) {
    return new ArenaAbort('busy', `the stack ran out inside the arena: ${message}`, { cause: error });
  }
  return new ArenaAbort('damaged', `the arena trapped: ${message}`, { cause: error });
}
