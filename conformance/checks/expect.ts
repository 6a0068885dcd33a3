// Findings that many checks come to in the same way.
import type { Answer } from '../client/answer-rules.ts';
import { describeAnswer, type OptionAnswer } from '../client/handshake.ts';
import type { Call, Transmission } from '../client/transmission.ts';
import { ExportFlag, errnoName } from '../protocol/numbers.ts';
import { type Finding, need, verdict } from '../suite/check.ts';
import type { Trial } from '../suite/trial.ts';

/** The last reply to an option is one of `types`. */
export function answeredWith(answer: OptionAnswer, ...types: readonly number[]): Finding {
  return verdict(types.includes(answer.final), `answered ${describeAnswer(answer)}`);
}

export function describeError({ error, message }: Answer): string {
  return message === '' ? errnoName(error) : `${errnoName(error)} (${message})`;
}

/** The reply to a request tells one of `errors`; 0 stands for success. */
export function repliedWith(answer: Answer, ...errors: readonly number[]): Finding {
  return verdict(errors.includes(answer.error), `replied ${describeError(answer)}`);
}

/** A request that must be replied to with one of `errors`, and after which the connection goes on. */
export async function expectReply(
  trial: Trial,
  transmission: Transmission,
  call: Call,
  ...errors: readonly number[]
): Promise<Finding> {
  const answer = await transmission.call(call);
  await trial.expectAlive(transmission);
  return repliedWith(answer, ...errors);
}

/** A request that may be replied to with anything, as long as the connection goes on. */
export async function expectAnswer(trial: Trial, transmission: Transmission, call: Call): Promise<Finding> {
  const answer = await transmission.call(call);
  await trial.expectAlive(transmission);
  return verdict(true, `replied ${describeError(answer)}`);
}

export function needWritable(trial: Trial): void {
  need((trial.facts.flags & ExportFlag.READ_ONLY) === 0, 'the export is read-only');
}

/** Bytes that differ from place to place and from seed to seed, none of them 0. */
export function pattern(bytes: number, seed: number): Buffer {
  return Buffer.from(
    Uint8Array.from({ length: bytes }, (_, i) => 1 + ((i * 31 + (i >> 8) * 7 + seed * 67) % 255)),
  );
}

/** Where two buffers differ first, in words; undefined when they are the same. */
export function difference(expected: Uint8Array, found: Uint8Array): string | undefined {
  const at = expected.findIndex((byte, i) => byte !== found[i]);
  return at === -1 ? undefined : `byte ${at} is ${found[at]} instead of ${expected[at]}`;
}

export function sameBytes(expected: Uint8Array, found: Uint8Array, seen: string): Finding {
  const wrong = difference(expected, found);
  return verdict(wrong === undefined, wrong ?? seen);
}
