/**
 * Placement: which store gets a copy. Of two candidates drawn at random the one with more free memory: as good as
 * knowing all in spreading load, and nobody is overrun because everybody sees the same emptiest node.
 */

import type { Random } from '../clock.ts';
import type { RemoteStore } from '../remote-store/remote-store.ts';

/** Takes a store out of `candidates`; undefined: there are none. */
export function draw(candidates: RemoteStore[], random: Random): RemoteStore | undefined {
  if (candidates.length === 0) return undefined;
  const first = Math.floor(random() * candidates.length);
  const second = Math.floor(random() * candidates.length);
  const a = candidates[first] as RemoteStore;
  const b = candidates[second] as RemoteStore;
  const at = b.freeBytes > a.freeBytes ? second : first;
  return candidates.splice(at, 1)[0];
}
