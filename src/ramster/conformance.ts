/**
 * Conformance suites for who writes a membership or a remote store of their own: each a list of named cases that throw.
 */

export { type MembershipBench, membershipConformance } from './membership/conformance.ts';
export {
  type MakeStore,
  remoteStoreConformance,
  type StoreUnderTest,
} from './remote-store/conformance.ts';
