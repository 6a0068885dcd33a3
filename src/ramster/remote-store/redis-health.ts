/**
 * What INFO says of a Redis server, and whether that will do.
 *
 * Everything asked for is in INFO, so CONFIG, which hosted services often forbid, is not needed.
 */

/** First version that has all that is used and is known to work. */
const VERSION_LEAST = 6;

export interface Needs {
  readonly isCluster: boolean;
  /** Bytes that Redis may use in all where it sets itself no limit. */
  readonly memoryMaxBytes: number | undefined;
}

export interface Health {
  /** Why it cannot be used at all, and what to do. */
  readonly unusable: string | undefined;
  /** Why it must not get persistent pages, and what to do. */
  readonly forgetful: string | undefined;
  readonly freeBytes: number;
  /** It has no limit of its own: who puts has to look at `freeBytes`. */
  readonly unlimited: boolean;
}

/** @param infos - what INFO said at each node that takes writes */
export function judge(infos: readonly string[], needs: Needs): Health {
  const nodes = infos.map((info) => judgeNode(parseInfo(info), needs));
  if (nodes.length === 0) {
    const unusable = 'the cluster has no master that can be reached';
    return { unusable, forgetful: undefined, freeBytes: 0, unlimited: false };
  }
  return {
    unusable: nodes.find(({ unusable }) => unusable !== undefined)?.unusable,
    forgetful: nodes.find(({ forgetful }) => forgetful !== undefined)?.forgetful,
    freeBytes: nodes.reduce((sum, { freeBytes }) => sum + freeBytes, 0),
    unlimited: nodes.some(({ unlimited }) => unlimited),
  };
}

function judgeNode(info: ReadonlyMap<string, string>, needs: Needs): Health {
  const policy = info.get('maxmemory_policy') ?? 'unknown';
  const limit = Number(info.get('maxmemory') ?? 0);
  const used = Number(info.get('used_memory') ?? 0);
  return {
    unusable: whyUnusable(info, limit, needs),
    forgetful:
      policy === 'noeviction'
        ? undefined
        : `its maxmemory-policy is ${policy}, which lets it throw persistent pages away; set it to noeviction ` +
          '(CONFIG SET maxmemory-policy noeviction, and in redis.conf), or send it ephemeral pages only ' +
          '(ephemeralOnly)',
    freeBytes: Math.max(0, (limit || (needs.memoryMaxBytes ?? 0)) - used),
    unlimited: limit === 0,
  };
}

function whyUnusable(info: ReadonlyMap<string, string>, limit: number, needs: Needs): string | undefined {
  const version = info.get('redis_version') ?? 'unknown';
  if (!(Number.parseInt(version, 10) >= VERSION_LEAST)) {
    return `its version is ${version}; Redis ${VERSION_LEAST} or later, or Valkey, is needed`;
  }
  const role = info.get('role');
  if (role !== 'master')
    return `it is a replica (role ${role}), which takes no writes; give the address of its master`;
  if (!needs.isCluster && info.get('cluster_enabled') === '1') {
    return 'it is a node of a Redis Cluster; give it as { nodes: [...] }, or as a Cluster of ioredis';
  }
  if (limit === 0 && needs.memoryMaxBytes === undefined) {
    return (
      'it has no maxmemory, so it would grow until the system kills it; set one (CONFIG SET maxmemory 1gb, and in ' +
      'redis.conf), or say how much it may use with memoryMaxBytes'
    );
  }
  return undefined;
}

/** The fields of INFO's answer. */
export function parseInfo(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}
