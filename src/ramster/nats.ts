/** Membership of a cluster by NATS; needs the optional package @nats-io/transport-node. */

export { NatsMembership } from './membership/nats.ts';
export type { NatsMembershipOptions } from './membership/nats-settings.ts';
