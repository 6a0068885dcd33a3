/**
 * cleancache: a second chance for clean pages, and a page cache for files on it.
 */

export type { CleancacheBackend, CleancachePool } from './backend.ts';
export { CachedFile, type ReadResult } from './cached-file.ts';
export type { CachedFileOptions } from './cached-file-options.ts';
export {
  Cleancache,
  CleancacheFs,
  type CleancacheOptions,
  type CleancacheStats,
  cleancache,
} from './cleancache.ts';
export { MapCleancacheBackend } from './map-backend.ts';
export { type OpenCachedOptions, openCached } from './open-cached.ts';
export { PageCache, type PageCacheOptions, type PageCacheStats } from './page-cache.ts';
export type { ReadOptions } from './read-arguments.ts';
export { ZcacheCleancacheBackend } from './zcache-backend.ts';
