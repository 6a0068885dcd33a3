// Choosing an export: INFO, GO, EXPORT_NAME, and names that do not fit.
import { describeAnswer, type InfoAnswer } from '../client/handshake.ts';
import { infoData, optionMessage } from '../protocol/messages.ts';
import {
  ClientFlag,
  EXPORT_NAME_PADDING_BYTES,
  Info,
  Option,
  PAYLOAD_BYTES_USUAL,
  Reply,
  STRING_BYTES_MAX,
  UNKNOWN_INFO,
} from '../protocol/numbers.ts';
import { Closed } from '../protocol/violation.ts';
import { area, type Finding, failed, implied, must, need, passed, should, verdict } from '../suite/check.ts';
import { NO_SUCH_EXPORT, offersNoZeroes } from '../suite/facts.ts';
import type { Trial } from '../suite/trial.ts';
import { answeredWith } from './expect.ts';

const ALL_REQUESTS = [Info.NAME, Info.DESCRIPTION, Info.BLOCK_SIZE];

/** Everything told, in an order that does not depend on the server's. */
function told({ final, replies }: InfoAnswer): string {
  return [final, ...replies.map((reply) => reply.toString('hex')).sort()].join(' ');
}

function seenInfo({ info }: InfoAnswer): string {
  return `${info.size} bytes, flags 0x${info.flags?.toString(16)}, information types ${info.types.join(', ')}`;
}

/** A message that must not open the export: an error is right, and hanging up is allowed. */
async function expectRefused(trial: Trial, data: Buffer): Promise<Finding> {
  const handshake = await trial.greet();
  try {
    const answer = await handshake.option(Option.INFO, data);
    return verdict(answer.final !== Reply.ACK, `answered ${describeAnswer(answer)}`);
  } catch (error) {
    if (error instanceof Closed) return passed('closed the connection');
    throw error;
  }
}

/** Size and flags as EXPORT_NAME tells them, without the flag that depends on other options. */
async function exportName(trial: Trial, clientFlags?: number) {
  need(!trial.target.secure || clientFlags === undefined, 'the URI asks for TLS');
  const opened = await (await trial.greet(clientFlags)).exportName(trial.exportName);
  await trial.expectAlive(opened.transmission);
  return opened;
}

const INFO_GO = 'NBD_OPT_INFO and NBD_OPT_GO';

