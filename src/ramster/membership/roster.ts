/**
 * Roster: who is there, by what was heard from whom and when, on this node's clock alone. It knows no network: whoever
 * has one reports what arrives (`heard`) and, whenever the way to the others is proven good, lets it judge the silent
 * (`judge`). So a way that is broken makes nobody suspect.
 *
 *   heard --> up --silent for suspectMs--> suspect --downMs--> down --removeMs--> not listed
 *
 * All three times are meant for nodes that speak every heartbeatMs; for one that speaks more rarely they grow with its
 * interval.
 *
 * A name belongs to one run of a node (its instance). When a second run turns up while the first is alive, the older
 * one keeps the name and the other is ignored, and `problem` tells. A node that started again is the same case, except
 * that the older run stays silent: it has the name as soon as that one is suspect. Two names with one number are no
 * different: the number is what stands in records.
 */

import { nodeNumber } from '../place.ts';
import type { RemoteState } from '../remote-store/remote-store.ts';
import type { Member } from './membership.ts';
import type { Presence } from './presence.ts';

export interface SilenceSettings {
  readonly heartbeatMs: number;
  readonly suspectMs: number;
  readonly downMs: number;
  readonly removeMs: number;
}

/** Beyond any cluster that this is made for; bounds what strangers can make a node remember. */
export const MEMBERS_MAX = 10_000;
/**
 * Runs that began so close to each other are in the order of their instances: their ages depend on how long messages
 * took.
 */
const SAME_AGE_MS = 1000;
/** Names in a problem. */
const TOLD_MAX = 3;

/** One run of a node, as heard. */
interface Run {
  presence: Presence;
  /** When it began; the earliest estimate, since messages take time. */
  bornMs: number;
  firstMs: number;
  heardMs: number;
  /** From when its silence counts. */
  silentMs: number;
}

interface Entry {
  run: Run;
  state: RemoteState;
  /** A younger run that wants the same number. */
  rival: Run | undefined;
}

