/** What a node on a store is opened with, checked as a whole. */

import * as v from 'valibot';
import { TmemError } from '../zcache/index.ts';
import { byteSize, flag, validate } from '../zcache/validation.ts';
import { nodeEntry, nodeName } from './membership/node-entry.ts';
import { nameMistakes } from './membership/static.ts';
import { nodeSettingsEntries, settingsContradictions } from './settings.ts';
import { parseNodeAddress, parseUnixAddress } from './transport/address.ts';

/** The largest store there is. */
const BYTES_MAX = 2 ** 40;
const LISTEN_MAX = 16;
const CLIENTS_MAX = 1024;
const PEERS_MAX = 10_000;

const LISTEN_ALLOWED = "'host:port', '[IPv6]:port' or 'unix:' and an absolute path";
const listenAddress = v.pipe(
  v.string(LISTEN_ALLOWED),
  v.check((text) => isAddress(text, parseNodeAddress), LISTEN_ALLOWED),
);

const FETCH_LISTEN_ALLOWED = "'unix:' and an absolute path";
const fetchAddress = v.pipe(
  v.string(FETCH_LISTEN_ALLOWED),
  v.check((text) => isAddress(text, parseUnixAddress), FETCH_LISTEN_ALLOWED),
);

const PEM_ALLOWED = 'PEM, as text or a Buffer';
const pem = v.custom<string | Buffer>(
  (value) => typeof value === 'string' || Buffer.isBuffer(value),
  PEM_ALLOWED,
);

/** Also a group of the daemon's settings, where what is in files has paths. */
export const ramsterEntries = {
  ...nodeSettingsEntries,
  /** Name of this node; in its certificate it is the URI `tmem:node:NAME`. */
  name: nodeName,
  /** Where peers connect: 'host:port' or 'unix:/path'. None: this node borrows, and lends nothing. */
  listen: v.optional(
    v.pipe(v.array(listenAddress, 'a list of addresses'), v.maxLength(LISTEN_MAX, `at most ${LISTEN_MAX}`)),
    [],
  ),
  /** This node's certificate and key, and the authority of the cluster. */
  tls: v.optional(v.object({ cert: pem, key: pem, ca: pem }, 'an object { cert, key, ca }')),
  /** TCP without TLS beyond this machine: anybody in the network may then read, change and drop pages. */
  allowInsecure: v.optional(flag, false),
  /** The other nodes. */
  peers: v.optional(
    v.pipe(
      v.array(nodeEntry, 'a list of { name, address }'),
      v.maxLength(PEERS_MAX, `at most ${PEERS_MAX} peers`),
    ),
    [],
  ),
  /** Where other processes on the store fetch pages that are with peers (SocketFetcher): 'unix:/path'. */
  fetchListen: v.optional(fetchAddress),
  /** Clients of the store whose pages may be sent: whoever reads them must fetch through this node. */
  clients: v.optional(
    v.pipe(
      v.array(v.string('a name'), 'a list of names of clients'),
      v.maxLength(CLIENTS_MAX, `at most ${CLIENTS_MAX}`),
    ),
    [],
  ),
  /** Most memory for pages of others, in all and for each owner; half of the store, and a quarter of it. */
  lendBytes: v.optional(byteSize(0, BYTES_MAX)),
  capBytes: v.optional(byteSize(4096, BYTES_MAX)),
};

const schema = v.object(ramsterEntries);

export type RamsterSettings = v.InferInput<typeof schema>;
export type CheckedRamsterSettings = v.InferOutput<typeof schema>;

/** @throws TmemError TMEM_ERR_SETTING naming each wrong setting, its value and what is allowed */
export function ramsterSettings(input: unknown): CheckedRamsterSettings {
  return validate(schema, input, 'ramster', 'TMEM_ERR_SETTING', ramsterContradictions);
}

/** Rules between settings; of `tls` only whether there is any. */
export function ramsterContradictions(
  given: Omit<CheckedRamsterSettings, 'tls'> & { readonly tls?: unknown },
): string[] {
  const found = [...settingsContradictions(given), ...nameMistakes(given.name, given.peers)];
  if (given.tls !== undefined || given.allowInsecure) return found;
  const open = [...given.listen, ...given.peers.map(({ address }) => address)].filter(
    (address) => !isLocal(address),
  );
  for (const address of open.slice(0, 3)) {
    found.push(`tls: is required for ${address}, which is beyond this machine (or set allowInsecure)`);
  }
  return found;
}

/** Port 0 is any that is free. */
function isAddress(text: string, parse: (text: string) => unknown): boolean {
  try {
    parse(text);
    return true;
  } catch (error) {
    if (TmemError.is(error)) return false;
    throw error;
  }
}

/** Nobody else can get between. */
export function isLocal(address: string): boolean {
  return /^(?:unix:|127\.|localhost:|\[::1\])/.test(address);
}
