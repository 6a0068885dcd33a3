// What the torture runs have in common on the command line: how long they go on, their seed, and how they are ended.

/** @throws Error that names the option */
export function whole(name: string, text: string, most: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw new Error(`--${name}: got '${text}', allowed is a whole number from 1 to ${most}`);
}

export const BOUND_OPTIONS = {
  seconds: { type: 'string' },
  kills: { type: 'string' },
  seed: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
} as const;

/** When a run ends, and where it begins; a minute when nothing is said. `signal`: Ctrl-C and SIGTERM. */
export function boundsOf(given: { seconds?: string; kills?: string; seed: string }) {
  const { kills, seconds = kills === undefined ? '60' : undefined, seed } = given;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
  return {
    seconds: seconds === undefined ? Number.POSITIVE_INFINITY : whole('seconds', seconds, 1_000_000),
    kills: kills === undefined ? Number.POSITIVE_INFINITY : whole('kills', kills, 100_000_000),
    seed: whole('seed', seed, 2 ** 31),
    signal: stop.signal,
  };
}
