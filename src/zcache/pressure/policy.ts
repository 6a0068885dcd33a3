/**
 * Policy of the shrinker: from what was read to how much to give back and when to look again. Pure: no clock, no files.
 *
 * Each scope is judged by itself, and the one that wants most decides. Three things count:
 *
 * - little available (watermark.ts): what is missing up to `high`;
 * - tasks that stand still (PSI): the estimate of what is available is too kind, perhaps since files that count as
 *   droppable are in use. Small steps, and only while the stall goes on, since its average decays for a minute;
 * - the limit made the kernel look for something to kill: the whole gap at once.
 *
 * The latter two count only while less than half of the scope is available: with more, the cause is something else,
 * such as another group's limit, and our pages would be dropped for nothing.
 */

import type { ScopeReading, Stall } from './reading.ts';
import type { ShrinkerSettings } from './shrinker-settings.ts';
import { watermarks } from './watermark.ts';

const FRAME_BYTES = 4096;
/** A scope with more than this share available is not short of memory. */
const PLENTY_SHARE = 1 / 2;
/** A stall ends when its average is below this share of what began it. */
const STALL_END_SHARE = 1 / 2;
/** A step for a stall, as a share of the gap between the watermarks. */
const STALL_STEP_SHARE = 1 / 8;
/** The same where the scope's size is unknown: a thousand frames. */
const STALL_STEP_BYTES = 4 * 2 ** 20;
/** Time for a step to show in the stall, before the next one. */
const STALL_STEP_MS = 500;
/**
 * The fastest that available memory can shrink: the kernel clears huge pages at some 8 GB/s. Used to choose when to
 * look, so that no look finds the scope far below its low watermark.
 */
const TAKEN_BYTES_PER_MS = 8 * 2 ** 20;

export type PressureCause = 'low' | 'stall' | 'oom';

export interface PressureSample {
  /** Any clock that does not run backwards. */
  readonly timeMs: number;
  readonly scopes: readonly ScopeReading[];
}

interface ScopeState {
  /** Under the low watermark, and not back at the high one. */
  readonly isLow: boolean;
  readonly isStalled: boolean;
  readonly stallTotalUs: number | undefined;
  readonly stallStepMs: number;
  readonly ooms: number | undefined;
}

/** What is remembered from look to look. */
export type PolicyState = ReadonlyMap<string, ScopeState>;

export const INITIAL_STATE: PolicyState = new Map();

const NEW_SCOPE: ScopeState = {
  isLow: false,
  isStalled: false,
  stallTotalUs: undefined,
  stallStepMs: Number.NEGATIVE_INFINITY,
  ooms: undefined,
};

/** Why memory is to be given back. */
export interface Pressure {
  readonly scope: string;
  readonly cause: PressureCause;
  /** Undefined if unknown. */
  readonly availableBytes: number | undefined;
}

export interface Decision {
  readonly state: PolicyState;
  /** Of the scope that wants most; undefined without pressure. There can be pressure and nothing to do right now. */
  readonly pressure: Pressure | undefined;
  /** Frames of 4096 bytes to give back to the system now. */
  readonly frames: number;
  readonly nextLookMs: number;
}

interface Verdict {
  readonly state: ScopeState;
  readonly cause: PressureCause | undefined;
  readonly wantedBytes: number;
  /** Down to the low watermark. */
  readonly headroomBytes: number;
}

export function decide(before: PolicyState, sample: PressureSample, settings: ShrinkerSettings): Decision {
  const state = new Map<string, ScopeState>();
  let pressure: Pressure | undefined;
  let wantedBytes = 0;
  let headroomBytes = Number.POSITIVE_INFINITY;
  for (const reading of sample.scopes) {
    const was = before.get(reading.name) ?? NEW_SCOPE;
    const verdict = judge(was, reading, sample.timeMs, settings);
    state.set(reading.name, verdict.state);
    headroomBytes = Math.min(headroomBytes, verdict.headroomBytes);
    if (verdict.cause === undefined) continue;
    if (pressure === undefined || verdict.wantedBytes > wantedBytes) {
      const availableBytes = reading.memory?.availableBytes;
      pressure = { scope: reading.name, cause: verdict.cause, availableBytes };
      wantedBytes = verdict.wantedBytes;
    }
  }
  return {
    state,
    pressure,
    frames: Math.ceil(wantedBytes / FRAME_BYTES),
    nextLookMs: pressure === undefined ? quietIntervalMs(headroomBytes, settings) : settings.nearIntervalMs,
  };
}

/** The time in which the fastest allocator would reach the low watermark, within the two intervals. */
function quietIntervalMs(headroomBytes: number, settings: ShrinkerSettings): number {
  const reachedMs = Math.floor(headroomBytes / TAKEN_BYTES_PER_MS);
  return Math.min(Math.max(reachedMs, settings.nearIntervalMs), settings.idleIntervalMs);
}

function judge(
  was: ScopeState,
  { memory, stall, ooms }: ScopeReading,
  timeMs: number,
  settings: ShrinkerSettings,
): Verdict {
  const { lowBytes, highBytes } = memory ? watermarks(memory.sizeBytes, settings) : UNKNOWN;
  const availableBytes = memory?.availableBytes ?? Number.POSITIVE_INFINITY;
  const isLow = availableBytes < (was.isLow ? highBytes : lowBytes);
  const isScarce = memory === undefined || availableBytes < memory.sizeBytes * PLENTY_SHARE;
  const isStalled = isScarce && stall !== undefined && isStall(was, stall, settings);
  const isStep = isStalled && isGrowing(was.stallTotalUs, stall?.totalUs) && isStepDue(was, timeMs);
  const isOom = isScarce && isGrowing(was.ooms, ooms);

  const gapBytes = highBytes - lowBytes;
  const stepBytes = memory ? gapBytes * STALL_STEP_SHARE : STALL_STEP_BYTES;
  const wantedBytes = Math.max(
    isLow ? highBytes - availableBytes : 0,
    isStep ? stepBytes : 0,
    isOom ? gapBytes : 0,
  );
  const cause = isOom ? 'oom' : isLow ? 'low' : isStalled ? 'stall' : undefined;
  const state = {
    isLow,
    isStalled,
    stallTotalUs: stall?.totalUs,
    stallStepMs: isStep ? timeMs : was.stallStepMs,
    ooms,
  };
  return { state, cause, wantedBytes, headroomBytes: availableBytes - lowBytes };
}

/** Watermarks where the size is unknown: nothing is ever low. */
const UNKNOWN = { lowBytes: 0, highBytes: 0 };

function isStall(was: ScopeState, stall: Stall, { stallPercent }: ShrinkerSettings): boolean {
  return stall.some10Percent >= stallPercent * (was.isStalled ? STALL_END_SHARE : 1);
}

function isGrowing(before: number | undefined, now: number | undefined): boolean {
  return before !== undefined && now !== undefined && now > before;
}

function isStepDue(was: ScopeState, timeMs: number): boolean {
  return timeMs - was.stallStepMs >= STALL_STEP_MS;
}
