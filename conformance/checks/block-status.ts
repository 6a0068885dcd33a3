// BLOCK_STATUS with base:allocation. The rules for each chunk are in client/answer-rules.ts.
import type { Answer } from '../client/answer-rules.ts';
import type { Transmission } from '../client/transmission.ts';
import type { ExtentStatus } from '../protocol/answers.ts';
import { ALLOCATION, Command, CommandFlag, Errno, EXTENTS_MAX, Extent } from '../protocol/numbers.ts';
import { Violation } from '../protocol/violation.ts';
import { area, failed, implied, must, need, passed, should, verdict } from '../suite/check.ts';
import type { Trial } from '../suite/trial.ts';
import { describeError, expectAnswer, expectReply } from './expect.ts';

const CHUNK = 'NBD_REPLY_TYPE_BLOCK_STATUS';
const COMMAND = 'NBD_CMD_BLOCK_STATUS';
const ALLOCATED = 'base:allocation metadata context';

/** Requests that walk along the export, at most. */
const STEPS_MAX = 64;
/** Largest range that is asked for at once; a multiple of every block size. */
const RANGE_BYTES_MAX = 2n ** 30n;
/** Bytes that are read to compare them with their status, at most. */
const COMPARED_BYTES_MAX = 16 * 1024 * 1024;
const COMPARED_CHUNK_BYTES = 1024 * 1024;
const SECTOR_BYTES = 512n;

interface Walk {
  readonly extents: readonly (ExtentStatus & { readonly offset: bigint })[];
  readonly transmission: Transmission;
}

async function open(trial: Trial, contexts: readonly string[] = [ALLOCATION]): Promise<Transmission> {
  need(trial.facts.structured, 'no structured replies');
  need(trial.facts.contexts.includes(ALLOCATION), `the server has no ${ALLOCATION}`);
  return trial.open({ structured: true, contexts });
}

async function status(
  transmission: Transmission,
  offset: bigint,
  length: bigint,
  flags = 0,
): Promise<Answer> {
  return transmission.call({ type: Command.BLOCK_STATUS, offset, length, flags });
}

/** The extents from the start of the export on, from as many requests as are allowed. */
async function walk(trial: Trial): Promise<Walk> {
  const transmission = await open(trial);
  const extents: (ExtentStatus & { offset: bigint })[] = [];
  let offset = 0n;
  for (let step = 0; step < STEPS_MAX && offset < trial.end; step++) {
    const left = trial.end - offset;
    const answer = await status(transmission, offset, left < RANGE_BYTES_MAX ? left : RANGE_BYTES_MAX);
    if (answer.error !== 0) throw new Violation(`status at ${offset}: ${describeError(answer)}`);
    for (const extent of answer.statuses[0].extents) {
      extents.push({ ...extent, offset });
      offset += extent.length;
    }
  }
  need(extents.length > 0, 'the export is empty');
  return { extents, transmission };
}

function seen({ extents }: Walk): string {
  const zero = extents.filter(({ flags }) => (flags & BigInt(Extent.ZERO)) !== 0n).length;
  return `${extents.length} extents, ${zero} of them zero`;
}

