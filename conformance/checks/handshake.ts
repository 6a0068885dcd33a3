// The first exchange of a connection: greeting and client flags.
import { readGreeting } from '../client/handshake.ts';
import { infoData, optionMessage, u32 } from '../protocol/messages.ts';
import { ClientFlag, HandshakeFlag, Option, Reply } from '../protocol/numbers.ts';
import { Closed } from '../protocol/violation.ts';
import { area, type Finding, failed, implied, must, need, passed, verdict } from '../suite/check.ts';
import { offersNoZeroes, usualClientFlags } from '../suite/facts.ts';
import type { Trial } from '../suite/trial.ts';
import { answeredWith } from './expect.ts';

const KNOWN_FLAGS = HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES;
/** A bit that no version of the protocol gives a meaning. */
const UNKNOWN_CLIENT_FLAG = 1 << 9;

/** Sends client flags that the server has to refuse. An option follows, so that a server that goes on shows it. */
async function expectRefused(trial: Trial, clientFlags: number): Promise<Finding> {
  const channel = await trial.dial();
  await readGreeting(channel);
  channel.send(Buffer.concat([u32(clientFlags), optionMessage(Option.ABORT)]));
  try {
    await channel.read(1, 'an end of the connection');
  } catch (error) {
    if (error instanceof Closed) return passed('closed the connection');
    throw error;
  }
  return failed('went on, and answered an option');
}

export const handshake = area('handshake', {
  newstyle: must('Newstyle negotiation', 'greets with NBDMAGIC and IHAVEOPT', async (trial) => {
    const flags = await readGreeting(await trial.dial());
    return passed(`handshake flags 0x${flags.toString(16)}`);
  }),
  'fixed-newstyle': must('Baseline', 'offers fixed newstyle', async (trial) => {
    const flags = await readGreeting(await trial.dial());
    return verdict((flags & HandshakeFlag.FIXED_NEWSTYLE) !== 0, `handshake flags 0x${flags.toString(16)}`);
  }),
  'known-flags': must('Handshake flags', 'sets no handshake flag without a meaning', async (trial) => {
    const flags = await readGreeting(await trial.dial());
    return verdict((flags & ~KNOWN_FLAGS) === 0, `handshake flags 0x${flags.toString(16)}`);
  }),
  'unknown-client-flag': must('Client flags', 'drops a client that sets an unknown flag', (trial) =>
    expectRefused(trial, ClientFlag.FIXED_NEWSTYLE | UNKNOWN_CLIENT_FLAG),
  ),
  'unoffered-client-flag': must('Client flags', 'drops a client whose flag was not offered', (trial) => {
    need(!offersNoZeroes(trial.facts), 'all client flags are offered');
    return expectRefused(trial, ClientFlag.FIXED_NEWSTYLE | ClientFlag.NO_ZEROES);
  }),
  'no-client-flags': implied(
    'Newstyle negotiation',
    'serves EXPORT_NAME to a client without any flag',
    async (trial) => {
      need(!trial.target.secure, 'the URI asks for TLS, which needs fixed newstyle');
      const { transmission } = await (await trial.greet(0)).exportName(trial.exportName);
      await trial.expectAlive(transmission);
      return passed(`${transmission.size} bytes`);
    },
  ),
  pieces: implied('Newstyle negotiation', 'takes flags and options byte by byte', async (trial) => {
    const handshake = await trial.greet();
    await handshake.channel.dribble(optionMessage(Option.INFO, infoData(trial.exportName)));
    return answeredWith(await handshake.readAnswer(Option.INFO), Reply.ACK, Reply.ERR_BLOCK_SIZE_REQD);
  }),
  'flags-with-option': implied(
    'Newstyle negotiation',
    'takes flags and an option in one packet',
    async (trial) => {
      need(!trial.target.secure, 'the URI asks for TLS');
      const channel = await trial.dial();
      channel.send(Buffer.concat([u32(usualClientFlags(trial.facts)), optionMessage(Option.ABORT)]));
      await readGreeting(channel);
      const reply = await channel.read(20, 'reply to ABORT');
      return verdict(reply.readUInt32BE(12) === Reply.ACK, 'ABORT is answered');
    },
  ),
});
