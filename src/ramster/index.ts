/** RAMster: peers pool their RAM. */

export { AwayPages } from './away-pages.ts';
export { type Clock, type Random, systemClock, type Timer } from './clock.ts';
export { FetchListener, type FetchListenerOptions } from './fetch-socket/fetch-listener.ts';
export { SocketFetcher, type SocketFetcherOptions } from './fetch-socket/socket-fetcher.ts';
export type { LinkLiveness, Liveness } from './membership/liveness.ts';
export type { Member, Membership, NodeStatus } from './membership/membership.ts';
export { StaticMembership, type StaticMembershipOptions } from './membership/static.ts';
export type { Drained, PeerView } from './node.ts';
export type { RamsterSettings } from './options.ts';
export { type MembershipContext, Ramster, type RamsterOptions } from './ramster.ts';
export { DiskStore, type DiskStoreOptions } from './remote-store/disk-store.ts';
export {
  type HeldPage,
  RemoteError,
  type RemoteState,
  type RemoteStore,
  type TravellingPage,
} from './remote-store/remote-store.ts';
export type { RamsterStatistics } from './statistics.ts';
export type { NodeCertificates } from './transport/identity.ts';
