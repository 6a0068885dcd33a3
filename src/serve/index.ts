/**
 * The daemon behind `tmem serve`: settings, exports, metrics. It stands on the NBD server and the store.
 */

export { type InheritedSockets, inheritedSockets } from './activation.ts';
export { addressText, exportUri, parseAddress } from './addresses.ts';
export { Daemon, type Reloaded } from './daemon.ts';
export { exposure } from './exposure.ts';
export type { EngineView, PeersPage } from './peers.ts';
export type { ServeRamster } from './ramster-settings.ts';
export type { ServeInput, ServeSettings } from './settings.ts';
export { readSettings, variableOf } from './sources.ts';
export { isList, TEXT_SETTINGS, type TextSetting } from './text-settings.ts';
