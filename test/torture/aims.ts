// What the aimed kills are aimed at: a process ends itself before an access to the store's memory, somewhere inside
// one of these calls. Kills at random moments hardly ever meet the short ones.

export interface Aim {
  readonly name: string;
  /** Exports of the arena's code. */
  readonly calls: readonly string[];
  /** What the arena asks of the host: it is hit around this, too. */
  readonly hostCalls?: readonly string[];
  /** So many such calls may pass first; those that come once in a life are hit at once. */
  readonly passing: number;
  /** How often it is chosen, relative to the others. */
  readonly weight: number;
  /** It is met when the process leaves the store, which it does by itself then. */
  readonly leaves?: boolean;
}

export const AIMS: readonly Aim[] = [
  {
    name: 'operation',
    calls: ['pagePut', 'pageGet', 'pageFlush', 'objectFlush', 'pageExchange', 'pageWriteAt', 'emptyPool'],
    passing: 300,
    weight: 6,
  },
  { name: 'pool', calls: ['openPool', 'removePool', 'openClient', 'drainSteps'], passing: 3, weight: 3 },
  { name: 'shrink', calls: ['shrinkBy'], passing: 2, weight: 1 },
  { name: 'giveBack', calls: ['giveBack'], hostCalls: ['tmemUnback'], passing: 2, weight: 2 },
  { name: 'backing', calls: [], hostCalls: ['tmemBack'], passing: 2, weight: 2 },
  { name: 'recovery', calls: ['recoverNow'], passing: 0, weight: 4 },
  { name: 'attach', calls: ['slotTake'], passing: 0, weight: 2 },
  { name: 'bury', calls: ['slotBury'], hostCalls: ['tmemIsDead'], passing: 1, weight: 2 },
  { name: 'release', calls: ['slotRelease'], passing: 0, weight: 1, leaves: true },
];

/** Which aim comes next: each of them once, then as often as their weights say; one that was not met comes again. */
export class AimBag {
  readonly #next: (below: number) => number;
  readonly #waiting: number[] = AIMS.map((_, aim) => aim);

  constructor(next: (below: number) => number) {
    this.#next = next;
  }

  draw(): number {
    if (this.#waiting.length === 0) {
      for (const [aim, { weight }] of AIMS.entries()) {
        for (let i = 0; i < weight; i++) this.#waiting.push(aim);
      }
    }
    return this.#waiting.splice(this.#next(this.#waiting.length), 1)[0]!;
  }

  /** The process of this aim ended without meeting it. */
  missed(aim: number): void {
    this.#waiting.push(aim);
  }
}
