import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import type { Cluster, CommonRedisOptions, Redis } from 'ioredis';
import type { Config } from '../../contract/config/config.ts';

export type RedisConfig = NonNullable<Config['redis']>;

/**
 * How long the cache waits for Redis unless told, in milliseconds. Shorter than go-redis does: asking the store instead is
 * never wrong.
 */
const CONNECT_WITHIN = 5000;
const ANSWER_WITHIN = 500;

const SHORTEST_PAUSE = 100;
const LONGEST_PAUSE = 5000;

/**
 * A client of one server, of the set that sentinels watch (`mastername`), or of a cluster (several addresses): what
 * go-redis makes of the same section. It connects by itself, and again when a connection breaks.
 * @throws Error when a file of `tls` cannot be read.
 */
export async function connectRedis(config: RedisConfig): Promise<Redis | Cluster> {
  const addresses = (config.addrs.length > 0 ? config.addrs : [config.addr ?? '']).map(parseHost);
  const [first = parseHost('')] = addresses;
  const tls = config.tls && (await readTls(config.tls));
  const options = { ...commonOptions(config), ...(tls && { tls }) };
  const { Redis, Cluster } = await import('ioredis');
  if (config.mastername !== undefined) {
    return new Redis({
      ...options,
      sentinels: addresses,
      name: config.mastername,
      ...(config.sentinelusername !== undefined && { sentinelUsername: config.sentinelusername }),
      ...(config.sentinelpassword !== undefined && { sentinelPassword: config.sentinelpassword }),
      ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: tls }),
      sentinelRetryStrategy: pause(config),
    });
  }
  if (addresses.length === 1) return new Redis({ ...options, ...first });
  const { retryStrategy, enableOfflineQueue, ...ofNodes } = options;
  return new Cluster(addresses, {
    redisOptions: ofNodes,
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    scaleReads: readFrom(config),
    ...(config.maxredirects !== undefined && { maxRedirections: config.maxredirects }),
  });
}

function commonOptions(config: RedisConfig) {
  return {
    db: config.db,
    protocol: config.protocol === 2 ? 2 : 3,
    ...(config.username !== undefined && { username: config.username }),
    ...(config.password !== undefined && { password: config.password }),
    ...(config.clientname !== undefined && { connectionName: config.clientname }),
    disableClientInfo: config.disableidentity,
    ...(config.identitysuffix !== undefined && { clientInfoTag: config.identitysuffix }),
    connectTimeout: config.dialtimeout ?? CONNECT_WITHIN,
    commandTimeout: (config.writetimeout ?? 0) + (config.readtimeout ?? 0) || ANSWER_WITHIN,
    // What cannot be asked at once is not worth waiting for.
    enableOfflineQueue: false,
    maxRetriesPerRequest: Math.max(0, config.maxretries ?? 0),
    retryStrategy: pause(config),
  } as const satisfies CommonRedisOptions;
}

/** Before connecting again: twice as long each time. */
function pause({ minretrybackoff, maxretrybackoff }: RedisConfig): (times: number) => number {
  const shortest = minretrybackoff ?? SHORTEST_PAUSE;
  return (times) => Math.min(shortest * 2 ** (times - 1), maxretrybackoff ?? LONGEST_PAUSE);
}

function readFrom({ readonly, routebylatency, routerandomly }: RedisConfig): 'all' | 'slave' | 'master' {
  if (routebylatency || routerandomly) return 'all';
  return readonly ? 'slave' : 'master';
}

async function readTls(config: NonNullable<RedisConfig['tls']>): Promise<ConnectionOptions> {
  const { certificate, key, rootcas } = config;
  const ca = await Promise.all(rootcas.map((file) => readFile(file)));
  return {
    ...(certificate !== undefined &&
      key !== undefined && { cert: await readFile(certificate), key: await readFile(key) }),
    ...(ca.length > 0 && { ca }),
  };
}

function parseHost(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(address);
  return { host: match?.[1] || match?.[2] || '127.0.0.1', port: Number(match?.[3] ?? 6379) };
}
