/** zcache: the host. The public face for applications and for front ends. */

export {
  ERROR_CODES,
  type ExchangeResult,
  type Handle,
  type Look,
  OID_BYTES,
  Oid,
  PAGE_BYTES,
  type PoolKind,
  type PutOutcome,
  RECORD_BYTES_MAX,
  type StoredCodec,
  TmemError,
  type TmemErrorCode,
  type WalkCursor,
} from '../tmem/index.ts';
export { attach } from './attach.ts';
export { decodePage, orphansLostOf, poolOfNumber, takeOrphansOf } from './away.ts';
export { type CheckReport, checkStore } from './check-store.ts';
export type { Client } from './client.ts';
export { type ColdPage, ColdPages } from './cold-pages.ts';
export { type Descriptors, descriptors } from './descriptors.ts';
export { EVENT_NAMES, publish, type TmemEventName, type TmemEvents } from './events.ts';
export { FetchServer, PortFetcher } from './fetch-port.ts';
export { type Draft, open, openDraft, openForLooking } from './open.ts';
export type { ClientOptions, PoolOptions } from './options.ts';
export { isAway, type PageFetcher } from './page-fetcher.ts';
export type { ClientPool as Pool } from './pool.ts';
export { PROMETHEUS_CONTENT_TYPE, prometheusText } from './prometheus.ts';
export { CLUSTER_CLIENT, isClusterClient } from './reserved-clients.ts';
export type { FreeRoom, Room } from './room.ts';
export { type RestoreOptions, type RestoreResult, restoreStore } from './save/restore-store.ts';
export { type SaveOptions, type SaveResult, saveStore } from './save/save-store.ts';
export { receivedError, type SentError, sentError } from './sent-error.ts';
export type { StoreOptions, StoreSettings } from './settings.ts';
export type { ClientStatistics, PoolStatistics, StoreStatistics } from './statistics.ts';
export type { ShrinkResult, Store, StoreToken } from './store.ts';
export { listStores, type NamedStore, type RemoveOptions, removeStore } from './stores.ts';
