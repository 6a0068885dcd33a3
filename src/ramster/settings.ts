/** Settings of a node, checked as a whole: whoever gets something wrong learns about all of it at once. */

import * as v from 'valibot';
import { flag, validate, whole } from '../zcache/validation.ts';
import { isNodeName } from './place.ts';
import { PLACES_MAX } from './record.ts';

const CLUSTER_ALLOWED = "1 to 40 letters, digits, '.', '_' and '-'";

const milliseconds = (least: number, most: number) => whole(least, most, 'milliseconds');

/** The longest lease: a week. */
const LEASE_MAX_MS = 7 * 24 * 3_600_000;

export const nodeSettingsEntries = {
  /** Nodes of other clusters are refused. */
  cluster: v.optional(
    v.pipe(
      v.string(CLUSTER_ALLOWED),
      v.check((name) => isNodeName(name), CLUSTER_ALLOWED),
    ),
    'tmem',
  ),
  /** Which pages may be sent to peers. */
  persistent: v.optional(flag, true),
  ephemeral: v.optional(flag, true),
  /** Peers that pages are sent to; a long list is not used as a whole. */
  partnersMax: v.optional(whole(1, 256), 8),
  /** Copies of each persistent page, all in different memories; ephemeral pages have one. */
  replicas: v.optional(whole(1, PLACES_MAX), 2),
  /** Pages are sealed before they leave: encrypted, and authenticated. */
  seal: v.optional(flag, true),
  /** Pages are sent while less than this percentage of the memory is free... */
  sendBelowPercent: v.optional(whole(0, 100), 6),
  /** ... until this one is. */
  sendUntilPercent: v.optional(whole(0, 100), 12),
  /** Pages come home while more than this percentage is free. */
  homeAbovePercent: v.optional(whole(0, 100), 25),
  /** Pages on their way at a time. */
  inFlightPages: v.optional(whole(1, 4096), 64),
  /** Longest wait for an answer. */
  requestTimeoutMs: v.optional(milliseconds(1, 60_000), 500),
  /** After this time without an answer a second holder is asked as well. */
  hedgeMs: v.optional(milliseconds(1, 60_000), 50),
  /** Longest time a get waits for any holder to be reachable. */
  patienceMs: v.optional(milliseconds(0, 600_000), 1000),
  /** How often a peer is asked whether it is there; when it is late; when it is down. */
  heartbeatMs: v.optional(milliseconds(10, 60_000), 500),
  suspectMs: v.optional(milliseconds(20, 600_000), 1500),
  downMs: v.optional(milliseconds(30, 600_000), 3000),
  /** How long this node keeps the pages of an owner that is silent. */
  leaseMs: v.optional(milliseconds(1000, LEASE_MAX_MS), 900_000),
  /** From a holder's being down until its copies are made anew elsewhere. */
  repairDelayMs: v.optional(milliseconds(0, 3_600_000), 2000),
  /** How often pressure, orphans and the queues are looked at. */
  tickMs: v.optional(milliseconds(5, 10_000), 50),
  /** How often holders' lists are compared with the records without any other reason. */
  sweepIntervalMs: v.optional(milliseconds(1000, LEASE_MAX_MS), 600_000),
  /** Pages come home every so often, while there is room. */
  homeIntervalMs: v.optional(milliseconds(100, 3_600_000), 5000),
};

const nodeSettingsSchema = v.object(nodeSettingsEntries);

export type NodeSettingsInput = v.InferInput<typeof nodeSettingsSchema>;
export type NodeSettings = Readonly<v.InferOutput<typeof nodeSettingsSchema>>;

/** @throws TmemError TMEM_ERR_SETTING naming each wrong setting, its value and what is allowed */
export function nodeSettings(input: NodeSettingsInput = {}): NodeSettings {
  return validate(nodeSettingsSchema, input, 'ramster settings', 'TMEM_ERR_SETTING', settingsContradictions);
}

/** Rules between settings. */
export function settingsContradictions(given: NodeSettings): string[] {
  const found: string[] = [];
  const ordered = (names: readonly (keyof NodeSettings)[]): void => {
    for (const [i, name] of names.slice(1).entries()) {
      const before = names[i] as keyof NodeSettings;
      if (Number(given[before]) < Number(given[name])) continue;
      found.push(`${name}: got ${given[name]}, allowed is more than ${before} (${given[before]})`);
    }
  };
  ordered(['heartbeatMs', 'suspectMs', 'downMs', 'leaseMs']);
  ordered(['sendBelowPercent', 'sendUntilPercent', 'homeAbovePercent']);
  return found;
}