export class Roster {
  readonly #settings: SilenceSettings;
  readonly #own: {
    readonly number: number;
    readonly name: string;
    readonly instance: string;
    readonly bornMs: number;
  };
  /** By the number of the name. */
  readonly #entries = new Map<number, Entry>();
  /** Another run with this node's own number. */
  #double: Run | undefined;
  #isFull = false;

  constructor(settings: SilenceSettings, own: { name: string; instance: string; bornMs: number }) {
    this.#settings = settings;
    this.#own = { ...own, number: nodeNumber(own.name) };
  }

  /** Nodes that are not down, this one included. */
  get living(): number {
    let living = 1;
    for (const { state } of this.#entries.values()) if (state !== 'down') living++;
    return living;
  }

  /** The longest interval of anyone who is not down. */
  get intervalMs(): number {
    let longest = this.#settings.heartbeatMs;
    for (const { run, state } of this.#entries.values()) {
      if (state !== 'down') longest = Math.max(longest, run.presence.intervalMs);
    }
    return longest;
  }

  get problem(): string | undefined {
    const found: string[] = [];
    const double = this.#double;
    if (double !== undefined && double.heardMs > double.firstMs) {
      const own = { bornMs: this.#own.bornMs, presence: { instance: this.#own.instance } };
      const verdict = isOlder(own, double)
        ? 'it came later, and others ignore it'
        : 'it was there first, so others ignore this node';
      found.push(`${describe(double)} has the name or number of this node, '${this.#own.name}': ${verdict}`);
    }
    for (const { run, rival } of this.#entries.values()) {
      if (found.length === TOLD_MAX) break;
      if (rival === undefined || !areBothAlive(run, rival)) continue;
      found.push(`${describe(rival)} has the name or number of ${describe(run)}: the later one is ignored`);
    }
    if (this.#isFull) found.push(`more than ${MEMBERS_MAX} nodes: further ones are ignored`);
    return found.length === 0 ? undefined : found.join('; ');
  }

  members(): Member[] {
    return [...this.#entries.values()].map(({ run, state }) => {
      const { name, address, freeBytes, draining } = run.presence;
      return { name, address, state, freeBytes, draining };
    });
  }

  /** Takes in what another node said; whether that changes anything in `members`. */
  heard(presence: Presence, nowMs: number): boolean {
    const number = nodeNumber(presence.name);
    if (number === this.#own.number) {
      const before = this.#double?.presence.instance === presence.instance ? this.#double : undefined;
      this.#double = presence.leaving ? undefined : nextRun(before, presence, nowMs);
      return false;
    }
    const entry = this.#entries.get(number);
    if (entry === undefined) return this.#newcomer(number, presence, nowMs);
    if (entry.run.presence.instance !== presence.instance) return this.#secondRun(entry, presence, nowMs);
    const before = entry.run.presence;
    if (presence.sequence <= before.sequence) return false;
    if (presence.leaving) {
      if (entry.rival === undefined) this.#entries.delete(number);
      else follow(entry, entry.rival);
      return true;
    }
    const isNews =
      entry.state !== 'up' ||
      before.address !== presence.address ||
      before.freeBytes !== presence.freeBytes ||
      before.draining !== presence.draining;
    entry.run = nextRun(entry.run, presence, nowMs);
    entry.state = 'up';
    return isNews;
  }

  /** Nothing was heard from anybody for a reason of our own, until now: silence counts from now. */
  excuse(nowMs: number): void {
    for (const { run, rival, state } of this.#entries.values()) {
      if (state !== 'down') run.silentMs = nowMs;
      if (rival !== undefined) rival.silentMs = nowMs;
    }
  }

  /** Judges who was silent, the way to everybody being good; whether that changes anything in `members`. */
  judge(nowMs: number): boolean {
    const { suspectMs, downMs, removeMs } = this.#settings;
    let isNews = false;
    for (const [number, entry] of this.#entries) {
      const { run, rival, state } = entry;
      const silence = this.#silenceOf(run, nowMs);
      if (rival !== undefined) {
        const rivalSilence = this.#silenceOf(rival, nowMs);
        if (rivalSilence >= suspectMs) entry.rival = undefined;
        else if (silence >= suspectMs) {
          follow(entry, rival);
          isNews = true;
          continue;
        }
      }
      if (silence >= removeMs) this.#entries.delete(number);
      else if (silence >= downMs) entry.state = 'down';
      else if (silence >= suspectMs && state === 'up') entry.state = 'suspect';
      isNews ||= entry.state !== state || silence >= removeMs;
    }
    if (this.#double !== undefined && this.#silenceOf(this.#double, nowMs) >= suspectMs)
      this.#double = undefined;
    this.#isFull &&= this.#entries.size >= MEMBERS_MAX;
    return isNews;
  }

  /** How long a run was silent, in time of nodes that speak every heartbeatMs. */
  #silenceOf({ silentMs, presence }: Run, nowMs: number): number {
    const { heartbeatMs } = this.#settings;
    return (nowMs - silentMs) / Math.max(1, presence.intervalMs / heartbeatMs);
  }

  #newcomer(number: number, presence: Presence, nowMs: number): boolean {
    if (presence.leaving) return false;
    if (this.#entries.size >= MEMBERS_MAX) {
      this.#isFull = true;
      return false;
    }
    this.#entries.set(number, { run: nextRun(undefined, presence, nowMs), state: 'up', rival: undefined });
    return true;
  }

  #secondRun(entry: Entry, presence: Presence, nowMs: number): boolean {
    const known = entry.rival?.presence.instance === presence.instance ? entry.rival : undefined;
    if (presence.leaving || (known !== undefined && presence.sequence <= known.presence.sequence)) {
      if (presence.leaving && known !== undefined) entry.rival = undefined;
      return false;
    }
    const run = nextRun(known, presence, nowMs);
    if (entry.state !== 'up') {
      follow(entry, run);
      return true;
    }
    if (isOlder(run, entry.run)) {
      const younger = entry.run;
      follow(entry, run);
      entry.rival = younger;
      return true;
    }
    // A third run waits until one of the two is gone.
    if (known !== undefined || entry.rival === undefined) entry.rival = run;
    return false;
  }
}

/** The run after one more message. */
function nextRun(before: Run | undefined, presence: Presence, nowMs: number): Run {
  const bornMs = Math.min(before?.bornMs ?? Number.POSITIVE_INFINITY, nowMs - presence.ageMs);
  return { presence, bornMs, firstMs: before?.firstMs ?? nowMs, heardMs: nowMs, silentMs: nowMs };
}

function follow(entry: Entry, run: Run): void {
  entry.run = run;
  entry.state = 'up';
  entry.rival = undefined;
}

/** Each spoke after the other one was known. A run that was followed by a new one of the same node does not. */
function areBothAlive(a: Run, b: Run): boolean {
  return Math.min(a.heardMs, b.heardMs) > Math.max(a.firstMs, b.firstMs);
}

interface Aged {
  readonly bornMs: number;
  readonly presence: Pick<Presence, 'instance'>;
}

function isOlder(a: Aged, b: Aged): boolean {
  if (Math.abs(a.bornMs - b.bornMs) >= SAME_AGE_MS) return a.bornMs < b.bornMs;
  return a.presence.instance < b.presence.instance;
}

function describe({ presence }: Run): string {
  return `node '${presence.name}' at ${presence.address}`;
}
