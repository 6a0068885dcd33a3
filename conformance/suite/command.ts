// The command line: options in, exit status out.
import { parseArgs } from 'node:util';
import { checks as allChecks } from '../checks/index.ts';
import { Unreachable } from '../protocol/violation.ts';
import type { Check } from './check.ts';
import { NothingToCheck } from './facts.ts';
import { conforms, jsonOf, listOf, tableOf } from './report.ts';
import { runChecks } from './runner.ts';
import { parseTarget, TargetError } from './target.ts';
import type { Region } from './trial.ts';

export const EXIT_CONFORMS = 0;
export const EXIT_VIOLATES = 1;
/** Nothing was found out: wrong usage, no server, no such export. */
export const EXIT_NO_RUN = 2;

const USAGE = `Usage: nbd-conformance [options] URI

Checks an NBD server against the MUSTs and SHOULDs of the protocol. Reads only, unless --write is given.

  URI  nbd://host:port/export, nbd+unix:///export?socket=path, or nbds… for TLS,
       with ?tls-certificates=DIR (ca-cert.pem, client-cert.pem, client-key.pem), &tls-hostname=NAME,
       &tls-verify-peer=0

  --write OFFSET:LENGTH  also check what writes, in this part of the export; ITS CONTENTS ARE LOST.
                         Bytes, or K, M, G; 33M at its end let all checks run
  --only TEXT            only checks whose name begins with this, such as options or writes/fua; may be repeated
  --patience MS          how long an answer is waited for (3000)
  --json                 one JSON object instead of the table
  --list                 the checks, without a server
  --help

Exit status: 0 all MUSTs that apply hold, 1 some do not, 2 nothing could be checked.
`;

const PATIENCE_MS = 3000;
const PATIENCE_MS_MAX = 600_000;

/** Wrong usage; the message is for people. */
class UsageError extends Error {}

export interface Output {
  readonly write: (text: string) => void;
  readonly complain: (text: string) => void;
}

/** @returns the exit status */
export async function command(args: readonly string[], output: Output): Promise<number> {
  try {
    return await run(args, output);
  } catch (error) {
    const known = [UsageError, TargetError, NothingToCheck, Unreachable];
    if (!known.some((kind) => error instanceof kind)) throw error;
    output.complain(`nbd-conformance: ${(error as Error).message}\n`);
    return EXIT_NO_RUN;
  }
}

async function run(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parse(args);
  if (values.help) {
    output.write(USAGE);
    return EXIT_CONFORMS;
  }
  const checks = selected(values.only ?? []);
  if (values.list) {
    output.write(listOf(checks));
    return EXIT_CONFORMS;
  }
  if (positionals.length !== 1) throw new UsageError('give the URI of one server; --help tells more');
  const target = parseTarget(positionals[0]);
  const region = values.write === undefined ? undefined : parseRegion(values.write);
  const done = await runChecks({ target, checks, region, patienceMs: parsePatience(values.patience) });
  output.write(values.json ? `${jsonOf(done)}\n` : tableOf(done));
  return conforms(done) ? EXIT_CONFORMS : EXIT_VIOLATES;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        write: { type: 'string' },
        only: { type: 'string', multiple: true },
        patience: { type: 'string' },
        json: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function selected(prefixes: readonly string[]): readonly Check[] {
  for (const prefix of prefixes) {
    if (allChecks.some(({ id }) => id.startsWith(prefix))) continue;
    throw new UsageError(`no check's name begins with '${prefix}'; --list shows them`);
  }
  if (prefixes.length === 0) return allChecks;
  return allChecks.filter(({ id }) => prefixes.some((prefix) => id.startsWith(prefix)));
}

const UNIT_BYTES: Record<string, bigint> = { '': 1n, K: 1n << 10n, M: 1n << 20n, G: 1n << 30n };

function parseRegion(text: string): Region {
  const found = /^(\d{1,18})([KMG]?):(\d{1,18})([KMG]?)$/.exec(text);
  if (found === null) throw new UsageError(`--write must be OFFSET:LENGTH such as 0:1M, not '${text}'`);
  const [, offset, offsetUnit, length, lengthUnit] = found;
  const region = {
    offset: BigInt(offset) * UNIT_BYTES[offsetUnit],
    length: BigInt(length) * UNIT_BYTES[lengthUnit],
  };
  if (region.length === 0n) throw new UsageError('the region to write must not be empty');
  return region;
}

function parsePatience(text: string | undefined): number {
  const ms = text === undefined ? PATIENCE_MS : Number(text);
  if (Number.isInteger(ms) && ms >= 1 && ms <= PATIENCE_MS_MAX) return ms;
  throw new UsageError(`--patience must be a whole number of milliseconds from 1 to ${PATIENCE_MS_MAX}`);
}
