/**
 * The daemon as a node of a cluster: a Ramster on its store, with the membership and the other stores that its settings
 * name.
 *
 * The packages for NATS and Redis are optional: they are loaded when the settings need them.
 */

import {
  type Drained,
  type Membership,
  type MembershipContext,
  Ramster,
  type RemoteStore,
  systemClock,
} from '../ramster/index.ts';
import type { Owner } from '../ramster/local/foreign-pages.ts';
import { DiskStore } from '../ramster/remote-store/disk-store.ts';
import { type Store, TmemError } from '../zcache/index.ts';
import { readNodeCertificates, readNodeFile } from './node-certificates.ts';
import type { ServeRamster } from './ramster-settings.ts';

/** A remote store that the node itself has opened. */
export type Engine = RemoteStore & {
  /** What is wrong with it, in words. */
  readonly problem?: string | undefined;
  close(): Promise<void>;
};

export class ClusterNode {
  readonly ramster: Ramster;
  readonly engines: readonly Engine[];

  private constructor(ramster: Ramster, engines: readonly Engine[]) {
    this.ramster = ramster;
    this.engines = engines;
  }

  /**
   * @param sendsFrom - whether pages of a client of the store may be sent, besides those that the settings name
   * @throws TmemError of settings, certificates and stores; the error of node:net that names the address
   */
  static async open(
    store: Store,
    settings: ServeRamster,
    sendsFrom: (client: string) => boolean,
  ): Promise<ClusterNode> {
    const { tls, drainTimeoutMs: _, nats, redis, disk, ...others } = settings;
    const certificates = tls && readNodeCertificates(settings.name, tls);
    const membership = nats && (await natsMembership(settings, nats));
    const engines: Engine[] = [];
    const openEngines = async (owner: Owner): Promise<readonly Engine[]> => {
      if (redis !== undefined) engines.push(await openRedis(owner, settings, redis));
      if (disk !== undefined) engines.push(await openDisk(owner, disk));
      return engines;
    };
    try {
      const ramster = await Ramster.open(store, {
        ...others,
        ...(certificates === undefined ? {} : { tls: certificates }),
        ...(membership === undefined ? {} : { membership }),
        ...{ sendsFrom, engines: openEngines },
      });
      return new ClusterNode(ramster, engines);
    } catch (error) {
      await closeAll(engines);
      throw error;
    }
  }

  drain(timeoutMs: number): Promise<Drained> {
    return this.ramster.drain(timeoutMs);
  }

  async close(): Promise<void> {
    await this.ramster.close();
    await closeAll(this.engines);
  }
}

async function natsMembership(
  { cluster }: ServeRamster,
  { servers, user, password, token, tls, address }: NonNullable<ServeRamster['nats']>,
): Promise<(context: MembershipContext) => Membership> {
  const { NatsMembership } = await optional(
    import('../ramster/nats.ts'),
    'ramster.nats',
    '@nats-io/transport-node',
  );
  const file = (name: keyof NonNullable<typeof tls>): string | undefined => {
    const path = tls?.[name];
    return path === undefined ? undefined : readNodeFile(`ramster.nats.tls.${name}`, path).toString();
  };
  const connect = defined({
    ...{ servers, user, pass: password, token },
    tls: tls && defined({ cert: file('certificate'), key: file('key'), ca: file('authority') }),
  });
  return ({ name, addresses, clock }) =>
    new NatsMembership({ name, cluster, address: address ?? (addresses[0] as string), connect }, clock);
}

async function openRedis(
  owner: Owner,
  { cluster, requestTimeoutMs }: ServeRamster,
  { name, url, nodes, memoryMax, ephemeralOnly }: NonNullable<ServeRamster['redis']>,
): Promise<Engine> {
  const { RedisStore } = await optional(import('../ramster/redis.ts'), 'ramster.redis', 'ioredis');
  return RedisStore.open({
    ...{ name, cluster, ephemeralOnly, deadlineMs: requestTimeoutMs, clock: systemClock },
    ...(memoryMax === undefined ? {} : { memoryMaxBytes: memoryMax }),
    connection: url ?? { nodes: nodes ?? [] },
    owner,
  });
}

function openDisk(owner: Owner, { file, size }: NonNullable<ServeRamster['disk']>): Promise<Engine> {
  return DiskStore.open({ path: file, fileBytesMax: size, owner, clock: systemClock });
}

/** @throws TmemError TMEM_ERR_SETTING if the package is not there */
async function optional<Module>(loading: Promise<Module>, setting: string, name: string): Promise<Module> {
  try {
    return await loading;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new TmemError('TMEM_ERR_SETTING', `${setting}: needs the package ${name}: npm install ${name}`, {
      cause,
    });
  }
}

/** Without what is undefined: other packages take that for a value. */
function defined<Given extends object>(given: Given): Given {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Given;
}

async function closeAll(engines: readonly Engine[]): Promise<void> {
  await Promise.allSettled(engines.map((engine) => engine.close()));
}
