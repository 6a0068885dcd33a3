// Runs checks one after the other against one server. Each check is bounded in time and loses its connections at its
// end, however it ends; what the server does to one check does not reach the next.
import { Closed, Silent, Unreachable, Violation } from '../protocol/violation.ts';
import { type Check, type Finding, failed, NotApplicable, notApplicable } from './check.ts';
import { type Facts, NothingToCheck, probe } from './facts.ts';
import type { Target } from './target.ts';
import { type Region, Trial } from './trial.ts';

export interface Row {
  readonly check: Check;
  readonly finding: Finding;
}

export interface Run {
  readonly target: Target;
  readonly facts: Facts;
  readonly rows: readonly Row[];
}

export interface RunOptions {
  readonly target: Target;
  readonly checks: readonly Check[];
  /** Without it nothing is written. */
  readonly region?: Region;
  /** How long an answer, or the end of a connection, is waited for. */
  readonly patienceMs: number;
  readonly onRow?: (row: Row) => void;
}

/** A check waits for a few answers in a row at most: more than this and it is stuck. */
const CHECK_PATIENCES = 8;

/** Throws NothingToCheck or Unreachable when the server cannot be tested at all. */
export async function runChecks({ target, checks, region, patienceMs, onRow }: RunOptions): Promise<Run> {
  const facts = await probeServer(target, patienceMs);
  checkRegion(facts, region);
  const rows: Row[] = [];
  for (const check of checks) {
    const trial = new Trial(target, patienceMs, facts, check.writes ? region : undefined);
    const row = { check, finding: await runBounded(check, trial) };
    rows.push(row);
    onRow?.(row);
  }
  return { target, facts, rows };
}

async function probeServer(target: Target, patienceMs: number): Promise<Facts> {
  const trial = new Trial(target, patienceMs);
  try {
    return await probe(target, (plain) => (plain ? trial.greetPlain() : trial.greet()));
  } finally {
    trial.finish();
  }
}

function checkRegion({ size, blockSizes }: Facts, region: Region | undefined): void {
  // Without a size no export could be opened: the checks tell why.
  if (region === undefined || size === 0n) return;
  const unit = BigInt(Math.max(1, blockSizes?.minimum ?? 1));
  if (region.offset + region.length > size) {
    throw new NothingToCheck(`the region to write ends past the export, which has ${size} bytes`);
  }
  if (region.offset % unit !== 0n || region.length % unit !== 0n) {
    throw new NothingToCheck(`the region to write must consist of whole blocks of ${unit} bytes`);
  }
}

async function runBounded(check: Check, trial: Trial): Promise<Finding> {
  const limitMs = trial.patienceMs * CHECK_PATIENCES;
  let timer: NodeJS.Timeout | undefined;
  const stuck = new Promise<Finding>((resolve) => {
    timer = setTimeout(() => resolve(failed(`not finished within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([run(check, trial), stuck]);
  } finally {
    clearTimeout(timer);
    trial.finish();
  }
}

async function run(check: Check, trial: Trial): Promise<Finding> {
  try {
    return await check.run(trial);
  } catch (error) {
    if (error instanceof NotApplicable) return notApplicable(error.message);
    const known = [Violation, Closed, Silent, Unreachable, NothingToCheck];
    if (known.some((kind) => error instanceof kind)) return failed((error as Error).message);
    throw error;
  }
}
