import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import type { StorageDriver } from '../../../../../src/registry/storage/driver.ts';
import { openS3 } from '../../../../../src/registry/storage/s3/open-s3.ts';
import { testDriver } from '../../../../support/driver-conformance.ts';
import { logSink, type LogRecord } from '../../../../support/log-sink.ts';
import { s3Options } from '../../../../support/s3-options.ts';
import { refusal, S3StandIn, startS3StandIn, withS3StandIn } from '../../../../support/s3-stand-in.ts';
import { sleeplessClock } from '../../../../support/stand-in-service.ts';
import { createTestAuthority } from '../../../../support/test-authority.ts';
import { waitFor } from '../../../../support/wait-for.ts';

const MIB = 1024 * 1024;
const keys = { accesskey: 'AKIA', secretkey: 'secret' };

interface Opened {
  readonly driver: StorageDriver;
  readonly s3: S3StandIn;
  readonly records: readonly LogRecord[];
}

async function open(t: TestContext, section: Readonly<Record<string, unknown>> = {}): Promise<Opened> {
  const s3 = await startS3StandIn(t);
  const { driver, records } = await openAt(s3, section);
  s3.requests.length = 0;
  return { driver, s3, records };
}

async function openAt(
  { url }: { readonly url: string },
  section: Readonly<Record<string, unknown>>,
): Promise<{ readonly driver: StorageDriver; readonly records: readonly LogRecord[] }> {
  const { log, records } = logSink();
  const options = s3Options({ bucket: 'bucket', regionendpoint: url, ...keys, ...section });
  return { driver: await openS3(options, { clock: sleeplessClock(), environment: {}, log }), records };
}

async function upload(driver: StorageDriver, path: string, size: number): Promise<void> {
  const writer = await driver.writer(path, { append: false });
  for (let left = size; left > 0; left -= MIB) await writer.write(Buffer.alloc(Math.min(left, MIB), 'x'));
  await writer.close();
}

testDriver('the driver of S3 on a stand-in', async (use) => {
  await withS3StandIn(async (s3) => {
    await use((await openAt(s3, {})).driver);
  });
});

/** Puts, uploads and copies: the three ways in which an object is made. */
async function makeObjects({ driver, s3 }: Opened): Promise<readonly Readonly<Record<string, unknown>>[]> {
  await driver.putContent('/file', Buffer.from('x'));
  await upload(driver, '/upload', 100);
  await driver.publish([{ path: '/blob', from: '/upload' }]);
  const makes = s3.requests.filter(
    ({ method, query }) =>
      (method === 'PUT' && query.size === 0) || (method === 'POST' && query.has('uploads')),
  );
  assert.equal(makes.length, 3);
  return makes.map(({ headers }) => headers);
}