export const blockStatus = area('block-status', {
  extents: must(CHUNK, 'tells consecutive extents, one list for each context', async (trial) => {
    const walked = await walk(trial);
    return passed(seen(walked));
  }),
  'all-contexts': must(CHUNK, 'tells of each selected context once', async (trial) => {
    const transmission = await open(trial, trial.facts.contexts);
    need(transmission.contexts.length > 1, 'there is one context only');
    const answer = await status(transmission, 0n, BigInt(trial.blockBytes));
    return verdict(answer.error === 0, `${answer.statuses.length} contexts: ${describeError(answer)}`);
  }),
  'one-extent': must(CHUNK, 'tells one extent, within the range, when asked for one', async (trial) => {
    const transmission = await open(trial);
    const answer = await status(transmission, 0n, BigInt(trial.blockBytes), CommandFlag.REQ_ONE);
    if (answer.error !== 0) return failed(describeError(answer));
    return passed(`${answer.statuses[0].extents[0].length} bytes of ${trial.blockBytes}`);
  }),
  'zeroes-are-zero': must(ALLOCATED, 'reads zeroes where it says that there are zeroes', async (trial) => {
    const { extents, transmission } = await walk(trial);
    const zero = extents.filter(({ flags }) => (flags & BigInt(Extent.ZERO)) !== 0n);
    need(zero.length > 0, 'no extent is said to be zero');
    let compared = 0;
    for (const { offset, length } of zero) {
      const bytes = Math.min(Number(length), COMPARED_CHUNK_BYTES, Number(trial.end - offset));
      if (compared + bytes > COMPARED_BYTES_MAX) break;
      const { data, error } = await transmission.read(offset, bytes);
      if (error !== 0) return failed(`READ of ${bytes} bytes at ${offset} fails`);
      const at = data.findIndex((byte) => byte !== 0);
      if (at !== -1) return failed(`byte ${offset + BigInt(at)} is ${data[at]}`);
      compared += bytes;
    }
    return passed(`${compared} bytes compared`);
  }),
  'known-flags': should(ALLOCATED, 'sets no flag but HOLE and ZERO', async (trial) => {
    const walked = await walk(trial);
    const strange = walked.extents.find(({ flags }) => flags >= 4n);
    return verdict(strange === undefined, strange === undefined ? seen(walked) : `flags ${strange.flags}`);
  }),
  'merged-extents': should(COMMAND, 'joins neighbours of the same status', async (trial) => {
    const transmission = await open(trial);
    const { statuses, error } = await status(
      transmission,
      0n,
      trial.end < RANGE_BYTES_MAX ? trial.end : RANGE_BYTES_MAX,
    );
    need(error === 0, 'the status cannot be had');
    const { extents } = statuses[0];
    const split = extents.findIndex(({ flags }, i) => i > 0 && flags === extents[i - 1].flags);
    return verdict(
      split === -1,
      split === -1 ? `${extents.length} extents` : `extents ${split - 1} and ${split} are alike`,
    );
  }),
  sectors: should(COMMAND, 'cuts extents at multiples of 512 bytes and of the block size', async (trial) => {
    const { extents } = await walk(trial);
    const minimum = BigInt(trial.minimumBytes);
    const unit = minimum > SECTOR_BYTES ? minimum : SECTOR_BYTES;
    const ragged = extents.slice(0, -1).find(({ length }) => length % unit !== 0n);
    return verdict(
      ragged === undefined,
      ragged === undefined ? `${extents.length} extents` : `${ragged.length} bytes`,
    );
  }),
  'not-too-many': should(CHUNK, 'tells at most 2^20 extents in a chunk', async (trial) => {
    const { statuses } = await status(
      await open(trial),
      0n,
      trial.end < RANGE_BYTES_MAX ? trial.end : RANGE_BYTES_MAX,
    );
    const counts = statuses.map(({ extents }) => extents.length);
    return verdict(
      counts.every((count) => count <= EXTENTS_MAX),
      `${counts.join(', ')} extents`,
    );
  }),
  'inside-export': implied(
    COMMAND,
    'tells nothing of what lies past the end of the export',
    async (trial) => {
      const bytes = BigInt(trial.blockBytes);
      const answer = await status(await open(trial), trial.end - bytes, bytes);
      if (answer.error !== 0) return failed(describeError(answer));
      const told = answer.statuses[0].extents.reduce((sum, { length }) => sum + length, 0n);
      const there = trial.facts.size - trial.end + bytes;
      return verdict(told <= there, `${told} of the last ${there} bytes`);
    },
  ),
  'past-end': should(COMMAND, 'replies EINVAL to a range past the end', async (trial) => {
    const call = { type: Command.BLOCK_STATUS, offset: trial.end, length: BigInt(trial.blockBytes) };
    return expectReply(trial, await open(trial), call, Errno.EINVAL);
  }),
  nothing: should(COMMAND, 'does not hang up on a range of length 0', async (trial) =>
    expectAnswer(trial, await open(trial), { type: Command.BLOCK_STATUS }),
  ),
});
