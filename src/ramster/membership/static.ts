/**
 * Static membership: a fixed list of peers, nothing else to install. Whether they live is told by the heartbeats on the
 * connections that pages travel on (liveness.ts).
 *
 * A node watches a few partners of the list (partners.ts), and those are the members it lists. So what it sends, and
 * how soon it finds a dead one, is the same for a list of ten and of a thousand. Partners that are down, full or
 * leaving for `patienceMs` are made up for by further ones, which are dropped again when the partners are back as long.
 *
 * A partner that was not heard of yet is 'suspect': it may well be there, but nothing speaks for it.
 */

import * as v from 'valibot';
import { validate, whole } from '../../zcache/validation.ts';
import type { Clock, Timer } from '../clock.ts';
import { nodeNumber } from '../place.ts';
import type { LinkLiveness, Liveness } from './liveness.ts';
import type { Member, Membership, NodeStatus } from './membership.ts';
import { nodeEntry, nodeName } from './node-entry.ts';
import { choosePartners, partnerOrder } from './partners.ts';

/** More are no list that anybody keeps by hand. */
const PEERS_MAX = 10_000;
const PARTNERS_MAX_MOST = 256;
/** How often it is looked at whether other partners are needed: often beside any sensible patience. */
const REVIEW_MS = 1000;
/** A partner with less to give is full: pages in flight use it up in a moment. */
const FULL_BELOW_BYTES = 1024 * 1024;

const schema = v.pipe(
  v.object({
    /** Name of this node. */
    name: nodeName,
    /** All the others, in any order. */
    peers: v.pipe(
      v.array(nodeEntry, 'a list of { name, address }'),
      v.maxLength(PEERS_MAX, `at most ${PEERS_MAX} peers`),
    ),
    /** Peers that are watched while they are of use; up to twice as many when they are not. */
    partnersMax: v.optional(whole(1, PARTNERS_MAX_MOST), 8),
    /** How long a partner may be down, full or leaving before another one is watched in addition. */
    patienceMs: v.optional(whole(0, 3_600_000, 'milliseconds'), 30_000),
    /** Longest time in which the links find a dead peer. */
    detectionMs: whole(1, 3_600_000, 'milliseconds'),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { name, peers } = dataset.value;
    for (const message of nameMistakes(name, peers)) addIssue({ message });
  }),
);

export type StaticMembershipOptions = v.InferInput<typeof schema>;
type Settings = v.InferOutput<typeof schema>;

/** A peer that is watched. */
interface Partner {
  liveness: Liveness;
  /** The partner is of no use, or of use again, for long. */
  useless: boolean;
  /** Since when it is what it is now, whichever of both. */
  sinceMs: number;
}

export class StaticMembership implements Membership {
  readonly detectionMs: number;
  /** A list on paper does not fail. */
  readonly problem = undefined;
  readonly #settings: Settings;
  readonly #links: LinkLiveness;
  readonly #clock: Clock;
  readonly #addresses: ReadonlyMap<string, string>;
  /** All peers, as this node prefers them. */
  readonly #order: readonly string[];
  readonly #partners = new Map<string, Partner>();
  #changed: ((members: readonly Member[]) => void) | undefined;
  #review: Timer | undefined;

  /** @throws TmemError TMEM_ERR_SETTING naming every mistake in the options and the list */
  constructor(options: StaticMembershipOptions, links: LinkLiveness, clock: Clock) {
    this.#settings = validate(schema, options, 'static membership', 'TMEM_ERR_SETTING');
    this.#links = links;
    this.#clock = clock;
    this.detectionMs = this.#settings.detectionMs;
    this.#addresses = new Map(this.#settings.peers.map((peer) => [peer.name, peer.address]));
    this.#order = partnerOrder(this.#settings.name, [...this.#addresses.keys()]);
  }

  *known(): Iterable<Pick<Member, 'name' | 'address'>> {
    yield* this.#settings.peers;
  }

  /** `status` is not asked here: the links tell it with each heartbeat. */
  async start(_status: () => NodeStatus, changed: (members: readonly Member[]) => void): Promise<void> {
    this.#changed = changed;
    this.#links.onChange(this.#onLiveness);
    this.#onReview();
  }

  async stop(): Promise<void> {
    this.#changed = undefined;
    this.#review?.cancel();
    for (const name of this.#partners.keys()) this.#links.unwatch(name);
    this.#partners.clear();
  }

  readonly #onLiveness = (name: string, liveness: Liveness): void => {
    const partner = this.#partners.get(name);
    if (partner === undefined) return;
    if (isUseless(liveness) !== isUseless(partner.liveness)) partner.sinceMs = this.#clock.now();
    partner.liveness = liveness;
    this.#tell();
  };

  readonly #onReview = (): void => {
    this.#review = this.#clock.after(REVIEW_MS, this.#onReview);
    const nowMs = this.#clock.now();
    for (const partner of this.#partners.values()) {
      if (nowMs - partner.sinceMs >= this.#settings.patienceMs) partner.useless = isUseless(partner.liveness);
    }
    const chosen = choosePartners(this.#order, this.#settings.partnersMax, (name) => ({
      useless: this.#partners.get(name)?.useless ?? false,
      holdsPages: this.#links.holdsPages?.(name) ?? false,
    }));
    const dropped = [...this.#partners.keys()].filter((name) => !chosen.has(name));
    const added = [...chosen].filter((name) => !this.#partners.has(name));
    if (dropped.length === 0 && added.length === 0) return;
    for (const name of dropped) {
      this.#partners.delete(name);
      this.#links.unwatch(name);
    }
    for (const name of added) {
      const liveness = { state: 'suspect', freeBytes: 0, draining: false } as const;
      this.#partners.set(name, { liveness, useless: false, sinceMs: nowMs });
    }
    // A link that is there already may tell at once: then the partner is listed before.
    for (const name of added) this.#links.watch(name, this.#addresses.get(name) as string);
    this.#tell();
  };

  #tell(): void {
    this.#changed?.(
      [...this.#partners].map(
        ([
          name,
          {
            liveness: { state, freeBytes, draining },
          },
        ]) => ({
          name,
          address: this.#addresses.get(name) as string,
          state,
          freeBytes,
          draining,
        }),
      ),
    );
  }
}

function isUseless({ state, freeBytes, draining }: Liveness): boolean {
  return state === 'down' || draining || freeBytes < FULL_BELOW_BYTES;
}

/** Names that cannot stand beside each other: places in records have room for numbers only. */
export function nameMistakes(own: string, peers: readonly { readonly name: string }[]): string[] {
  const found: string[] = [];
  const seen = new Map<number, string>([[nodeNumber(own), own]]);
  for (const [i, { name }] of peers.entries()) {
    const other = seen.get(nodeNumber(name));
    const place = `peers[${i}].name: '${name}'`;
    if (other === undefined) seen.set(nodeNumber(name), name);
    else if (name === own) found.push(`${place} is this node itself; list the others only`);
    else if (name === other) found.push(`${place} is in the list already`);
    else found.push(`${place} has the same number as '${other}'; give one of the two another name`);
  }
  return found;
}
