// Listing and selecting metadata contexts during the handshake.
import { describeAnswer, type Handshake } from '../client/handshake.ts';
import type { MetaContext } from '../protocol/answers.ts';
import { metaContextData } from '../protocol/messages.ts';
import { ALLOCATION, Command, Errno, Option, Reply } from '../protocol/numbers.ts';
import { area, type Finding, failed, implied, must, need, should, verdict } from '../suite/check.ts';
import { NO_SUCH_EXPORT } from '../suite/facts.ts';
import type { Trial } from '../suite/trial.ts';
import { answeredWith, expectReply } from './expect.ts';

const LIST = 'NBD_OPT_LIST_META_CONTEXT';
const SET = 'NBD_OPT_SET_META_CONTEXT';
const BASE = 'The base: metadata namespace';

/** The namespaces that there are, by the protocol's document, and a colon. */
const CONTEXT_NAME = /^(base|nbd-server|qemu|x-[^:\s]*):/u;

async function haggle(trial: Trial): Promise<Handshake> {
  const { structured, contexts } = trial.facts;
  need(contexts.length > 0, 'the server knows no metadata contexts');
  const handshake = await trial.greet();
  await (structured ? handshake.structured() : handshake.extended());
  return handshake;
}

function names(contexts: readonly MetaContext[]): string {
  return contexts.map(({ name }) => name).join(', ') || 'nothing';
}

/** What a query lists. */
async function lists(
  trial: Trial,
  queries: readonly string[],
  right: (names: string[]) => boolean,
): Promise<Finding> {
  const answer = await (await haggle(trial)).listContexts(trial.exportName, queries);
  if (answer.final !== Reply.ACK) return failed(`answered ${describeAnswer(answer)}`);
  return verdict(right(answer.contexts.map(({ name }) => name)), `lists ${names(answer.contexts)}`);
}

/** What a query selects. */
async function selects(
  trial: Trial,
  queries: readonly string[],
  right: (names: string[]) => boolean,
): Promise<Finding> {
  const answer = await (await haggle(trial)).setContexts(trial.exportName, queries);
  if (answer.final !== Reply.ACK) return failed(`answered ${describeAnswer(answer)}`);
  return verdict(right(answer.contexts.map(({ name }) => name)), `selects ${names(answer.contexts)}`);
}

function needAllocation(trial: Trial): void {
  need(trial.facts.contexts.includes(ALLOCATION), `the server has no ${ALLOCATION}`);
}

const nothing = (found: string[]): boolean => found.length === 0;
const onlyAllocation = (found: string[]): boolean => found.join() === ALLOCATION;

/** A message with a query that is announced longer than it is. */
async function cutOff(trial: Trial, option: number): Promise<Finding> {
  const data = metaContextData(trial.exportName, [ALLOCATION], ALLOCATION.length + 4);
  return answeredWith(await (await haggle(trial)).option(option, data), Reply.ERR_INVALID);
}

/** Opens the export after `spoil`, and asks for a status that nothing is selected for any more. */
async function unselected(trial: Trial, spoil: (handshake: Handshake) => Promise<unknown>): Promise<Finding> {
  need(trial.facts.go, 'GO does not open the export');
  const handshake = await haggle(trial);
  await handshake.setContexts(trial.exportName, [ALLOCATION]);
  await spoil(handshake);
  const { transmission } = await handshake.go(trial.exportName);
  need(transmission !== undefined, 'GO does not open the export');
  const call = { type: Command.BLOCK_STATUS, length: BigInt(trial.blockBytes) };
  return expectReply(trial, transmission, call, Errno.EINVAL);
}

