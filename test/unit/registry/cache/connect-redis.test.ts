import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Cluster, Redis } from 'ioredis';
import { parseConfig } from '../../../../src/contract/config/config.ts';
import { connectRedis } from '../../../../src/registry/cache/connect-redis.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

/** What a section makes of the client, which does not get to connect. */
async function clientOf(redis: object): Promise<Redis | Cluster> {
  const { config, errors } = parseConfig(
    JSON.stringify({ version: '0.1', storage: { filesystem: {} }, http: { addr: ':0' }, redis }),
  );
  if (config?.redis === undefined) throw new Error(JSON.stringify(errors));
  const client = await connectRedis(config.redis);
  client.on('error', () => undefined);
  client.disconnect();
  return client;
}

/** The options of a client of one server. */
async function optionsOf(redis: object): Promise<Redis['options']> {
  const client = await clientOf({ addr: '127.0.0.1:1', ...redis });
  assert.ok(client instanceof Redis);
  return client.options;
}

test('each option of the section reaches the client', async () => {
  const cases: readonly (readonly [object, Partial<Redis['options']>])[] = [
    [{}, { connectTimeout: 5000, commandTimeout: 500, maxRetriesPerRequest: 0, db: 0, protocol: 3 }],
    [{ addr: 'redis.example.com' }, { host: 'redis.example.com', port: 6379 }],
    [{ addr: '[::1]:7000' }, { host: '::1', port: 7000 }],
    [{ addrs: ['other:7001'] }, { host: 'other', port: 7001 }],
    [
      { username: 'u', password: 'p' },
      { username: 'u', password: 'p' },
    ],
    [{ db: 4 }, { db: 4 }],
    [{ protocol: 2 }, { protocol: 2 }],
    [{ clientname: 'registry' }, { connectionName: 'registry' }],
    [{ dialtimeout: '7s' }, { connectTimeout: 7000 }],
    [{ readtimeout: '80ms' }, { commandTimeout: 80 }],
    [{ readtimeout: '80ms', writetimeout: '20ms' }, { commandTimeout: 100 }],
    [{ maxretries: 4 }, { maxRetriesPerRequest: 4 }],
    [{ maxretries: -1 }, { maxRetriesPerRequest: 0 }],
    [{ disableidentity: true }, { disableClientInfo: true }],
    [{ identitysuffix: 'mine' }, { clientInfoTag: 'mine' }],
  ];
  for (const [redis, expected] of cases) {
    assert.partialDeepStrictEqual(await optionsOf(redis), expected, JSON.stringify(redis));
  }
});

test('pauses before connecting again grow between the shortest and the longest', async () => {
  const pauses = async (redis: object): Promise<unknown[]> => {
    const { retryStrategy } = await optionsOf(redis);
    return [1, 2, 3, 20].map((times) => retryStrategy?.(times));
  };
  assert.deepEqual(await pauses({}), [100, 200, 400, 5000]);
  assert.deepEqual(await pauses({ minretrybackoff: '1s' }), [1000, 2000, 4000, 5000]);
  assert.deepEqual(await pauses({ maxretrybackoff: '150ms' }), [100, 150, 150, 150]);
});

test('a name of a set stands for sentinels', async () => {
  const { sentinels, name, sentinelUsername, sentinelPassword } = await optionsOf({
    addrs: ['a:1', 'b:2'],
    mastername: 'the-set',
    sentinelusername: 'su',
    sentinelpassword: 'sp',
  });
  assert.deepEqual(sentinels, [
    { host: 'a', port: 1 },
    { host: 'b', port: 2 },
  ]);
  assert.deepEqual([name, sentinelUsername, sentinelPassword], ['the-set', 'su', 'sp']);
});

test('several addresses stand for a cluster, which is read as the section says', async () => {
  const addrs = ['127.0.0.1:1', '127.0.0.1:2'];
  for (const [redis, scaleReads] of [
    [{}, 'master'],
    [{ readonly: true }, 'slave'],
    [{ routebylatency: true }, 'all'],
    [{ routerandomly: true }, 'all'],
  ] as const) {
    const client = await clientOf({ addrs, maxredirects: 3, password: 'p', ...redis });
    assert.ok(client instanceof Cluster);
    assert.partialDeepStrictEqual(client.options, {
      scaleReads,
      maxRedirections: 3,
      redisOptions: { password: 'p' },
    });
  }
});

test('the files of tls are read', async () => {
  await withTemporaryFolder(async (folder) => {
    const file = (name: string): string => {
      writeFileSync(join(folder, name), name);
      return join(folder, name);
    };
    const { tls } = await optionsOf({
      tls: { certificate: file('cert'), key: file('key'), rootcas: [file('ca')] },
    });
    assert.deepEqual(tls, { cert: Buffer.from('cert'), key: Buffer.from('key'), ca: [Buffer.from('ca')] });
  });
});
