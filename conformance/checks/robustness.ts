// Clients that leave, stall or send garbage. The protocol lets both sides hang up on such; that others are served all
// the same follows. These checks come last: they are the ones that servers do not survive.

import type { Transmission } from '../client/transmission.ts';
import { optionMessage } from '../protocol/messages.ts';
import { Command, errnoName, Option } from '../protocol/numbers.ts';
import { Closed, Silent } from '../protocol/violation.ts';
import { area, failed, implied, passed } from '../suite/check.ts';
import { manyReads } from './connections.ts';

/** Connections that stall or leave at once: few enough for servers that allow few. */
const CLIENTS = 6;
/** Reads that a client leaves behind. */
const DEPTH = 64;

/** Was the magic of requests long ago, and means nothing since. */
const OLD_REQUEST_MAGIC = 0x12560953;

/** How a server turned a senseless request down; undefined when it did not. */
async function replyToGarbage(transmission: Transmission): Promise<string | undefined> {
  try {
    const { error } = await transmission.receive();
    return error === 0 ? undefined : `replied ${errnoName(error)}`;
  } catch (error) {
    if (error instanceof Closed || error instanceof Silent) return error.message;
    throw error;
  }
}

const TRANSMISSION = 'Transmission';
const TERMINATING = 'Terminating the transmission phase';

export const robustness = area('robustness', {
  beside: implied(
    TRANSMISSION,
    'serves a connection while others stall in the middle of a message',
    async (trial) => {
      for (let i = 0; i < CLIENTS; i++) {
        const { channel } = await trial.greet();
        channel.send(optionMessage(Option.INFO, Buffer.alloc(64)).subarray(0, 3 + i * 4));
      }
      await trial.expectServing();
      return passed(`${CLIENTS} connections stall`);
    },
  ),
  'gone-in-option': implied(TERMINATING, 'bears clients that leave within an option', async (trial) => {
    for (let i = 0; i < CLIENTS; i++) {
      const { channel } = await trial.greet();
      channel.send(optionMessage(Option.INFO, Buffer.alloc(64)).subarray(0, 8 + i * 4));
      channel.drop();
    }
    await trial.expectServing();
    return passed('other clients are served');
  }),
  'gone-in-request': implied(TERMINATING, 'bears clients that leave within a request', async (trial) => {
    for (let i = 0; i < CLIENTS; i++) {
      const transmission = await trial.open();
      const message = transmission.prepare({ type: Command.READ, length: BigInt(trial.blockBytes) });
      transmission.channel.send(message.subarray(0, 2 + i * 4));
      transmission.channel.drop();
    }
    await trial.expectServing();
    return passed('other clients are served');
  }),
  garbage: implied(TERMINATING, 'obeys no request with a wrong magic, and serves others', async (trial) => {
    const transmission = await trial.open();
    const message = transmission.prepare({ type: Command.READ, length: BigInt(trial.blockBytes) });
    message.writeUInt32BE(OLD_REQUEST_MAGIC, 0);
    transmission.channel.send(message);
    const seen = await replyToGarbage(transmission);
    if (seen === undefined) return failed('replied success');
    await trial.expectServing();
    return passed(seen);
  }),
  'gone-before-replies': implied(
    TERMINATING,
    'bears clients that leave before their replies',
    async (trial) => {
      for (let i = 0; i < CLIENTS; i++) {
        const transmission = await trial.open();
        for (const call of manyReads(trial, DEPTH)) transmission.send(call);
        await transmission.receive();
        transmission.channel.drop();
      }
      await trial.expectServing();
      return passed('other clients are served');
    },
  ),
});