export const metaContexts = area('meta-contexts', {
  'list-all': must(LIST, 'lists its contexts, well-formed, when nothing is asked for', (trial) =>
    lists(trial, [], (found) => found.length > 0 && found.every((name) => CONTEXT_NAME.test(name))),
  ),
  'list-wildcard': must(BASE, "lists what there is for 'base:'", (trial) => {
    needAllocation(trial);
    return lists(trial, ['base:'], (found) => found.includes(ALLOCATION));
  }),
  'list-one': must(LIST, 'lists the context that is asked for, and no other', (trial) => {
    needAllocation(trial);
    return lists(trial, [ALLOCATION], onlyAllocation);
  }),
  'list-unknown-namespace': must(LIST, 'ignores queries of an unknown namespace', (trial) =>
    lists(trial, ['x-nobody:anything'], nothing),
  ),
  'list-unknown-beside-known': must(LIST, 'finds the known query beside an unknown one', (trial) => {
    needAllocation(trial);
    return lists(trial, ['x-nobody:anything', ALLOCATION], onlyAllocation);
  }),
  'list-unknown-leaf': must(BASE, "ignores an unknown name in 'base:' when listing", (trial) =>
    lists(trial, ['base:nothing-of-that-name'], nothing),
  ),
  'list-cut-off': must(LIST, 'answers a query beyond its message ERR_INVALID', (trial) =>
    cutOff(trial, Option.LIST_META_CONTEXT),
  ),
  'list-ids': should(LIST, 'lists contexts with the id 0', async (trial) => {
    const { contexts } = await (await haggle(trial)).listContexts(trial.exportName, []);
    return verdict(
      contexts.every(({ id }) => id === 0),
      `ids ${contexts.map(({ id }) => id).join(', ')}`,
    );
  }),
  'set-one': must(SET, 'selects the context that is asked for, and no other', (trial) => {
    needAllocation(trial);
    return selects(trial, [ALLOCATION], onlyAllocation);
  }),
  'set-none': must(SET, 'selects nothing when nothing is asked for', (trial) => selects(trial, [], nothing)),
  'set-wildcard': must(BASE, "selects nothing for 'base:'", (trial) => selects(trial, ['base:'], nothing)),
  'set-unknown-leaf': must(BASE, "ignores an unknown name in 'base:' when selecting", (trial) => {
    needAllocation(trial);
    return selects(trial, ['base:nothing-of-that-name', ALLOCATION], onlyAllocation);
  }),
  'set-unknown-namespace': implied(SET, 'ignores queries of an unknown namespace', (trial) => {
    needAllocation(trial);
    return selects(trial, ['x-nobody:anything', ALLOCATION], onlyAllocation);
  }),
  'set-ids': must(SET, 'gives each selected context an id of its own', async (trial) => {
    const handshake = await haggle(trial);
    const { contexts } = await handshake.setContexts(trial.exportName, trial.facts.contexts);
    need(contexts.length > 1, 'there is one context only');
    const ids = contexts.map(({ id }) => id);
    return verdict(new Set(ids).size === ids.length, `ids ${ids.join(', ')}`);
  }),
  'set-cut-off': implied(SET, 'answers a query beyond its message ERR_INVALID', (trial) =>
    cutOff(trial, Option.SET_META_CONTEXT),
  ),
  'set-without-structured': should(SET, 'refuses to select without structured replies', async (trial) => {
    need(trial.facts.contexts.length > 0, 'the server knows no metadata contexts');
    const answer = await (await trial.greet()).setContexts(trial.exportName, [ALLOCATION]);
    return answeredWith(answer, Reply.ERR_INVALID, Reply.ERR_EXT_HEADER_REQD);
  }),
  'set-again': should(SET, 'forgets the selection when nothing is selected later', (trial) =>
    unselected(trial, (handshake) => handshake.setContexts(trial.exportName, [])),
  ),
  'set-refused': should(SET, 'forgets the selection when a later one is refused', (trial) =>
    unselected(trial, async (handshake) => {
      const data = metaContextData(trial.exportName, [ALLOCATION], ALLOCATION.length + 4);
      const answer = await handshake.option(Option.SET_META_CONTEXT, data);
      need(answer.final !== Reply.ACK, 'the later selection was not refused');
    }),
  ),
  'set-other-export': should(
    'Metadata querying',
    'forgets the selection of another export',
    async (trial) => {
      const { listed, anyName } = trial.facts;
      const other = anyName ? NO_SUCH_EXPORT : listed.find((name) => name !== trial.exportName);
      if (other === undefined) need(false, 'there is no other export');
      return unselected(trial, (handshake) => handshake.setContexts(other, [ALLOCATION]));
    },
  ),
});
