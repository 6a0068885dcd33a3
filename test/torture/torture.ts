// The torture run of named stores: processes that work on one store are killed all the time, and what they saw is
// checked. It goes in rounds: some tens of kills, then everybody stops, the store is looked at (quiet.ts), the logs are
// judged (verdict.ts), and the next round begins with fresh logs. A store lives for several rounds.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { instrumentedBinary } from '../threads/instrumented-module.ts';
import { numbers } from '../threads/workload.ts';
import { AIMS, AimBag } from './aims.ts';
import { Crew } from './crew.ts';
import { bytesLeft, fillArchive, lookAround, type Place } from './quiet.ts';
import { SCENES } from './scenes.ts';
import { LANES, RECORDS, SharedArea } from './shared-area.ts';
import { timeRecoveries } from './trigger.ts';
import { judge, type Known } from './verdict.ts';

/** Every so many rounds there are no aimed kills: their code is slow, and makes others wait. */
const PLAIN_EVERY = 4;
/** Two halves of the ids of pages, for every other round. */
const HALF_IDS = RECORDS * LANES;

export interface TortureOptions {
  /** It ends after the round in which one of these two is reached. */
  readonly seconds: number;
  readonly kills: number;
  readonly processes: number;
  readonly seed: number;
  /** The number of kills does not end it before every aim was met. */
  readonly meetsAll?: boolean;
  readonly killsARound: number;
  /** Rounds that one store lives for. */
  readonly roundsAStore: number;
  /** Where stores and logs are made: a directory in memory. */
  readonly directory: string;
  readonly say: (line: string) => void;
  /** Ends it, too. */
  readonly signal?: AbortSignal;
}

export interface TortureResult {
  seed: number;
  seconds: number;
  processes: number;
  rounds: number;
  /** Processes that got SIGKILL, and workers that were terminated. */
  kills: number;
  process_kills: number;
  worker_kills: number;
  aimed_kills: number;
  /** Aimed kills by what they were aimed at. */
  aimed: Record<string, number>;
  /** Logged operations that ended; those that were cut short; those without a log. */
  operations: number;
  operations_cut_short: number;
  operations_unlogged: number;
  recoveries: number;
  recovery_ms_p99: number;
  recovery_ms_max: number;
  /** Times a survivor ran into a lock, or the gate, of a dead thread; the longest until it knew. */
  notices: number;
  notice_ms_max: number;
  /** Longest operation of a survivor, in rounds without and with slow instrumented processes. */
  longest_stall_ms: number;
  longest_stall_aimed_ms: number;
  stale: number;
  lost_persistent: number;
  torn: number;
  leaked_bytes: number;
  hangs: number;
  /** Processes that ended by themselves, with an error. */
  failures: number;
}

export class Torture {
  readonly #options: TortureOptions;
  readonly #next: (below: number) => number;
  readonly #result: TortureResult;
  readonly #durationsUs: number[] = [];
  readonly #aims: AimBag;
  #known: Known = new Map();

