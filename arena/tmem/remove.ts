// Removal of single pages, top down: flush page, exclusive gets, and the flush that follows a refused put.

import { N_NODES, count } from '../memory/counters';
import { lock, unlock } from '../memory/lock';
import { memoryFree } from '../pam/pam';
import { commit } from '../memory/commit';
import { discharge, findObject, handlePool, handleStripe, pageSlot, removePage } from './handle';
import { emptiedFree, nodesChanged } from './reserve';

/** Frees a word that has left the index, and the cells that left with it. Without a lock. */
export function releaseWord(pool: usize, word: u32): void {
  discharge(pool, word);
  count(pool, N_NODES, nodesChanged());
  memoryFree(word);
  emptiedFree();
}

/** Makes the operation's page unreachable; whether there was one. The operation's result is `outcome` then. */
export function removeHandle(index: u32, outcome: i32): bool {
  lock(handleStripe());
  const object = findObject();
  const at = pageSlot(object, index);
  const word = at == 0 ? 0 : load<u32>(at);
  if (word != 0) removePage(handlePool(), object, index);
  unlock(handleStripe());
  if (word == 0) return false;
  commit(outcome);
  releaseWord(handlePool(), word);
  return true;
}
