// Servers that are wrong about metadata contexts and block status.
import { u32 } from '../../../conformance/protocol/messages.ts';
import { ALLOCATION, Command, Errno, Extent, Option, Reply } from '../../../conformance/protocol/numbers.ts';
import { dataChunk, doneChunk, statusChunk, successReplies, type TinyExtent } from '../tiny-commands.ts';
import type { Ask, Outcome, Replies, Request } from '../tiny-types.ts';
import {
  altering,
  answering,
  changing,
  type Flaws,
  failing,
  hangingUpOn,
  instead,
  isEmpty,
  refused,
} from './flaw.ts';

const LIST = Option.LIST_META_CONTEXT;
const SET = Option.SET_META_CONTEXT;

const context = (id: number, name: string) => ({
  type: Reply.META_CONTEXT,
  data: Buffer.concat([u32(id), Buffer.from(name)]),
});
const answer = (...names: readonly string[]): Outcome => ({
  replies: [...names.map((name, i) => context(i + 1, name)), { type: Reply.ACK }],
});
const mentions =
  (text: string) =>
  ({ data }: Ask): boolean =>
    data.includes(text);
const always =
  (...names: readonly string[]) =>
  () =>
    answer(...names);

/** Has a status without a selected context: success, without saying anything. */
const statusAnyway = altering(Command.BLOCK_STATUS, successReplies);

export const metaContextFlaws: Flaws = {
  'meta-contexts/list-all': {
    server: 'lists a name without a namespace',
    wrong: { settings: { contexts: [ALLOCATION, 'colonless'] } },
  },
  'meta-contexts/list-wildcard': {
    server: "lists nothing for 'base:'",
    wrong: changing(LIST, (_ask, right) =>
      mentions('base:')(_ask) && !mentions(ALLOCATION)(_ask) ? answer() : right,
    ),
  },
  'meta-contexts/list-one': {
    server: 'lists everything always',
    wrong: changing(LIST, always(ALLOCATION, 'x-test:parity')),
  },
  'meta-contexts/list-unknown-namespace': {
    server: 'minds an unknown namespace',
    wrong: answering(LIST, Reply.ERR_INVALID, mentions('x-nobody:')),
  },
  'meta-contexts/list-unknown-beside-known': {
    server: 'lists nothing beside an unknown namespace',
    wrong: answering(LIST, Reply.ACK, mentions('x-nobody:')),
  },
  'meta-contexts/list-unknown-leaf': {
    server: 'minds an unknown name',
    wrong: answering(LIST, Reply.ERR_UNKNOWN, mentions('base:nothing')),
  },
  'meta-contexts/list-cut-off': {
    server: 'takes a query that is cut off when listing',
    wrong: answering(LIST, Reply.ACK, refused),
  },
  'meta-contexts/list-ids': {
    server: 'gives ids when listing',
    wrong: changing(LIST, always(ALLOCATION, 'x-test:parity')),
  },
  'meta-contexts/set-one': {
    server: 'selects everything always',
    wrong: changing(SET, always(ALLOCATION, 'x-test:parity')),
  },
  'meta-contexts/set-none': { server: 'selects something always', wrong: changing(SET, always(ALLOCATION)) },
  'meta-contexts/set-wildcard': { server: "selects for 'base:'", wrong: changing(SET, always(ALLOCATION)) },
  'meta-contexts/set-unknown-leaf': {
    server: 'selects nothing beside an unknown name',
    wrong: answering(SET, Reply.ACK, mentions('base:nothing')),
  },
  'meta-contexts/set-unknown-namespace': {
    server: 'minds an unknown namespace when selecting',
    wrong: answering(SET, Reply.ERR_INVALID, mentions('x-nobody:')),
  },
  'meta-contexts/set-ids': {
    server: 'gives all contexts one id',
    wrong: changing(SET, () => ({
      replies: [context(1, ALLOCATION), context(1, 'x-test:parity'), { type: Reply.ACK }],
    })),
  },
  'meta-contexts/set-cut-off': {
    server: 'takes a query that is cut off when selecting',
    wrong: answering(SET, Reply.ACK, refused),
  },
  'meta-contexts/set-without-structured': {
    server: 'selects without structured replies',
    wrong: changing(SET, always(ALLOCATION)),
  },
  'meta-contexts/set-again': { server: 'remembers an earlier selection', wrong: statusAnyway },
  'meta-contexts/set-refused': { server: 'remembers the selection before a refusal', wrong: statusAnyway },
  'meta-contexts/set-other-export': {
    server: 'remembers the selection of another export',
    wrong: statusAnyway,
  },
};

/** Tells such extents of the first context. */
function telling(extents: (request: Request) => readonly TinyExtent[]) {
  return altering(
    Command.BLOCK_STATUS,
    (request): Replies => ({
      messages: [statusChunk(request, 1, extents(request)), doneChunk],
    }),
  );
}

const lengthOf = ({ length }: Request): number => Number(length);

export const blockStatusFlaws: Flaws = {
  'block-status/extents': {
    server: 'tells of a context twice',
    wrong: altering(Command.BLOCK_STATUS, (_request, { messages }) => ({
      messages: [messages[0], ...messages],
    })),
  },
  'block-status/all-contexts': {
    server: 'tells of the first context only',
    wrong: altering(Command.BLOCK_STATUS, (_request, { messages }) => ({
      messages: [messages[0], doneChunk],
    })),
  },
  'block-status/one-extent': {
    server: 'tells two extents when asked for one',
    wrong: telling((request) => [
      { length: 512, flags: 0 },
      { length: lengthOf(request) - 512, flags: 3 },
    ]),
  },
  'block-status/zeroes-are-zero': {
    server: 'calls data zero',
    wrong: altering(Command.READ, ({ offset, length, state }) =>
      state.structured
        ? { messages: [dataChunk(offset, Buffer.alloc(Number(length), 7)), doneChunk] }
        : undefined,
    ),
  },
  'block-status/known-flags': {
    server: 'sets a flag of its own',
    wrong: telling((request) => [{ length: lengthOf(request), flags: 8 }]),
  },
  'block-status/merged-extents': {
    server: 'tells neighbours of the same status apart',
    wrong: telling((request) => [
      { length: 4096, flags: 0 },
      { length: lengthOf(request) - 4096, flags: 0 },
    ]),
  },
  'block-status/sectors': {
    server: 'cuts extents at odd places',
    wrong: telling((request) => [
      { length: 1000, flags: 0 },
      { length: lengthOf(request) - 1000, flags: 3 },
    ]),
  },
  'block-status/not-too-many': {
    server: 'tells of each byte',
    wrong: telling((request) =>
      Array.from({ length: 2 ** 20 + 1 }, (_, i) => ({
        length: i === 0 ? lengthOf(request) - 2 ** 20 : 1,
        flags: i % 2,
      })),
    ),
  },
  'block-status/inside-export': {
    server: 'tells of what lies past the end',
    wrong: telling((request) => [{ length: lengthOf(request) + 4096, flags: Extent.HOLE }]),
  },
  'block-status/past-end': {
    server: 'fails a range past the end with ENOSPC',
    wrong: failing(Command.BLOCK_STATUS, Errno.ENOSPC),
  },
  'block-status/nothing': {
    server: 'hangs up on an empty range',
    wrong: hangingUpOn(Command.BLOCK_STATUS, isEmpty),
  },
};

/** Tells such a status of everything that is written. */
export const statusFlaw = (flags: number) =>
  instead(
    Command.BLOCK_STATUS,
    () => true,
    (request) => ({ messages: [statusChunk(request, 1, [{ length: lengthOf(request), flags }]), doneChunk] }),
  );
