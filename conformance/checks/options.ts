// Options that are about no export: unknown ones, ABORT, LIST, many of them.

import { describeAnswer } from '../client/handshake.ts';
import { parseListed } from '../protocol/answers.ts';
import { optionMessage } from '../protocol/messages.ts';
import { Option, Reply, STRING_BYTES_USUAL_MAX, UNKNOWN_OPTION } from '../protocol/numbers.ts';
import { area, failed, implied, must, need, passed, should, verdict } from '../suite/check.ts';
import type { Trial } from '../suite/trial.ts';
import { answeredWith } from './expect.ts';

/** More than any real client sends, and no attack. */
const OPTIONS = 24;
const OPTIONS_MANY = 500;

async function sendUnknown(trial: Trial, count: number) {
  const handshake = await trial.greet();
  for (let i = 0; i < count; i++) {
    const answer = await handshake.option(UNKNOWN_OPTION + i);
    if (answer.final !== Reply.ERR_UNSUP) return failed(`option ${i + 1}: ${describeAnswer(answer)}`);
  }
  return answeredWith(await handshake.option(Option.ABORT), Reply.ACK);
}

export const options = area('options', {
  unknown: must('Baseline', 'answers an unknown option ERR_UNSUP', async (trial) =>
    answeredWith(await (await trial.greet()).option(UNKNOWN_OPTION), Reply.ERR_UNSUP),
  ),
  'unknown-with-data': must('Baseline', 'finds the option after an unknown one with data', async (trial) => {
    const handshake = await trial.greet();
    await handshake.option(UNKNOWN_OPTION, Buffer.alloc(1000, 0x49));
    return answeredWith(await handshake.option(Option.ABORT), Reply.ACK);
  }),
  several: must(
    'Termination during option haggling',
    `answers ${OPTIONS} options and does not hang up`,
    (trial) => sendUnknown(trial, OPTIONS),
  ),
  many: implied('Termination during option haggling', `answers ${OPTIONS_MANY} options`, (trial) =>
    sendUnknown(trial, OPTIONS_MANY),
  ),
  abort: must('NBD_OPT_ABORT', 'acknowledges ABORT', async (trial) =>
    answeredWith(await (await trial.greet()).option(Option.ABORT), Reply.ACK),
  ),
  'abort-with-data': should('NBD_OPT_ABORT', 'acknowledges ABORT with data all the same', async (trial) =>
    answeredWith(await (await trial.greet()).option(Option.ABORT, Buffer.from('bye')), Reply.ACK),
  ),
  'abort-and-gone': should(
    'NBD_OPT_ABORT',
    'bears a client that does not wait for the answer',
    async (trial) => {
      const { channel } = await trial.greet();
      channel.send(optionMessage(Option.ABORT));
      channel.drop();
      await trial.expectServing();
      return passed('other clients are served');
    },
  ),
  list: must('Baseline', 'answers LIST with well-formed names', async (trial) => {
    const answer = await (await trial.greet()).option(Option.LIST);
    if (answer.final !== Reply.ACK) return answeredWith(answer, Reply.ERR_POLICY, Reply.ERR_SHUTDOWN);
    const names = answer.replies.map((reply) => parseListed(reply).name);
    return passed(`${names.length} listed: ${names.slice(0, 4).map((name) => `'${name}'`)}`);
  }),
  'list-with-data': should('NBD_OPT_LIST', 'answers LIST with data ERR_INVALID', async (trial) =>
    answeredWith(await (await trial.greet()).option(Option.LIST, Buffer.from('all')), Reply.ERR_INVALID),
  ),
  'list-short-names': should('Conventions', 'lists names of at most 256 bytes', (trial) => {
    need(trial.facts.listed.length > 0, 'no export is listed');
    const longest = Math.max(...trial.facts.listed.map((name) => Buffer.byteLength(name)));
    return Promise.resolve(verdict(longest <= STRING_BYTES_USUAL_MAX, `the longest has ${longest} bytes`));
  }),
  'list-usable': implied('NBD_REP_SERVER', 'knows the exports that it lists', async (trial) => {
    need(trial.facts.listed.length > 0, 'no export is listed');
    for (const name of trial.facts.listed) {
      const answer = await (await trial.greet()).info(name);
      if (answer.final === Reply.ERR_UNKNOWN) return failed(`'${name}': ${describeAnswer(answer)}`);
    }
    return passed(`${trial.facts.listed.length} names were asked for`);
  }),
});
