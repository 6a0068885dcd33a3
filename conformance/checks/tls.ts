// TLS: what a server that has none answers, and what one that has it keeps. The handshake itself is tried only when the
// URI asks for TLS, because only then it is said which certificates are right.
import type { ConnectionOptions } from 'node:tls';
import { describeAnswer } from '../client/handshake.ts';
import { infoData, optionMessage } from '../protocol/messages.ts';
import { Info, Option, Reply, UNKNOWN_OPTION } from '../protocol/numbers.ts';
import { Closed } from '../protocol/violation.ts';
import { area, failed, implied, must, need, passed, should, verdict } from '../suite/check.ts';
import type { Trial } from '../suite/trial.ts';
import { answeredWith } from './expect.ts';

const NO_TLS = 'NOTLS mode';
const FORCED = 'FORCEDTLS mode';
const SELECTIVE = 'SELECTIVETLS mode';
const VERSIONS = 'TLS versions';

function needTls({ target }: Trial): void {
  need(target.secure, 'only with nbds:// or nbds+unix://');
}

/** Asks each of some options, and expects that none, or each, is answered ERR_TLS_REQD. */
async function askWithoutTls(trial: Trial, required: boolean, asked: readonly number[]) {
  const handshake = await trial.greetPlain();
  const data = new Map<number, Buffer>([[Option.INFO, infoData(trial.exportName, [Info.BLOCK_SIZE])]]);
  for (const option of asked) {
    const answer = await handshake.option(option, data.get(option));
    if ((answer.final === Reply.ERR_TLS_REQD) !== required)
      return failed(`option ${option}: ${describeAnswer(answer)}`);
  }
  return passed(`${asked.length} options, ${required ? 'all' : 'none'} answered ERR_TLS_REQD`);
}

/** Tries a TLS handshake with some options changed. @returns the version of TLS, undefined when it failed */
async function tryTls(trial: Trial, changed: ConnectionOptions): Promise<string | undefined> {
  needTls(trial);
  const handshake = await trial.greetPlain();
  try {
    const answer = await handshake.startTls({ ...trial.target.tls, ...changed });
    need(answer.final === Reply.ACK, `STARTTLS is answered ${describeAnswer(answer)}`);
    return answer.version;
  } catch (error) {
    if (error instanceof Closed) return undefined;
    throw error;
  }
}

