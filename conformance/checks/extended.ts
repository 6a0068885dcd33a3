// Extended headers: an extension of the protocol that has its own document; QEMU and libnbd speak it.
import { describeAnswer } from '../client/handshake.ts';
import type { Transmission } from '../client/transmission.ts';
import { u32, u64 } from '../protocol/messages.ts';
import {
  ALLOCATION,
  Command,
  Errno,
  ExportFlag,
  Option,
  Reply,
  UNKNOWN_COMMAND,
} from '../protocol/numbers.ts';
import { area, failed, implied, must, need, passed, should, verdict } from '../suite/check.ts';
import type { Trial } from '../suite/trial.ts';
import { answeredWith, describeError, expectReply, repliedWith } from './expect.ts';

const OPTION = 'EXTENDED_HEADERS: NBD_OPT_EXTENDED_HEADERS';
const REPLY = 'EXTENDED_HEADERS: extended reply chunk message';
const REQUEST = 'EXTENDED_HEADERS: request message';
const STATUS = 'EXTENDED_HEADERS: NBD_CMD_BLOCK_STATUS';

async function open(trial: Trial, contexts?: readonly string[]): Promise<Transmission> {
  need(trial.facts.extended, 'no extended headers');
  return trial.open({ extended: true, contexts });
}

async function openForStatus(trial: Trial): Promise<Transmission> {
  need(trial.facts.contexts.includes(ALLOCATION), `the server has no ${ALLOCATION}`);
  return open(trial, [ALLOCATION]);
}

/** The payload of a request for the status of some contexts. */
function chosen(length: number, ids: readonly number[]): Buffer {
  return Buffer.concat([u64(BigInt(length)), ...ids.map((id) => u32(id))]);
}

export const extended = area('extended', {
  'with-data': should(OPTION, 'answers EXTENDED_HEADERS with data ERR_INVALID', async (trial) => {
    need(trial.facts.extended, 'no extended headers');
    const answer = await (await trial.greet()).option(Option.EXTENDED_HEADERS, Buffer.from('please'));
    return answeredWith(answer, Reply.ERR_INVALID);
  }),
  'structured-later': implied(
    OPTION,
    'answers STRUCTURED_REPLY afterwards ERR_EXT_HEADER_REQD',
    async (trial) => {
      need(trial.facts.extended, 'no extended headers');
      const handshake = await trial.greet();
      await handshake.extended();
      return answeredWith(await handshake.option(Option.STRUCTURED_REPLY), Reply.ERR_EXT_HEADER_REQD);
    },
  ),
  go: must(OPTION, 'opens the export by GO', async (trial) => {
    need(trial.facts.extended, 'no extended headers');
    const handshake = await trial.greet();
    await handshake.extended();
    const answer = await handshake.go(trial.exportName);
    return verdict(answer.final === Reply.ACK, describeAnswer(answer));
  }),
  'go-without': should(
    'EXTENDED_HEADERS: Maximum interoperability',
    'serves clients without them',
    async (trial) => {
      need(trial.facts.extended, 'no extended headers');
      return answeredWith(await (await trial.greet()).go(trial.exportName), Reply.ACK);
    },
  ),
  read: must(REPLY, 'replies to READ with extended chunks, with its offset', async (trial) => {
    const transmission = await open(trial);
    const bytes = trial.blockBytes;
    const offset = trial.end >= BigInt(2 * bytes) ? BigInt(bytes) : 0n;
    const { chunks, error } = await transmission.read(offset, bytes);
    return verdict(error === 0, `${chunks.length} chunks`);
  }),
  error: must(REPLY, 'replies to an unknown command with an extended chunk', async (trial) => {
    const transmission = await open(trial);
    const answer = await transmission.call({ type: UNKNOWN_COMMAND, offset: 0x1_0000_0001n });
    await trial.expectAlive(transmission);
    return passed(describeError(answer));
  }),
  flush: must(REPLY, 'replies to FLUSH with an extended chunk', async (trial) => {
    const transmission = await open(trial);
    trial.needFlag(ExportFlag.SEND_FLUSH, 'SEND_FLUSH');
    return repliedWith(await transmission.call({ type: Command.FLUSH }), Errno.NONE);
  }),
  'unexpected-payload': should(REQUEST, 'reads past a payload that it does not expect', async (trial) => {
    const call = { type: Command.READ, payload: Buffer.alloc(trial.blockBytes, 0x49) };
    return expectReply(trial, await open(trial), call, Errno.EINVAL);
  }),
  'long-range': should(
    STATUS,
    'replies EINVAL to a range of more than 2^32 bytes past the end',
    async (trial) => {
      const transmission = await openForStatus(trial);
      need(trial.facts.size < 2n ** 33n, 'the export is as large as that');
      const call = { type: Command.BLOCK_STATUS, length: 2n ** 33n };
      return expectReply(trial, transmission, call, Errno.EINVAL);
    },
  ),
  status: must(STATUS, 'tells the status in BLOCK_STATUS_EXT, its upper 32 bits 0', async (trial) => {
    const transmission = await openForStatus(trial);
    const answer = await transmission.call({ type: Command.BLOCK_STATUS, length: trial.end });
    if (answer.error !== 0) return failed(describeError(answer));
    const extents = answer.statuses.flatMap((status) => status.extents);
    return verdict(
      extents.every(({ flags }) => flags < 2n ** 32n),
      `${extents.length} extents`,
    );
  }),
  'chosen-contexts': must(STATUS, 'tells only the contexts that a payload names', async (trial) => {
    const transmission = await openForStatus(trial);
    need(
      (transmission.flags & ExportFlag.BLOCK_STATUS_PAYLOAD) !== 0,
      'BLOCK_STATUS_PAYLOAD is not advertised',
    );
    const payload = chosen(
      trial.blockBytes,
      transmission.contexts.map(({ id }) => id),
    );
    return expectReply(trial, transmission, { type: Command.BLOCK_STATUS, payload }, Errno.NONE);
  }),
  'unknown-context': must(
    STATUS,
    'replies EINVAL to a payload that names an unknown context',
    async (trial) => {
      const transmission = await openForStatus(trial);
      const unknown = Math.max(...transmission.contexts.map(({ id }) => id)) + 1;
      const payload = chosen(trial.blockBytes, [unknown % 2 ** 32]);
      return expectReply(trial, transmission, { type: Command.BLOCK_STATUS, payload }, Errno.EINVAL);
    },
  ),
});
