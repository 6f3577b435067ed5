import assert from 'node:assert/strict';
import { generateKeyPairSync, verify } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseConfig } from '../../../../../src/contract/config/config.ts';
import { signCdnUrl } from '../../../../../src/registry/storage/middleware/alicdn.ts';
import { AwsAddresses } from '../../../../../src/registry/storage/middleware/aws-addresses.ts';
import { parseSigningKey, signedUrl } from '../../../../../src/registry/storage/middleware/cloudfront.ts';
import { openRedirect } from '../../../../../src/registry/storage/middleware/open-redirect.ts';
import { MemoryDriver } from '../../../../support/memory-driver.ts';
import { logSink } from '../../../../support/log-sink.ts';
import { standInService } from '../../../../support/stand-in-service.ts';
import { withTemporaryFolder } from '../../../../support/temporary-folder.ts';
import { TestClock } from '../../../../support/test-clock.ts';
import { waitFor } from '../../../../support/wait-for.ts';

const path = '/docker/registry/v2/blobs/sha256/ab/abcd/data';
const reader = { method: 'GET', address: '192.0.2.1' } as const;

/** Where a client is sent for `path` by a driver that would send it to `driverUrl`. */
async function sentTo(
  middleware: unknown,
  { driverUrl, storage = { inmemory: {} } }: { driverUrl?: string; storage?: object } = {},
) {
  const { config, errors } = parseConfig(
    JSON.stringify({ version: '0.1', storage, http: { addr: ':0' }, middleware: { storage: middleware } }),
  );
  if (config === undefined) throw new Error(JSON.stringify(errors));
  const clock = new TestClock();
  const { log, records } = logSink();
  const driver = Object.assign(new MemoryDriver(() => clock.now()), { redirectUrl: async () => driverUrl });
  const opened = await openRedirect(config, driver, { clock, log, environment: {} });
  const url = await opened.redirect(path, reader);
  await opened.stop();
  return { url, records };
}

test('without middleware clients are sent where the driver sends them', async () => {
  assert.equal((await sentTo([], { driverUrl: 'https://bucket/x?sig=1' })).url, 'https://bucket/x?sig=1');
  assert.equal((await sentTo([])).url, undefined);
});

test('redirect sends clients to a base URL, whatever the driver', async () => {
  for (const [baseurl, expected] of [
    ['https://cdn.example.com', `https://cdn.example.com${path}`],
    ['http://cdn.example.com:8080/files/', `http://cdn.example.com:8080/files${path}`],
  ]) {
    const { url } = await sentTo([{ name: 'redirect', options: { baseurl } }]);
    assert.equal(url, expected);
  }
});

test('rewrite changes scheme, host and beginning of the path', async () => {
  const rewrite = async (options: object) =>
    (await sentTo([{ name: 'rewrite', options }], { driverUrl: 'http://minio:9000/bucket/a/b?sig=x%2By' }))
      .url;
  assert.equal(await rewrite({}), 'http://minio:9000/bucket/a/b?sig=x%2By');
  assert.equal(await rewrite({ scheme: 'https' }), 'https://minio:9000/bucket/a/b?sig=x%2By');
  assert.equal(await rewrite({ host: 'cdn.example.com' }), 'http://cdn.example.com/bucket/a/b?sig=x%2By');
  assert.equal(await rewrite({ trimpathprefix: '/bucket' }), 'http://minio:9000/a/b?sig=x%2By');
  assert.equal((await sentTo([{ name: 'rewrite', options: { host: 'cdn' } }])).url, undefined);
});

test('middleware is applied in turn, but for what is disabled', async () => {
  const { url } = await sentTo([
    { name: 'redirect', options: { baseurl: 'http://one/x' } },
    { name: 'rewrite', disabled: true, options: { host: 'never' } },
    { name: 'rewrite', options: { host: 'two', trimpathprefix: '/x' } },
  ]);
  assert.equal(url, `http://two${path}`);
});

test('cloudfront needs S3, and otherwise has no effect but a warning', async () => {
  const options = { baseurl: 'cdn.example.com', privatekey: '/none', keypairid: 'K' };
  const { url, records } = await sentTo([{ name: 'cloudfront', options }], { driverUrl: 'http://own' });
  assert.equal(url, 'http://own');
  assert.equal(records.length, 1);
});

test('cloudfront signs the URL of the object, which its public key verifies', async () => {
  await withTemporaryFolder(async (folder) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const file = join(folder, 'key.pem');
    writeFileSync(file, privateKey.export({ type: 'pkcs1', format: 'pem' }));
    const storage = {
      s3: { region: 'us-east-1', bucket: 'b', rootdirectory: '/root/', accesskey: 'a', secretkey: 's' },
    };
    const options = { baseurl: 'cdn.example.com', privatekey: file, keypairid: 'KEY', duration: '10m' };
    const { url = '' } = await sentTo([{ name: 'cloudfront', options }], { storage });
    const resource = `https://cdn.example.com/root${path}`;
    const expires = Date.UTC(2026, 0, 1) / 1000 + 600;
    const [, signature = ''] =
      /^.*\?Expires=\d+&Signature=([A-Za-z0-9~_-]+)&Key-Pair-Id=KEY$/.exec(url) ?? [];
    assert.ok(url.startsWith(`${resource}?Expires=${expires}&`), url);
    const bytes = Buffer.from(
      signature.replaceAll('-', '+').replaceAll('_', '=').replaceAll('~', '/'),
      'base64',
    );
    const policy = `{"Statement":[{"Resource":"${resource}","Condition":{"DateLessThan":{"AWS:EpochTime":${expires}}}}]}`;
    assert.ok(verify('sha1', Buffer.from(policy), publicKey, bytes));
  });
});

