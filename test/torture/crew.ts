// The processes of one round: starts them, kills them, starts others in their place, and notices those that hang.
//
// A process is killed at a random moment of its start or of its work, or it has an aim and kills itself. Now and then
// all are killed at once, and those that come next, one after the other, while they recover what was left.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { AIMS, type AimBag } from './aims.ts';
import type { ChildTask } from './game.ts';
import { LANES, RECORDS, type SharedArea } from './shared-area.ts';

const LOOK_MS = 3;
/** Without any progress for so long a thread hangs. */
const HANG_MS = 12_000;
/** Of those that die at the start. */
const START_LIFE_MS = 200;
/** Logged operations of the others. */
const LIFE_OPERATIONS = { least: 50, most: 8000 };
/** After that a process whose aim was not met is killed like the others. */
const AIM_LIFE_MS = 900;
/** One of so many kills hits everybody. */
const ALL_EVERY = 14;
/** One of so many lives ends at the start; has an aim; has a worker. */
const START_EVERY = 10;
const AIMED_OF = { aims: 5, lives: 10 };
const WORKER_EVERY = 2;
/** Recoverers that are killed one after the other. */
const CHAIN_MAX = 3;
/** Everybody works on after the last kill. */
const LAST_WORK_MS = 40;
const ERROR_CHARACTERS_MAX = 4000;
const RECOVERY_AIM = AIMS.findIndex(({ name }) => name === 'recovery');

export interface CrewPlan {
  readonly processes: number;
  /** Directory of the store, the logs and the instrumented module. */
  readonly own: string;
  readonly name: string;
  readonly scene: number;
  readonly hasArchive: boolean;
  readonly baseId: number;
  /** Undefined: nobody has an aim. */
  readonly aims: AimBag | undefined;
  readonly next: (below: number) => number;
}

interface Member {
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;
  readonly lanes: readonly number[];
  readonly aim: number | undefined;
  /** It was killed from outside. */
  isKilled: boolean;
  /** When it is killed; undefined: not known yet. */
  killMs: number | undefined;
  /** Operations before that. */
  readonly lifeOperations: number;
  /** Records of its lane when it began; undefined: it did not begin. */
  firstRecord: number | undefined;
  isEnded: boolean;
  error: string;
  beats: number;
  beatMs: number;
}

export class Crew {
  readonly #area: SharedArea;
  readonly #plan: CrewPlan;
  readonly #members: (Member | undefined)[];
  readonly #hangs: string[] = [];
  readonly #failures: string[] = [];
  #kills = 0;

  constructor(area: SharedArea, plan: CrewPlan) {
    this.#area = area;
    this.#plan = plan;
    this.#members = Array(plan.processes).fill(undefined);
  }

  /** Works until so many processes were killed. */
  async work(kills: number): Promise<{ kills: number; hangs: string[]; failures: string[] }> {
    try {
      while (this.#kills < kills && this.#hangs.length === 0 && this.#failures.length === 0) {
        this.#startMissing();
        await pause(LOOK_MS);
        const due = this.#due();
        if (due.length > 0 && this.#plan.next(ALL_EVERY) === 0) await this.#killAll();
        else for (const member of due) kill(member);
      }
      await this.#end();
    } finally {
      const left = this.#running();
      for (const member of left) kill(member);
      await Promise.all(left.map(({ exited }) => exited));
    }
    return { kills: this.#kills, hangs: this.#hangs, failures: this.#failures };
  }

  #running(): Member[] {
    return this.#members.filter((member) => member !== undefined);
  }

  #startMissing(): void {
    const { aims, next } = this.#plan;
    for (const [place, member] of this.#members.entries()) {
      if (member !== undefined) continue;
      const isAimed = next(AIMED_OF.lives) < AIMED_OF.aims;
      this.#start(place, isAimed ? aims?.draw() : undefined);
    }
  }

