/** The remote stores that a node has: its peers, as far as it has links to them, and engines that stand for peers. */

import type { Link } from '../peer/link.ts';
import type { Links } from '../peer/links.ts';
import type { Place } from '../place.ts';
import { PeerStore } from '../remote-store/peer-store.ts';
import type { RemoteStore } from '../remote-store/remote-store.ts';

/** What is known of the copy at a place. 'away': nothing now. */
export type PlaceHealth = 'good' | 'leaving' | 'away' | 'gone';

export class RemoteStores {
  readonly #links: Links;
  readonly #engines: readonly RemoteStore[];
  readonly #peers = new WeakMap<Link, PeerStore>();
  /** The stores there are, for the links there were. */
  #stores: readonly RemoteStore[] = [];
  #knownLinks: readonly Link[] | undefined;

  /** @param engines - stores that are no peers, such as a Redis or the own disk */
  constructor(links: Links, engines: readonly RemoteStore[]) {
    this.#links = links;
    this.#engines = engines;
  }

  /** The own disk, when copies are kept there. */
  get disk(): RemoteStore | undefined {
    return this.#engines.find(({ node }) => node === 0);
  }

  /** All outside this node that new pages may go to. */
  candidates(): RemoteStore[] {
    const found: RemoteStore[] = [];
    for (const store of this.#all()) {
      if (store.node === 0 || store.state !== 'up' || store.memory === undefined) continue;
      if (!store.draining && store.freeBytes > 0) found.push(store);
    }
    return found;
  }

  /** All that may hold pages, and are not down: those are looked at when they are back. */
  holding(): RemoteStore[] {
    return this.#all().filter(({ state, memory }) => state !== 'down' && memory !== undefined);
  }

  /** The store of a node, whatever memory it has now. */
  byNode(node: number): RemoteStore | undefined {
    for (const engine of this.#engines) if (engine.node === node) return engine;
    const link = this.#links.byNode(node);
    return link && this.#peer(link);
  }

  health({ node, memory }: Place): PlaceHealth {
    const store = this.byNode(node);
    if (store?.memory === undefined) return 'away';
    if (store.memory !== memory) return 'gone';
    if (store.state === 'down') return 'away';
    return store.draining ? 'leaving' : 'good';
  }

  #all(): readonly RemoteStore[] {
    const { all } = this.#links;
    if (all !== this.#knownLinks) {
      this.#knownLinks = all;
      this.#stores = [...this.#engines, ...all.map((link) => this.#peer(link))];
    }
    return this.#stores;
  }

  #peer(link: Link): PeerStore {
    let peer = this.#peers.get(link);
    if (peer === undefined) {
      peer = new PeerStore(link);
      this.#peers.set(link, peer);
    }
    return peer;
  }
}
