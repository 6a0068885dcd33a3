/**
 * What the daemon tells of its cluster at /peers: a summary, all peers that it has to do with, and other stores that
 * take its pages. `tmem peers` shows it.
 */

import type { PeerView, RemoteState } from '../ramster/index.ts';
import type { ClusterNode } from './node.ts';
import type { ServeRamster } from './ramster-settings.ts';

/** A store that is no peer: a Redis, the node's own disk. */
export interface EngineView {
  readonly name: string;
  readonly state: RemoteState;
  readonly freeBytes: number;
  readonly latencyMs: number;
  /** Pages of this node that are there, as of the last look at all records. */
  readonly borrowedPages: number;
  readonly problem?: string | undefined;
}

export interface PeersPage {
  /** This node. */
  readonly name: string;
  readonly cluster: string;
  /** Where others connect. */
  readonly addresses: readonly string[];
  /** Copies that each persistent page shall have. */
  readonly replicas: number;
  /** Persistent pages of this node that are with peers. */
  readonly remotePages: number;
  /** Pages of others that are held here, and the memory they take. */
  readonly lentPages: number;
  readonly lentBytes: number;
  /** Persistent pages that have fewer copies than they should. */
  readonly replicasShort: number;
  /** Persistent pages of which no copy is left, since the start. */
  readonly pagesLost: number;
  /** What is wrong with the membership, in words. */
  readonly problem?: string | undefined;
  readonly peers: readonly (Omit<PeerView, 'problem'> & { readonly problem?: string | undefined })[];
  readonly engines: readonly EngineView[];
}

export function peersPage({ ramster, engines }: ClusterNode, settings: ServeRamster): PeersPage {
  const peers = ramster.peers();
  const statistics = ramster.statistics();
  return {
    name: settings.name,
    cluster: settings.cluster,
    addresses: ramster.addresses,
    replicas: settings.replicas,
    remotePages: statistics.remote_pers_pages,
    lentPages: peers.reduce((sum, { lentPages }) => sum + lentPages, 0),
    lentBytes: peers.reduce((sum, { lentBytes }) => sum + lentBytes, 0),
    replicasShort: statistics.replicas_short,
    pagesLost: statistics.pages_lost,
    problem: ramster.problem,
    peers,
    engines: engines.map(({ name, node, state, freeBytes, latencyMs, problem }) => ({
      ...{ name, state, freeBytes, latencyMs, problem },
      borrowedPages: ramster.borrowedPages(node),
    })),
  };
}

/** For the health page: it says how many are there, and who is not. */
export interface PeersHealth {
  readonly up: number;
  readonly down: readonly string[];
}

export function peersHealth({ ramster }: ClusterNode): PeersHealth {
  const peers = ramster.peers();
  const named = (state: RemoteState): string[] =>
    peers.filter((peer) => peer.state === state).map(({ name }) => name);
  return { up: named('up').length, down: named('down') };
}