  #start(place: number, aim: number | undefined): Member {
    const { processes, own, name, scene, hasArchive, baseId, next } = this.#plan;
    const mayHaveWorker = processes + place < LANES;
    const task: ChildTask = {
      ...{ area: join(own, 'logs'), directory: own, name, scene, seed: next(2 ** 30), lane: place },
      workerLane: mayHaveWorker && next(WORKER_EVERY) === 0 ? processes + place : undefined,
      ...{ baseId, hasArchive, aim, instrumented: join(own, 'arena.wasm') },
    };
    const file = join(import.meta.dirname, 'child.ts');
    const env = { ...process.env, NODE_COMPILE_CACHE: join(own, 'compiled') };
    const child = spawn(process.execPath, [file, JSON.stringify(task)], {
      ...{ env, stdio: ['ignore', 'ignore', 'pipe'] },
    });
    const startMs = performance.now();
    const diesAtStart = aim === undefined && next(START_EVERY) === 0;
    const lanes = task.workerLane === undefined ? [place] : [place, task.workerLane];
    const member: Member = {
      ...{ child, exited: once(child, 'close'), lanes, isEnded: false, error: '' },
      ...{ aim, isKilled: false },
      killMs: diesAtStart ? startMs + next(START_LIFE_MS) : undefined,
      lifeOperations: LIFE_OPERATIONS.least + next(LIFE_OPERATIONS.most - LIFE_OPERATIONS.least),
      firstRecord: undefined,
      ...{ beats: 0, beatMs: startMs },
    };
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      if (member.error.length < ERROR_CHARACTERS_MAX) member.error += text;
    });
    child.once('exit', (code, signal) => this.#exited(place, member, code, signal));
    this.#members[place] = member;
    return member;
  }

  #exited(place: number, member: Member, code: number | null, signal: string | null): void {
    member.isEnded = true;
    for (const lane of member.lanes) this.#area.endLife(lane);
    this.#members[place] = undefined;
    const { aim, isKilled } = member;
    const isMet = signal === 'SIGKILL' && !isKilled;
    if (aim !== undefined && !isMet) this.#plan.aims?.missed(aim);
    if (signal === 'SIGKILL') {
      this.#kills++;
      return;
    }
    const mayLeave = this.#area.isStopped || (aim !== undefined && AIMS[aim]!.leaves === true);
    if (code === 0 && mayLeave) return;
    // What it wrote comes before 'close'.
    void member.exited.then(() => {
      this.#failures.push(`process ${place} ended with ${signal ?? code}: ${member.error}`);
    });
  }

  /** Those whose time has come. */
  #due(): Member[] {
    const nowMs = performance.now();
    for (const member of this.#running()) {
      const beats = member.lanes.reduce((sum, lane) => sum + this.#area.beats(lane), 0);
      if (beats !== member.beats) {
        member.beats = beats;
        member.beatMs = nowMs;
        this.#decide(member, nowMs);
      } else if (nowMs - member.beatMs > HANG_MS) {
        this.#hangs.push(`a process with lanes ${member.lanes} does nothing for ${HANG_MS} ms`);
      }
    }
    return this.#running().filter(({ killMs = Number.POSITIVE_INFINITY }) => killMs <= nowMs);
  }

  /** A member gets on: when it began, and whether it worked long enough. */
  #decide(member: Member, nowMs: number): void {
    if (member.killMs !== undefined) return;
    const records = this.#area.recordCount(member.lanes[0]!);
    member.firstRecord ??= records;
    if (member.aim !== undefined) member.killMs = nowMs + AIM_LIFE_MS;
    else if (records - member.firstRecord >= member.lifeOperations || records === RECORDS)
      member.killMs = nowMs;
  }

  /** All at once; then some that die while they recover, alone. */
  async #killAll(): Promise<void> {
    const { aims, next } = this.#plan;
    const all = this.#running();
    for (const member of all) kill(member);
    await Promise.all(all.map(({ exited }) => exited));
    for (let i = aims === undefined ? 0 : next(CHAIN_MAX + 1); i > 0; i--) {
      const member = this.#start(0, RECOVERY_AIM);
      while (!member.isEnded && this.#hangs.length === 0) {
        await pause(LOOK_MS);
        // There was nothing to recover.
        if (this.#area.beats(0) > 0) kill(member);
        this.#due();
      }
    }
  }

  /** Everybody works for a moment, so that what the last kills left is recovered, and stops by itself. */
  async #end(): Promise<void> {
    if (this.#hangs.length + this.#failures.length > 0) return;
    for (const [place, member] of this.#members.entries()) {
      if (member === undefined) this.#start(place, undefined);
    }
    const isWorking = () => this.#running().every(({ lanes }) => this.#area.beats(lanes[0]!) > 0);
    while (!isWorking() && this.#hangs.length + this.#failures.length === 0) {
      await pause(LOOK_MS);
      this.#due();
      for (const [place, member] of this.#members.entries()) {
        if (member === undefined) this.#start(place, undefined);
      }
    }
    await pause(LAST_WORK_MS);
    this.#area.stop();
    const patience = setTimeout(() => {
      this.#hangs.push('a process does not stop');
      for (const member of this.#running()) kill(member);
    }, HANG_MS);
    await Promise.all(this.#running().map(({ exited }) => exited));
    clearTimeout(patience);
  }
}

function kill(member: Member): void {
  member.isKilled = true;
  member.child.kill('SIGKILL');
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
