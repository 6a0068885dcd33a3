/**
 * Membership: which nodes there are, and which of them live. A static list with heartbeats (static.ts) and NATS
 * (nats.ts) implement it; both pass one conformance suite (conformance.ts), which others may use for their own.
 *
 * Rules of every implementation:
 * - a node that stops answering is 'suspect' and then 'down' within `detectionMs`; one that answers again is 'up';
 * - a node that left in order is 'down' at once, or not listed any more;
 * - when the membership's own engine fails, the last view stays, and `problem` says what is wrong;
 * - this node itself is not listed.
 */

import type { RemoteState } from '../remote-store/remote-store.ts';

/** What a node tells the others. */
export interface NodeStatus {
  /** Bytes it can take for others. */
  readonly freeBytes: number;
  readonly draining: boolean;
}

export interface Member {
  /** Node name; in the certificate it shows, too. */
  readonly name: string;
  /** Where it listens: 'host:port' or 'unix:/path'. */
  readonly address: string;
  readonly state: RemoteState;
  readonly freeBytes: number;
  readonly draining: boolean;
}

export interface Membership {
  /** Longest time from a node's silence to its being 'down', in milliseconds. */
  readonly detectionMs: number;
  /** What is wrong with the membership itself, in words; undefined: nothing. */
  readonly problem: string | undefined;
  /** Everybody who may ever be a member, as far as known: where to find a node that has pages of ours. */
  known(): Iterable<Pick<Member, 'name' | 'address'>>;
  /**
   * Begins. `status` is asked whenever this node tells of itself; `changed` is called with all members after any
   * change. Called once.
   */
  start(status: () => NodeStatus, changed: (members: readonly Member[]) => void): Promise<void>;
  /** Leaves: the others see it. Nothing is called any more. */
  stop(): Promise<void>;
}
