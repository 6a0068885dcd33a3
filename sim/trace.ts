/**
 * What happened, as one number: two runs that did the same have the same hash. Everything that happens goes in with its
 * time; what people may want to read is told in words, too, if somebody listens.
 */

const HASH_SEED_LOW = 0xdead_beef;
const HASH_SEED_HIGH = 0x41c6_ce57;
/** Odd multipliers of two lanes of 32 bits each. */
const LANE_LOW = 2_654_435_761;
const LANE_HIGH = 1_597_334_677;

export class Trace {
  readonly #print: ((line: string) => void) | undefined;
  readonly #time = new Float64Array(1);
  readonly #timeWords = new Uint32Array(this.#time.buffer);
  #low = HASH_SEED_LOW;
  #high = HASH_SEED_HIGH;
  #now: () => number = () => 0;

  /** @param print - is given a line for everything that is told */
  constructor(print?: (line: string) => void) {
    this.#print = print;
  }

  /** Whose time it is. */
  follow(clock: { now(): number }): void {
    this.#now = () => clock.now();
  }

  /** Four numbers of which the low 32 bits count. */
  mix(a: number, b = 0, c = 0, d = 0): void {
    this.#time[0] = this.#now();
    this.#word(this.#timeWords[0] as number);
    this.#word(this.#timeWords[1] as number);
    this.#word(a);
    this.#word(b);
    this.#word(c);
    this.#word(d);
  }

  /** A line: who, and what happened. `words` is called only if somebody reads it. */
  tell(who: string, words: () => string): void {
    this.mix(who.length, who.charCodeAt(who.length - 1));
    this.#print?.(`${this.#now().toFixed(3).padStart(11)} ${who.padEnd(8)} ${words()}`);
  }

  /** 16 hexadecimal digits. */
  get hash(): string {
    return [this.#high, this.#low].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('');
  }

  #word(word: number): void {
    this.#low = Math.imul(this.#low ^ word, LANE_LOW);
    this.#low ^= this.#low >>> 15;
    this.#high = Math.imul(this.#high ^ word, LANE_HIGH);
    this.#high ^= this.#high >>> 13;
  }
}
