/** Memory pressure and the shrinker: what the store wires together. */

export type { PressureSources, ScopeMemory, ScopeReading, Stall } from './reading.ts';
export { type Leadership, type ShrinkableStore, Shrinker, type ShrinkerParts } from './shrinker.ts';
export { type ShrinkerSettings, shrinkerContradictions, shrinkerSchema } from './shrinker-settings.ts';
export { KernelSources } from './sources.ts';
export { systemTimer, type Timer } from './timer.ts';
