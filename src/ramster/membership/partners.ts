/**
 * Partners: the few peers of a long list that a node watches, so that its traffic does not grow with the list.
 *
 * Every node has an order of its own over the list: by a hash of its name and the peer's (rendezvous hashing). It
 * watches the first ones. So each peer is watched by about as many nodes, and a peer that is added to the list or taken
 * from it changes nothing else in anybody's order.
 *
 *   order     a  b  c  d  e  f  g  ...
 *   watched   a  b  c     -- partnersMax = 3
 *             a  b  c  d  -- b is of no use for long: d as well, up to 2 * partnersMax in all
 */

import { hash } from 'node:crypto';

/** The names as `own` prefers them; all nodes compute the same order for it. */
export function partnerOrder(own: string, names: readonly string[]): string[] {
  const ranked = names.map((name) => ({ name, rank: rankOf(own, name) }));
  ranked.sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1));
  return ranked.map(({ name }) => name);
}

/** 48 bits of a hash. No name contains the sign between them. */
function rankOf(own: string, name: string): number {
  return hash('sha256', `${own} ${name}`, 'buffer').readUIntBE(0, 6);
}

/** What is known of a peer that is watched, or could be. */
export interface PartnerView {
  /** It was down, full or leaving for long. */
  readonly useless: boolean;
  /** Pages lie there. */
  readonly holdsPages: boolean;
}

/**
 * Whom to watch: whoever holds pages; and the first in the order, until `partnersMax` of those watched are of use, or
 * twice as many are watched in all.
 */
export function choosePartners(
  order: readonly string[],
  partnersMax: number,
  viewOf: (name: string) => PartnerView,
): Set<string> {
  const views = order.map((name) => ({ name, ...viewOf(name) }));
  const chosen = new Set(views.filter(({ holdsPages }) => holdsPages).map(({ name }) => name));
  let useful = 0;
  for (const { name, useless } of views) {
    if (useful === partnersMax) break;
    if (!chosen.has(name)) {
      if (chosen.size >= 2 * partnersMax) continue;
      chosen.add(name);
    }
    if (!useless) useful++;
  }
  return chosen;
}
