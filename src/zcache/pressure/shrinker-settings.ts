/** Settings of the shrinker: the group `shrinker` of what `open` takes. */

import * as v from 'valibot';
import { flag, whole } from '../validation.ts';

export const shrinkerSchema = v.object(
  {
    /** Give memory back when the machine or the process's control group runs short of it. */
    enabled: v.optional(flag, true),
    /**
     * Shrinking starts when less than this is available: enough for what others take until it has an effect. Between
     * 64 MiB (or a quarter of the limit) and 2 GiB, whatever the percentage says.
     */
    lowPercent: v.optional(whole(1, 50, 'percent'), 10),
    /** Shrinking ends when so much is available. Above lowPercent, so that it does not start again at once. */
    highPercent: v.optional(whole(2, 75, 'percent'), 15),
    /** Tasks standing still for want of memory, in percent of ten seconds, that count as pressure by themselves. */
    stallPercent: v.optional(whole(1, 100, 'percent'), 10),
    /** Longest time between two looks. One takes 0.1 to 0.2 ms. */
    idleIntervalMs: v.optional(whole(50, 60_000, 'milliseconds'), 1000),
    /** Time between two looks under pressure, and the shortest one near it. */
    nearIntervalMs: v.optional(whole(10, 1000, 'milliseconds'), 50),
  },
  'an object such as { enabled: false }',
);

export type ShrinkerSettings = Readonly<v.InferOutput<typeof shrinkerSchema>>;

/** Rules between the settings of the group, as complaints. */
export function shrinkerContradictions(given: ShrinkerSettings): string[] {
  const found: string[] = [];
  if (given.highPercent <= given.lowPercent) {
    found.push(
      `shrinker.highPercent: got ${given.highPercent}, allowed is more than lowPercent (${given.lowPercent})`,
    );
  }
  if (given.nearIntervalMs > given.idleIntervalMs) {
    found.push(
      `shrinker.nearIntervalMs: got ${given.nearIntervalMs}, allowed is at most idleIntervalMs ` +
        `(${given.idleIntervalMs})`,
    );
  }
  return found;
}
