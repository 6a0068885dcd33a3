/**
 * The daemon behind `tmem serve`: settings, exports, metrics. It stands on the NBD server and the store.
 */

export { type InheritedSockets, inheritedSockets } from './activation.ts';
export { addressText, exportUri, isLocal } from './addresses.ts';
export { Daemon, type Reloaded } from './daemon.ts';
export type { ServeInput, ServeSettings } from './settings.ts';
export { readSettings, TEXT_SETTINGS, type TextSetting, variableOf } from './sources.ts';
