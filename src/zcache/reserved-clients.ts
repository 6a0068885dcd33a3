/**
 * Names of clients that are the store's own part in a cluster: its identity there, and what it holds for peers. They
 * mean nothing in another store, so they are not saved with this one, and their pages are never sent on.
 */

/** What a node keeps of itself; with '/' and an owner behind it, what it holds for that. */
export const CLUSTER_CLIENT = 'ramster';

export function isClusterClient(name: string): boolean {
  return name === CLUSTER_CLIENT || name.startsWith(`${CLUSTER_CLIENT}/`);
}
