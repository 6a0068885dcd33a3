// Structured replies to reads and to errors. What each chunk may hold is checked whenever one is read
// (client/answer-rules.ts); here they are made to come.
import type { Call, Transmission } from '../client/transmission.ts';
import {
  Command,
  CommandFlag,
  Errno,
  ExportFlag,
  Option,
  Reply,
  UNFRAGMENTED_BYTES_MIN,
  UNKNOWN_COMMAND,
  UNKNOWN_COMMAND_FLAG,
} from '../protocol/numbers.ts';
import { area, type Finding, failed, must, need, passed, should, verdict } from '../suite/check.ts';
import type { Trial } from '../suite/trial.ts';
import { answeredWith, describeError, expectReply } from './expect.ts';

const MESSAGE = 'Structured reply chunk message';
const READ = 'NBD_CMD_READ';
const DF = 'Command flags';

/** What a large read asks for, in bytes: enough that a server may be tempted to split it. */
const LARGE_BYTES = 1024 * 1024;
const SECTOR_BYTES = 512;

async function open(trial: Trial): Promise<Transmission> {
  need(trial.facts.structured, 'no structured replies');
  return trial.open({ structured: true });
}

/** As many bytes from the start of the export as it has, at most `bytesMax`; within the server's constraints. */
function readBytes(trial: Trial, bytesMax: number): number {
  const payloadMax = trial.facts.blockSizes?.payloadMax ?? bytesMax;
  const bytes = Math.min(Number(trial.end), bytesMax, payloadMax);
  return bytes - (bytes % Math.max(1, trial.minimumBytes));
}

async function errorChunk(trial: Trial, call: Call): Promise<Finding> {
  const transmission = await open(trial);
  const answer = await transmission.call(call);
  if (answer.error === 0) return failed('replied success');
  return verdict(
    !answer.simple,
    `${answer.simple ? 'a simple reply' : 'an error chunk'}: ${describeError(answer)}`,
  );
}

export const structured = area('structured', {
  'with-data': should(
    'NBD_OPT_STRUCTURED_REPLY',
    'answers STRUCTURED_REPLY with data ERR_INVALID',
    async (trial) => {
      need(trial.facts.structured, 'no structured replies');
      const answer = await (await trial.greet()).option(Option.STRUCTURED_REPLY, Buffer.from('please'));
      return answeredWith(answer, Reply.ERR_INVALID);
    },
  ),
  read: must(READ, 'replies to READ with chunks that cover it once', async (trial) => {
    const { chunks } = await (await open(trial)).read(0n, trial.blockBytes);
    return passed(`${chunks.length} chunks`);
  }),
  'large-read': must(READ, 'covers a large READ once', async (trial) => {
    const bytes = readBytes(trial, LARGE_BYTES);
    const { chunks, error } = await (await open(trial)).read(0n, bytes);
    return verdict(error === 0, `${bytes} bytes in ${chunks.length} chunks`);
  }),
  'same-bytes': must(READ, 'reads the same as with simple replies', async (trial) => {
    const bytes = readBytes(trial, LARGE_BYTES);
    const simple = await (await trial.open()).read(0n, bytes);
    const chunked = await (await open(trial)).read(0n, bytes);
    return verdict(simple.data.equals(chunked.data), `${bytes} bytes`);
  }),
  sectors: should(READ, 'cuts chunks at multiples of 512 bytes', async (trial) => {
    const { contents } = await (await open(trial)).read(
      0n,
      readBytes(trial, LARGE_BYTES) & ~(SECTOR_BYTES - 1),
    );
    const ragged = contents.find(({ length }) => length % SECTOR_BYTES !== 0);
    return verdict(
      ragged === undefined,
      ragged === undefined ? `${contents.length} chunks` : `${ragged.length} bytes`,
    );
  }),
  'failed-read': must(MESSAGE, 'replies with chunks to a READ that fails', async (trial) => {
    const call = { type: Command.READ, length: BigInt(trial.blockBytes), flags: UNKNOWN_COMMAND_FLAG };
    const transmission = await open(trial);
    const answer = await transmission.call(call);
    need(answer.error !== 0, 'the READ with an unknown flag does not fail');
    await trial.expectAlive(transmission);
    return passed(`${answer.chunks.length} chunks, ${describeError(answer)}`);
  }),
  'error-chunk': should(MESSAGE, 'tells errors of other commands by a chunk', (trial) =>
    errorChunk(trial, { type: UNKNOWN_COMMAND }),
  ),
  df: must(DF, 'sends a READ of 64 KiB with DF in one content chunk', async (trial) => {
    const transmission = await open(trial);
    need((transmission.flags & ExportFlag.SEND_DF) !== 0, 'SEND_DF is not advertised');
    const bytes = readBytes(trial, UNFRAGMENTED_BYTES_MIN);
    const answer = await transmission.read(0n, bytes, CommandFlag.DF);
    return verdict(answer.error === 0, `${bytes} bytes: ${describeError(answer)}`);
  }),
  'df-large': must(
    READ,
    'sends a large READ with DF in one content chunk, or fails without any',
    async (trial) => {
      const transmission = await open(trial);
      need((transmission.flags & ExportFlag.SEND_DF) !== 0, 'SEND_DF is not advertised');
      const bytes = readBytes(trial, LARGE_BYTES);
      const answer = await transmission.read(0n, bytes, CommandFlag.DF);
      const right = answer.error === 0 || answer.contents.length === 0;
      return verdict(right, `${bytes} bytes: ${describeError(answer)}`);
    },
  ),
  'df-not-advertised': should(
    'Error values',
    'replies EINVAL to DF when it is not advertised',
    async (trial) => {
      const transmission = await open(trial);
      need((transmission.flags & ExportFlag.SEND_DF) === 0, 'SEND_DF is advertised');
      const call = { type: Command.READ, length: BigInt(trial.blockBytes), flags: CommandFlag.DF };
      return expectReply(trial, transmission, call, Errno.EINVAL);
    },
  ),
});
