/**
 * Liveness as the links see it: what the static list needs of the connections that pages travel on. The links (peer/)
 * send heartbeats to every peer that is watched, and tell what they learn.
 */

import type { RemoteState } from '../remote-store/remote-store.ts';

/** How a peer is, and what it said last of itself. */
export interface Liveness {
  readonly state: RemoteState;
  readonly freeBytes: number;
  readonly draining: boolean;
}

export interface LinkLiveness {
  /**
   * Keeps a connection with heartbeats to this peer. The first news of it comes within the links' detection time, also
   * when the connection was there before for another reason, and nothing changes.
   */
  watch(name: string, address: string): void;
  /** No more heartbeats for the membership's sake, and no more news. */
  unwatch(name: string): void;
  /**
   * Called once; `listener` gets every change. A peer that was draining and closed its connection has left: it is
   * 'down' at once. It is 'up' again whenever it answers.
   */
  onChange(listener: (name: string, liveness: Liveness) => void): void;
  /**
   * Whether pages of this node may lie with a peer of the list. Such a peer is watched, however many others are, so
   * that its pages are within reach. Without this, no peer is kept for its pages.
   */
  holdsPages?(name: string): boolean;
}