  constructor(options: TortureOptions) {
    this.#options = options;
    this.#next = numbers(options.seed);
    this.#aims = new AimBag(this.#next);
    this.#result = {
      ...{ seed: options.seed, seconds: 0, processes: options.processes, rounds: 0 },
      ...{ kills: 0, process_kills: 0, worker_kills: 0, aimed_kills: 0 },
      aimed: Object.fromEntries(AIMS.map(({ name }) => [name, 0])),
      ...{ operations: 0, operations_cut_short: 0, operations_unlogged: 0 },
      ...{ recoveries: 0, recovery_ms_p99: 0, recovery_ms_max: 0 },
      ...{ notices: 0, notice_ms_max: 0 },
      ...{ longest_stall_ms: 0, longest_stall_aimed_ms: 0 },
      ...{ stale: 0, lost_persistent: 0, torn: 0, leaked_bytes: 0, hangs: 0, failures: 0 },
    };
  }

  async run(): Promise<TortureResult> {
    const startMs = performance.now();
    const { directory, seconds, kills, meetsAll, say, signal } = this.#options;
    const own = mkdtempSync(join(directory, 'tmem-torture-'));
    const result = this.#result;
    try {
      writeFileSync(join(own, 'arena.wasm'), await instrumentedBinary());
      const area = SharedArea.map(join(own, 'logs'), true);
      timeRecoveries(area);
      const isOver = () =>
        (performance.now() - startMs) / 1000 >= seconds ||
        signal?.aborted === true ||
        (result.kills >= kills && !(meetsAll && Object.values(result.aimed).includes(0)));
      for (let store = 0; !isOver(); store++) await this.#store(own, area, store, isOver);
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
    result.seconds = Math.round((performance.now() - startMs) / 1000);
    this.#durationsUs.sort((a, b) => a - b);
    result.recovery_ms_p99 = (this.#durationsUs[Math.floor(this.#durationsUs.length * 0.99)] ?? 0) / 1000;
    result.recovery_ms_max = (this.#durationsUs.at(-1) ?? 0) / 1000;
    say(`${result.kills} kills in ${result.seconds} s`);
    return result;
  }

  /** The life of one store. */
  async #store(own: string, area: SharedArea, number: number, isOver: () => boolean): Promise<void> {
    const sceneNumber = number % SCENES.length;
    const place: Place = { directory: own, name: `torture-${number}`, scene: SCENES[sceneNumber]! };
    this.#known = new Map();
    for (let round = 0; round < this.#options.roundsAStore && !isOver(); round++) {
      // A store that something is wrong with would show it again and again.
      if (!(await this.#round(own, area, place, sceneNumber, round > 0))) return;
      // The first round is without, because in it the processes themselves make the store.
      if (round === 0) fillArchive(place);
    }
    const left = bytesLeft(place);
    if (left > 0)
      this.#problem('leaked_bytes', left, `${place.name}: ${left} bytes are left without clients`);
  }

  /** Whether the store is as it should be. */
  async #round(
    own: string,
    area: SharedArea,
    place: Place,
    scene: number,
    hasArchive: boolean,
  ): Promise<boolean> {
    const { processes, killsARound } = this.#options;
    const result = this.#result;
    const round = result.rounds++;
    const isPlain = round % PLAIN_EVERY === PLAIN_EVERY - 1;
    const half = round % 2;
    area.clear();
    const crew = new Crew(area, {
      ...{ processes, own, name: place.name, scene, hasArchive, next: this.#next },
      ...{ baseId: 1 + half * HALF_IDS, aims: isPlain ? undefined : this.#aims },
    });
    const ended = await crew.work(killsARound);
    result.process_kills += ended.kills;
    result.worker_kills += area.workerKills;
    result.kills += ended.kills + area.workerKills;
    result.hangs += area.busy;
    for (const line of ended.hangs) this.#problem('hangs', 1, line);
    for (const line of ended.failures) this.#failure(line);
    for (const [number, { name }] of AIMS.entries()) {
      result.aimed[name]! += area.aimed(number);
      result.aimed_kills += area.aimed(number);
    }
    result.operations_unlogged += area.unlogged;
    this.#times(area, isPlain);
    const isSound = this.#judge(place, area, hasArchive, half);
    this.#options.say(
      `round ${round}, ${place.scene.name}: ${result.kills} kills, ${result.operations} operations, ` +
        `${result.recoveries} recoveries`,
    );
    return isSound;
  }

  #times(area: SharedArea, isPlain: boolean): void {
    const result = this.#result;
    result.recoveries += area.recoveries;
    for (const durationUs of area.durationsUs()) this.#durationsUs.push(durationUs);
    const { count, longestUs } = area.notices;
    result.notices += count;
    result.notice_ms_max = Math.max(result.notice_ms_max, longestUs / 1000);
    const longestMs = area.longestUs / 1000;
    if (isPlain) result.longest_stall_ms = Math.max(result.longest_stall_ms, longestMs);
    else result.longest_stall_aimed_ms = Math.max(result.longest_stall_aimed_ms, longestMs);
  }

  #judge(place: Place, area: SharedArea, hasArchive: boolean, half: number): boolean {
    const result = this.#result;
    const isOld = (id: number) => id !== 0 && (id > HALF_IDS ? 1 : 0) !== half;
    const known = this.#known;
    this.#known = new Map();
    let isSound = true;
    try {
      const found = lookAround(place, area, hasArchive, isOld);
      this.#known = found.known;
      for (const line of found.problems) this.#options.say(`${place.name}: ${line}`);
      result.leaked_bytes += found.leakedBytes;
      isSound = found.leakedBytes === 0;
    } catch (error) {
      isSound = false;
      this.#failure(`the quiet moment of ${place.name}: ${(error as Error).stack}`);
    }
    const verdict = judge(area, known);
    result.operations += verdict.operations;
    result.operations_cut_short += verdict.cutShort;
    for (const line of verdict.stale) this.#problem('stale', 1, line);
    for (const line of verdict.lost) this.#problem('lost_persistent', 1, line);
    return isSound && verdict.stale.length === 0 && verdict.lost.length === 0;
  }

  #failure(line: string): void {
    if (line.includes('torn')) this.#problem('torn', 1, line);
    else if (line.includes('lost:')) this.#problem('lost_persistent', 1, line);
    else this.#problem('failures', 1, line);
  }

  #problem(
    kind: 'stale' | 'lost_persistent' | 'torn' | 'leaked_bytes' | 'hangs' | 'failures',
    count: number,
    line: string,
  ): void {
    this.#result[kind] += count;
    this.#options.say(`seed ${this.#options.seed}, round ${this.#result.rounds - 1}: ${kind}: ${line}`);
  }
}
