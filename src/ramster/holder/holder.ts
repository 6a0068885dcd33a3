/**
 * The holder's side of a node: lets owners in, keeps their pages while their leases last, and answers.
 *
 * One session for each owner's name. Another start of the same owner takes over once the session there is has been
 * silent for suspectMs; until then it is refused, because two nodes of one name would free each other's pages.
 */

import type { Clock, Timer } from '../clock.ts';
import type { ForeignPages, Owner } from '../local/foreign-pages.ts';
import type { NodeStatus } from '../membership/membership.ts';
import { PROTOCOLS, type Self } from '../peer/self.ts';
import type { NodeSettings } from '../settings.ts';
import type { Channel } from '../transport/transport.ts';
import type { Hello, HelloReply } from '../wire/messages.ts';
import { Leases } from './leases.ts';
import { type HelloRefusal, Session, type SessionHost } from './session.ts';

/** Longest time from a connection to its hello. */
const HELLO_MS = 5000;
/** Sessions at a time; more are refused. */
const SESSIONS_MAX = 4096;

export interface HolderOptions {
  readonly self: Self;
  readonly clock: Clock;
  readonly settings: NodeSettings;
  readonly foreign: ForeignPages;
  readonly status: () => NodeStatus;
  readonly isDraining: () => boolean;
  /** Somebody was not let in. */
  readonly refused: (peer: string, reason: string) => void;
  /** Pages of an owner were dropped: its lease was over. */
  readonly leaseEnded: (owner: Owner) => void;
  /** Called every suspectMs: what is held may be counted. */
  readonly looked: () => void;
}

export class Holder implements SessionHost {
  readonly foreign: ForeignPages;
  readonly #options: HolderOptions;
  readonly #leases: Leases;
  readonly #sessions = new Set<Session>();
  readonly #byName = new Map<string, Session>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: HolderOptions) {
    this.#options = options;
    this.foreign = options.foreign;
    this.#leases = new Leases(options.clock, options.settings.leaseMs, options.foreign.owners());
  }

  start(): void {
    this.#timer = this.#options.clock.after(this.#options.settings.suspectMs, this.#look);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const { channel } of this.#sessions) channel.close('this node stops');
  }

  /** A connection that an owner opened. */
  accept(channel: Channel): void {
    if (this.#stopped) {
      channel.close('this node stops');
      return;
    }
    if (this.#sessions.size >= SESSIONS_MAX) {
      channel.close('too many sessions');
      this.#options.refused(channel.peerAddress, `more than ${SESSIONS_MAX} sessions`);
      return;
    }
    const session = new Session(this, channel, this.#options.clock);
    this.#sessions.add(session);
    session.start();
  }

  admit(session: Session, hello: Hello): HelloRefusal | undefined {
    const refusal = this.#refusalOf(session, hello);
    if (refusal === undefined) {
      const before = this.#byName.get(hello.name);
      this.#byName.set(hello.name, session);
      before?.channel.close('the same node opened another connection');
    } else this.#options.refused(`${hello.name} at ${session.channel.peerAddress}`, refusal.message);
    return refusal;
  }

  greeting({ protocols }: Hello): HelloReply {
    const { self, settings, foreign, status } = this.#options;
    return {
      protocol: Math.min(PROTOCOLS[1], protocols[1]),
      name: self.name,
      memory: foreign.memory,
      instance: self.instance,
      leaseMs: settings.leaseMs,
      status: status(),
    };
  }

  status(): NodeStatus {
    return this.#options.status();
  }

  isDraining(): boolean {
    return this.#options.isDraining();
  }

  heard(owner: Owner): void {
    this.#leases.renew(owner);
  }

  ended(session: Session): void {
    this.#sessions.delete(session);
    const name = session.owner?.name;
    if (name !== undefined && this.#byName.get(name) === session) this.#byName.delete(name);
  }

  #refusalOf({ channel }: Session, hello: Hello): HelloRefusal | undefined {
    const { self, settings } = this.#options;
    const [lowest, highest] = PROTOCOLS;
    if (hello.cluster !== self.cluster) {
      return {
        code: 'cluster',
        message: `this is a node of cluster '${self.cluster}', not '${hello.cluster}'`,
      };
    }
    if (hello.protocols[0] > highest || hello.protocols[1] < lowest) {
      const [its, own] = [hello.protocols.join(' to '), PROTOCOLS.join(' to ')];
      const message = `it speaks versions ${its} of the protocol, this node ${own}`;
      return { code: 'version', message };
    }
    if (channel.peerName !== undefined && channel.peerName !== hello.name) {
      return {
        code: 'name',
        message: `its certificate is for node '${channel.peerName}', it calls itself '${hello.name}'`,
      };
    }
    const before = this.#byName.get(hello.name);
    const isOther = before?.instance !== undefined && Buffer.compare(before.instance, hello.instance) !== 0;
    const isTwin = before !== undefined && isOther && before.silentMs < settings.suspectMs;
    if (isTwin || hello.name === self.name) {
      return {
        code: 'duplicate',
        message: `another node called '${hello.name}' is running; give each its own name`,
      };
    }
    return undefined;
  }

  readonly #look = (): void => {
    const { clock, settings, foreign, leaseEnded, looked } = this.#options;
    this.#timer = clock.after(settings.suspectMs, this.#look);
    for (const session of this.#sessions) {
      const limitMs = session.owner === undefined ? HELLO_MS : 2 * settings.downMs;
      if (session.silentMs > limitMs) session.channel.close('it is silent');
    }
    try {
      looked();
      this.#leases.keep(foreign.owners());
    } catch {
      // The store is busy, or being closed: there is another look.
      return;
    }
    for (const owner of this.#leases.takeEnded()) {
      try {
        foreign.destroyOwner(owner);
        leaseEnded(owner);
      } catch {
        // The store was busy: as long again.
        this.#leases.renew(owner);
      }
    }
  };
}