describe('an option of S3', () => {
  for (const [section, expected] of [
    [{}, {}],
    [{ encrypt: true }, { 'x-amz-server-side-encryption': 'AES256' }],
    [
      { encrypt: true, keyid: 'key' },
      {
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'key',
      },
    ],
    [{ storageclass: 'STANDARD_IA' }, { 'x-amz-storage-class': 'STANDARD_IA' }],
    [{ storageclass: 'none' }, {}],
    [{ objectacl: 'bucket-owner-full-control' }, { 'x-amz-acl': 'bucket-owner-full-control' }],
  ] as const) {
    test(`is with each object that is made: ${JSON.stringify(section)}`, async (t) => {
      const relevant = /^x-amz-(?:server|storage|acl)/;
      for (const headers of await makeObjects(await open(t, section))) {
        assert.equal(headers['content-type'], 'application/octet-stream');
        const sent = Object.entries(headers).filter(([name]) => relevant.test(name));
        assert.deepEqual(Object.fromEntries(sent), expected);
      }
    });
  }

  test('rootdirectory begins the keys', async (t) => {
    const { driver, s3 } = await open(t, { rootdirectory: '/some/root/' });
    await driver.putContent('/docker/file', Buffer.from('x'));
    assert.deepEqual([...s3.objects.keys()], ['some/root/docker/file']);
  });

  test('chunksize is the size of the parts but the last', async (t) => {
    const { driver, s3 } = await open(t, { chunksize: 5 * MIB });
    await upload(driver, '/upload', 12 * MIB);
    const [parts] = [...s3.uploads.values()].map((one) => one.parts);
    assert.deepEqual(
      [1, 2, 3, 4].map((number) => parts?.get(number)?.length),
      [5 * MIB, 5 * MIB, 2 * MIB, undefined],
    );
  });

  test('multipartcopythresholdsize and multipartcopychunksize rule how a copy is made', async (t) => {
    const { driver, s3 } = await open(t, {
      multipartcopythresholdsize: 12 * MIB,
      multipartcopychunksize: 6 * MIB,
    });
    for (const [size, ranges] of [
      [12 * MIB, [undefined]],
      [12 * MIB + 1, ['bytes=0-6291455', 'bytes=6291456-12582912']],
      [17 * MIB, ['bytes=0-6291455', 'bytes=6291456-12582911', 'bytes=12582912-17825791']],
    ] as const) {
      s3.objects.set('from', Buffer.alloc(size, 'x'));
      s3.requests.length = 0;
      await driver.move('/from', '/to');
      assert.equal(s3.objects.get('to')?.length, size);
      const copies = s3.requests.filter(({ headers }) => 'x-amz-copy-source' in headers);
      assert.deepEqual(
        new Set(copies.map(({ headers }) => headers['x-amz-copy-source-range'])),
        new Set(ranges),
      );
    }
  });

  test('multipartcopymaxconcurrency is how many parts are copied at once', async (t) => {
    const { driver, s3 } = await open(t, { multipartcopychunksize: 5 * MIB, multipartcopymaxconcurrency: 2 });
    s3.objects.set('from', Buffer.alloc(40 * MIB));
    const held: (() => void)[] = [];
    s3.intercept = async ({ headers }) => {
      if ('x-amz-copy-source-range' in headers) await new Promise<void>((resolve) => held.push(resolve));
      return undefined;
    };
    const moved = driver.move('/from', '/to');
    for (let copied = 0; copied < 8; copied++) {
      await waitFor(() => held.length === Math.min(2, 8 - copied));
      held.shift()?.();
    }
    await moved;
  });

  test('useragent is told to the store', async (t) => {
    const { driver, s3 } = await open(t, { useragent: 'team/1.0' });
    await driver.putContent('/file', Buffer.from('x'));
    assert.equal(s3.requests[0]?.headers['user-agent'], 'stevedore team/1.0');
  });

  test('v4auth, region and accesskey are in the signature', async (t) => {
    for (const [section, authorization] of [
      [{ region: 'eu-central-1' }, /^AWS4-HMAC-SHA256 Credential=AKIA\/20260101\/eu-central-1\/s3\//],
      [{}, /^AWS4-HMAC-SHA256 Credential=AKIA\/20260101\/us-east-1\/s3\//],
      [{ v4auth: false }, /^AWS AKIA:[A-Za-z0-9+/]{27}=$/],
    ] as const) {
      const { driver, s3 } = await open(t, section);
      await driver.putContent('/file', Buffer.from('x'));
      assert.match(s3.requests[0]?.headers.authorization ?? '', authorization);
    }
  });

  test('redirectendpoint is where clients are sent', async (t) => {
    const url = async (section: Readonly<Record<string, string>>): Promise<URL> =>
      new URL((await (await open(t, section)).driver.redirectUrl?.('/file', 'GET')) ?? '');
    assert.equal((await url({})).hostname, '127.0.0.1');
    const { href } = await url({ redirectendpoint: 'https://cdn.example.com' });
    assert.match(href, /^https:\/\/cdn\.example\.com\/bucket\/file\?X-Amz-Algorithm=.*&X-Amz-Expires=1200&/);
  });

  test('loglevel says which requests are logged, without what signs them', async (t) => {
    for (const [level, expected] of [
      ['off', []],
      ['debug', ['PUT 200', 'GET 404', 'PUT 200']],
      ['debugwithrequesterrors', ['GET 404']],
      ['debugWithRequestRetries', ['PUT 200']],
    ] as const) {
      const { s3, driver, records } = await open(t, { loglevel: level });
      const before = records.length;
      await driver.putContent('/file', Buffer.from('x'));
      await assert.rejects(driver.getContent('/absent'));
      s3.intercept = () => (s3.requests.length === 3 ? refusal(503, 'SlowDown') : undefined);
      await driver.putContent('/file', Buffer.from('x'));
      const logged = records.slice(before);
      assert.deepEqual(
        logged.map((record) => `${String(record['method'])} ${String(record['status'])}`),
        expected,
      );
      assert.ok(!JSON.stringify(logged).includes('Signature'));
    }
  });

  test('skipverify takes any certificate, which is refused otherwise', async (t) => {
    const standIn = new S3StandIn();
    const { certificate, key } = await (await createTestAuthority()).issue();
    const server = createServer({ cert: certificate, key }, (incoming, response) => {
      const { searchParams } = new URL(incoming.url ?? '', 'https://host');
      const request = { method: 'GET', key: '', query: searchParams, headers: {}, body: Buffer.alloc(0) };
      response.end(standIn.answer(request).body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo; // of a TCP listener
    const url = `https://127.0.0.1:${port}`;
    await openAt({ url }, { skipverify: true });
    await assert.rejects(openAt({ url }, {}), { code: 'UNAVAILABLE' });
  });
});

describe('a bucket that cannot be used', () => {
  for (const [code, status, message] of [
    ['NoSuchBucket', 404, /the bucket bucket does not exist: look at bucket/],
    ['InvalidAccessKeyId', 403, /does not know the access key: look at accesskey/],
    ['SignatureDoesNotMatch', 403, /refuses the signature: look at secretkey/],
    ['AccessDenied', 403, /may not list the bucket bucket: they need s3:ListBucket/],
    ['RequestTimeTooSkewed', 403, /the clock of this machine is wrong: it says Thu, 01 Jan 2026/],
    ['PermanentRedirect', 301, /is in the region eu-west-1: look at region/],
    ['SecondLevelDomainForbidden', 403, /set forcepathstyle to false/],
    ['InvalidBucketName', 400, /cannot be the name of a bucket/],
  ] as const) {
    test(`is told of at once: ${code}`, async (t) => {
      const s3 = await startS3StandIn(t);
      s3.intercept = () => refusal(status, code, { 'x-amz-bucket-region': 'eu-west-1' });
      await assert.rejects(openAt(s3, {}), (error: Error) => {
        assert.match(error.message, message);
        assert.ok(error.message.includes(`(the store says: ${status} ${code} in words)`));
        return true;
      });
    });
  }

  test('is told of at once: a host that is no object store', async (t) => {
    const s3 = await startS3StandIn(t);
    s3.intercept = () => ({ status: 200, body: '<html>Welcome</html>' });
    await assert.rejects(openAt(s3, {}), /answers, but not as S3 does: look at regionendpoint/);
  });

  test('is told of at once: nobody at the address', async () => {
    await assert.rejects(openAt({ url: 'http://127.0.0.1:1' }, {}), { code: 'UNAVAILABLE' });
  });
});