test('a signed URL keeps a query, and only an RSA key signs', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const url = signedUrl('https://cdn/x?a=b', { key: privateKey, keyPairId: 'K', expires: 7 });
  assert.match(url, /^https:\/\/cdn\/x\?a=b&Expires=7&Signature=/);
  const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  assert.throws(() => parseSigningKey(elliptic.export({ type: 'pkcs8', format: 'pem' })), /RSA/);
});

test('alicdn signs in the three ways of Alibaba Cloud', () => {
  const url = new URL('https://example.com/a?foo=bar');
  const signer = { key: '12345678', expires: 1_541_064_730, random: () => '0' };
  assert.equal(
    signCdnUrl(url, 'a', signer),
    'https://example.com/a?foo=bar&auth_key=1541064730-0-0-f9dd5ed1e274ab4b1d5f5745344bf28b',
  );
  assert.equal(
    signCdnUrl(url, 'c', signer),
    'https://example.com/7d6b308ce87beb16d9dba32d741220f6/5bdac81a/a?foo=bar',
  );
  assert.equal(
    signCdnUrl(url, 'b', signer),
    'https://example.com/201811011732/3a19d83a89ccb00a73212420791b0123/a?foo=bar',
  );
});

const ranges = JSON.stringify({
  prefixes: [
    { ip_prefix: '192.0.2.0/28', region: 'us-east-1', service: 'S3' },
    { ip_prefix: '198.51.100.0/24', region: 'eu-west-1', service: 'EC2' },
  ],
  ipv6_prefixes: [{ ipv6_prefix: '2001:db8::/32', region: 'US-East-1', service: 'S3' }],
});

test('addresses of AWS are known by the list, by region, and updated', async () => {
  const clock = new TestClock();
  const { log, records } = logSink();
  let answer = (): string => ranges;
  const open = (regions: readonly string[]): Promise<AwsAddresses> =>
    AwsAddresses.open({
      url: 'http://ranges',
      updateFrequency: 1000,
      regions,
      load: async () => answer(),
      clock,
      log,
    });
  const all = await open([]);
  const one = await open(['us-EAST-1']);
  for (const [address, inAll, inOne] of [
    ['192.0.2.1', true, true],
    ['192.0.2.17', false, false],
    ['198.51.100.9', true, false],
    ['2001:db8::1', true, true],
    [undefined, false, false],
    ['unix', false, false],
  ] as const) {
    assert.equal(all.has(address), inAll, String(address));
    assert.equal(one.has(address), inOne, String(address));
  }
  answer = () => {
    throw new Error('away');
  };
  await clock.advance(1000);
  assert.ok(all.has('192.0.2.1'), 'an old list is better than none');
  assert.equal(records.length, 2);
  answer = () => '{}';
  await clock.advance(1000);
  assert.ok(!all.has('192.0.2.1'));
  await all.stop();
  await one.stop();
});

test('clients in AWS go to S3 itself', async (t) => {
  await withTemporaryFolder(async (folder) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    writeFileSync(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
    const { createServer } = await import('node:http');
    const server = createServer((_request, response) => response.end(ranges));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('it listens on TCP');
    const storage = { s3: { region: 'us-east-1', bucket: 'b', accesskey: 'a', secretkey: 's' } };
    const send = async (more: object): Promise<string> => {
      const options = {
        baseurl: 'https://cdn',
        privatekey: join(folder, 'key.pem'),
        keypairid: 'K',
        iprangesurl: `http://127.0.0.1:${address.port}/`,
        ...more,
      };
      const to = await sentTo([{ name: 'cloudfront', options }], { storage, driverUrl: 'https://s3/own' });
      return (to.url ?? '').slice(0, 12);
    };
    assert.equal(await send({ ipfilteredby: 'AWS', updatefrenquency: '1h' }), 'https://s3/o');
    assert.equal(
      await send({ ipfilteredby: 'awsregion', awsregion: 'eu-west-1, us-east-1' }),
      'https://s3/o',
    );
    assert.equal(await send({ ipfilteredby: 'awsregion', awsregion: 'eu-west-1' }), 'https://cdn/');
    assert.equal(await send({ ipfilteredby: 'none' }), 'https://cdn/');
    assert.equal(await send({}), 'https://cdn/');
  });
});

test('the addresses of AWS are fetched again as often as is configured', async (t) => {
  await withTemporaryFolder(async (folder) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const privatekey = join(folder, 'key.pem');
    writeFileSync(privatekey, privateKey.export({ type: 'pkcs1', format: 'pem' }));
    const aws = await standInService(t, () => ({ body: ranges }));
    const options = {
      baseurl: 'https://cdn',
      privatekey,
      keypairid: 'K',
      ipfilteredby: 'aws',
      iprangesurl: aws.url,
      updatefrequency: '2h',
    };
    const storage = { s3: { region: 'us-east-1', bucket: 'b', accesskey: 'a', secretkey: 's' } };
    const { config } = parseConfig(
      JSON.stringify({
        version: '0.1',
        storage,
        http: { addr: ':0' },
        middleware: { storage: [{ name: 'cloudfront', options }] },
      }),
    );
    assert.ok(config);
    const clock = new TestClock();
    const driver = new MemoryDriver(() => clock.now());
    const opened = await openRedirect(config, driver, { clock, log: logSink().log, environment: {} });
    await clock.advance(2 * 3600_000 - 1);
    assert.equal(aws.received.length, 1);
    await clock.advance(1);
    await waitFor(() => aws.received.length === 2);
    await opened.stop();
  });
});
