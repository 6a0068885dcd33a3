// Whether what several threads saw of one handle can have happened: a check of linearizability for a register that can
// be emptied.
//
// Each operation took effect at one instant between its start and its end. The check walks along all starts and ends
// and keeps every state the register may be in: its value, and which of the running operations took effect already.
// With one running operation a thread these are few, however long the history is. An operation that is `optional`
// (its thread was killed in it) may also never have taken effect.
//
// A value is a page and a patch of it (write at changes a part of a page): base * PATCHES + patch; 0 = no page.

/** Patches and pages are numbered below 2^22, so that value and mask together stay exact: 22 + 23 + 8 bits. */
export const PATCHES = 2 ** 23;
/** Threads of a history: what took effect already is a bit mask. */
export const THREADS_MAX = 8;
const MASKS = 2 ** THREADS_MAX;
/** More states than this at one time are not explored: no history of eight threads comes near. */
const STATES_MAX = 100_000;

export type Effect =
  /** A put that was stored, or (`value` 0) whatever surely empties the handle: a refused put, a flush. */
  | { readonly kind: 'set'; readonly value: number }
  /** A put whose outcome is not known: stored, or refused and empty. */
  | { readonly kind: 'set-or-empty'; readonly value: number }
  /** A get that kept what it saw (0 = a miss). */
  | { readonly kind: 'see'; readonly value: number }
  /** A get that took what it saw (0 = a miss); flush page that knows what was there. */
  | { readonly kind: 'take'; readonly value: number }
  /** A flush that found something, without saying what. */
  | { readonly kind: 'remove-some' }
  /** Took out what was there, and stored a page (0 = was refused). */
  | { readonly kind: 'swap'; readonly old: number; readonly value: number }
  /** The part of the page that write at changes was read: the page had this patch. */
  | { readonly kind: 'see-patch'; readonly patch: number }
  /** Write at: whatever page was there has this patch now. */
  | { readonly kind: 'patch'; readonly patch: number }
  /** Write at of which only is known that it may have happened. */
  | { readonly kind: 'patch-if-any'; readonly patch: number };

export interface Operation {
  readonly thread: number;
  /** Ticks of one clock that all threads share; no two are equal. */
  readonly start: number;
  readonly end: number;
  readonly effect: Effect;
  readonly optional?: boolean;
}

const IMPOSSIBLE = -1;

/** The value after an effect on a register that holds `value`. */
function after(effect: Effect, value: number): number {
  switch (effect.kind) {
    case 'set':
    case 'set-or-empty':
      return effect.value;
    case 'see':
      return value === effect.value ? value : IMPOSSIBLE;
    case 'take':
      return value === effect.value ? 0 : IMPOSSIBLE;
    case 'remove-some':
      return value === 0 ? IMPOSSIBLE : 0;
    case 'swap':
      return value === effect.old ? effect.value : IMPOSSIBLE;
    case 'see-patch':
      return value !== 0 && value % PATCHES === effect.patch ? value : IMPOSSIBLE;
    case 'patch':
      return value === 0 ? IMPOSSIBLE : value - (value % PATCHES) + effect.patch;
    case 'patch-if-any':
      return value === 0 ? 0 : value - (value % PATCHES) + effect.patch;
  }
}

export interface HistoryRules {
  /** The page may vanish at any time, but never come back. */
  readonly ephemeral: boolean;
}

/**
 * Undefined when the operations on one handle, which starts empty, can have happened in some order; else the first
 * operation that fits no order of what was before it, in words.
 */
export function contradiction(operations: readonly Operation[], rules: HistoryRules): string | undefined {
  const events = operations.flatMap((operation) => [
    { tick: operation.start, operation, starts: true },
    { tick: operation.end, operation, starts: false },
  ]);
  events.sort((a, b) => a.tick - b.tick);
  const running: (Effect | undefined)[] = Array(THREADS_MAX).fill(undefined);
  let states = new Set<number>([0]);
  for (const { operation, starts } of events) {
    const { thread, effect } = operation;
    if (starts) {
      if (running[thread] !== undefined) throw new Error(`thread ${thread} runs two operations at a time`);
      running[thread] = effect;
      continue;
    }
    const bit = 1 << thread;
    const left = new Set<number>();
    for (const state of reachable(states, running, rules)) {
      if ((state & bit) !== 0) left.add(state - bit);
      else if (operation.optional) left.add(state);
    }
    running[thread] = undefined;
    if (left.size === 0) return describe(operation, operations, states);
    states = left;
  }
  return undefined;
}

/** All states that running operations (and, in an ephemeral pool, eviction) can lead to. */
function reachable(
  from: ReadonlySet<number>,
  running: readonly (Effect | undefined)[],
  rules: HistoryRules,
): ReadonlySet<number> {
  const found = new Set(from);
  // A set is walked in the order of insertion, what is added meanwhile included.
  for (const state of found) {
    if (found.size > STATES_MAX) throw new Error('too many states: the history has too many threads');
    const mask = state % MASKS;
    const value = (state - mask) / MASKS;
    if (rules.ephemeral) found.add(mask);
    for (let thread = 0; thread < THREADS_MAX; thread++) {
      const effect = running[thread];
      if (effect === undefined || (mask & (1 << thread)) !== 0) continue;
      const next = after(effect, value);
      if (next !== IMPOSSIBLE) found.add(next * MASKS + mask + (1 << thread));
      if (effect.kind === 'set-or-empty') found.add(mask + (1 << thread));
    }
  }
  return found;
}

const HISTORY_SHOWN = 40;

function describe(at: Operation, all: readonly Operation[], states: ReadonlySet<number>): string {
  const name = (value: number) =>
    value === 0 ? 'nothing' : `${Math.floor(value / PATCHES)}+${value % PATCHES}`;
  const values = [...states].slice(0, 8).map((state) => name(Math.floor(state / MASKS)));
  const line = (operation: Operation) =>
    `${operation.start}-${operation.end} thread ${operation.thread}${operation.optional ? ' (killed)' : ''} ` +
    Object.entries(operation.effect)
      .map(([key, value]) => (key === 'value' || key === 'old' ? `${key} ${name(value)}` : value))
      .join(' ');
  const before = all.filter(({ start }) => start < at.end).sort((a, b) => a.start - b.start);
  return [
    `cannot have happened: ${line(at)}; the handle may hold ${values.join(' or ')}; before it:`,
    ...before.slice(-HISTORY_SHOWN).map(line),
  ].join('\n');
}