export const opening = area('opening', {
  info: must('Baseline', 'answers INFO with INFO_EXPORT and ACK', async (trial) => {
    const answer = await (await trial.greet()).info(trial.exportName, [Info.BLOCK_SIZE]);
    if (answer.final !== Reply.ACK) return answeredWith(answer, Reply.ACK);
    return verdict(answer.info.types.includes(Info.EXPORT), seenInfo(answer));
  }),
  'info-stays': must(INFO_GO, 'stays in the handshake after INFO', async (trial) => {
    const handshake = await trial.greet();
    await handshake.info(trial.exportName);
    return answeredWith(await handshake.option(Option.ABORT), Reply.ACK);
  }),
  'unknown-request': must(INFO_GO, 'ignores an information request it does not know', async (trial) => {
    const requests = [UNKNOWN_INFO, Info.BLOCK_SIZE];
    return answeredWith(await (await trial.greet()).info(trial.exportName, requests), Reply.ACK);
  }),
  'info-once': should('NBD_REP_INFO', 'tells each type of information once', async (trial) => {
    const answer = await (await trial.greet()).info(trial.exportName, ALL_REQUESTS);
    const { types } = answer.info;
    return verdict(new Set(types).size === types.length, seenInfo(answer));
  }),
  go: must('Baseline', 'answers GO with INFO_EXPORT and ACK, and serves requests', async (trial) => {
    const answer = await (await trial.greet()).go(trial.exportName);
    if (answer.transmission === undefined) return answeredWith(answer, Reply.ACK);
    await trial.expectAlive(answer.transmission);
    return passed(seenInfo(answer));
  }),
  'go-like-info': must(INFO_GO, 'tells in GO what it told in INFO just before', async (trial) => {
    const handshake = await trial.greet();
    const info = await handshake.info(trial.exportName, ALL_REQUESTS);
    need(info.final === Reply.ACK, `INFO is answered ${describeAnswer(info)}`);
    const go = await handshake.go(trial.exportName, ALL_REQUESTS);
    return verdict(told(info) === told(go), `INFO: ${seenInfo(info)}; GO: ${seenInfo(go)}`);
  }),
  'go-no-padding': must(INFO_GO, 'sends no zeroes after GO', async (trial) => {
    const handshake = await trial.greet(trial.target.secure ? undefined : ClientFlag.FIXED_NEWSTYLE);
    const { transmission } = await handshake.go(trial.exportName);
    need(transmission !== undefined, 'GO does not open the export');
    await trial.expectAlive(transmission);
    return passed('a reply follows at once');
  }),
  'go-without-sizes': should(
    'Size constraints',
    'serves clients that do not ask for block sizes',
    async (trial) => {
      const answer = await (await trial.greet()).go(trial.exportName, []);
      if (answer.final !== Reply.ERR_BLOCK_SIZE_REQD) return answeredWith(answer, Reply.ACK);
      const { blockSizes } = trial.facts;
      const usual = (blockSizes?.minimum ?? 1) === 1 && (blockSizes?.payloadMax ?? 0) >= PAYLOAD_BYTES_USUAL;
      if (usual) return failed('ERR_BLOCK_SIZE_REQD with block sizes as they are by default');
      return verdict(
        answer.info.blockSizes !== undefined,
        'ERR_BLOCK_SIZE_REQD, and the block sizes before it',
      );
    },
  ),
  'sizes-asked-for': must(INFO_GO, 'never asks for BLOCK_SIZE of a client that did so', async (trial) => {
    for (const option of [Option.INFO, Option.GO]) {
      const data = infoData(trial.exportName, [Info.BLOCK_SIZE]);
      const answer = await (await trial.greet()).option(option, data);
      if (answer.final === Reply.ERR_BLOCK_SIZE_REQD) return failed(describeAnswer(answer));
    }
    return passed('INFO and GO are answered otherwise');
  }),
  'unknown-export': should(
    INFO_GO,
    'answers a name it does not know ERR_UNKNOWN, and tells nothing',
    async (trial) => {
      need(!trial.facts.anyName, 'the server serves any name');
      const answer = await (await trial.greet()).info(NO_SUCH_EXPORT);
      if (answer.replies.length > 0) return failed(`${describeAnswer(answer)} after ${seenInfo(answer)}`);
      return answeredWith(answer, Reply.ERR_UNKNOWN, Reply.ERR_TLS_REQD);
    },
  ),
  'go-after-refusal': must(
    'Termination during option haggling',
    'opens an export after it refused another',
    async (trial) => {
      need(!trial.facts.anyName, 'the server serves any name');
      const handshake = await trial.greet();
      const refused = await handshake.go(NO_SUCH_EXPORT);
      if (refused.final === Reply.ACK) return failed('GO opened an export that INFO does not know');
      return answeredWith(await handshake.go(trial.exportName), Reply.ACK);
    },
  ),
  'export-name': should('Maximum interoperability', 'opens the same export by EXPORT_NAME', async (trial) => {
    const { transmission } = await exportName(trial);
    const told = `${transmission.size} bytes, flags 0x${transmission.flags.toString(16)}`;
    const { size, flags } = trial.facts;
    return verdict(transmission.size === size && transmission.flags === flags, told);
  }),
  'export-name-zeroes': must(
    'Newstyle negotiation',
    'sends 124 zeroes after EXPORT_NAME, unless told not to',
    async (trial) => {
      const { padding } = await exportName(trial, ClientFlag.FIXED_NEWSTYLE);
      return verdict(padding.equals(Buffer.alloc(EXPORT_NAME_PADDING_BYTES)), `${padding.length} bytes`);
    },
  ),
  'export-name-no-zeroes': must('Client flags', 'leaves the 124 zeroes out when told so', async (trial) => {
    need(offersNoZeroes(trial.facts), 'NO_ZEROES is not offered');
    await exportName(trial);
    return passed('a reply follows at once');
  }),
  'export-name-unknown': must(
    'NBD_OPT_EXPORT_NAME',
    'hangs up when it does not know the name',
    async (trial) => {
      need(!trial.facts.anyName, 'the server serves any name');
      const { channel } = await trial.greet();
      channel.send(optionMessage(Option.EXPORT_NAME, Buffer.from(NO_SUCH_EXPORT)));
      const { closed, bytes } = await channel.ending();
      return verdict(
        closed && bytes.length === 0,
        closed ? `closed after ${bytes.length} bytes` : 'stayed open',
      );
    },
  ),
  'name-too-long-for-option': implied(INFO_GO, 'refuses a name longer than the message', (trial) =>
    expectRefused(trial, infoData(trial.exportName, [], Buffer.byteLength(trial.exportName) + 3)),
  ),
  'name-huge-length': implied(INFO_GO, 'refuses a length of the name near 2^32', (trial) =>
    expectRefused(trial, infoData(trial.exportName, [], 0xffff_fffc)),
  ),
  'requests-missing': implied(INFO_GO, 'refuses a list of requests that is cut off', (trial) =>
    expectRefused(trial, infoData(trial.exportName, [Info.NAME, Info.BLOCK_SIZE]).subarray(0, -2)),
  ),
  'name-longest': must('Conventions', 'answers a name of 4096 bytes', async (trial) => {
    const name = 'ß'.repeat(STRING_BYTES_MAX / 2);
    return passed(`answered ${describeAnswer(await (await trial.greet()).info(name))}`);
  }),
  'name-over-limit': implied('Conventions', 'refuses a name of 4097 bytes', (trial) =>
    expectRefused(trial, infoData('n'.repeat(STRING_BYTES_MAX + 1))),
  ),
  'name-with-nul': implied('Conventions', 'refuses a name with NUL in it', (trial) =>
    expectRefused(trial, infoData(`${trial.exportName}\0`)),
  ),
});
