/** Outcomes of puts as values: a refusal is expected, not an error. Codes: arena/tmem/outcome.ts. */

import { TmemError } from '../errors.ts';

/**
 * What became of a put.
 * - `stored`: it is in the store
 * - `frozen`: the store or the client is frozen
 * - `compresses-poorly`: it compresses to more than the pool's memory takes
 * - `over-limit`: the store's limit of persistent pages is reached
 * - `over-cap`: the client's cap is reached
 * - `no-memory`: the budget is used up, and nothing ephemeral is left to evict
 * - `pool-gone`: the pool was destroyed meanwhile by another thread
 * - `off`: a front end is switched off
 *
 * After a refused put the handle is empty; only a refused `replace` or `writeAt` changes nothing.
 */
export type PutOutcome =
  | 'stored'
  | 'frozen'
  | 'compresses-poorly'
  | 'over-limit'
  | 'over-cap'
  | 'no-memory'
  | 'pool-gone'
  | 'off';

/** By minus the arena's code. */
const REFUSALS: readonly (PutOutcome | undefined)[] = [
  'stored',
  'frozen',
  'compresses-poorly',
  'compresses-poorly',
  'over-limit',
  'over-cap',
  'no-memory',
  'no-memory',
  'pool-gone',
  undefined, // contended: an error
  'no-memory',
];

export const CODE = {
  miss: 0,
  contended: -9,
  tooShort: -20,
  damaged: -21,
  notThere: -22,
  remote: -23,
} as const;

export function outcomeOf(code: number): PutOutcome {
  if (code > 0) return 'stored';
  const outcome = REFUSALS[-code];
  if (outcome !== undefined && code !== 0) return outcome;
  if (code === CODE.contended) {
    throw new TmemError(
      'TMEM_ERR_BUSY',
      'writeAt: other threads kept changing this page; nothing was changed',
    );
  }
  if (code === CODE.remote) throw isRemote();
  throw new TmemError('TMEM_ERR_DAMAGED', `the page does not decode to what was put (code ${code})`);
}

/** A call that cannot wait met a page that is with a peer. */
export function isRemote(): TmemError {
  return new TmemError(
    'TMEM_ERR_REMOTE',
    'the page is with a peer, and nothing was changed; read it through the node that sent it there',
  );
}
