/**
 * The links of a node, by the peer's name. A link is kept for as long as there is a reason:
 *
 *   watched   the membership wants its heartbeats
 *   partner   the node may send pages there
 *   holds     the peer may hold pages of this node
 */

import type { LinkLiveness, Liveness } from '../membership/liveness.ts';
import { nodeNumber } from '../place.ts';
import { Link, type LinkOptions } from './link.ts';

/** Why a link is kept. */
export type LinkReason = 'watched' | 'partner' | 'holds';

interface Entry {
  readonly link: Link;
  readonly node: number;
  readonly reasons: Set<LinkReason>;
}

type LinksOptions = Omit<LinkOptions, 'name' | 'address' | 'changed' | 'putting'>;

export class Links implements LinkLiveness {
  readonly #options: LinksOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #byNode = new Map<number, Entry>();
  #all: readonly Link[] | undefined;
  readonly #listeners: ((name: string, liveness: Liveness) => void)[] = [];
  #stopped = false;

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  watch(name: string, address: string): void {
    this.keep(name, address, 'watched');
    const link = this.get(name);
    // There may have been one before: its news are not new to it.
    if (link !== undefined && link.state !== 'down') this.#changed(link);
  }

  unwatch(name: string): void {
    this.letGo(name, 'watched');
  }

  holdsPages(name: string): boolean {
    return this.has(name, 'holds');
  }

  has(name: string, reason: LinkReason): boolean {
    return this.#entries.get(name)?.reasons.has(reason) === true;
  }

  /** Names of the peers that are kept for this reason. */
  namesOf(reason: LinkReason): string[] {
    return [...this.#entries].filter(([, { reasons }]) => reasons.has(reason)).map(([name]) => name);
  }

  onChange(listener: (name: string, liveness: Liveness) => void): void {
    this.#listeners.push(listener);
  }

  get(name: string): Link | undefined {
    return this.#entries.get(name)?.link;
  }

  byNode(node: number): Link | undefined {
    return this.#byNode.get(node)?.link;
  }

  /** All links; the list is made anew when they change. */
  get all(): readonly Link[] {
    this.#all ??= Array.from(this.#entries.values(), ({ link }) => link);
    return this.#all;
  }

  [Symbol.iterator](): Iterator<Link> {
    return this.all[Symbol.iterator]();
  }

  /** Ends all links; none is opened any more. */
  stop(): void {
    this.#stopped = true;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    this.#all = undefined;
    this.#byNode.clear();
    for (const { link } of entries) link.stop();
  }

  /** Opens a link, or keeps the one there is for this reason as well. */
  keep(name: string, address: string, reason: LinkReason): void {
    if (this.#stopped) return;
    const before = this.#entries.get(name);
    if (before?.link.address === address) {
      before.reasons.add(reason);
      return;
    }
    const entry = this.#make(name, address);
    entry.reasons.add(reason);
    if (before === undefined) return;
    // The peer is somewhere else now. Its old link is not found any more when it tells of its end.
    for (const each of before.reasons) entry.reasons.add(each);
    before.link.stop();
  }

  #make(name: string, address: string): Entry {
    const reasons = new Set<LinkReason>();
    const putting = (): void => {
      reasons.add('holds');
    };
    const link = new Link({ ...this.#options, name, address, changed: this.#changed, putting });
    const entry: Entry = { link, node: nodeNumber(name), reasons };
    this.#entries.set(name, entry);
    this.#all = undefined;
    this.#byNode.set(entry.node, entry);
    link.start();
    return entry;
  }

  /** The link ends when no other reason is left. */
  letGo(name: string, reason: LinkReason): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    entry.reasons.delete(reason);
    if (entry.reasons.size > 0) return;
    this.#entries.delete(name);
    this.#all = undefined;
    this.#byNode.delete(entry.node);
    entry.link.stop();
  }

  readonly #changed = (link: Link): void => {
    if (this.#entries.get(link.name)?.link !== link) return;
    const { freeBytes, draining } = link.status;
    for (const listener of this.#listeners) listener(link.name, { state: link.state, freeBytes, draining });
  };
}
