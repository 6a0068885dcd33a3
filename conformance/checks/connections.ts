// Many requests at a time, requests in pieces, and the end of a connection.
import type { Call } from '../client/transmission.ts';
import { Command } from '../protocol/numbers.ts';
import { area, failed, implied, must, passed, verdict } from '../suite/check.ts';
import type { Trial } from '../suite/trial.ts';
import { describeError } from './expect.ts';

/** Requests sent at once. */
const DEPTH = 64;

/** Reads of blocks all over the export, each other one twice. */
export function manyReads(trial: Trial, count: number): Call[] {
  const bytes = trial.blockBytes;
  const blocks = trial.end / BigInt(bytes);
  return Array.from({ length: count }, (_, i) => ({
    type: Command.READ,
    offset: ((BigInt(i) * 7n) % blocks) * BigInt(bytes),
    length: BigInt(bytes),
  }));
}

const COOKIES = [0n, 1n, 0x8000_0000n, 0xffff_ffffn, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_ffffn];

const TRANSMISSION = 'Transmission';
const TERMINATING = 'Terminating the transmission phase';

export const connections = area('connections', {
  depth: must(TRANSMISSION, `replies once to each of ${DEPTH} requests sent at once`, async (trial) => {
    const answers = await (await trial.open()).callAll(manyReads(trial, DEPTH));
    const wrong = answers.find(({ error }) => error !== 0);
    const reordered = answers.some(
      ({ request }, i) => i > 0 && request.cookie < answers[i - 1].request.cookie,
    );
    return verdict(
      wrong === undefined,
      wrong ? describeError(wrong) : reordered ? 'out of order' : 'in order',
    );
  }),
  cookies: must(TRANSMISSION, 'gives back every cookie as it came', async (trial) => {
    const transmission = await trial.open();
    for (const cookie of COOKIES) {
      const call = { type: Command.READ, length: BigInt(trial.blockBytes), cookie };
      const { error } = await transmission.call(call);
      if (error !== 0) return failed(`cookie ${cookie}: the READ fails`);
    }
    return passed(`${COOKIES.length} cookies`);
  }),
  'right-data': must(TRANSMISSION, 'gives each of many requests its own data', async (trial) => {
    const calls = manyReads(trial, DEPTH / 4);
    const answers = await (await trial.open()).callAll(calls);
    const alone = await trial.open();
    for (const { request, data } of answers) {
      const again = await alone.read(request.offset, Number(request.length));
      if (!again.data.equals(data)) return failed(`the data at ${request.offset} differ`);
    }
    return passed(`${answers.length} reads`);
  }),
  pieces: implied(TRANSMISSION, 'takes a request byte by byte', async (trial) => {
    const transmission = await trial.open();
    const message = transmission.prepare({ type: Command.READ, length: BigInt(trial.blockBytes) });
    await transmission.channel.dribble(message);
    const { error } = await transmission.receive();
    return verdict(error === 0, `${message.length} pieces`);
  }),
  disconnect: must(TERMINATING, 'closes the connection after DISC', async (trial) => {
    const transmission = await trial.open();
    transmission.disconnect();
    const { closed, bytes } = await transmission.channel.ending();
    return verdict(
      closed && bytes.length === 0,
      closed ? `closed after ${bytes.length} bytes` : 'stayed open',
    );
  }),
  'disconnect-last': implied(
    'NBD_CMD_DISC',
    'replies to what came before DISC, then closes',
    async (trial) => {
      const transmission = await trial.open();
      const messages = manyReads(trial, DEPTH / 4).map((call) => transmission.prepare(call));
      transmission.channel.send(Buffer.concat([...messages, transmission.disconnectMessage()]));
      const answers = await transmission.receiveAll();
      const { closed } = await transmission.channel.ending();
      return verdict(closed, closed ? `${answers.length} replies, then closed` : 'stayed open');
    },
  ),
});
