// Redis servers of a test: started on a unix socket or a free loopback port, in a directory of their own, ended by
// process id.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';

const START_MAX_MS = 20_000;
const POLL_MS = 20;
const SETTLING_POLLS = 20;
/** Ports that are tried one after the other for a server that needs one. */
const ATTEMPTS_MOST = 20;

export type RedisSettings = Readonly<Record<string, string>>;

/** Where it listens besides its unix socket: nowhere, or on a free loopback port. */
export type Listens = 'socket' | 'port' | 'tls';

export class RedisServer {
  readonly directory: string;
  readonly socket: string;
  readonly port: number;
  readonly #listens: Listens;
  readonly #settings: RedisSettings;
  #child: ChildProcess | undefined;

  private constructor(directory: string, listens: Listens, port: number, settings: RedisSettings) {
    this.directory = directory;
    this.#listens = listens;
    this.socket = path.join(directory, 'redis.sock');
    this.port = port;
    this.#settings = settings;
  }

  static async start(settings: RedisSettings = {}, listens: Listens = 'socket'): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tmem-redis-'));
      const port = listens === 'socket' ? 0 : await freePort();
      const server = new RedisServer(directory, listens, port, settings);
      try {
        await server.run();
        return server;
      } catch (error) {
        await server.stop();
        if (listens === 'socket' || attempt === ATTEMPTS_MOST) throw error;
      }
    }
  }

  /** Runs the process, also again after it was killed. */
  async run(settings: RedisSettings = {}): Promise<void> {
    const all = {
      save: '',
      appendonly: 'no',
      maxmemory: '256mb',
      'maxmemory-policy': 'noeviction',
      ...this.#settings,
      ...settings,
      port: String(this.#listens === 'port' ? this.port : 0),
      'tls-port': String(this.#listens === 'tls' ? this.port : 0),
      bind: '127.0.0.1',
      unixsocket: this.socket,
      dir: this.directory,
      logfile: path.join(this.directory, 'log'),
    };
    const args = Object.entries(all).flatMap(([name, value]) => [
      `--${name}`,
      ...(value === '' ? [''] : value.split(' ')),
    ]);
    const child = spawn('redis-server', args, { stdio: 'ignore' });
    this.#child = child;
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) =>
        reject(new Error(`redis-server ended: ${code ?? signal}: ${this.#log()}`)),
      );
    });
    failed.catch(() => {});
    await Promise.race([failed, this.#answers()]);
  }

  /** Sets maxmemory so that there is room for about this much more than it has when it has nothing to do. */
  async limit(roomBytes: number): Promise<void> {
    let used = await this.#usedBytes();
    // Buffers of connections that ended go some time later.
    for (let poll = 0; poll < SETTLING_POLLS; poll++) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      used = Math.min(used, await this.#usedBytes());
    }
    await this.command('config', 'set', 'maxmemory', String(Math.floor(used + roomBytes)));
  }

  async #usedBytes(): Promise<number> {
    return Number(/used_memory:(\d+)/.exec(await this.command('info', 'memory'))?.[1]);
  }

  /** What redis-cli prints. */
  async command(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)('redis-cli', ['-e', '-s', this.socket, ...args], {
      timeout: START_MAX_MS,
    });
    return stdout.trim();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (
      child === undefined ||
      child.exitCode !== null ||
      child.signalCode !== null ||
      child.pid === undefined
    )
      return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  async #answers(): Promise<void> {
    const deadline = Date.now() + START_MAX_MS;
    for (;;) {
      if (await this.#isReady()) return;
      if (Date.now() > deadline) throw new Error(`redis-server does not answer: ${this.#log()}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #isReady(): Promise<boolean> {
    const client = new Redis({ path: this.socket, lazyConnect: true, retryStrategy: () => null });
    client.on('error', () => {});
    try {
      await client.connect();
      return true;
    } catch {
      return false;
    } finally {
      client.disconnect();
    }
  }

  #log(): string {
    const file = path.join(this.directory, 'log');
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').slice(-2000) : 'it has written no log';
  }
}

/** A cluster of three masters without replicas. */
export class RedisCluster {
  readonly servers: readonly RedisServer[];

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers;
  }

  static async start(settings: RedisSettings = {}): Promise<RedisCluster> {
    const servers: RedisServer[] = [];
    const cluster = new RedisCluster(servers);
    try {
      for (let node = 0; node < 3; node++) {
        servers.push(await RedisServer.start({ 'cluster-enabled': 'yes', ...settings }, 'port'));
      }
      const addresses = servers.map(({ port }) => `127.0.0.1:${port}`);
      await promisify(execFile)('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes'], {
        timeout: START_MAX_MS,
      });
      for (const server of servers) {
        await cluster.until(async () =>
          (await server.command('cluster', 'info')).includes('cluster_state:ok'),
        );
      }
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get nodes(): { host: string; port: number }[] {
    return this.servers.map(({ port }) => ({ host: '127.0.0.1', port }));
  }

  async until(holds: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + START_MAX_MS;
    while (!(await holds())) {
      if (Date.now() > deadline) throw new Error('the cluster does not come up');
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

/** One that was free a moment ago, and whose cluster bus port (10000 higher) exists. */
async function freePort(): Promise<number> {
  for (;;) {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    if (port + 10_000 <= 65_535) return port;
  }
}