export const tls = area('tls', {
  'refused-politely': must(NO_TLS, 'answers STARTTLS with an error when it has no TLS', async (trial) => {
    need(trial.facts.tls === 'none', 'the server has TLS');
    const handshake = await trial.greetPlain();
    const refused = await handshake.option(Option.STARTTLS);
    if (refused.final === Reply.ERR_TLS_REQD || refused.final === Reply.ACK)
      return failed(describeAnswer(refused));
    const after = await handshake.option(Option.ABORT);
    return verdict(after.final === Reply.ACK, `answered ${describeAnswer(refused)}`);
  }),
  'not-required': must(NO_TLS, 'never asks for TLS when it has none', (trial) => {
    need(trial.facts.tls === 'none', 'the server has TLS');
    return askWithoutTls(trial, false, [UNKNOWN_OPTION, Option.LIST, Option.INFO, Option.STRUCTURED_REPLY]);
  }),
  'forced-options': must(FORCED, 'answers everything but STARTTLS and ABORT ERR_TLS_REQD', (trial) => {
    need(trial.facts.tls === 'forced', 'options are served without TLS');
    return askWithoutTls(trial, true, [UNKNOWN_OPTION, Option.LIST, Option.INFO, Option.STRUCTURED_REPLY]);
  }),
  'forced-abort': implied(FORCED, 'acknowledges ABORT before TLS', async (trial) => {
    need(trial.facts.tls === 'forced', 'options are served without TLS');
    return answeredWith(await (await trial.greetPlain()).option(Option.ABORT), Reply.ACK);
  }),
  'forced-export-name': must(FORCED, 'hangs up on EXPORT_NAME before TLS', async (trial) => {
    need(trial.facts.tls === 'forced', 'options are served without TLS');
    const { channel } = await trial.greetPlain();
    channel.send(optionMessage(Option.EXPORT_NAME, Buffer.from(trial.exportName)));
    const { closed, bytes } = await channel.ending();
    return verdict(
      closed && bytes.length === 0,
      closed ? `closed after ${bytes.length} bytes` : 'stayed open',
    );
  }),
  'selective-options': must(
    SELECTIVE,
    'asks for TLS only where an export is opened or asked about',
    (trial) => {
      need(trial.facts.tls === 'offered', 'TLS is not optional');
      return askWithoutTls(trial, false, [UNKNOWN_OPTION, Option.LIST, Option.STRUCTURED_REPLY]);
    },
  ),
  'needs-fixed-newstyle': must(
    'Server-side requirements',
    'starts no TLS without fixed newstyle',
    async (trial) => {
      need(trial.facts.tls !== 'none', 'the server has no TLS');
      const handshake = await trial.greetPlain(0);
      try {
        const answer = await handshake.option(Option.STARTTLS);
        return verdict(answer.final !== Reply.ACK, `answered ${describeAnswer(answer)}`);
      } catch (error) {
        if (error instanceof Closed) return passed('closed the connection');
        throw error;
      }
    },
  ),
  'data-with-starttls': implied(
    'NBD_OPT_STARTTLS',
    'answers STARTTLS with data ERR_INVALID',
    async (trial) => {
      need(trial.facts.tls !== 'none', 'the server has no TLS');
      return answeredWith(
        await (await trial.greetPlain()).option(Option.STARTTLS, Buffer.from('now')),
        Reply.ERR_INVALID,
      );
    },
  ),
  'bad-handshake': must(FORCED, 'hangs up when the TLS handshake fails', async (trial) => {
    need(trial.facts.tls !== 'none', 'the server has no TLS');
    const handshake = await trial.greetPlain();
    const answer = await handshake.option(Option.STARTTLS);
    need(answer.final === Reply.ACK, `STARTTLS is answered ${describeAnswer(answer)}`);
    handshake.channel.send(Buffer.alloc(1024, 0x49));
    const { closed } = await handshake.channel.ending();
    return verdict(closed, closed ? 'closed the connection' : 'stayed open');
  }),
  'nothing-before-tls': must(
    FORCED,
    'takes no option that came in the clear after STARTTLS',
    async (trial) => {
      needTls(trial);
      const handshake = await trial.greetPlain();
      handshake.channel.send(Buffer.concat([optionMessage(Option.STARTTLS), optionMessage(Option.LIST)]));
      const answer = await handshake.readAnswer(Option.STARTTLS);
      need(answer.final === Reply.ACK, `STARTTLS is answered ${describeAnswer(answer)}`);
      try {
        await handshake.channel.upgrade(trial.target.tls);
      } catch (error) {
        if (error instanceof Closed) return passed('the TLS handshake failed');
        throw error;
      }
      handshake.channel.send(optionMessage(Option.ABORT));
      const reply = await handshake.channel.read(20, 'reply to ABORT');
      const option = reply.readUInt32BE(8);
      return verdict(option === Option.ABORT, `the first reply over TLS is to option ${option}`);
    },
  ),
  works: must(FORCED, 'serves requests over TLS', async (trial) => {
    const version = await tryTls(trial, {});
    await trial.expectServing();
    return verdict(version !== undefined, version ?? 'the handshake failed');
  }),
  'second-starttls': must(FORCED, 'answers STARTTLS over TLS ERR_INVALID', async (trial) => {
    needTls(trial);
    return answeredWith(await (await trial.greet()).option(Option.STARTTLS), Reply.ERR_INVALID);
  }),
  'required-no-more': must(FORCED, 'never asks for TLS over TLS', async (trial) => {
    needTls(trial);
    const handshake = await trial.greet();
    for (const option of [UNKNOWN_OPTION, Option.LIST, Option.STRUCTURED_REPLY]) {
      const answer = await handshake.option(option);
      if (answer.final === Reply.ERR_TLS_REQD) return failed(`option ${option}: ${describeAnswer(answer)}`);
    }
    return passed('3 options are answered otherwise');
  }),
  'state-dropped': must('NBD_OPT_STARTTLS', 'forgets what was negotiated before TLS', async (trial) => {
    needTls(trial);
    need(trial.facts.go, 'GO does not open the export');
    const handshake = await trial.greetPlain();
    const before = await handshake.structured();
    need(before.final === Reply.ACK, 'structured replies are not to be had before TLS');
    await handshake.startTls(trial.target.tls);
    const { transmission } = await handshake.go(trial.exportName);
    need(transmission !== undefined, 'GO does not open the export');
    await trial.expectAlive(transmission);
    return passed('replies are simple');
  }),
  'version-1.2': must(VERSIONS, 'speaks TLS 1.2', async (trial) => {
    const version = await tryTls(trial, { maxVersion: 'TLSv1.2' });
    return verdict(version === 'TLSv1.2', version ?? 'the handshake failed');
  }),
  'version-1.3': should(VERSIONS, 'speaks TLS 1.3', async (trial) => {
    const version = await tryTls(trial, { minVersion: 'TLSv1.3' });
    return verdict(version === 'TLSv1.3', version ?? 'the handshake failed');
  }),
  'version-1.1': should(VERSIONS, 'does not speak TLS 1.1 unless told to', async (trial) => {
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const version = await tryTls(trial, old);
    return verdict(version === undefined, version ?? 'the handshake failed');
  }),
});
