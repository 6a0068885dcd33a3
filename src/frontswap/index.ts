/**
 * frontswap: pages that would go to a swap device go to the store instead, if it takes them.
 */

export type { Extent } from './allocation.ts';
export { FrontswapArea, type FrontswapStats, type SharedArea } from './area.ts';
export type { FrontswapBackend, FrontswapPool } from './backend.ts';
export type { BackingDevice } from './backing-device.ts';
export type { CleanPages } from './device-reads.ts';
export { FileDevice, type FileDeviceOptions } from './file-device.ts';
export { type AreaOptions, Frontswap, type FrontswapOptions, frontswap } from './frontswap.ts';
export { MapFrontswapBackend, type RefuseStore } from './map-backend.ts';
export { MemoryDevice } from './memory-device.ts';
export { type SharedSwap, SwapDevice, type SwapDeviceOptions } from './swap-device.ts';
export { ZcacheFrontswapBackend } from './zcache-backend.ts';
