import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { StorageDriver } from '../../../../../src/registry/storage/driver.ts';
import { openSwift } from '../../../../../src/registry/storage/swift/open-swift.ts';
import { startKeystoneStandIn } from '../../../../support/keystone-stand-in.ts';
import { logSink, type LogRecord } from '../../../../support/log-sink.ts';
import { sleeplessClock } from '../../../../support/stand-in-service.ts';
import { swiftOptions } from '../../../../support/swift-options.ts';
import { createTestAuthority } from '../../../../support/test-authority.ts';
import {
  startSwiftStandIn,
  type SwiftStandIn,
  type SwiftStandInOptions,
} from '../../../../support/swift-stand-in.ts';

const now = Date.UTC(2026, 0, 1);

/** What an OpenStack Swift of 2022 tells. */
const openStackInfo = {
  swift: { version: '2.30.1' },
  tempurl: { methods: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'], allowed_digests: ['sha256', 'sha512'] },
  bulk_delete: { max_deletes_per_request: 2 },
};

interface Opened {
  readonly driver: StorageDriver;
  readonly standIn: SwiftStandIn;
  readonly records: readonly LogRecord[];
}

async function open(
  t: TestContext,
  options: Readonly<Record<string, unknown>> = {},
  { prepare, ...service }: SwiftStandInOptions & { readonly prepare?: (standIn: SwiftStandIn) => void } = {},
): Promise<Opened> {
  const clock = sleeplessClock(now);
  const standIn = await startSwiftStandIn(t, { now: () => clock.now(), ...service });
  prepare?.(standIn);
  const { log, records } = logSink();
  const given = swiftOptions({ authurl: `${standIn.url}/auth/v1.0`, ...options });
  const driver = await openSwift(given, { clock, log, environment: {} });
  return { driver, standIn, records };
}

/** What temporary URLs are used for. */
function abilities(driver: StorageDriver): string[] {
  return (['deleteWithin', 'redirectUrl'] as const).filter((ability) => driver[ability] !== undefined);
}

test('a container that is missing is made, and one that is there is left alone', async (t) => {
  const { standIn } = await open(t);
  assert.ok(standIn.containers.has('registry'));
  const { standIn: second } = await open(
    t,
    {},
    { prepare: ({ containers }) => void containers.add('registry') },
  );
  assert.ok(second.calls.every(({ method }) => method !== 'PUT'));
});

test('a container that may not be made is told with the remedy', async (t) => {
  const prepare = (standIn: SwiftStandIn): void => {
    standIn.answer = ({ method }) => (method === 'PUT' ? { status: 403 } : undefined);
  };
  await assert.rejects(open(t, {}, { prepare }), {
    message:
      'the container registry does not exist, and making it was answered with 403; make it, or give the user the right to',
  });
});

test('a container that may not be looked at is told with the remedy', async (t) => {
  const prepare = (standIn: SwiftStandIn): void => {
    standIn.answer = ({ path }) => (path.endsWith('/registry') ? { status: 403 } : undefined);
  };
  await assert.rejects(
    open(t, {}, { prepare }),
    /may not look at the container registry; it needs the right/,
  );
});

test('a login that is refused tells why at the start, without the password', async (t) => {
  await assert.rejects(open(t, { password: 'wrong-password' }), (error) => {
    assert.ok(error instanceof Error);
    assert.match(error.message, /^the registry cannot log in to its storage: http:.*: the answer is 401$/);
    return true;
  });
});

test('Keystone gives the token and the address', async (t) => {
  const { standIn } = await open(t);
  const storage = [{ region: 'R', kind: 'public', url: standIn.storageUrl }] as const;
  for (const version of ['v2.0', 'v3']) {
    const keystone = await startKeystoneStandIn(t, { storage, issueToken: () => standIn.issueToken() });
    const options = swiftOptions({ authurl: `${keystone.url}/${version}` });
    const driver = await openSwift(options, {
      clock: sleeplessClock(now),
      log: logSink().log,
      environment: {},
    });
    await driver.putContent('/a', Buffer.from(version));
    assert.equal((await driver.getContent('/a')).toString(), version);
    assert.equal(keystone.received.length, 1);
  }
});

const stored = '/docker/registry/v2/blobs/data';

test('clients are sent to OpenStack by a URL that is good for 20 minutes', async (t) => {
  const { driver, standIn } = await open(t, {}, { info: openStackInfo });
  await driver.putContent(stored, Buffer.from('bytes'));
  const url = new URL((await driver.redirectUrl?.(stored, 'HEAD')) ?? '');
  assert.equal(url.pathname, `/v1/AUTH_test/registry/files${stored}`);
  assert.equal(Number(url.searchParams.get('temp_url_expires')), now / 1000 + 20 * 60);
  for (const method of ['GET', 'HEAD']) assert.equal((await fetch(url, { method })).status, 200);
  assert.equal(standIn.keys.get('/v1/AUTH_test/registry')?.length, 64);
  assert.equal(standIn.keys.has('/v1/AUTH_test'), false);
});

test('all replicas sign with the key that is there', async (t) => {
  const key = (standIn: SwiftStandIn): string | undefined => standIn.keys.get('/v1/AUTH_test/registry');
  const { standIn } = await open(t, {}, { info: openStackInfo });
  const made = key(standIn);
  const options = swiftOptions({ authurl: `${standIn.url}/auth/v1.0` });
  await openSwift(options, { clock: sleeplessClock(now), log: logSink().log, environment: {} });
  assert.equal(key(standIn), made);
});

test('secretkey takes the place of another key', async (t) => {
  const prepare = ({ keys }: SwiftStandIn): void => void keys.set('/v1/AUTH_test/registry', 'old');
  const { driver, standIn } = await open(t, { secretkey: 'new' }, { info: openStackInfo, prepare });
  assert.equal(standIn.keys.get('/v1/AUTH_test/registry'), 'new');
  await driver.putContent(stored, Buffer.from('bytes'));
  assert.equal((await fetch((await driver.redirectUrl?.(stored, 'GET')) ?? '')).status, 200);
});

test('accesskey goes into the signature', async (t) => {
  const options = { secretkey: 'key', accesskey: 'access', tenantid: 'tenant' };
  // HP Cloud alone understands such a signature.
  const prepare = (standIn: SwiftStandIn): void => {
    standIn.answer = ({ query }) =>
      query.get('temp_url_sig')?.startsWith('tenant:access:') ? { status: 404 } : undefined;
  };
  const { driver } = await open(t, options, { info: openStackInfo, prepare });
  const url = new URL((await driver.redirectUrl?.(stored, 'GET')) ?? '');
  assert.match(url.searchParams.get('temp_url_sig') ?? '', /^tenant:access:[0-9a-f]{64}$/);
});

test('where nothing tells of temporary URLs, clients read through the server and no key is set', async (t) => {
  const { driver, standIn, records } = await open(t);
  assert.deepEqual(abilities(driver), []);
  assert.equal(standIn.keys.size, 0);
  assert.deepEqual(records, []);
});

// As a Ceph gateway does, whose keys of containers have no effect.
const gateway = (standIn: SwiftStandIn): void => {
  standIn.answer = ({ path, query, method }) => {
    if (path === '/v1/info')
      return { status: 200, body: JSON.stringify({ tempurl: { methods: ['GET', 'DELETE'] } }) };
    const ownKey =
      standIn.keys.get('/v1/AUTH_test/registry') !== undefined && !standIn.keys.has('/v1/AUTH_test');
    return query.has('temp_url_sig') && ownKey && method === 'HEAD' ? { status: 403 } : undefined;
  };
};

test("a gateway's own document gives deletes that expire, and sends no clients to it", async (t) => {
  const { driver, standIn } = await open(t, { secretkey: 'key' }, { prepare: gateway });
  assert.deepEqual(abilities(driver), ['deleteWithin']);
  assert.equal(standIn.keys.get('/v1/AUTH_test'), 'key');
});

test('tempurlmethods sends clients to a gateway', async (t) => {
  const { driver, standIn } = await open(t, { tempurlmethods: ['GET'] }, { prepare: gateway });
  assert.deepEqual(abilities(driver), ['deleteWithin', 'redirectUrl']);
  assert.equal(standIn.keys.get('/v1/AUTH_test')?.length, 64);
});

test("tempurlcontainerkey tries the container's key first, and the account's when that has no effect", async (t) => {
  const options = { tempurlmethods: ['GET'], tempurlcontainerkey: true, secretkey: 'key' };
  const { standIn } = await open(t, options, { prepare: gateway });
  assert.deepEqual(
    [...standIn.keys],
    [
      ['/v1/AUTH_test/registry', 'key'],
      ['/v1/AUTH_test', 'key'],
    ],
  );
});

test('a store that honours no key is told of in the log', async (t) => {
  const prepare = (standIn: SwiftStandIn): void => {
    standIn.answer = ({ query }) => (query.has('temp_url_sig') ? { status: 401 } : undefined);
  };
  const { driver, records } = await open(t, { secretkey: 'very-secret' }, { info: openStackInfo, prepare });
  assert.deepEqual(abilities(driver), []);
  assert.match(records[0]?.message ?? '', /honours no temporary URLs/);
  assert.doesNotMatch(JSON.stringify(records), /very-secret/);
});

test('a user without a right to the account opens the store all the same', async (t) => {
  const prepare = (standIn: SwiftStandIn): void => {
    standIn.answer = ({ path }) => (path === '/v1/AUTH_test' ? { status: 403 } : undefined);
  };
  const info = { ...openStackInfo, swift: { version: '2.2.0' } };
  const { driver } = await open(t, {}, { info, prepare });
  assert.deepEqual(abilities(driver), []);
});

test('many objects are deleted in requests of as many as the store takes', async (t) => {
  const { driver, standIn } = await open(t, {}, { info: openStackInfo });
  for (const name of ['a', 'b', 'c']) await driver.putContent(`/tree/${name}`, Buffer.from(name));
  standIn.calls.length = 0;
  await driver.delete('/tree');
  const bulk = standIn.calls.filter(({ query }) => query.has('bulk-delete'));
  assert.deepEqual(
    bulk.map(({ body }) => body.toString()),
    ['registry/files/tree/a\nregistry/files/tree/b\n', 'registry/files/tree/c\n'],
  );
  assert.deepEqual(standIn.names('registry'), []);
});

test('a bulk delete that fails for an object fails', async (t) => {
  const { driver, standIn } = await open(t, {}, { info: openStackInfo });
  for (const name of ['a', 'b']) await driver.putContent(`/tree/${name}`, Buffer.from(name));
  const refusal = {
    'Response Status': '400 Bad Request',
    Errors: [['/registry/files/tree/a', '403 Forbidden']],
  };
  standIn.answer = ({ query }) =>
    query.has('bulk-delete') ? { status: 200, body: JSON.stringify(refusal) } : undefined;
  await assert.rejects(driver.delete('/tree'), (error) => {
    assert.ok(error instanceof Error && error.cause instanceof Error);
    assert.match(error.cause.message, /\/registry\/files\/tree\/a 403 Forbidden/);
    return true;
  });
});

test('insecureskipverify accepts a certificate that nobody trusts, and nothing else does', async (t) => {
  const tls = await (await createTestAuthority()).issue();
  await assert.rejects(open(t, {}, { tls }), /does not answer: GET https:.*certificate/);
  const { driver } = await open(t, { insecureskipverify: true }, { tls });
  await driver.putContent('/a', Buffer.from('bytes'));
  assert.equal((await driver.getContent('/a')).toString(), 'bytes');
});

test('prefix begins the names of all objects', async (t) => {
  const { driver, standIn } = await open(t, { prefix: '/team', container: 'images', chunksize: 1024 * 1024 });
  const writer = await driver.writer('/a', { append: false });
  await writer.write(Buffer.alloc(1024 * 1024));
  await writer.close();
  const [file = '', segment = ''] = standIn.names('images');
  assert.equal(file, 'team/files/a');
  assert.match(segment, /^team\/segments\/2f6\/1[0-9a-f]{104}\/0000000000000001$/);
});
