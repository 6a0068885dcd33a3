/**
 * NBD: swap areas and images as block devices, for kernels, virtual machines and every tool that speaks the protocol.
 */

export { AreaExport, type AreaExportOptions, type SharedExport } from './area-export.ts';
export type { ExportKind } from './area-volume.ts';
export type { KeptExport } from './export-clients.ts';
export type { ExportStatistics } from './export-statistics.ts';
export type { Address } from './listener.ts';
export { NbdServer, type NbdServerOptions } from './server.ts';
export type { NbdService } from './service.ts';
export { ThreadedNbdServer, type ThreadedNbdServerOptions } from './threaded-server.ts';
export type { TlsOptions } from './tls.ts';
export type { NbdExport, Volume } from './volume.ts';
export type { VolumeCounters } from './volume-counters.ts';
export { WriteBack } from './write-back.ts';
