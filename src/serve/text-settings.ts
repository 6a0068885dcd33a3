/**
 * The settings that can be given as text, in the environment or as flags of the command line.
 */

/** A setting that can be given as text. */
export interface TextSetting {
  /** Of the flag, without its dashes. */
  readonly name: string;
  /** Where it is in the settings. */
  readonly path: readonly [string, ...string[]];
  /** What stands for the value in a help text. */
  readonly value: string;
  readonly kind: 'text' | 'number' | 'boolean' | 'list' | 'exports' | 'peers';
  readonly description: string;
}

export const TEXT_SETTINGS: readonly TextSetting[] = [
  {
    ...{ name: 'memory', path: ['store', 'memory'], value: 'size', kind: 'text' },
    description: "all the memory the store may take, such as '1 GiB'",
  },
  {
    ...{ name: 'name', path: ['store', 'name'], value: 'name', kind: 'text' },
    description: 'name of the store, which then outlives the daemon',
  },
  {
    ...{ name: 'directory', path: ['store', 'directory'], value: 'path', kind: 'text' },
    description: 'where named stores are (default: /dev/shm)',
  },
  {
    ...{ name: 'listen', path: ['listen'], value: 'address', kind: 'list' },
    description: 'where clients connect: unix:PATH or tcp://HOST:PORT; may be repeated',
  },
  {
    ...{ name: 'export', path: ['exports'], value: 'export', kind: 'exports' },
    description: 'NAME=KIND:SIZE or NAME=KIND:FILE, with options after commas; may be repeated',
  },
  {
    ...{ name: 'http', path: ['http'], value: 'address', kind: 'text' },
    description: 'where /metrics and /healthz are served, such as 127.0.0.1:9105',
  },
  {
    ...{ name: 'threads', path: ['threads'], value: 'n', kind: 'number' },
    description: 'threads that serve connections (default: one for each core, at most 4)',
  },
  {
    ...{ name: 'tls-certificate', path: ['tls', 'certificate'], value: 'file', kind: 'text' },
    description: 'PEM file with the certificate of this server and its chain',
  },
  {
    ...{ name: 'tls-key', path: ['tls', 'key'], value: 'file', kind: 'text' },
    description: 'PEM file with its key',
  },
  {
    ...{ name: 'tls-authority', path: ['tls', 'authority'], value: 'file', kind: 'text' },
    description: 'PEM file with the authority whose certificates clients need',
  },
  {
    ...{ name: 'tls-required', path: ['tls', 'required'], value: 'true|false', kind: 'boolean' },
    description: 'serve nothing without TLS (default: true)',
  },
  {
    ...{ name: 'handshake-timeout-ms', path: ['handshakeTimeoutMs'], value: 'n', kind: 'number' },
    description: 'longest time until a client has chosen an export (default: 10000)',
  },
  {
    ...{ name: 'connections-max', path: ['connectionsMax'], value: 'n', kind: 'number' },
    description: 'connections at one time (default: 4096)',
  },
  {
    ...{ name: 'drain-timeout-ms', path: ['drainTimeoutMs'], value: 'n', kind: 'number' },
    description: 'longest wait for requests under way at the end (default: 5000)',
  },
  ...ofRamster(),
];

/** Whether it may be given several times. */
export function isList({ kind }: Pick<TextSetting, 'kind'>): boolean {
  return kind === 'list' || kind === 'exports' || kind === 'peers';
}

/** Those of a node of a cluster that differ from node to node, or are chosen once for all; the rest is for the file. */
function ofRamster(): TextSetting[] {
  const setting = (
    path: readonly [string, ...string[]],
    value: string,
    kind: TextSetting['kind'],
    description: string,
    name = path.join('-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
  ): TextSetting => ({ name: `ramster-${name}`, path: ['ramster', ...path], value, kind, description });
  return [
    setting(['name'], 'name', 'text', 'makes this a node of a cluster, with this name'),
    setting(
      ['listen'],
      'address',
      'list',
      'where other nodes connect: HOST:PORT or unix:PATH; may be repeated',
    ),
    setting(['fetchListen'], 'address', 'text', 'where applications on the store fetch pages: unix:PATH'),
    setting(['peers'], 'peer', 'peers', 'another node, as NAME=ADDRESS; may be repeated', 'peer'),
    setting(['tls', 'certificate'], 'file', 'text', 'PEM file with the certificate of this node'),
    setting(['tls', 'key'], 'file', 'text', 'PEM file with its key'),
    setting(['tls', 'authority'], 'file', 'text', 'PEM file with the authority of the cluster'),
    setting(['allowInsecure'], 'true|false', 'boolean', 'let nodes connect without TLS (default: false)'),
    setting(['cluster'], 'name', 'text', "name of the cluster (default: 'tmem')"),
    setting(
      ['replicas'],
      'n',
      'number',
      'copies of each persistent page at other nodes, 1 to 3 (default: 2)',
    ),
    setting(['persistent'], 'true|false', 'boolean', 'send persistent pages away (default: true)'),
    setting(['ephemeral'], 'true|false', 'boolean', 'send ephemeral pages away (default: true)'),
    setting(['seal'], 'true|false', 'boolean', 'encrypt pages before they leave (default: true)'),
    setting(['lendBytes'], 'size', 'text', 'most memory for pages of others (default: half of the store)'),
    setting(['capBytes'], 'size', 'text', 'most memory for pages of one other node (default: a quarter)'),
    setting(['drainTimeoutMs'], 'n', 'number', 'longest time to leave the cluster in order (default: 60000)'),
    setting(['nats', 'servers'], 'address', 'list', 'find the nodes by NATS; may be repeated', 'nats-server'),
    setting(['redis', 'url'], 'address', 'text', 'a Redis that takes pages, too'),
    setting(['disk', 'file'], 'file', 'text', 'keep a copy of each page that is sent in this file'),
    setting(['disk', 'size'], 'size', 'text', 'how large that file may be'),
  ];
}
