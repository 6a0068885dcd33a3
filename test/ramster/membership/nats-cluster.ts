// Nodes with membership by NATS on a bus without a server and a virtual clock, and somebody else who may publish there.
import type { Member } from '../../../src/ramster/membership/membership.ts';
import type { NatsMembershipOptions } from '../../../src/ramster/membership/nats-settings.ts';
import { encodePresence, type Presence } from '../../../src/ramster/membership/presence.ts';
import { NatsMembership } from '../../../src/ramster/nats.ts';
import { FakeBus, type FakeConnection } from './fake-nats.ts';
import { VirtualClock } from './virtual-clock.ts';

export const SUBJECT = 'tmem.tmem.presence';
/** The defaults. */
export const HEARTBEAT_MS = 1000;
export const SUSPECT_MS = 3000;
export const DOWN_MS = 6000;

export const addressOf = (name: string): string => `${name}.example:7000`;

export interface Node {
  readonly membership: NatsMembership;
  readonly connection: FakeConnection;
  readonly stateOf: (name: string) => Member['state'] | undefined;
  readonly member: (name: string) => Member | undefined;
  readonly view: () => readonly Member[];
}

export class Cluster {
  readonly clock = new VirtualClock();
  readonly bus = new FakeBus(this.clock);
  readonly #speaker = this.bus.connect();

  async join(name: string, options: Partial<NatsMembershipOptions> = {}): Promise<Node> {
    const connection = this.bus.connect();
    const given = { name, address: addressOf(name), connection, ...options };
    const membership = new NatsMembership(given, this.clock);
    let view: readonly Member[] = [];
    await membership.start(
      () => ({ freeBytes: 1000, draining: false }),
      (members) => {
        view = members;
      },
    );
    const member = (other: string) => view.find((each) => each.name === other);
    return { membership, connection, member, stateOf: (other) => member(other)?.state, view: () => view };
  }

  /** Anything, by somebody who may publish. */
  say(data: Uint8Array, reply?: string): void {
    this.#speaker.publish(SUBJECT, data, reply === undefined ? {} : { reply });
  }

  presence(changes: Partial<Presence> = {}): void {
    this.say(encodePresence(presenceOf(changes)));
  }
}

export function presenceOf(changes: Partial<Presence>): Presence {
  const name = changes.name ?? 'x';
  return {
    ...{ name, address: addressOf(name), freeBytes: 5, draining: false, leaving: false },
    ...{ instance: '00000000000000aa', sequence: 1, ageMs: 10_000, intervalMs: HEARTBEAT_MS },
    ...changes,
  };
}
