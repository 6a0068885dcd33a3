// A check: one requirement of the protocol, and how to see whether a server keeps it. A check opens its own connections
// and depends on no other check.
import type { Trial } from './trial.ts';

export type Level = 'MUST' | 'SHOULD';

export type Result = 'passed' | 'failed' | 'not applicable';

export interface Finding {
  readonly result: Result;
  /** What was seen, or why there was nothing to see. */
  readonly seen: string;
}

export interface Check {
  readonly id: string;
  readonly area: string;
  readonly level: Level;
  /** The protocol does not say it in so many words: it follows from what it says. Never a MUST. */
  readonly implied: boolean;
  /** Changes the export: runs only in the region that the user gave. */
  readonly writes: boolean;
  /** Where the protocol's document speaks of it. */
  readonly section: string;
  readonly requirement: string;
  readonly run: (trial: Trial) => Promise<Finding>;
}

type Draft = Omit<Check, 'id' | 'area'>;
type Run = Check['run'];

export function must(section: string, requirement: string, run: Run): Draft {
  return { level: 'MUST', implied: false, writes: false, section, requirement, run };
}

export function should(section: string, requirement: string, run: Run): Draft {
  return { level: 'SHOULD', implied: false, writes: false, section, requirement, run };
}

export function implied(section: string, requirement: string, run: Run): Draft {
  return { level: 'SHOULD', implied: true, writes: false, section, requirement, run };
}

export function writing(draft: Draft): Draft {
  return { ...draft, writes: true };
}

/** The checks of one area; their ids begin with its name. */
export function area(name: string, drafts: Record<string, Draft>): readonly Check[] {
  return Object.entries(drafts).map(([id, draft]) => ({ ...draft, id: `${name}/${id}`, area: name }));
}

export const passed = (seen: string): Finding => ({ result: 'passed', seen });
export const failed = (seen: string): Finding => ({ result: 'failed', seen });
export const notApplicable = (why: string): Finding => ({ result: 'not applicable', seen: why });

export function verdict(ok: boolean, seen: string): Finding {
  return ok ? passed(seen) : failed(seen);
}

/** Ends a check, from wherever it is: there is nothing to check at this server. */
export class NotApplicable extends Error {}

export function need(condition: boolean, why: string): asserts condition {
  if (!condition) throw new NotApplicable(why);
}
